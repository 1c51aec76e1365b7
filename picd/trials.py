"""The picture stream of one picture, coded for one layout after another."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from picd.bitstream import MAX_QUALITY
from picd.glyphs import render_glyphs, typeset
from picd.image_codec import ImageCodec, Latents
from picd.layout import TextLayout
from picd.rate import FIRST_QUALITY, LOG_COST_SLOPE, CodedImage, best_within, coded_at
from picd.refinement import refined

HALVED_UP_TO = 70.0
"""Photographs are coded at half their size up to this quality, about 0.15 bits per pixel. Eight
held-back ones, up to 50 against up to 70, drafts: SSIMULACRA2 3.7 to 7.2, FLIP 0.130 to 0.125, 28.1
to 27.7 dB at 0.1 bits per pixel, 18.3 to 21.4, 0.113 to 0.110, 29.6 to 29.1 dB at 0.16."""
REFINED_UP_TO = 520_000
"""Photographs coded in up to so many pixels, 1920x1080 at half its size, are worth the seconds that
refinement takes."""
LOWEST_REFINED = 2.0
"""Below this quality there is hardly one to go down to."""
POOR = 35.0
"""Below this quality screens are tried at half their size too, and coded as what has less error:
SSIMULACRA2 of sixteen at 0.015 bits per pixel 9.0 to 11.0, at 0.008 -36.5 to -32.9."""
SATURATED, PER_LOG_SIZE = 70.0, 35.0
"""At half its size a page stops gaining from bytes above this quality. The quality that it has in
full grows so much with the logarithm of what there are more: sixteen screens at 0.03 and 0.06 bits
per pixel."""
STEPS, MORE, TRIES = 8, 3, 4
"""Steps of refinement at the first quality tried, and at each further one; so many are tried."""
SAVED = 1.01
"""How much more the latents of that first quality cost before they are refined."""


@dataclass(frozen=True)
class Trial:
    """A picture, uint8 (H, W, 3), coded for a layout; ``y`` is what was quantised. ``size`` are
    the bytes that there were, 0 for any."""

    codec: ImageCodec
    picture: NDArray[np.uint8]
    y: Latents
    image: CodedImage
    layout: TextLayout
    layout_bytes: bytes
    size: int = 0

    @property
    def halved(self) -> bool:
        return self.codec.scale > 1

    @property
    def quality(self) -> float:
        """1..100, or 0 where the bytes were too few; at half its size, what they give in full."""
        if not self.image.fits:
            return 0.0
        if self.image.quality <= SATURATED or not (self.halved and self.size):
            return self.image.quality
        over = 8 * self.size / max(float(self.image.bits.sum()), 1.0)
        return min(SATURATED + PER_LOG_SIZE * max(float(np.log(over)), 0.0), MAX_QUALITY)

    def bits(self, quality: float) -> Latents:
        """Of the same latents at a quality, by place (H'/16, W'/16)."""
        same = quality == self.image.quality
        bits = (self.image if same else coded_at(self.codec, self.y, quality)).bits
        scale = self.codec.scale
        return bits.repeat(scale, 0).repeat(scale, 1) / np.float32(scale**2)

    @cached_property
    def page(self) -> NDArray[np.uint8]:
        """Typeset, as the decoder will see it, uint8 (H, W, 3)."""
        glyphs, (height, width) = render_glyphs(self.layout), self.picture.shape[:2]
        y_hat, quality = self.image.y_hat, self.image.quality
        return typeset(self.codec.synthesise(y_hat, quality, glyphs, width, height), glyphs)

    @cached_property
    def error(self) -> float:
        """Squared error of the page, of RGB levels."""
        return float(cv2.norm(self.page, self.picture, cv2.NORM_L2SQR))


@dataclass
class Trials:
    """Codes a picture, with ``full`` or with ``half`` at half its size. ``on_latents`` is called
    when it was analysed; ``seconds`` went to that."""

    full: ImageCodec
    half: ImageCodec
    picture: NDArray[np.uint8]
    natural: bool
    on_latents: Callable[[], None]
    seconds: float = 0.0
    last: float = FIRST_QUALITY
    """The quality that was found last, where the next search begins."""

    def sketch(
        self, size: int | None, quality: float, layout: TextLayout, layout_bytes: bytes
    ) -> Trial:
        """At half its size, for a quarter of the networks' work: what the stream takes and leaves
        at each place if it has ``size`` bytes or, without a limit, at a ``quality``."""
        if size is None:
            return self._coded(self.half, layout, layout_bytes, quality=quality)
        return self._coded(self.half, layout, layout_bytes, size=size)

    def at(self, quality: float, layout: TextLayout, layout_bytes: bytes) -> Trial:
        """At a quality (1..100), whatever it costs."""
        codec = self.half if self.natural and quality <= HALVED_UP_TO else self.full
        return self._coded(codec, layout, layout_bytes, quality=quality)

    def within(self, size: int, layout: TextLayout, layout_bytes: bytes) -> Trial:
        """As well as an image section of ``size`` bytes allows."""
        if self.natural:
            trial = self._coded(self.half, layout, layout_bytes, size=size)
            if trial.image.quality <= HALVED_UP_TO:
                return trial
        trial = self._coded(self.full, layout, layout_bytes, size=size)
        if self.natural or trial.quality >= POOR:
            return trial
        halved = self._coded(self.half, layout, layout_bytes, size=size)
        if not halved.image.fits or (trial.image.fits and trial.error <= halved.error):
            return trial
        return halved

    def refined(self, trial: Trial, size: int | None) -> Trial:
        """The same, and of a photograph with latents that decode better, in at most ``size`` bytes
        if given. (On screens they were not worth the seconds.)"""
        pixels = trial.picture[..., 0].size // trial.codec.scale**2
        if not self.natural or pixels > REFINED_UP_TO or trial.image.quality <= LOWEST_REFINED:
            return trial
        start = time.perf_counter()
        trial = self._refined(trial, size)
        self.seconds += time.perf_counter() - start
        return trial

    def _refined(self, trial: Trial, size: int | None) -> Trial:
        codec, glyphs = trial.codec, render_glyphs(trial.layout)

        def better(y: Latents, quality: float, steps: int) -> tuple[Latents, CodedImage]:
            y = refined(codec, y, quality, self.picture, glyphs, steps)
            return y, coded_at(codec, y, quality)

        if size is None:
            y, image = better(trial.y, trial.image.quality, STEPS)
            return replace(trial, y=y, image=image)
        # refined latents are for one quality, not for one beside it: it has to be found first
        quality, steps = best_within(codec, trial.y, int(SAVED * size)).quality, STEPS
        y, found, low, high = trial.y, trial, 0.5, 100.5
        for _ in range(TRIES):
            y, image = better(y, quality, steps)
            half_steps, steps = np.log(len(image.data) / size) / LOG_COST_SLOPE, MORE
            if half_steps <= 0:
                found, low = replace(trial, y=y, image=image), quality
            else:
                # twice as far as the slope says, for refinement goes on spending
                half_steps, high = 2 * half_steps, quality
            quality = min(max(quality - 0.5 * round(half_steps), low + 0.5), high - 0.5)
            if -1 < half_steps <= 0 or quality <= low:
                break
        return found

    def _coded(
        self,
        codec: ImageCodec,
        layout: TextLayout,
        layout_bytes: bytes,
        quality: float | None = None,
        size: int = 0,
    ) -> Trial:
        start = time.perf_counter()
        y = codec.analyse(self.picture, render_glyphs(layout))
        self.seconds += time.perf_counter() - start
        self.on_latents()
        image = coded_at(codec, y, quality) if quality else best_within(codec, y, size, self.last)
        trial = Trial(codec, self.picture, y, image, layout, layout_bytes, size)
        self.last = trial.quality or image.quality
        return trial
