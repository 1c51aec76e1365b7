"""Tab *How it works*: the road stage by stage on the visitor's own picture."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr
import numpy as np

from demo import figures
from demo.frames import Frames
from demo.model import codec, default_steps, has_guidance, most_steps
from demo.picture_input import Chooser, read_picture
from demo.progress import Progress
from demo.work import Emit, Finished, Tick, streamed
from demo.work_tab import HIDDEN, QUICK, Update, WorkTab
from demo.zoom import zoomed_pictures
from picd.bitstream import MAX_PIXELS
from picd.codec import Decoded, Encoded
from picd.glyphs import typeset

STAGES = {
    "read": (
        "Read the text",
        "An OCR engine finds the words and where they stand. From here on they travel as text: "
        "exact, and in far fewer bytes than their pixels.",
    ),
    "fit": (
        "Fit the type",
        "For every line, face, weight, size, baseline, ink and ground are found by setting its "
        "words and comparing them with the picture. Words, places and looks are entropy-coded; "
        "this is all the decoder knows of the text.",
    ),
    "code": (
        "Code the picture",
        "Flat areas go as rectangles, icons as small bitmaps. A network turns what is left into a "
        "grid of integers, knowing the type already, and a second one predicts how likely each "
        "integer is. What is likely costs next to nothing; quality is set so that the file has the "
        "size asked for.",
    ),
    "draft": (
        "Decode the draft",
        "The decoder turns the integers back into a picture. With so few bytes areas and shapes "
        "survive, and small letters do not.",
    ),
    "typeset": (
        "Set the type",
        "The words are set over the draft, in the decoder's own fonts. This page is where the "
        "diffusion starts.",
    ),
    "render": (
        "Render",
        "With a little noise added, a diffusion model estimates the picture behind the page, a "
        "few times over; the adaptor shows it draft and type at every scale. It mends the seams "
        "between the two and invents likely detail.",
    ),
}
CONDITIONS = {
    "full": "Everything on",
    "glyphs": "Glyphs off",
    "draft": "Draft only",
    "typeset": "Typeset only",
    "guidance": "Guidance off",
}
SWITCHES = (
    "What does each of these add? Glyphs off: no text is sent, and the picture has all the bytes. "
    "Draft only: the picture stream as it is. Typeset only: nothing is rendered."
)
GUIDANCE_SWITCH = " Guidance off: no step is pulled towards what was sent."
WITHOUT_TEXT = "The same without the text"
INTRODUCTION = """
PICD sends a picture as **two streams**: the text in it, lossless, and the picture, very lossy. The
decoder sets the text in its own fonts, and a small diffusion model makes one picture of both. Take
your own picture along the road:
"""
SMALL_PRINT = f"""
**Plausible, not faithful.** At these sizes details are invented. Do not use it where a pixel is
evidence. The method is that of *Versatile Perceptual Image Compression with Diffusion Rendering*
(CVPR 2025, [arXiv 2505.05853](https://arxiv.org/abs/2505.05853)).

**Your pictures** stay on this machine and are deleted after an hour; nothing counts or follows you.
Pictures of up to {MAX_PIXELS / 1e6:.1f} megapixels are taken, at full size; larger ones are refused
rather than shrunk.
"""


class HowTab(WorkTab):
    """The components of the tab, and what happens to them."""

    def __init__(self) -> None:
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=300):
                gr.Markdown(INTRODUCTION, elem_classes="picd-prose")
                self.chooser = Chooser("how-picture")
                self.bpp = gr.Slider(0.01, 0.4, 0.04, step=0.005, label="Bits per pixel, at most")
                self.steps = gr.Slider(
                    1,
                    most_steps(),
                    max(4, default_steps()),
                    step=1,
                    label="Steps of the film strip",
                )
                self.build_buttons("Walk the road", "how")
                gr.Markdown(SMALL_PRINT, elem_classes="picd-prose")
            with gr.Column(scale=8, min_width=300):
                self.status = gr.HTML(padding=False, elem_id="how-status")
                self.figures = {}
                for number, (key, (title, text)) in enumerate(STAGES.items(), 1):
                    with gr.Column(elem_classes="picd-stage", elem_id=f"how-{key}"):
                        gr.HTML(figures.stage(number, title, text), padding=False)
                        self.figures[key] = self._figure(key, title)
                self._build_conditions()
        self._wire()

    def _figure(self, key: str, title: str) -> gr.components.Component:
        if key == "code":
            return gr.HTML(padding=False)
        if key == "render":
            return gr.Gallery(
                label="Film strip: the estimate after each step", format="png", columns=3,
                object_fit="contain", height="auto", visible=HIDDEN, interactive=False,
                buttons=["fullscreen"], elem_id="film",
            )  # fmt: skip
        return gr.Image(
            label=title, format="png", visible=HIDDEN, interactive=False, buttons=["fullscreen"]
        )

    def _build_conditions(self) -> None:
        with gr.Column(elem_classes=["picd-stage", "picd-conditions"]):
            text = SWITCHES + (GUIDANCE_SWITCH if has_guidance() else "")
            gr.HTML(figures.stage(len(STAGES) + 1, "Switch it off", text), padding=False)
            names = [(CONDITIONS[key], key) for key in self._condition_keys()]
            self.shown = gr.CheckboxGroup(
                names, value=["full", "glyphs", "draft"], label="Show", elem_id="conditions"
            )
            pictures = zoomed_pictures("how-pictures", len(names))
            self.variants = dict(zip(self._condition_keys(), pictures, strict=True))

    @staticmethod
    def _condition_keys() -> list[str]:
        return [key for key in CONDITIONS if key != "guidance" or has_guidance()]

    def _wire(self) -> None:
        outputs = [*self.figures.values(), *self.variants.values()]
        start = self.run, [self.bpp, self.steps, self.shown]
        self.wire_work({self.button: start}, self.chooser.picture, outputs)
        self.shown.input(self._show, self.shown, list(self.variants.values()), **QUICK)

    def _show(self, keys: list[str]) -> list[gr.Image]:
        return [gr.Image(visible=_visible(key in keys)) for key in self.variants]

    def run(
        self, frames: Frames, path: str, bpp: float, steps: float, shown: list[str]
    ) -> Iterator[Update]:
        """Every stage's figure as soon as it is there, at last the conditions."""
        names = [title for title, _ in STAGES.values()]
        progress = Progress([(name, 1) for name in [*names, WITHOUT_TEXT]])
        original = read_picture(path)
        strip: list[tuple[str, str]] = []
        drawn: Update = {}
        yield {self.status: progress.start(names[0]), **self._hidden()}
        for event in streamed(lambda emit: _walk(original, bpp, int(steps), emit)):
            if isinstance(event, Finished):
                variants = self._variants(frames, event.result, shown)
                yield self.idle() | drawn | variants | {self.status: progress.finish()}
            else:
                update = self._reached(event, progress, frames, original, strip)
                drawn |= update
                yield update

    def _hidden(self) -> Update:
        pictures = (key for key in STAGES if key not in ("code", "render"))
        return {
            **{self.figures[key]: gr.Image(visible=HIDDEN) for key in pictures},
            self.figures["code"]: "",
            self.figures["render"]: gr.Gallery([], visible=HIDDEN),
            **{variant: gr.Image(None, visible=HIDDEN) for variant in self.variants.values()},
        }

    def _reached(
        self,
        event: Tick | tuple,
        progress: Progress,
        frames: Frames,
        original: np.ndarray,
        strip: list[tuple[str, str]],
    ) -> Update:
        """What an event draws, and the progress."""
        titles = {key: title for key, (title, _) in STAGES.items()}
        match event:
            case ("ocr", words):
                boxes = [{"text": word.text, "box": word.box} for word in words]
                framed = frames.png(figures.boxes(original, boxes))
                return {
                    self.status: progress.start(titles["fit"]),
                    self.figures["read"]: gr.Image(framed, visible=True),
                }
            case ("layout", _):
                return {self.status: progress.start(titles["code"])}
            case ("encoded", Encoded() as encoded):
                return {
                    self.status: progress.start(titles["draft"]),
                    self.figures["code"]: figures.section_bar(encoded.sections),
                }
            case ("step", step, steps, estimate):
                name = f"after step {step}" if step else "the typeset draft"
                strip.append((frames.png(estimate), name))
                return {
                    self.status: progress.start(titles["render"], step / steps),
                    self.figures["render"]: gr.Gallery(list(strip), visible=True),
                }
            case ("decoded", Decoded() as decoded):
                blank = np.full_like(decoded.draft, 225)
                stages = {
                    "fit": typeset(blank, decoded.glyphs),
                    "draft": decoded.draft,
                    "typeset": decoded.typeset,
                }
                return {self.status: progress.start(WITHOUT_TEXT)} | {
                    self.figures[key]: gr.Image(frames.png(picture), visible=True)
                    for key, picture in stages.items()
                }
        return {self.status: progress.tick()}

    def _variants(
        self, frames: Frames, variants: dict[str, np.ndarray], shown: list[str]
    ) -> Update:
        return {
            self.variants[key]: gr.Image(
                frames.png(picture), label=CONDITIONS[key], visible=_visible(key in shown)
            )
            for key, picture in variants.items()
        }


def _visible(shown: bool) -> bool | str:
    return True if shown else HIDDEN


def _walk(original: np.ndarray, bpp: float, steps: int, emit: Emit) -> dict[str, np.ndarray]:
    """The whole road with every stage emitted, then the pictures of the conditions."""
    coder = codec()
    encoded = coder.encode(original, bpp=bpp, on_stage=lambda *stage: emit(stage))
    emit(("encoded", encoded))
    decoded = coder.decode(
        encoded.data,
        steps=steps,
        guidance=float(has_guidance()),
        on_step=lambda *step: emit(("step", *step)),
    )
    emit(("decoded", decoded))
    without_text = coder.encode(original, bpp=bpp, ocr="none", content=encoded.content)
    variants = {
        "full": decoded.image,
        "glyphs": coder.decode(without_text.data, steps=steps).image,
        "draft": decoded.draft,
        "typeset": decoded.typeset,
    }
    if has_guidance():
        variants["guidance"] = coder.decode(encoded.data, steps=steps, guidance=0).image
    return variants
