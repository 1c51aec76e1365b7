"""The whole road of PICD, in order: a picture becomes text and picture streams, and comes back.

encode   picture -> OCR -> layout Z -> [text, layout]          decode   Z -> glyph image -.
             `------------> analysis (given glyphs) -> [image]           draft <- latents -+-> X
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picd.bitstream import VERSION, Container, Header
from picd.errors import PicdError
from picd.glyphs import GlyphImage, render_glyphs, typeset, word_boxes
from picd.guidance import Guide
from picd.image_codec import ImageCodec, Latents
from picd.images import load_image
from picd.layout import UNITS_PER_PIXEL, Rule, TextLayout
from picd.layout_coder import decode_layout, encode_layout, snap_layout
from picd.limits import allowed, check_typesetting, text_limit
from picd.ocr import Engine, load_engine
from picd.prompt import prompt_text
from picd.rendering import OnStep, Renderer
from picd.rules import PRICE, fit_rules
from picd.runtime import Models
from picd.text_coder import decode_text, encode_text
from picd.typography import fit_layout

DEFAULT_QUALITY = 40.0
FLAT_SHARE = 0.6
"""A picture with more pixels than this equal to their neighbours (to one level) is a screen:
60 screens measured had 0.63 or more, nine in ten of 60 photographs 0.48 or less."""
TEXT_SHARE = 0.6
"""Text and layout may take this share of a byte budget; beyond it the smallest lines go."""
FIRST_TRIAL, LOG_COST_SLOPE = 50, 0.03
"""Where the search for a rate starts, in half steps of quality, and how fast the logarithm of the
cost grows with them: measured on screens, and only a start."""
LOWEST_TRIAL = -8
"""Half steps below 2 are quality 1 with growing thrift: the cheapest file that is tried."""
HEADER_BYTES = 24
Picture = NDArray[np.uint8]
OnStage = Callable[[str, object], None]


@dataclass(frozen=True)
class Info:
    """What a file says of itself. ``sections`` are bytes: header, text, layout, image."""

    version: int
    model: str
    width: int
    height: int
    quality: float
    content: str
    seed: int
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
        self.image_codec = ImageCodec(models)

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
        file) and ``max_bytes``; the last two are never exceeded. ``on_stage`` is called with
        "ocr" (the words), "layout" (the TextLayout) and "latents" as they are reached.

        Raises:
            PicdError: the picture, a budget or an option cannot be honoured; one line says why.
        """
        clock = _Clock()
        picture = load_image(image)
        height, width = picture.shape[:2]
        budget = _budget(quality, bpp, max_bytes, width * height)
        natural = content == "natural" or (content == "auto" and not is_screen(picture))
        report = on_stage or (lambda stage, value: None)

        words = _engine("none" if natural and ocr == "auto" else ocr).read(picture)
        report("ocr", words)
        clock.lap("ocr")

        fitted = snap_layout(fit_layout(picture, words))
        if not natural:
            fitted = replace(fitted, rules=_fit_rules(picture, fitted, budget))
        layout, text, layout_bytes = _coded_text(fitted, budget and int(TEXT_SHARE * budget))
        report("layout", layout)
        clock.lap("typography")

        y = self.image_codec.analyse(picture, render_glyphs(layout))
        if budget is not None:
            while (room := self._text_room(y, budget)) < len(text) + len(layout_bytes):
                layout, text, layout_bytes = _coded_text(fitted, room)
                y = self.image_codec.analyse(picture, render_glyphs(layout))
        report("latents", y)
        clock.lap("transform")

        def pack(half_steps: int, z: Latents | None = None) -> bytes:
            level, thrift = _level(half_steps)
            header = Header(width, height, level, natural, seed, self.models.id)
            image_bytes = self.image_codec.encode(y, level, z, thrift)
            return Container(header, text, layout_bytes, image_bytes).pack()

        if budget is None:
            data = pack(round(2 * (DEFAULT_QUALITY if quality is None else quality)))
        else:
            spare = 8 * (budget - len(text) - len(layout_bytes) - HEADER_BYTES)
            half_steps, z = self._affordable(y, spare)
            data = _within(budget, half_steps, lambda half_steps: pack(half_steps, z))
        clock.lap("entropy")
        return Encoded(
            **vars(_info(Container.unpack(data, model_id=self.models.id), layout)),
            data=data,
            seconds=clock.seconds,
            dropped_words=len(fitted.words) - len(layout.words),
        )

    def _text_room(self, y: Latents, budget: int) -> int:
        """Bytes of the budget that the cheapest image section leaves."""
        cheapest = self._cost(y, LOWEST_TRIAL, self.image_codec.hyper_latents(y, 1))
        return max(budget - HEADER_BYTES - int(cheapest / 8) - 4, 0)

    def _affordable(self, y: Latents, spare: float) -> tuple[int, Latents]:
        """The highest quality, in half steps, whose latents cost at most ``spare`` bits, and z.

        With z fixed the cost grows smoothly with quality; a z that follows the quality makes it
        jump (rounding flips over whole flat areas), up and down. So z is that of a first guess,
        then that of the quality found with it, where that is cheaper.
        """
        z = self.image_codec.hyper_latents(y, FIRST_TRIAL / 2)
        cost = cache(lambda half_steps: self._cost(y, half_steps, z))
        half_steps = self._search(cost, spare, FIRST_TRIAL)
        own = self.image_codec.hyper_latents(y, _level(half_steps)[0])
        own_cost = cache(lambda half_steps: self._cost(y, half_steps, own))
        if own_cost(half_steps) < cost(half_steps):
            return self._search(own_cost, spare, half_steps), own
        return half_steps, z

    @staticmethod
    def _search(cost: Callable[[int], float], spare: float, trial: int) -> int:
        """Secant steps on the logarithm of the cost from ``trial``, to 1.5 % or half a step."""
        low, high = LOWEST_TRIAL - 1, 201  # ``low`` fits (or is below the scale), not ``high``
        slope = LOG_COST_SLOPE
        last: tuple[int, float] | None = None
        while high - low > 1 and spare > 0:
            bits = cost(trial)
            low, high = (trial, high) if bits <= spare else (low, trial)
            if 0.985 * spare < bits <= spare:
                break
            if last and last[0] != trial and bits != last[1]:
                slope = float(np.clip(np.log(bits / last[1]) / (trial - last[0]), 0.005, 0.1))
            last = trial, bits
            trial += round(float(np.log(spare / bits)) / slope)
            trial = min(max(trial, low + 1), high - 1)
        return max(low, LOWEST_TRIAL)

    def _cost(self, y: Latents, half_steps: int, z: Latents) -> float:
        level, thrift = _level(half_steps)
        return self.image_codec.quantise(y, level, z, thrift).bits

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
        y_hat = self.image_codec.decode(container.image, header.width, header.height)
        clock.lap("entropy")

        glyphs = render_glyphs(layout)
        draft = self.image_codec.synthesise(
            y_hat, header.quality, glyphs, header.width, header.height
        )
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
                guide=self._guide(guidance, page, glyphs, layout, y_hat, header.quality),
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
        quality: float,
    ) -> Guide | None:
        """Guidance at ``strength`` times the model's own."""
        if not strength:
            return None
        sent = self.image_codec.sent(y_hat, quality, glyphs)
        return Guide(self.models, strength, page, glyphs, layout, sent)

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
        sections={"header": len(container.pack()) - sum(sections.values()), **sections},
        layout=layout,
    )


