"""The picture stream: a draft of the picture, coded given what the glyph image already tells.

Contract of every stream: ``encode`` to bytes, ``decode`` the same values from the bytes. Entropy
parameters come from exact-integer networks only (DESIGN section 3); the glyph image enters the
analysis and synthesis transforms, never the probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import pairwise
from typing import Protocol

import constriction
import cv2
import numpy as np
from numpy.typing import NDArray

from picd.errors import BitstreamError, ModelError
from picd.glyphs import GlyphImage, told
from picd.rules import GREY
from picd.runtime import ALIGNMENT, Models, pad_to_alignment, tiled

LATENT_SCALE = 16
HYPER_SCALE = 64
MARGIN = 192
"""Pixels of context that the transforms look at, rounded up to the alignment."""
PASSES = ((0, 0), (1, 1), (0, 1), (1, 0))
"""First row and column of each pass over a slice's places, which takes every second of both."""
CORE, CORE_SIDE = (6, 12), 5
"""Levels of difference that are dropped and kept, by the largest in a square of so many pixels."""
SCALE_STEP = float(np.log(64 / 0.11) / 63)
"""From one scale of the entropy model to the next, as a logarithm (:mod:`picd.nets.entropy`)."""
GUESSED_MOST = 1.5
"""A symbol is guessed to cost at most so much more than with the scale that suits it best."""
Latents = NDArray[np.float32]


@dataclass(frozen=True)
class QuantisedLatents:
    """z (1, Z, H/64, W/64) and y_hat (1, M, H/16, W/16) with the payload's size in bits, and what
    of y goes into it: in coding order (symbols from 0, their scales)."""

    z: Latents
    y: Latents
    bits: float
    passes: list[tuple[NDArray[np.int32], NDArray[np.uint8]]]


@dataclass(frozen=True)
class Sent:
    """What a picture must give, analysed, to be sent as the same latents: those (1, M, H'/16s,
    W'/16s), to within ``tolerance`` (M,). Analysed is its difference from ``skeleton``
    (1, 3, H', W'), 0 where ``told`` (likewise), reduced by the ``scale`` s, beside ``glyphs``
    (1, 5, H'/s, W'/s)."""

    latents: Latents
    tolerance: Latents
    skeleton: Latents
    told: NDArray[np.bool_]
    glyphs: Latents
    scale: int


class _Coder(Protocol):
    """Where the slices' symbols come from: the encoder's rounding or the decoder's reading."""

    def latents(self, target: Latents | None, scales: NDArray[np.uint8]) -> Latents: ...


