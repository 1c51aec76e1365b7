"""A picture input that hands over the file as it was uploaded, and the examples beside it."""

from __future__ import annotations

import base64
import io
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image

from demo import figures
from demo.figures import size_text
from demo.work_tab import QUICK
from picd import ImageError
from picd.cores import cores
from picd.images import load_image

FOLDER = Path(__file__).parent / "examples"
EXAMPLES = {
    "web": "a web page",
    "terminal": "a terminal",
    "dashboard": "a dashboard",
    "slide": "a slide",
    "chat": "a chat",
    "chart": "charts",
    "landscape": "a photo",
    "sign": "a photo with a sign",
}
"""Names, as in links, and what they show."""
THUMBNAIL = (192, 108)
PICK = """element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) trigger("click", {name: button.value});
});"""
ORIENTATION = 0x0112  # the EXIF tag


def picture_input(**options) -> gr.Image:
    """A ``gr.Image`` whose value is the path of the uploaded file, untouched.

    Gradio would open the upload itself, and fail on odd ones without saying why. So
    :func:`picd.images.load_image` gets to read orientation, profile and sixteen bits, and words
    the errors. (Set on the instance: a subclass makes gradio write a stub file beside this one.)
    """
    picture = gr.Image(
        **{
            "label": "Picture",
            "show_label": False,
            "sources": ["upload", "webcam", "clipboard"],
            "type": "filepath",
            "image_mode": None,
            "height": 230,
            "placeholder": "Drop a screenshot or photo, paste it, or click to choose",
        }
        | options
    )
    picture.preprocess = lambda payload: payload.path if payload else None
    return picture


def example_path(name: str) -> str | None:
    """The file of an example, None for a name that is none."""
    return str(FOLDER / f"{name}.png") if name in EXAMPLES else None


def read_picture(path: str) -> np.ndarray:
    """The uploaded file as uint8 (H, W, 3); errors do not tell where the server keeps it."""
    return load_image(Path(path).read_bytes())


def stem(path: str) -> str:
    """A name for the files made of an upload."""
    return Path(path).stem[:60] or "picture"


def described(path: str) -> tuple[int, str]:
    """Pixels of a picture, and a line on it that also says what reading it changed.

    Raises:
        ImageError: it cannot be read, or is outside the limits.
    """
    data = Path(path).read_bytes()
    height, width = load_image(data).shape[:2]
    said = [f"{width} × {height} pixels, {size_text(len(data))}."]
    with Image.open(io.BytesIO(data)) as image:
        if image.has_transparency_data:
            said.append("Its transparent parts are shown on white.")
        if image.getexif().get(ORIENTATION, 1) != 1:
            said.append("It is turned upright, as its EXIF data asks.")
        if getattr(image, "is_animated", False):
            said.append("Of its animation the first frame is taken.")
    return width * height, " ".join(said)


class Chooser:
    """A picture input, a line on the picture, and the examples."""

    def __init__(self, elem_id: str) -> None:
        self.picture = picture_input(elem_id=elem_id)
        self.about = gr.HTML(padding=False, elem_id=f"{elem_id}-about", min_height=22)
        self.pixels = gr.State(0)
        self.examples = gr.HTML(_thumbnails(), js_on_load=PICK, padding=False)
        self.name = gr.Textbox(visible=False)
        """Name of the example that is chosen, empty for the visitor's own picture."""
        self.refused = gr.Textbox(visible="hidden")
        self.described = self.picture.change(
            self._describe,
            self.picture,
            [self.pixels, self.about, self.refused],
            **QUICK,
        )
        # In the browser: an update from here would make the input anew, without its preprocess. And
        # only then: the picture as its own output is another change, again and again.
        self.refused.change(None, self.refused, self.picture, js="() => null", **QUICK)
        self.picture.clear(lambda: (0, ""), None, [self.pixels, self.about], **QUICK)

    def _describe(self, path: str | None) -> list:
        """What is known of a picture at once, or why it is refused; then it is taken away too,
        because a browser can be brought down by what is too large for us."""
        if path is None:
            return [gr.skip()] * 3  # the reason why one was refused stays
        try:
            pixels, said = described(path)
        except ImageError as error:
            return [0, figures.alert(str(error)), str(time.monotonic_ns())]
        return [pixels, figures.note(said), gr.skip()]


def same_picture(choosers: list[Chooser]) -> None:
    """A picture chosen on one tab is there on the others too."""
    names = [chooser.name for chooser in choosers]
    outputs = [*(chooser.picture for chooser in choosers), *names]

    def chosen(event: gr.EventData) -> list[str]:
        return [example_path(event.name)] * len(choosers) + [event.name] * len(choosers)

    for chooser in choosers:
        chooser.examples.click(chosen, None, outputs, **QUICK)
        others = [other.picture for other in choosers if other is not chooser]
        own = ["p"] * len(others) + ["''"] * len(names)
        chooser.picture.input(
            None, chooser.picture, [*others, *names], js=f"(p) => [{', '.join(own)}]", **QUICK
        )


@cache
def _thumbnails() -> str:
    """Buttons with small pictures of the examples; the pictures are inside the page."""
    with ThreadPoolExecutor(cores()) as pool:  # the page waits for them
        sources = pool.map(_thumbnail, EXAMPLES)
        buttons = [
            f'<button type="button" value="{name}" title="{shown}">'
            f'<img src="{source}" alt="Example: {shown}" width="{THUMBNAIL[0] // 2}" '
            f'height="{THUMBNAIL[1] // 2}"></button>'
            for (name, shown), source in zip(EXAMPLES.items(), sources, strict=True)
        ]
    return f'<div class="picd-examples"><p>Or an example</p>{"".join(buttons)}</div>'


def _thumbnail(name: str) -> str:
    """A data address of an example, small."""
    buffer = io.BytesIO()
    with Image.open(FOLDER / f"{name}.png") as image:
        small = image.convert("RGB").resize(THUMBNAIL, Image.Resampling.LANCZOS, reducing_gap=3)
        small.save(buffer, "WEBP", quality=75)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
