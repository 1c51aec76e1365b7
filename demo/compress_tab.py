"""Tab *Compress*: a picture in, a ``.picd`` and the picture it decodes to out, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import numpy as np

from demo import figures
from demo.frames import Frames
from demo.link import COPY_LINK, Settings
from demo.model import codec, guidance_slider, loaded, ocr_engines, steps_slider
from demo.picture_input import Chooser, read_picture, stem
from demo.progress import Progress
from demo.work import Emit, Finished, Tick, streamed
from demo.work_tab import HIDDEN, QUICK, Update, WorkTab
from picd.codec import Decoded, Encoded
from picd.columns import layout_words
from picd.images import png_bytes

PRESETS = {"Tiny": 0.02, "Small": 0.04, "Good": 0.08}
"""Bits per pixel of the named sizes."""
READING, FITTING, CODING, SEARCHING = (
    "Reading the text", "Fitting the type", "Coding the picture", "Finding the best quality",
)  # fmt: skip
LOADING, DRAFT, RENDERING = "Loading the model", "Decoding the draft", "Rendering"
NEXT_STAGE = {"ocr": FITTING, "layout": CODING, "latents": SEARCHING}
"""What begins when the codec reports a stage as reached."""


class CompressTab(WorkTab):
    """The components of the tab, and what happens to them."""

    def __init__(self) -> None:
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=300, elem_classes="picd-inputs"):
                self._build_inputs()
            with gr.Column(scale=8, min_width=300, elem_classes="picd-results"):
                self._build_results()
        self._wire()

    def _build_inputs(self) -> None:
        self.chooser = Chooser("compress-picture")
        with gr.Group():
            self.preset = gr.Radio([*PRESETS], value="Small", label="Size", elem_id="preset")
            self.bpp = gr.Slider(
                0.01, 0.4, PRESETS["Small"], step=0.005, label="Bits per pixel, at most",
                info="With a picture, its size is here.", elem_id="bpp",
            )  # fmt: skip
        self.build_buttons("Compress", "compress")
        with gr.Accordion("Advanced", open=False, elem_id="advanced"):
            self.content = gr.Radio(
                [("Decide by itself", "auto"), ("Screen", "screen"), ("Photo", "natural")],
                value="auto",
                label="Kind of picture",
            )
            self.text_on = gr.Checkbox(
                True, label="Send the text as text", info="Off: all bytes go to the picture."
            )
            self.ocr = gr.Dropdown(
                ["auto", *ocr_engines()], value="auto", label="OCR engine", filterable=False
            )
            self.steps = steps_slider()
            self.guidance = guidance_slider()
            self.seed = gr.Number(
                0, label="Noise seed", info="Kept in the file: the same file, the same picture.",
                precision=0, minimum=0, maximum=2**32 - 1,
            )  # fmt: skip

    def _build_results(self) -> None:
        self.build_status(
            "compress-status",
            "The result appears here",
            "Choose a picture, or one of the examples, and press Compress. The words found, the "
            "draft and each rendering step are shown on the way.",
        )
        self.slider = gr.ImageSlider(
            label="Left the original, right what the file decodes to. Scroll or pinch to zoom.",
            format="png", visible=HIDDEN, max_height=620, interactive=False,
            elem_id="compress-slider",
        )  # fmt: skip
        self.numbers = gr.HTML(padding=False, elem_id="compress-numbers")
        with gr.Row(elem_classes="picd-later"):
            button = {"elem_classes": "picd-save", "min_width": 150}
            self.picd = gr.DownloadButton("Save .picd", variant="primary", elem_id="picd", **button)
            self.png = gr.DownloadButton("Save PNG", elem_id="png", **button)
            self.open = gr.Button("Open in Decode", elem_id="open-in-decode", **button)
            self.share = gr.Button("Copy link", elem_id="share", **button)
        self.link = gr.HTML(padding=False, elem_id="link")
        with gr.Tabs(elem_classes="picd-later"):
            with gr.Tab("Text"):
                self.text = gr.Textbox(
                    label="Text in the file", lines=6, max_lines=16, buttons=["copy"],
                    interactive=False, elem_id="compress-text",
                )  # fmt: skip
            large = {"format": "png", "interactive": False, "buttons": ["fullscreen"]}
            with gr.Tab("Words"):
                self.words = gr.Image(label="Words sent as text", **large)
            with gr.Tab("Draft"):
                self.draft = gr.Image(label="The picture stream alone", **large)
            with gr.Tab("Typeset"):
                self.typeset = gr.Image(label="The text set over the draft", **large)

    def settings(self) -> list:
        """The components that make a :class:`Settings`, in its order."""
        return [
            self.chooser.name, self.bpp, self.content, self.text_on, self.ocr, self.steps,
            self.guidance, self.seed,
        ]  # fmt: skip

    def _wire(self) -> None:
        outputs = [
            self.slider, self.numbers, self.picd, self.png, self.link, self.text, self.words,
            self.draft, self.typeset,
        ]  # fmt: skip
        picture = self.chooser.picture
        self.wire_work({self.button: (self.run, self.settings())}, picture, outputs)
        self.share.click(None, self.settings(), self.link, js=COPY_LINK, **QUICK)
        self.preset.input(PRESETS.get, self.preset, self.bpp, **QUICK)
        sizes = _sizes, [self.chooser.pixels, self.bpp], [self.bpp, self.preset]
        self.bpp.change(*sizes, **QUICK)
        self.chooser.described.then(*sizes, **QUICK)

    def run(self, frames: Frames, path: str, *values) -> Iterator[Update]:
        """Compress and decode one picture, with a yield for all that can be shown."""
        settings = Settings(*values)
        original = read_picture(path)
        reference = frames.png(original)
        progress = Progress(
            [(READING, 5), (FITTING, 3), (CODING, 2), (SEARCHING, 2), (DRAFT, 2)]
            + [(RENDERING, 1.5 * settings.steps)]
        )
        yield self._begun(progress, reference)
        for event in streamed(lambda emit: _road(original, settings, emit)):
            if isinstance(event, Finished):
                encoded, decoded = event.result
                pictures = {
                    self.status: progress.finish(),
                    self.words: frames.png(figures.boxes(original, layout_words(encoded.layout))),
                }
                yield pictures | self._done(frames, path, reference, encoded, decoded)
                return
            update, picture = self._progressed(event, progress, original)
            if picture is not None:
                update[self.slider] = reference, frames.jpeg(picture)
            yield update

    def _begun(self, progress: Progress, reference: str) -> Update:
        return {
            self.status: progress.start(READING if loaded() else LOADING),
            self.slider: gr.ImageSlider((reference, reference), visible=True),
            self.numbers: "",
            self.link: "",
        }

    def _progressed(
        self, event: Tick | tuple, progress: Progress, original: np.ndarray
    ) -> tuple[Update, np.ndarray | None]:
        """What an event changes, and the picture it brings."""
        match event:
            case ("stage", "ocr", words):
                boxes = [{"text": word.text, "box": word.box} for word in words]
                status = progress.start(NEXT_STAGE["ocr"])
                return {self.status: status}, figures.boxes(original, boxes)
            case ("stage", name, _):
                return {self.status: progress.start(NEXT_STAGE.get(name, name))}, None
            case ("encoded",):
                return {self.status: progress.start(DRAFT)}, None
            case ("step", step, steps, estimate):
                detail = f", step {step} of {steps}" if step else ", from the typeset draft"
                return {self.status: progress.start(RENDERING, step / steps, detail)}, estimate
        return {self.status: progress.tick()}, None

    def _done(
        self, frames: Frames, path: str, reference: str, encoded: Encoded, decoded: Decoded
    ) -> Update:
        picd = frames.file(f"{stem(path)}.picd", encoded.data)
        png = frames.file(f"{stem(path)}.png", png_bytes(decoded.image))
        ratio = Path(reference).stat().st_size / encoded.bytes
        label = f"Save .picd · {figures.size_text(encoded.bytes)}"
        return self.idle() | {
            self.slider: gr.ImageSlider((reference, png), visible=True),
            self.numbers: _numbers(encoded, decoded, ratio),
            self.picd: gr.DownloadButton(label, value=picd),
            self.png: gr.DownloadButton(value=png),
            self.text: decoded.text,
            self.draft: frames.png(decoded.draft),
            self.typeset: frames.png(decoded.typeset),
        }


def _road(original: np.ndarray, settings: Settings, emit: Emit) -> tuple[Encoded, Decoded]:
    """There and back, telling ``emit`` of each stage and step."""
    coder = codec()
    encoded = coder.encode(
        original, **settings.for_encoding(), on_stage=lambda *stage: emit(("stage", *stage))
    )
    emit(("encoded",))
    decoded = coder.decode(
        encoded.data, **settings.for_decoding(), on_step=lambda *step: emit(("step", *step))
    )
    return encoded, decoded


def _sizes(pixels: int, bpp: float) -> list:
    """The sizes in bytes of this picture; the preset that the slider is at is marked."""
    preset = next((name for name, value in PRESETS.items() if value == bpp), None)
    if not pixels:
        return [gr.skip(), gr.Radio(value=preset)]
    choices = [(f"{name} · {_size(pixels, value)}", name) for name, value in PRESETS.items()]
    info = f"At most {_size(pixels, bpp)} for this picture."
    return [gr.Slider(info=info), gr.Radio(choices, value=preset)]


def _size(pixels: int, bpp: float) -> str:
    return figures.size_text(int(bpp * pixels / 8))


def _numbers(encoded: Encoded, decoded: Decoded, ratio: float) -> str:
    kind = {"screen": "a screen", "natural": "a photo"}[encoded.content]
    caption = f"Coded as {kind}{', at half its size' if encoded.halved else ''}."
    if encoded.dropped_words:
        caption += f" {encoded.dropped_words} words had no room as text: try a larger size."
    lines = encoded.layout.lines
    if pictured := sum(line.pictured for line in lines):
        caption += f" {pictured} of {len(lines)} lines look as in the original, not typeset."
    cards = figures.cards(
        {
            "file size": figures.size_text(encoded.bytes),
            "bits per pixel": f"{encoded.bpp:.4f}",
            "smaller than PNG": f"{ratio:,.0f}×",
            "words as text": f"{len(encoded.layout.words):,}",
            "to encode": f"{encoded.seconds['total']:.1f} s",
            "to decode": f"{decoded.seconds['total']:.1f} s",
        }
    )
    return figures.note(caption) + cards + figures.section_bar(encoded.sections)
