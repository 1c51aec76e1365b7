"""Instance-level guidance: the estimate of X0 is moved towards what was sent (PICD section 3).

After a sampling step  x0 <- x0 - zeta1 grad OCR(x0) - zeta2 grad recompression(x0),  where
OCR is the squared distance of the recogniser's logits from those of the typeset page inside word
boxes, and recompression that of the estimate's latents from the sent ones, beyond a tolerance.
Both gradients are ONNX graphs; neither goes through the UNet.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from picd.errors import ModelError
from picd.glyphs import GlyphImage
from picd.image_codec import LATENT_SCALE, Sent, glyph_planes, picture_planes, reduced
from picd.layout import TextLayout
from picd.reading import CELL, CLASSES, Character, layout_characters, read
from picd.runtime import Models, tiled

TEXT_MARGIN, RECOMPRESS_MARGIN = 128, 320
"""Pixels that a gradient sees on each side: the network's reach, forwards and back."""
FEATHER = 3.0
"""Pixels over which a blended word fades into the picture around it."""
Planes = NDArray[np.float32]


class Guide:
    """Guidance of one picture at ``strength`` times the model's own strengths.

    ``seconds`` were spent so far; ``blended`` words did not survive the steps (the recogniser
    reads the typeset word right and the picture otherwise) and were set over the picture again.

    Raises:
        ModelError: the models have no guidance networks.
    """

    def __init__(
        self,
        models: Models,
        strength: float,
        page: NDArray[np.uint8],
        glyphs: GlyphImage,
        layout: TextLayout,
        sent: Sent,
    ) -> None:
        if "guidance" not in models.manifest:
            raise ModelError("this model has no guidance networks: use guidance 0")
        self.text, self.recompress = models["guidance_text"], models["guidance_recompress"]
        settings = models.manifest["guidance"]
        self.text_strength = np.float32(strength * settings["text"])
        self.recompress_strength = np.float32(strength * settings["recompression"])
        self.page, self.glyphs = picture_planes(page), glyph_planes(glyphs)
        tolerance = np.float32(settings["tolerance"]) * sent.tolerance
        self.sent = replace(sent, tolerance=tolerance)
        self.characters = tuple(layout_characters(layout))
        self.seconds, self.blended = 0.0, 0

    def step(self, x0: Planes, *, last: bool) -> Planes:
        """The guided estimate of X0, (1, 3, H', W') in about -0.5..0.5; after the ``last`` step
        with words blended in where that is needed."""
        start = time.perf_counter()
        guided = x0
        if self.text_strength and self.characters:
            guided = guided - self.text_strength * self._text_gradient(x0)
        if self.recompress_strength:
            guided = guided - self.recompress_strength * self._recompression_gradient(x0)
        if last and self.characters:
            guided = self._with_lost_words(guided)
        self.seconds += time.perf_counter() - start
        return guided

    def _text_gradient(self, x0: Planes) -> Planes:
        inputs = [(x0, 1), (self._target, CELL), (self._weight, CELL)]
        return tiled(lambda *a: self.text(*a)[0], inputs, 1, margin=TEXT_MARGIN)

    def _recompression_gradient(self, x0: Planes) -> Planes:
        sent, (height, width) = self.sent, x0.shape[2:]
        below, beside = sent.skeleton.shape[2] - height, sent.skeleton.shape[3] - width
        difference = np.pad(x0, ((0, 0), (0, 0), (0, below), (0, beside)), mode="edge")
        difference -= sent.skeleton
        difference[sent.told] = 0
        inputs = [
            (reduced(difference, sent.scale), 1),
            (sent.glyphs, 1),
            (sent.latents, LATENT_SCALE),
        ]
        gradient = tiled(
            lambda *a: self.recompress(*a, sent.tolerance)[0], inputs, 1, margin=RECOMPRESS_MARGIN
        )
        # each pixel of a square moves by as much as their mean is to
        gradient = gradient.repeat(sent.scale, 2).repeat(sent.scale, 3)
        gradient[sent.told] = 0
        return gradient[:, :, :height, :width]

    @cached_property
    def _weight(self) -> Planes:
        """The share of each cell inside word boxes, (1, 1, H'/4, W'/4)."""
        box = self.glyphs[0, 4]
        height, width = box.shape
        cells = box.reshape(height // CELL, CELL, width // CELL, CELL)
        return cells.mean((1, 3), dtype=np.float32)[None, None]

    @cached_property
    def _target(self) -> Planes:
        """The recogniser's logits on the typeset page, (1, classes, H'/4, W'/4)."""
        return self._logits(self.page)

    def _logits(self, picture: Planes) -> Planes:
        none = np.zeros((1, CLASSES, *self._weight.shape[2:]), np.float32)
        inputs = [(picture, 1), (none, CELL), (self._weight, CELL)]
        return tiled(lambda *a: self.text(*a)[1], inputs, CELL, margin=TEXT_MARGIN)

    def _with_lost_words(self, x0: Planes) -> Planes:
        lost = lost_words(self.characters, self._target[0], self._logits(x0)[0])
        self.blended = len(lost)
        if not lost:
            return x0
        share = word_mask(self.characters, lost, x0.shape[2:])
        return x0 + share * (self.page - x0)


def lost_words(
    characters: Sequence[Character], typeset: NDArray[np.float32], picture: NDArray[np.float32]
) -> set[int]:
    """Numbers of the words with a character that is read right on the typeset page and otherwise
    in the picture, given the logits of both, (classes, h, w)."""
    seen = zip(characters, read(typeset, characters), read(picture, characters), strict=True)
    return {c.word for c, there, here in seen if there == c.text != here}


def word_mask(characters: Sequence[Character], numbers: set[int], shape: tuple[int, int]) -> Planes:
    """1 in the boxes of the numbered words, fading to 0 over a few pixels; float32 (H, W)."""
    mask = np.zeros(shape, np.float32)
    for number in numbers:
        word = [c for c in characters if c.word == number]
        left, right = min(c.left for c in word), max(c.right for c in word)
        height = word[0].bottom - word[0].top
        rows = _fading(word[0].top - 0.8 * height, word[0].bottom + 0.5 * height, shape[0])
        columns = _fading(left, right, shape[1])
        np.maximum(mask, np.minimum.outer(rows, columns), out=mask)
    return mask


def _fading(start: float, stop: float, length: int) -> NDArray[np.float32]:
    """1 between ``start`` and ``stop``, falling to 0 over :data:`FEATHER` pixels outside."""
    places = np.arange(length) + 0.5
    outside = np.maximum(np.maximum(start - places, places - stop), 0)
    return np.clip(1 - outside / FEATHER, 0, 1).astype(np.float32)
