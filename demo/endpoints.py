"""Named endpoints for ``gradio_client``: ``/encode``, ``/decode`` and ``/compare``.

With ``GRADIO_MCP_SERVER=True`` in the environment Gradio offers them as MCP tools too; their
docstrings are the tools' descriptions.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import numpy as np
from gradio.processing_utils import save_bytes_to_cache

from demo.compare_tab import Entry, compared
from demo.line import LINE
from demo.model import codec, default_steps, errors_for_clients
from demo.picture_input import picture_input, read_picture, stem
from picd.columns import layout_words

SLOT = {"concurrency_id": "clients", "concurrency_limit": LINE.at_once}
"""So many clients stand in line among the visitors; the rest waits in Gradio's queue, which tells
each its rank."""


def build() -> None:
    """Invisible components carry the types; the events carry the names."""
    with gr.Column(visible=False):
        picture = picture_input(label="image")
        bpp = gr.Number(0.04, label="bpp", minimum=0.001, maximum=24)
        content = gr.Radio(["auto", "screen", "natural"], value="auto", label="content")
        ocr = gr.Radio(["auto", "rapidocr", "easyocr", "tesseract", "none"], value="auto",
                       label="ocr")  # fmt: skip
        picd_file = gr.File(label="file")
        steps = gr.Slider(1, 50, default_steps(), step=1, label="steps")
        image = gr.Image(label="image", format="png", type="filepath")
        description = gr.JSON(label="description")
        gallery = gr.Gallery(label="pictures", format="png")

        def encode(image: str, bpp: float, content: str, ocr: str) -> tuple[str, dict]:
            """Compress a picture to a .picd file of at most so many bits per pixel.

            Args:
                image: the picture, of 16x16 pixels to 16 megapixels.
                bpp: bits per pixel of the whole file, never exceeded; 0.02 is tiny, 0.08 good.
                content: screen, natural (a photograph), or auto to decide by the picture.
                ocr: the OCR engine that finds the text; none sends no text.

            Returns:
                The file, and a description: bytes, bpp, size, quality, sections, text, seconds.
            """
            with LINE.turn(), errors_for_clients():
                encoded = codec().encode(read_picture(image), bpp=bpp, content=content, ocr=ocr)
            name = f"{stem(image)}.picd"
            file = save_bytes_to_cache(encoded.data, name, picd_file.GRADIO_CACHE)
            return file, {
                "bytes": encoded.bytes,
                "bpp": encoded.bpp,
                "width": encoded.width,
                "height": encoded.height,
                "quality": encoded.quality,
                "content": encoded.content,
                "sections": encoded.sections,
                "text": layout_words(encoded.layout),
                "seconds": encoded.seconds,
            }

        gr.Button().click(
            encode, [picture, bpp, content, ocr], [picd_file, description], api_name="encode",
            **SLOT,
        )  # fmt: skip
        gr.Button().click(
            _decode, [picd_file, steps], [image, description], api_name="decode", **SLOT
        )
        gr.Button().click(_compare, [picture, bpp], gallery, api_name="compare", **SLOT)


def _decode(file: str, steps: float) -> tuple[np.ndarray, dict]:
    """Decode a .picd file to its picture.

    Args:
        file: the .picd file.
        steps: rendering steps, 1 to 50.

    Returns:
        The picture as a PNG, and a description: size, steps, seconds, text.
    """
    with LINE.turn(), errors_for_clients():
        decoded = codec().decode(Path(file).read_bytes(), steps=int(steps))
    height, width = decoded.image.shape[:2]
    return decoded.image, {
        "width": width,
        "height": height,
        "steps": decoded.steps,
        "seconds": decoded.seconds,
        "text": decoded.text,
    }


def _compare(image: str, bpp: float) -> list[tuple[np.ndarray, str]]:
    """The same bytes spent by PICD, JPEG, WebP, AVIF and, where installed, JPEG XL.

    Args:
        image: the picture, of 16x16 pixels to 16 megapixels.
        bpp: bits per pixel that PICD may use; the others get the bytes it took.

    Returns:
        Pictures with captions: codec and bytes; one that needs more bytes says so.
    """
    with LINE.turn(), errors_for_clients():
        events = compared(read_picture(image), bpp)
        return [(each.image, each.caption) for each in events if isinstance(each, Entry)]
