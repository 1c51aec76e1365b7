"""The letters of a page as the picture shows them: a better font to judge a reading by than ours.

On a screen a letter of one face and size is often the same to the pixel wherever it stands. What an
engine reads as one letter and looks like the page's others of another kind was misread, whatever
the face is (:mod:`picd.respelling`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from picd.glyphs import character_pens
from picd.layout import UNITS_PER_PIXEL, PlacedWord
from picd.runs import Floats, Run

MOST, ENOUGH = 12, 3
"""So many examples of a letter are kept, and tell by themselves what it looks like."""
SLACK = 1
"""Pixels by which letters are moved to compare them."""
Scales = Mapping[tuple[int, int], int]


class Exemplars:
    """The letters of ``runs``, set as wide as ``scales`` says, by face, size and character: those
    at no place (of the word's text) that is ``doubted``."""

    def __init__(
        self, runs: Iterable[Run], scales: Scales, doubted: Mapping[str, Collection[int]]
    ) -> None:
        self._scales = scales
        self._seen: dict[tuple[int, int, str], list[Floats]] = defaultdict(list)
        for run in runs:
            for word in run.placed:
                doubts = doubted.get(word.text, ())
                for place, seen in enumerate(self._cells(run, word)):
                    kept = self._seen[run.face, run.size, word.text[place]]
                    if seen is not None and place not in doubts and len(kept) < MOST:
                        kept.append(seen)

    def likeness(self, run: Run, word: PlacedWord, place: int, character: str) -> float | None:
        """How like the letter at a place of a word is to the most similar ``character`` of the
        page's, as a correlation; None where there is none."""
        seen = self._cells(run, word)[place]
        if seen is None:
            return None
        examples = self._seen.get((run.face, run.size, character), ())
        return _nearest(seen, [each for each in examples if not np.shares_memory(each, seen)])

    def usual(self, run: Run, character: str) -> float | None:
        """How like the page's ``characters`` are to each other; None where they are too few."""
        examples = self._seen.get((run.face, run.size, character), ())
        if len(examples) < ENOUGH:
            return None
        others = ([e for e in examples if e is not each] for each in examples)
        pairs = zip(examples, others, strict=True)
        return float(np.median([_nearest(each, rest) for each, rest in pairs]))

    def _cells(self, run: Run, word: PlacedWord) -> list[Floats | None]:
        """What is in the picture between the pens of each letter; None at the window's edge."""
        em, base = run.size / UNITS_PER_PIXEL, run.baseline / UNITS_PER_PIXEL
        top, bottom = int(base - 0.85 * em), int(base + 0.3 * em) + 1
        height, width = run.alpha.shape
        scale = self._scales[run.face, run.size]
        cells: list[Floats | None] = []
        for _, pen, advance in character_pens(word, run.face, run.size, scale):
            left = math.floor(pen / UNITS_PER_PIXEL) - SLACK
            right = math.ceil((pen + advance) / UNITS_PER_PIXEL) + SLACK
            inside = top >= 0 and bottom <= height and left >= 0 and right <= width
            whole = inside and right - left > 2 * SLACK + 1 and bottom - top > 2 * SLACK + 1
            cells.append(run.alpha[top:bottom, left:right] if whole else None)
        return cells


def _nearest(seen: Floats, examples: Collection[Floats]) -> float | None:
    return max((_alike(seen, each) for each in examples), default=None)


def _alike(a: Floats, b: Floats) -> float:
    """Correlation of two cells, the second moved by up to a pixel."""
    height, width = (min(sides) - 2 * SLACK for sides in zip(a.shape, b.shape, strict=True))
    a = a[SLACK:, SLACK:][:height, :width]
    a = a - a.mean()
    best = -1.0
    for down in range(2 * SLACK + 1):
        for aside in range(2 * SLACK + 1):
            moved = b[down:, aside:][:height, :width]
            moved = moved - moved.mean()
            norm = float((a * a).sum() * (moved * moved).sum()) ** 0.5
            if norm > 1e-6:
                best = max(best, float((a * moved).sum()) / norm)
    return best