class ImageCodec:
    """Analysis, exact entropy coding and synthesis on a folder of models.

    With ``scale`` 2 the picture is coded at half its width and height, which at low rates is the
    better way to spend bytes on photographs.
    """

    def __init__(self, models: Models, scale: int = 1) -> None:
        self.models, self.scale = models, scale
        self.slices: tuple[int, ...] = tuple(models.manifest["codec"]["latent_slices"])

    # the road, forwards -------------------------------------------------------------------

    def analyse(self, picture: NDArray[np.uint8], glyphs: GlyphImage) -> Latents:
        """What a picture, uint8 (H, W, 3), has beyond the skeleton -> y (1, M, H'/16, W'/16)
        float32, H' and W' of the picture as it is coded, padded to 64."""
        difference = self._planes(picture_planes, picture)
        difference -= self._planes(picture_planes, glyphs.skeleton)
        np.copyto(difference, 0, where=self._planes(told_planes, glyphs))
        inputs = [(reduced(difference, self.scale), 1), (self._glyphs(glyphs), 1)]
        run = partial(_first, self.models["analysis"])
        return tiled(run, inputs, LATENT_SCALE, margin=MARGIN)

    def hyper_latents(self, y: Latents, quality: float) -> Latents:
        """z for coding y at ``quality``: integers, float32 (1, Z, H'/64, W'/64)."""
        scaled = y * self.gain(quality)
        limit = self.tables.hyper_limit
        return np.clip(np.floor(self.models["hyper_analysis"](scaled)[0] + 0.5), -limit, limit)

    def quantise(
        self, y: Latents, quality: float, z: Latents | None = None, thrift: float = 0.0
    ) -> QuantisedLatents:
        """The latents as the decoder will see them at ``quality`` (1..100), and their cost.

        ``z`` may be any integers: those of another quality decode as well, at another cost.
        ``thrift`` is what a bit may cost in squared error (steps of y): above 0, latents round
        to what is cheap, for rates below those of quality 1."""
        z = self.hyper_latents(y, quality) if z is None else z
        counter = _Counter(self.tables, thrift)
        y_hat = self._passes(z, y * self.gain(quality), counter)
        return QuantisedLatents(z, y_hat, counter.bits + self._hyper_bits(z), counter.passes)

    def expected(self, scaled: Latents, quality: float) -> tuple[Latents, NDArray[np.uint8]]:
        """Means and scale indices of y at ``quality``, times its gain, each like it."""
        coded = self.quantise(scaled / self.gain(quality), quality)
        symbols, scales = self._in_place(coded)
        residual = (symbols - self.tables.latent_limit).astype(np.float32)
        return coded.y - residual, scales

    def guessed_bits(
        self, latents: QuantisedLatents, y: Latents, quality: float, other: float
    ) -> float:
        """About what y, coded at ``quality`` as ``latents``, would cost at another one: means and
        scales in proportion to the gains, seen at every fourth place. A tenth of the time."""
        symbols, scales = (part[..., ::2, ::2] for part in self._in_place(latents))
        limit, ratio = self.tables.latent_limit, self.gain(other) / self.gain(quality)
        mean = latents.y[..., ::2, ::2] - (symbols - limit)
        residual = y[..., ::2, ::2] * self.gain(other) - mean * ratio
        moved = scales + np.rint(np.log(ratio) / SCALE_STEP).astype(np.int32)
        before = self._guess(symbols, scales)
        symbols = _symbols(residual, scales, self.tables, 0.0) + np.int32(limit)
        scales = np.clip(moved, 0, len(self.tables.latent) - 1).astype(np.uint8)
        after = self._guess(symbols, scales)
        return latents.bits * after / max(before, 1.0)

    def _guess(self, symbols: NDArray[np.int32], scales: NDArray[np.uint8]) -> float:
        """The cost of symbols whose scales may be much too small."""
        most = GUESSED_MOST * self.tables.latent_bits.min(0)
        costs = np.minimum(_bits(symbols, scales, self.tables), most[symbols])
        return float(costs.sum(dtype=np.float64))

    def bits_by_place(self, latents: QuantisedLatents) -> Latents:
        """The bits of y_hat by place, (H'/16, W'/16)."""
        return _bits(*self._in_place(latents), self.tables).sum((0, 1))

    def _in_place(self, latents: QuantisedLatents) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Symbols and scale indices out of the coding order, each like y_hat."""
        symbols = np.empty(latents.y.shape, np.int32)
        scales = np.empty(latents.y.shape, np.uint8)
        passes = iter(latents.passes)
        for start, stop in self._bounds():
            for row, column in PASSES:
                for whole, part in zip((symbols, scales), next(passes), strict=True):
                    place = whole[0, start:stop, row::2, column::2]
                    place[...] = part.reshape(place.shape)
        return symbols, scales

    def write(self, latents: QuantisedLatents) -> bytes:
        """The image section."""
        encoder = constriction.stream.queue.RangeEncoder()
        for channel, model in enumerate(self.tables.hyper):
            encoder.encode(
                (latents.z[0, channel].ravel() + self.tables.hyper_limit).astype(np.int32), model
            )
        for symbols, scales in latents.passes:
            # the symbols of each scale together: one model, one fast call
            for scale, places in _by_scale(scales):
                encoder.encode(symbols[places], self.tables.latent[scale])
        words = encoder.get_compressed().astype("<u4").tobytes()
        return words.rstrip(b"\0")  # the reader pads with zeros

    def encode(
        self, y: Latents, quality: float, z: Latents | None = None, thrift: float = 0.0
    ) -> bytes:
        """y from :meth:`analyse` (z and thrift: see :meth:`quantise`) -> the image section."""
        return self.write(self.quantise(y, quality, z, thrift))

    # and back -----------------------------------------------------------------------------

    def decode(self, data: bytes, width: int, height: int) -> Latents:
        """The image section -> y_hat (1, M, H'/16, W'/16), bit for bit the encoder's.

        Raises:
            BitstreamError: the bytes are not a stream that the encoder writes.
        """
        words = np.frombuffer(data + bytes(-len(data) % 4), "<u4").astype(np.uint32)
        decoder = constriction.stream.queue.RangeDecoder(words)
        cell = HYPER_SCALE * self.scale
        shape = (-(-height // cell), -(-width // cell))
        try:
            z = np.stack(
                [
                    decoder.decode(model, shape[0] * shape[1]).reshape(shape)
                    for model in self.tables.hyper
                ]
            )
            z = (z - self.tables.hyper_limit).astype(np.float32)[None]
            return self._passes(z, None, _Reader(self.tables, decoder))
        except (AssertionError, ValueError) as error:
            raise BitstreamError(f"the image section is damaged: {error}") from None

    def synthesise(
        self, y_hat: Latents, quality: float, glyphs: GlyphImage, width: int, height: int
    ) -> NDArray[np.uint8]:
        """y_hat and the skeleton -> draft, uint8 (H, W, 3)."""
        latents = y_hat * self.inverse_gain(quality)
        inputs = [(latents, LATENT_SCALE), (self._glyphs(glyphs), 1)]
        run = partial(_first, self.models["synthesis"])
        difference = enlarged(tiled(run, inputs, 1, margin=MARGIN), self.scale)
        np.copyto(difference, 0, where=self._planes(told_planes, glyphs))
        if (glyphs.skeleton != GREY).any():
            difference *= cored(difference)
        difference += self._planes(picture_planes, glyphs.skeleton)
        return as_picture(difference, width, height)

    def sent(self, y_hat: Latents, quality: float, glyphs: GlyphImage) -> Sent:
        """What y_hat tells of the picture that was analysed: each latent to half a step."""
        step = 1 / self.gain(quality)
        return Sent(
            latents=y_hat * step,
            tolerance=0.5 * step.ravel(),
            skeleton=self._planes(picture_planes, glyphs.skeleton),
            told=self._planes(told_planes, glyphs),
            glyphs=self._glyphs(glyphs),
            scale=self.scale,
        )

    def drawn(self, picture: NDArray[np.uint8], glyphs: GlyphImage) -> tuple[Latents, ...]:
        """What a draft of a picture is made of and to be like, as it is coded: glyphs
        (1, 5, H', W'), picture and skeleton (1, 3, H', W'), and the share of each pixel
        (1, 1, H', W') that is the codec's to draw."""
        told = self._planes(told_planes, glyphs)[:, :1].astype(np.float32)
        planes = (self._planes(picture_planes, source) for source in (picture, glyphs.skeleton))
        full = (*planes, 1 - told)
        return self._glyphs(glyphs), *(reduced(each, self.scale) for each in full)

    def _planes(self, planes: Callable[..., NDArray], source: object) -> NDArray:
        """At full size, padded such that the reduced planes are whole tiles."""
        return planes(source, ALIGNMENT * self.scale)

    def _glyphs(self, glyphs: GlyphImage) -> Latents:
        return reduced(self._planes(glyph_planes, glyphs), self.scale)

    # entropy coding -----------------------------------------------------------------------

    @cached_property
    def tables(self) -> ProbabilityTables:
        return ProbabilityTables(self.models.tables)

    def _hyper_bits(self, z: Latents) -> float:
        index = z[0].reshape(z.shape[1], -1).astype(np.intp) + self.tables.hyper_limit
        return float(np.take_along_axis(self.tables.hyper_bits, index, 1).sum())

    def gain(self, quality: float) -> Latents:
        """What y is multiplied by before it is rounded, (1, M, 1, 1)."""
        return self._gain(quality, "log_gains")

    def inverse_gain(self, quality: float) -> Latents:
        """What y_hat is multiplied by before synthesis, (1, M, 1, 1)."""
        return self._gain(quality, "log_inverse_gains")

    def price(self, quality: float) -> float:
        """Lambda: what training paid, in bits, for an error of a level squared of a pixel."""
        low, high = self.models.manifest["codec"]["lambdas"]
        return low * (high / low) ** self._position(quality)

    def _position(self, quality: float) -> float:
        return (gain_level(quality, self.scale) - 1) / 99

    def _gain(self, quality: float, name: str) -> Latents:
        """Gains interpolated in the log domain, (1, M, 1, 1)."""
        anchors = self.models.tables[name]
        place = self._position(quality) * (len(anchors) - 1)
        low = min(int(place), len(anchors) - 2)
        share = np.float32(place - low)
        log = anchors[low] * (1 - share) + anchors[low + 1] * share
        return np.exp(log).astype(np.float32)[None, :, None, None]

    def _passes(self, z: Latents, target: Latents | None, coder: _Coder) -> Latents:
        """All slices, each in four passes; ``coder`` turns targets into y_hat."""
        features = np.pad(self.models["hyper_synthesis"](z)[0], ((0, 0), (0, 0), (1, 1), (1, 1)))
        h, w = (side - 2 for side in features.shape[2:])
        channels = sum(self.slices)
        decoded = np.zeros((channels, h, w), np.float32)
        # what is decoded, as the contexts see it; after a slice's channels, where it is decoded
        known = np.zeros((1, channels + 1, h + 2, w + 2), np.float32)
        for index, (start, stop) in enumerate(self._bounds()):
            for row, column in PASSES:
                window = (..., slice(row, row + h + 1), slice(column, column + w + 1))
                means, scales = self.models[f"context_{index}"](
                    features[window], known[:, : stop + 1][window]
                )
                if means.shape[2:] != (h // 2, w // 2):
                    raise ModelError("this model is of an earlier version: export it again")
                mean, scale = means[0] / 8, scales[0].astype(np.uint8)
                place = (slice(start, stop), slice(row, None, 2), slice(column, None, 2))
                wanted = None if target is None else target[0][place] - mean
                decoded[place] = mean + coder.latents(wanted, scale)
                now_known = known[0, start : stop + 1, 1 + row : -1 : 2, 1 + column : -1 : 2]
                now_known[:-1], now_known[-1] = as_context(decoded[place]), 127
            known[0, stop] = 0
        return decoded[None]

    def _bounds(self) -> Iterator[tuple[int, int]]:
        start = 0
        for channels in self.slices:
            yield start, start + channels
            start += channels


def gain_level(quality: float, scale: int) -> float:
    """Where among the gains, 1..100, a quality is. Fitted on nine photographs such that a quality
    takes about the same bytes at both scales: a quarter of the pixels can be coded better."""
    return quality if scale == 1 else min(max(12.5 * quality**0.5 - 9, 1.0), 100.0)


def reduced(planes: Latents, scale: int) -> Latents:
    """(1, C, H, W) -> means over squares (1, C, H / scale, W / scale)."""
    if scale == 1:
        return planes
    size = planes.shape[3] // scale, planes.shape[2] // scale
    return np.stack([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in planes[0]])[None]


def enlarged(planes: Latents, scale: int) -> Latents:
    """(1, C, H, W) -> (1, C, scale * H, scale * W), bicubic."""
    if scale == 1:
        return planes
    size = planes.shape[3] * scale, planes.shape[2] * scale
    return np.stack([cv2.resize(p, size, interpolation=cv2.INTER_CUBIC) for p in planes[0]])[None]


def as_context(latents: Latents) -> Latents:
    """Decoded latents as integers in quarters, -127..127 (as in training)."""
    return np.clip(np.floor(latents * 4 + 0.5), -127, 127)


class ProbabilityTables:
    """Fixed-point probabilities from the model folder as constriction models and costs in bits.

    ``latent_counts`` (64, 2 L + 1) and ``hyper_counts`` (Z, 2 K + 1) are integers that sum to 2^24.
    """

    def __init__(self, arrays: dict[str, NDArray]) -> None:
        latent, hyper = arrays["latent_counts"], arrays["hyper_counts"]
        self.latent_limit, self.hyper_limit = latent.shape[1] // 2, hyper.shape[1] // 2
        self.latent = [_categorical(row) for row in latent]
        self.hyper = [_categorical(row) for row in hyper]
        self.latent_bits = (24 - np.log2(latent)).astype(np.float32)
        self.hyper_bits = (24 - np.log2(hyper)).astype(np.float32)

    def cost(self, residual: Latents, scales: NDArray[np.uint8]) -> Latents:
        """Bits of residuals of any value, between those of the integers beside them."""
        place = np.clip(residual + self.latent_limit, 0, 2 * self.latent_limit)
        below = np.minimum(place.astype(np.int32), 2 * self.latent_limit - 1)
        low, high = (_bits(symbols, scales, self) for symbols in (below, below + 1))
        return low + (high - low) * (place - below)


def _categorical(counts: NDArray) -> constriction.stream.model.Categorical:
    return constriction.stream.model.Categorical(counts / 2.0**24, perfect=False)


@dataclass
class _Counter:
    """Rounds, keeps the symbols and adds up what they cost."""

    tables: ProbabilityTables
    thrift: float
    bits: float = 0.0
    passes: list[tuple[NDArray[np.int32], NDArray[np.uint8]]] = field(default_factory=list)

    def latents(self, target: Latents, scales: NDArray[np.uint8]) -> Latents:
        symbols = _symbols(target, scales, self.tables, self.thrift)
        shifted = symbols + np.int32(self.tables.latent_limit)
        self.bits += float(_bits(shifted, scales, self.tables).sum(dtype=np.float64))
        self.passes.append((shifted.ravel(), scales.ravel()))
        return symbols.astype(np.float32)


@dataclass
class _Reader:
    """Reads the symbols in the order they were written."""

    tables: ProbabilityTables
    decoder: constriction.stream.queue.RangeDecoder

    def latents(self, target: None, scales: NDArray[np.uint8]) -> Latents:
        symbols = np.empty(scales.size, np.int32)
        for scale, places in _by_scale(scales.ravel()):
            symbols[places] = self.decoder.decode(self.tables.latent[scale], len(places))
        return (symbols - self.tables.latent_limit).reshape(scales.shape).astype(np.float32)


def _symbols(
    target: Latents, scales: NDArray[np.uint8], tables: ProbabilityTables, thrift: float
) -> NDArray[np.int32]:
    """The nearest integers or, with ``thrift``, those of least squared error + thrift * bits."""
    limit = tables.latent_limit
    nearest = np.clip(np.floor(target + np.float32(0.5)), -limit, limit).astype(np.int32)
    if not thrift:
        return nearest
    choices = np.stack([nearest, nearest - np.sign(nearest), np.zeros_like(nearest)])
    bits = _bits(choices + np.int32(limit), scales, tables)
    best = ((target - choices) ** 2 + thrift * bits).argmin(axis=0)
    return np.take_along_axis(choices, best[None], 0)[0]


def _bits(
    shifted: NDArray[np.int32], scales: NDArray[np.uint8], tables: ProbabilityTables
) -> NDArray[np.float32]:
    """The cost of symbols, counted from 0."""
    row = tables.latent_bits.shape[1]
    return tables.latent_bits.ravel().take(scales * np.int32(row) + shifted)


def _by_scale(scales: NDArray[np.uint8]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """The places of each scale among ``scales`` (n,), by rising scale."""
    order = np.argsort(scales, kind="stable")
    ends = np.cumsum(np.bincount(scales))
    for scale, (start, stop) in enumerate(pairwise([0, *ends.tolist()])):
        if stop > start:
            yield scale, order[start:stop]


def glyph_planes(glyphs: GlyphImage, alignment: int = ALIGNMENT) -> Latents:
    """What the networks see of the glyph image: coverage, coverage * ink RGB, word box;
    float32 (1, 5, H', W') in 0..1, padded to the alignment."""
    coverage = glyphs.coverage.astype(np.uint16)
    ink = [(coverage * plane + 127) // 255 for plane in cv2.split(glyphs.ink)]
    box = (glyphs.box > 0) * np.uint8(255)
    return _planes([glyphs.coverage, *ink, box], 0.0, alignment)


def told_planes(glyphs: GlyphImage, alignment: int = ALIGNMENT) -> NDArray[np.bool_]:
    """Where the layout has told everything already, words on a ground that is the skeleton's:
    bool (1, 3, H', W'), padded to the alignment."""
    plane = pad_to_alignment(told(glyphs), alignment)
    return np.broadcast_to(plane, (1, 3, *plane.shape))


def cored(difference: Latents) -> Latents:
    """Weights 0..1 (H', W') of a difference (1, 3, H', W') to a flat skeleton: nothing where all
    about it is faint, for that is the ringing of something else."""
    near = cv2.dilate(np.abs(difference[0]).max(0), np.ones((CORE_SIDE, CORE_SIDE), np.uint8))
    low, high = CORE
    return np.clip((near * 255 - low) / (high - low), 0, 1)


def picture_planes(picture: NDArray[np.uint8], alignment: int = ALIGNMENT) -> Latents:
    """uint8 (H, W, 3) -> float32 (1, 3, H', W') in -0.5..0.5, padded to the alignment."""
    return _planes(cv2.split(picture), 0.5, alignment)


def _planes(channels: Sequence[NDArray], centre: float, alignment: int) -> Latents:
    """Levels 0..255 (H, W) each -> float32 (1, C, H', W'), one channel at a time: interleaved, it
    takes four times as long."""
    padded = [pad_to_alignment(channel, alignment) for channel in channels]
    planes = np.empty((1, len(padded), *padded[0].shape), np.float32)
    for plane, channel in zip(planes[0], padded, strict=True):
        np.multiply(channel, np.float32(1 / 255), out=plane)
    planes -= np.float32(centre)
    return planes


def as_picture(planes: Latents, width: int, height: int) -> NDArray[np.uint8]:
    """float32 (1, 3, H', W') in -0.5..0.5 -> uint8 (H, W, 3), clipped."""
    scaled = planes[0, :, :height, :width] * np.float32(255)
    scaled += np.float32(128)
    return cv2.merge(list(np.clip(scaled, 0, 255, out=scaled).astype(np.uint8)))


def _first(network: object, *arrays: Latents) -> Latents:
    return network(*arrays)[0]
