"""The whole road of PICD, in order: a picture becomes text and picture streams, and comes back.

encode   picture -> OCR -> layout Z -> [text, layout]          decode   Z -> glyph image -.
             `------------> analysis (given glyphs) -> [image]           draft <- latents -+-> X
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picd.bitstream import VERSION, Container, Header
from picd.columns import layout_text
from picd.content import PHOTOGRAPH, is_screen, screen_likeness
from picd.dressing import Dresser, coded_text
from picd.errors import PicdError
from picd.glyphs import GlyphImage, render_glyphs, typeset
from picd.guidance import Guide
from picd.image_codec import ImageCodec, Latents
from picd.images import load_image
from picd.layout import TextLayout
from picd.layout_coder import decode_layout, encode_layout
from picd.limits import allowed, check_typesetting, text_limit
from picd.ocr import Engine, load_engine
from picd.pictured import spend
from picd.prompt import prompt_text
from picd.rendering import OnStep, Renderer
from picd.runtime import Models
from picd.text_coder import decode_text
from picd.trials import Trial, Trials
from picd.typography import fit_layout

DEFAULT_QUALITY = 40.0
SKETCHES = 2
"""So often a screen is coded at half its size, to see what is worth it besides its words. Eighteen
screenshots at 0.03 bits per pixel: SSIMULACRA2 36.9 after the first time, 38.2 after both."""
WORTH_IT = 0.9
"""The second time only where what the first has shown leaves less than this part of the error."""
Picture = NDArray[np.uint8]
OnStage = Callable[[str, object], None]


@dataclass(frozen=True)
class Info:
    """What a file says of itself. ``sections`` are bytes: header, text, layout, image; ``halved``
    is a picture that was coded at half its size."""

    version: int
    model: str
    width: int
    height: int
    quality: float
    content: str
    seed: int
    halved: bool
    sections: dict[str, int]
    layout: TextLayout

    @property
    def bytes(self) -> int:
        return sum(self.sections.values())

    @property
    def bpp(self) -> float:
        return 8 * self.bytes / (self.width * self.height)


@dataclass(frozen=True)
class Encoded(Info):
    """A ``.picd`` file as ``data``, with the seconds that each stage took, and how many words
    that could be typeset the budget had no room for."""

    data: bytes = b""
    seconds: dict[str, float] = field(default_factory=dict)
    dropped_words: int = 0


@dataclass(frozen=True)
class Decoded:
    """The picture, and everything seen on the way to it. Pictures are uint8 (H, W, 3)."""

    image: Picture
    draft: Picture
    typeset: Picture
    glyphs: GlyphImage
    layout: TextLayout
    steps: int
    seconds: dict[str, float]
    blended_words: int = 0
    """Words that guidance had to set over the picture again."""

    @property
    def text(self) -> str:
        return layout_text(self.layout)


class Codec:
    """Encoder and decoder on one folder of models; safe to share between threads."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self.image_codec, self.half_codec = ImageCodec(models), ImageCodec(models, scale=2)

    @cached_property
    def renderer(self) -> Renderer:
        return Renderer(self.models)

    @classmethod
    def load(cls, models: Path | None = None) -> Codec:
        """The embedded compact profile, or the model folder given (or named by $PICD_MODELS).

        Raises:
            ModelError: model files are missing or not what their manifest says.
        """
        return cls(Models(models))

    # encode -------------------------------------------------------------------------------

    def encode(
        self,
        image: Image.Image | Picture,
        *,
        quality: float | None = None,
        bpp: float | None = None,
        max_bytes: int | None = None,
        content: Literal["auto", "screen", "natural"] = "auto",
        ocr: str = "auto",
        seed: int = 0,
        on_stage: OnStage | None = None,
    ) -> Encoded:
        """Compress a picture of 16x16 to 16 megapixels.

        Give at most one of ``quality`` (1..100, default 40), ``bpp`` (bits per pixel of the whole
        file) and ``max_bytes``; the last two are never exceeded. From quality 70 on, the picture
        may show some of the text itself (:mod:`picd.pictured`). ``on_stage`` is called with
        "ocr" (the words), "layout" (the TextLayout) and "latents" as they are reached.

        Raises:
            PicdError: the picture, a budget or an option cannot be honoured; one line says why.
        """
        clock = _Clock()
        picture = load_image(image)
        height, width = picture.shape[:2]
        budget = _budget(quality, bpp, max_bytes, width * height)
        wanted = round(2 * (DEFAULT_QUALITY if quality is None else quality)) / 2
        report = on_stage or (lambda stage, value: None)

        likeness = screen_likeness(picture) if content == "auto" else float(content == "screen")
        wordless = likeness < PHOTOGRAPH and ocr == "auto"
        words = _engine("none" if wordless else ocr).read(picture)
        natural = not is_screen(likeness, len(words))
        if natural and ocr == "auto":
            words = ()
        report("ocr", words)
        clock.lap("ocr")

        fitted = fit_layout(picture, words)
        dresser = Dresser(picture, fitted, natural, budget, wanted)
        layout, text, layout_bytes = dresser.first()
        report("layout", layout)
        clock.lap("typography")

        trials = Trials(
            self.image_codec, self.half_codec, picture, natural, lambda: report("latents", None)
        )

        def pack(text: bytes, layout_bytes: bytes, trial: Trial | None = None) -> bytes:
            at, halved = (trial.image.quality, trial.halved) if trial else (1.0, False)
            header = Header(width, height, at, natural, seed, self.models.id, halved)
            return Container(header, text, layout_bytes, trial.image.data if trial else b"").pack()

        def room(text: bytes, layout_bytes: bytes) -> int | None:
            return budget and budget - len(pack(text, layout_bytes))

        def coded(layout: TextLayout, layout_bytes: bytes) -> Trial:
            if budget is None:
                return trials.at(wanted, layout, layout_bytes)
            return trials.within(room(text, layout_bytes), layout, layout_bytes)

        def dressed(layout: TextLayout, layout_bytes: bytes) -> list[tuple[TextLayout, bytes]]:
            """The layout, and with more and more of what sketches show to be worth it."""
            dresses, left_before = [(layout, layout_bytes)], np.inf
            for _ in range(0 if natural else SKETCHES):
                left = room(text, layout_bytes)
                trial = trials.sketch(left, wanted, layout, layout_bytes)
                if not trial.image.fits or trial.error > WORTH_IT * left_before:
                    break
                left_before = trial.error
                richer = dresser.richer(layout, text, trial, left and 8 * left)
                if richer == layout or not allowed(richer):
                    break
                layout, layout_bytes = richer, encode_layout(richer)
                dresses.append((layout, layout_bytes))
            return dresses

        while True:
            for dress in reversed(dressed(layout, layout_bytes)):
                if (trial := coded(*dress)).image.fits:
                    break
            if trial.image.fits:
                break
            needed = len(pack(text, layout_bytes, trial))
            if not (text or layout_bytes):
                raise PicdError(f"{budget} bytes are too few: this picture needs {needed}")
            space = len(text) + len(layout_bytes) - (needed - budget)
            layout, text, layout_bytes = coded_text(dresser.ruled, max(space, 0))
        trial = spend(
            trial,
            trial.layout,
            picture,
            budget and 8 * room(text, trial.layout_bytes),
            lambda more, level: trials.at(level, more, encode_layout(more)),
            lambda more: coded(more, encode_layout(more)),
        )
        layout = trial.layout
        trial = trials.refined(trial, room(text, trial.layout_bytes))
        data = pack(text, trial.layout_bytes, trial)
        clock.lap("entropy")
        clock.move(trials.seconds, "entropy", "transform")
        return Encoded(
            **vars(_info(Container.unpack(data, model_id=self.models.id), layout)),
            data=data,
            seconds=clock.seconds,
            dropped_words=len(fitted.words) - len(layout.words),
        )

    # decode -------------------------------------------------------------------------------

    def decode(
        self,
        data: bytes,
        *,
        stage: Literal["draft", "typeset", "render"] = "render",
        steps: int | None = None,
        guidance: float | None = None,
        seed: int | None = None,
        on_step: OnStep | None = None,
    ) -> Decoded:
        """The picture in a file, up to ``stage``; ``seed`` overrides the file's own. ``guidance``
        scales the model's strengths of guidance; by default there is none, because what it mends of
        the shipped weights' pictures is not worth its time.

        Raises:
            ModelError: guidance is asked for and the model has none.
            BitstreamError: the file is damaged, foreign, or of another version or model.
        """
        clock = _Clock()
        container = Container.unpack(data, model_id=self.models.id)
        header = container.header
        layout = _read_layout(container)
        image_codec = self._image_codec(header)
        y_hat = image_codec.decode(container.image, header.width, header.height)
        clock.lap("entropy")

        glyphs = render_glyphs(layout)
        draft = image_codec.synthesise(y_hat, header.quality, glyphs, header.width, header.height)
        page = typeset(draft, glyphs)
        clock.lap("draft")

        image, taken, blended = {"draft": draft}.get(stage, page), 0, 0
        clock.seconds |= {"render": 0.0, "guidance": 0.0}
        if stage == "render":
            result = self.renderer.render(
                draft,
                page,
                glyphs,
                seed=header.seed if seed is None else seed,
                prompt=prompt_text(layout_text(layout), natural=header.natural),
                steps=steps,
                guide=self._guide(guidance, page, glyphs, layout, y_hat, header),
                on_step=on_step,
            )
            image, taken, blended = result.image, result.steps, result.blended_words
            clock.seconds |= {
                "render": result.render_seconds,
                "guidance": result.guidance_seconds,
            }
        return Decoded(image, draft, page, glyphs, layout, taken, clock.total(), blended)

    def _guide(
        self,
        strength: float | None,
        page: Picture,
        glyphs: GlyphImage,
        layout: TextLayout,
        y_hat: Latents,
        header: Header,
    ) -> Guide | None:
        """Guidance at ``strength`` times the model's own."""
        if not strength:
            return None
        sent = self._image_codec(header).sent(y_hat, header.quality, glyphs)
        return Guide(self.models, strength, page, glyphs, layout, sent)

    def _image_codec(self, header: Header) -> ImageCodec:
        return self.half_codec if header.halved else self.image_codec

    def info(self, data: bytes) -> Info:
        """What is in a file, without decoding its picture.

        Raises:
            BitstreamError: as :meth:`decode`.
        """
        container = Container.unpack(data, model_id=self.models.id)
        return _info(container, _read_layout(container))


