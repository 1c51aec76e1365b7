"""The picture stream of one picture, coded for one layout after another."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from picd.glyphs import render_glyphs, typeset
from picd.image_codec import ImageCodec
from picd.layout import TextLayout
from picd.rate import CodedImage, best_within, coded_at

HALVED_UP_TO = 50.0
"""Photographs are coded at half their size up to this quality, about 0.11 bits per pixel. Nine
held-back ones, half against full size: SSIMULACRA2 +6.2, +0.5 dB at 0.03 bits per pixel, +7.2,
-0.8 dB at 0.1, -2.6, -2.2 dB at 0.2."""


@dataclass(frozen=True)
class Trial:
    """A picture, uint8 (H, W, 3), coded for a layout."""

    codec: ImageCodec
    picture: NDArray[np.uint8]
    image: CodedImage
    layout: TextLayout
    layout_bytes: bytes

    @property
    def halved(self) -> bool:
        return self.codec.scale > 1

    @property
    def quality(self) -> float:
        """1..100, or 0 where the bytes were too few."""
        return self.image.quality if self.image.fits else 0.0

    @cached_property
    def page(self) -> NDArray[np.uint8]:
        """Typeset, as the decoder will see it, uint8 (H, W, 3)."""
        glyphs, (height, width) = render_glyphs(self.layout), self.picture.shape[:2]
        y_hat, quality = self.image.y_hat, self.image.quality
        return typeset(self.codec.synthesise(y_hat, quality, glyphs, width, height), glyphs)


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
        return self._coded(self.full, layout, layout_bytes, size=size)

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
        image = coded_at(codec, y, quality) if quality else best_within(codec, y, size)
        return Trial(codec, self.picture, image, layout, layout_bytes)
