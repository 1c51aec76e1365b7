"""Where each character of a page stands on the recogniser's grid, and what its logits say there.

The grid has one cell for four by four pixels. A character owns the cells between its baseline and
x-height whose centres lie within its advance, at least one; so its identity is asked for exactly
where its ink must be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picd.font_metrics import layout_scales
from picd.glyphs import character_pens
from picd.layout import UNITS_PER_PIXEL, TextLayout

CELL = 4
"""Pixels of a cell in each direction."""
ALPHABET = "".join(map(chr, range(0x21, 0x7F))) + "£€©«»°·×é–—‘’“”•…›▲▼"
"""Characters that the recogniser knows; class 0 is "none", class 1 is the first of these."""
CLASSES = len(ALPHABET) + 1
X_HEIGHT = 0.52
"""Of the em, in the middle of what fonts have."""
_CLASS = {character: index for index, character in enumerate(ALPHABET, 1)}


@dataclass(frozen=True)
class Character:
    """``text`` between ``left`` and ``right``, from x-height ``top`` to baseline ``bottom``, in
    pixels; ``word`` numbers the word that it is part of."""

    text: str
    left: float
    right: float
    top: float
    bottom: float
    word: int

    @property
    def label(self) -> int:
        """Its class, 0 for characters that the recogniser does not know."""
        return _CLASS.get(self.text, 0)

    def cells(self, height: int, width: int) -> tuple[slice, slice]:
        """Its rows and columns on a grid of ``height`` x ``width`` cells, at least one cell of
        a character inside the picture."""
        return _cells(self.top, self.bottom, height), _cells(self.left, self.right, width)


def _cells(start: float, stop: float, limit: int) -> slice:
    """The cells whose centres lie in start..stop pixels, or the one nearest to its middle."""
    first = int(np.ceil(start / CELL - 0.5))
    last = int(np.ceil(stop / CELL - 0.5))
    if last <= first:
        first = int((start + stop) / 2 // CELL)
        last = first + 1
    return slice(min(max(first, 0), limit), min(max(last, 0), limit))


def layout_characters(layout: TextLayout) -> Iterator[Character]:
    """Every character of the typeset page, words numbered in the layout's order; pictured lines
    count, but are not on it."""
    scales = layout_scales(layout)
    number = 0
    for line in layout.lines:
        if line.pictured:
            number += len(line.words)
            continue
        face, size = line.style.face, line.style.size
        bottom = line.baseline / UNITS_PER_PIXEL
        top = bottom - X_HEIGHT * size / UNITS_PER_PIXEL
        for word in line.words:
            for text, pen, advance in character_pens(word, face, size, scales[face, size]):
                left, right = pen / UNITS_PER_PIXEL, (pen + advance) / UNITS_PER_PIXEL
                yield Character(text, left, right, top, bottom, number)
            number += 1


def read(logits: NDArray[np.float32], characters: Iterable[Character]) -> list[str]:
    """What the recogniser sees at each character: one of :data:`ALPHABET`, or "" for none.

    ``logits`` (classes, h, w); a character's cells vote by the mean of their logits.
    """
    height, width = logits.shape[1:]
    seen = []
    for character in characters:
        rows, columns = character.cells(height, width)
        votes = logits[:, rows, columns].reshape(len(logits), -1)
        best = int(votes.mean(1).argmax()) if votes.shape[1] else 0
        seen.append(ALPHABET[best - 1] if best else "")
    return seen
