"""Tab *Decode*: a ``.picd`` in; what it says, then its draft and its picture out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from demo import figures
from demo.compress_tab import DRAFT, RENDERING
from demo.frames import Frames
from demo.model import codec, guidance_slider, steps_slider
from demo.picture_input import stem
from demo.progress import Progress
from demo.work import Emit, Finished, Tick, streamed
from demo.work_tab import HIDDEN, QUICK, Update, WorkTab
from picd import PicdError
from picd.codec import Decoded, Info
from picd.columns import layout_text
from picd.images import png_bytes


class DecodeTab(WorkTab):
    """The components of the tab, and what happens to them."""

    missing = "Choose a .picd file first."

    def __init__(self) -> None:
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=300):
                self.file = gr.File(
                    label=".picd file", file_types=[".picd"], height=160, elem_id="decode-file"
                )
                self.steps = steps_slider()
                self.guidance = guidance_slider()
                self.build_buttons("Decode", "decode")
            with gr.Column(scale=8, min_width=300):
                self.build_status(
                    "decode-status",
                    "What is in the file appears here",
                    "Choose a .picd file: its sections and its text are shown at once, the picture "
                    "when you press Decode. The same bytes always give the same pixels. The tab "
                    "Compress makes such files.",
                )
                self.slider = gr.ImageSlider(
                    label="Left the draft, right the picture. Scroll or pinch to zoom.",
                    format="png", visible=HIDDEN, max_height=620, interactive=False,
                    elem_id="decode-slider",
                )  # fmt: skip
                self.png = gr.DownloadButton("Save PNG", visible=HIDDEN, elem_id="decode-png")
                self.numbers = gr.HTML(padding=False, elem_id="decode-numbers")
                self.text = gr.Textbox(
                    label="Text in the file", lines=4, max_lines=16, buttons=["copy"],
                    interactive=False, visible=HIDDEN, elem_id="decode-text",
                )  # fmt: skip
        self._wire()

    def _wire(self) -> None:
        outputs = [self.slider, self.png, self.numbers, self.text]
        self.file.change(self.describe, self.file, [self.status, *outputs], **QUICK)
        start = self.run, [self.steps, self.guidance]
        self.wire_work({self.button: start}, self.file, outputs)

    def describe(self, path: str | None) -> Update:
        """What a file says of itself, before its picture is decoded."""
        hidden = {
            self.slider: gr.ImageSlider(None, visible=HIDDEN),
            self.png: gr.DownloadButton(visible=HIDDEN),
            self.numbers: "",
            self.text: gr.Textbox(visible=HIDDEN),
        }
        if path is None:
            return hidden | {self.status: figures.note("Choose a .picd file.")}
        try:
            info = codec().info(Path(path).read_bytes())
        except PicdError as error:
            return hidden | {self.status: figures.alert(str(error))}
        return hidden | {
            self.status: figures.note("This is in the file. Press Decode to see its picture."),
            self.numbers: _numbers(info),
            self.text: gr.Textbox(layout_text(info.layout), visible=True),
        }

    def run(self, frames: Frames, path: str, steps: float, guidance: float) -> Iterator[Update]:
        """The picture, with a yield for all that can be shown on the way."""
        data = Path(path).read_bytes()
        progress = Progress([(DRAFT, 2), (RENDERING, 1.5 * steps)])
        yield {self.status: progress.start(DRAFT), self.png: gr.DownloadButton(visible=HIDDEN)}

        def work(emit: Emit) -> Decoded:
            return codec().decode(
                data,
                steps=int(steps),
                guidance=guidance,
                on_step=lambda *step: emit(step),
            )

        start = ""
        for event in streamed(work):
            match event:
                case Finished(decoded):
                    png = frames.file(f"{stem(path)}.png", png_bytes(decoded.image))
                    both = frames.png(decoded.draft), png
                    yield self.idle() | {
                        self.status: progress.finish(),
                        self.slider: gr.ImageSlider(both, visible=True),
                        self.png: gr.DownloadButton(value=png, visible=True),
                    }
                case Tick():
                    yield {self.status: progress.tick()}
                case (step, total, estimate):
                    frame = frames.jpeg(estimate)
                    start = start or frame
                    detail = f", step {step} of {total}" if step else ", from the typeset draft"
                    yield {
                        self.status: progress.start(RENDERING, step / total, detail),
                        self.slider: gr.ImageSlider((start, frame), visible=True),
                    }


def _numbers(info: Info) -> str:
    kind = {"screen": "A screen", "natural": "A photo"}[info.content]
    said = (
        f"{kind} of {info.width} × {info.height} pixels. Made for model {info.model}, in version "
        f"{info.version} of the format, with noise seed {info.seed}."
    )
    cards = figures.cards(
        {
            "file size": figures.size_text(info.bytes),
            "bits per pixel": f"{info.bpp:.4f}",
            "words as text": f"{len(info.layout.words):,}",
            "quality, of 100": f"{info.quality:g}",
        }
    )
    return figures.note(said) + cards + figures.section_bar(info.sections)
