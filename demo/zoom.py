"""Pictures side by side that are zoomed and moved together; ``page.js`` does it."""

from __future__ import annotations

import gradio as gr

from demo.work_tab import HIDDEN

ZOOM = """(zoom) => {{
  const pictures = document.getElementById("{0}");
  pictures.style.setProperty("--zoom", zoom);
  pictures.classList.toggle("zoomed", zoom > 1);
}}"""


def zoomed_pictures(elem_id: str, count: int) -> list[gr.Image]:
    """``count`` hidden pictures in a grid, under the slider that zooms them."""
    with gr.Column(elem_id=elem_id, elem_classes="picd-zooms"):
        zoom = gr.Slider(
            1, 8, 1, step=0.5, label="Zoom, all at once", elem_classes="picd-zoom",
            info="Point at a picture, or focus it and use the arrow keys, to move.",
        )  # fmt: skip
        with gr.Row(elem_classes="picd-grid"):
            pictures = [
                gr.Image(
                    format="png", visible=HIDDEN, interactive=False, buttons=["fullscreen"],
                    min_width=280,
                )
                for _ in range(count)
            ]  # fmt: skip
    zoom.change(None, zoom, None, js=ZOOM.format(elem_id), queue=False, api_visibility="private")
    return pictures
