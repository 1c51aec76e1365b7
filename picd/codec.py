"""The whole road of PICD, in order: a picture becomes text and picture streams, and comes back.

encode   picture -> OCR -> layout Z -> [text, layout]          decode   Z -> glyph image -.
             `------------> analysis (given glyphs) -> [image]           draft <- latents -+-> X
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picd.bitstream import MAX_QUALITY, VERSION, Container, Header
from picd.content import PHOTOGRAPH, is_screen, screen_likeness
from picd.errors import PicdError
from picd.glyphs import GlyphImage, render_glyphs, set_skeleton, typeset, word_mask
from picd.guidance import Guide
from picd.image_codec import ImageCodec, Latents
from picd.images import load_image
from picd.layout import UNITS_PER_PIXEL, Rule, TextLayout
from picd.layout_coder import decode_layout, encode_layout
from picd.letters import fit_letters, price_at_quality, price_at_rate
from picd.limits import allowed, check_typesetting, text_limit
from picd.marks import fit_marks
from picd.ocr import Engine, load_engine
from picd.pictured import spend
from picd.prompt import prompt_text
from picd.rendering import OnStep, Renderer
from picd.rules import PRICE, fit_rules
from picd.runtime import Models
from picd.text_coder import decode_text, encode_text
from picd.trials import Trial, Trials
from picd.typography import fit_layout

DEFAULT_QUALITY = 40.0
TEXT_SHARE = 0.6
"""Text and layout may take this share of a byte budget; beyond it the smallest lines go."""
THRIFTY, PLENTY = 0.6, 16
"""Rules and letters are chosen anew where they have to mend less than this part of what was
expected, and at the best quality so small a part of it. Thirteen pages: SSIMULACRA2 26.4 to 27.2,
29.1 to 29.6 dB at 0.03 bits per pixel; 46.4 to 46.9, 31.1 to 31.5 dB at 0.06."""
MARK_PRICE = 0.2
"""What a bit of a mark has to mend, over what one of an own letter has to."""
CHEAPEST_RULE = 300
"""See :data:`picd.rules.PRICE`: less is not worth the bytes at any budget."""
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
        dress = partial(_dressed, picture, natural=natural, budget=budget, quality=wanted)
        layout, text, layout_bytes = dress(fitted)
        fitted = replace(fitted, rules=layout.rules)
        report("layout", layout)
        clock.lap("typography")

        trials = Trials(
            self.image_codec, self.half_codec, picture, natural, lambda: report("latents", None)
        )

        def pack(text: bytes, layout_bytes: bytes, trial: Trial | None = None) -> bytes:
            at, halved = (trial.image.quality, trial.halved) if trial else (1.0, False)
            header = Header(width, height, at, natural, seed, self.models.id, halved)
            return Container(header, text, layout_bytes, trial.image.data if trial else b"").pack()

        def coded(layout: TextLayout, text: bytes, layout_bytes: bytes) -> Trial:
            if budget is None:
                return trials.at(wanted, layout, layout_bytes)
            return trials.within(budget - len(pack(text, layout_bytes)), layout, layout_bytes)

        while not (trial := coded(layout, text, layout_bytes)).image.fits:
            needed = len(pack(text, layout_bytes, trial))
            if not (text or layout_bytes):
                raise PicdError(f"{budget} bytes are too few: this picture needs {needed}")
            room = len(text) + len(layout_bytes) - (needed - budget)
            layout, text, layout_bytes = _coded_text(fitted, max(room, 0))
        if not natural:
            # now that its quality is known, and what the picture stream does well
            better = layout
            thrift = _thrift(trial.quality, budget, width * height)
            if thrift < THRIFTY and len(layout.words) == len(fitted.words):
                richer, more_text, _ = dress(fitted, thrift=thrift)
                better = richer if more_text == text else layout
            room = budget and 8 * (budget - len(pack(text, encode_layout(better))))
            better = _marked(picture, better, trial, room)
            if better != layout and allowed(better):
                again = coded(better, text, more_bytes := encode_layout(better))
                if again.image.fits:
                    trial, layout, layout_bytes = again, better, more_bytes
        trial = spend(
            trial,
            layout,
            picture,
            budget and 8 * (budget - len(pack(text, layout_bytes))),
            lambda more, level: trials.at(level, more, encode_layout(more)),
            lambda more: coded(more, text, encode_layout(more)),
        )
        layout = trial.layout
        room = budget and budget - len(pack(text, trial.layout_bytes))
        trial = trials.refined(trial, room)
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


def _dressed(
    picture: Picture,
    fitted: TextLayout,
    *,
    natural: bool,
    budget: int | None,
    quality: float,
    thrift: float = 1.0,
) -> tuple[TextLayout, bytes, bytes]:
    """The layout with rules and letters of its own, those that are worth ``thrift`` times the price
    that they have at a budget or (without one) a quality; as much of it as has room, and its two
    sections."""
    if not natural:
        fitted = replace(fitted, rules=_fit_rules(picture, fitted, budget, thrift))
    share = budget and int(TEXT_SHARE * budget)
    layout, text, coded = _coded_text(fitted, share)
    if len(layout.words) < len(fitted.words):  # there are no bytes to spare
        return layout, text, coded
    pixels = fitted.width * fitted.height
    price = price_at_rate(8 * budget / pixels) if budget else price_at_quality(quality)
    letters, plain = fit_letters(picture, layout, thrift * price), len(coded)
    while letters:
        lettered = replace(layout, letters=letters)
        more = encode_layout(lettered)
        if share is None or len(text) + len(more) <= share:
            return lettered, text, more
        # cost is about proportional to letters; the best come first
        part = (share - len(text) - plain) / (len(more) - plain)
        letters = letters[: min(len(letters) - 1, int(part * len(letters)))]
    return layout, text, coded


def _thrift(quality: float, budget: int | None, pixels: int) -> float:
    """What rules and letters have to mend at the quality that a page has at a budget, over what was
    expected of it: a page with little on it has bytes to spare."""
    if budget is None:
        return 1.0
    if quality == MAX_QUALITY:
        return 1 / PLENTY
    return price_at_quality(quality) / price_at_rate(8 * budget / pixels)


def _fit_rules(
    picture: Picture, layout: TextLayout, budget: int | None, thrift: float
) -> tuple[Rule, ...]:
    """The rules of a page. The fewer bytes there are, the more a rule has to mend."""
    price = PRICE if budget is None else min(max(PRICE * 4600 / budget, 800), 20000)
    price = max(thrift * price, CHEAPEST_RULE)
    return fit_rules(picture, price, words=word_mask(layout))


def _marked(picture: Picture, layout: TextLayout, trial: Trial, room: int | None) -> TextLayout:
    """The layout with the marks that are worth more than what the picture stream does there;
    ``room`` bits are left for both."""
    price = MARK_PRICE * price_at_quality(trial.image.quality)
    bits = trial.bits(trial.image.quality)
    below, words = set_skeleton(layout), word_mask(layout)
    marks = fit_marks(picture, below, layout.rules, words, price, trial.page, bits, room)
    return replace(layout, marks=marks)


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
