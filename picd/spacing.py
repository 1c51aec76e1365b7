"""Where the words of a page are, to a quarter of a pixel.

Engines say where a word is to a pixel or two, and its ink to half a pixel; but a stem of small text
is one pixel wide. So each letter is laid over the picture and moved to where it fits best, and the
word's place and width follow from those of its letters, by least squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from picd.glyphs import render_glyphs
from picd.layout import PlacedWord, TextLayout
from picd.occurrences import Floats, Occurrences, inked

REACHES = (5, 2)
"""Units by which letters are tried beside their places, by round."""
ASIDE = 0.02
"""What a unit aside has to gain, in squared coverage."""
STIFFNESS = 0.5
"""What pulls a word to its width, as so many letters a unit from its middle would."""
Doubles = NDArray[np.float64]


def fit_spacing(picture: NDArray[np.uint8], layout: TextLayout) -> TextLayout:
    """``layout``, no line of it pictured, with its words where they are in ``picture``, uint8
    (H, W, 3)."""
    if not layout.words:
        return layout
    found = inked(picture, render_glyphs(layout))
    for reach in REACHES:
        page = Occurrences(layout)
        offsets, before = _fits(page, found, range(-reach, reach + 1))
        moved = _with_words(layout, _placed(page, offsets, layout))
        _, after = _fits(Occurrences(moved), found, (0,))
        worse = after > before
        words = zip(layout.words, moved.words, worse, strict=True)
        layout = _with_words(layout, [old if bad else new for old, new, bad in words])
    return layout


def _placed(page: Occurrences, offsets: Doubles, layout: TextLayout) -> list[PlacedWord]:
    """The words, moved and widened by what ``offsets`` (n,) of their letters say."""
    starts = np.flatnonzero(page.first)
    lengths = np.diff([*starts, len(offsets)])
    order = np.arange(len(offsets)) - np.repeat(starts, lengths)
    middle = (lengths - 1) / 2
    along = order - np.repeat(middle, lengths)
    mean = np.add.reduceat(offsets, starts) / lengths
    slope = np.add.reduceat(along * offsets, starts) / (
        np.add.reduceat(along**2, starts) + STIFFNESS
    )
    shifts, wider = mean - slope * middle, 2 * slope * middle
    return [
        replace(word, x=word.x + round(shift), width=max(word.width + round(more), 0))
        for word, shift, more in zip(layout.words, shifts, wider, strict=True)
    ]


def _fits(page: Occurrences, found: Floats, asides: Sequence[int]) -> tuple[Doubles, Doubles]:
    """Which of ``asides`` of its pen each letter fits best, and the squared error of each word as
    it is."""
    offsets, errors = np.zeros((2, len(page.keys)))
    costs = ASIDE * np.abs(asides)[:, None]
    for letter in page.letters.values():
        trials = page.errors(letter, found, asides)
        offsets[letter.places] = np.take(asides, (trials + costs).argmin(0))
        errors[letter.places] = trials[list(asides).index(0)]
    return offsets, np.bincount(page.word, errors)


def _with_words(layout: TextLayout, words: Sequence[PlacedWord]) -> TextLayout:
    rest = iter(words)
    lines = (replace(line, words=tuple(next(rest) for _ in line.words)) for line in layout.lines)
    return replace(layout, lines=tuple(lines))