def _within(budget: int, half_steps: int, pack: Callable[[int], bytes]) -> bytes:
    """The real file at the quality found, or at the next lower one that keeps the budget."""
    for trial in range(half_steps, LOWEST_TRIAL - 1, -1):
        data = pack(trial)
        if len(data) <= budget:
            return data
    raise PicdError(f"{budget} bytes are too few for this picture: it needs {len(data)}")


def is_screen(picture: Picture) -> bool:
    """Whether a picture is screen content: flat areas, unlike any photograph."""
    flat = [(np.abs(np.diff(picture.astype(np.int16), axis=axis)) <= 1).all(-1) for axis in (0, 1)]
    return bool((flat[0][:, 1:] & flat[1][1:]).mean() > FLAT_SHARE)


def layout_text(layout: TextLayout) -> str:
    """The decoded text, one line a line."""
    return "\n".join(" ".join(word.text for word in line.words) for line in layout.lines)


def layout_words(layout: TextLayout) -> list[dict[str, Any]]:
    """[{"text", "box": [x, y, w, h]}] with boxes in pixels; a box is as high as its line's em."""
    unit = UNITS_PER_PIXEL
    return [
        {
            "text": word.text,
            "box": [
                word.x / unit,
                (line.baseline - round(0.8 * line.style.size)) / unit,
                word.width / unit,
                line.style.size / unit,
            ],
        }
        for line in layout.lines
        for word in line.words
    ]


def _read_layout(container: Container) -> TextLayout:
    header = container.header
    if not container.text and not container.layout:
        return TextLayout(header.width, header.height)
    size = header.width, header.height
    strings = decode_text(container.text, text_limit(*size))
    return check_typesetting(decode_layout(container.layout, strings, *size))


def _coded_text(layout: TextLayout, room: int | None) -> tuple[TextLayout, bytes, bytes]:
    """What of the layout fits into ``room`` bytes (None: all), and its two sections. The smallest
    lines go first, of one size the shortest."""
    worth = [(line.style.size, sum(len(w.text) for w in line.words)) for line in layout.lines]
    order = sorted(range(len(worth)), key=lambda i: worth[i], reverse=True)
    keep = len(order)
    while keep >= 0:
        kept = tuple(layout.lines[i] for i in sorted(order[:keep]))
        trimmed = replace(layout, lines=kept)
        if not allowed(trimmed):
            keep -= 1
            continue
        text, coded = encode_text(trimmed) if kept else b"", encode_layout(trimmed)
        size = len(text) + len(coded)
        if room is None or size <= room:
            return trimmed, text, coded
        # cost is about proportional to lines; always at least one line less
        keep = min(keep - 1, int(keep * room / size))
    return TextLayout(layout.width, layout.height), b"", b""


def _fit_rules(picture: Picture, layout: TextLayout, budget: int | None) -> tuple[Rule, ...]:
    """The rules of a page. The fewer bytes there are, the more a rule has to mend."""
    price = PRICE if budget is None else min(max(PRICE * 4600 / budget, 800), 20000)
    words = np.zeros(picture.shape[:2], bool)
    for line in layout.lines:
        for x0, y0, x1, y1 in word_boxes(line, *words.shape):
            words[y0:y1, x0:x1] = True
    return fit_rules(picture, price, words=words)


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


def _level(half_steps: int) -> tuple[float, float]:
    """(quality, thrift) of a trial: below quality 1 the same quality with growing thrift."""
    return max(half_steps, 2) / 2, 0.04 * 1.4 ** (1 - half_steps) if half_steps < 2 else 0.0


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

    def total(self) -> dict[str, float]:
        self.seconds["total"] = time.perf_counter() - self.start
        return self.seconds