def _info(container: Container, layout: TextLayout) -> Info:
    header = container.header
    sections = {name: len(getattr(container, name)) for name in ("text", "layout", "image")}
    return Info(
        version=VERSION,
        model=header.model_id.hex(),
        width=header.width,
        height=header.height,
        quality=header.quality,
        content="natural" if header.natural else "screen",
        seed=header.seed,
        halved=header.halved,
        sections={"header": len(container.pack()) - sum(sections.values()), **sections},
        layout=layout,
    )


def _read_layout(container: Container) -> TextLayout:
    header = container.header
    if not container.text and not container.layout:
        return TextLayout(header.width, header.height)
    size = header.width, header.height
    strings = decode_text(container.text, text_limit(*size))
    return check_typesetting(decode_layout(container.layout, strings, *size))


def _budget(
    quality: float | None, bpp: float | None, max_bytes: int | None, pixels: int
) -> int | None:
    given = [value for value in (quality, bpp, max_bytes) if value is not None]
    if len(given) > 1:
        raise PicdError("give only one of quality, bpp and max_bytes")
    if any(not value > 0 for value in given):
        raise PicdError(f"quality, bpp and max_bytes must be positive, got {given[0]}")
    if quality is not None and not 1 <= quality <= 100:
        raise PicdError(f"quality must be in 1..100, got {quality}")
    return int(bpp * pixels / 8) if bpp is not None else max_bytes


@cache
def _engine(name: str) -> Engine:
    return load_engine(name)


class _Clock:
    """Seconds by stage, in the order they ran."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.start = self.last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self.last
        self.last = now
        self.seconds["total"] = now - self.start

    def move(self, seconds: float, of: str, to: str) -> None:
        """Seconds of one stage were another's."""
        self.seconds[of] -= seconds
        self.seconds[to] = self.seconds.get(to, 0.0) + seconds

    def total(self) -> dict[str, float]:
        self.seconds["total"] = time.perf_counter() - self.start
        return self.seconds
