"""What else a line of text may say: second thoughts of a recogniser.

Recognisers of text say, column by column, how likely each character is there, or none (Graves et
al. 2006, connectionist temporal classification). They are believed in the likeliest; but of the
words that they misread, most are among what they thought of next, and what they cannot tell apart
the typeset page often can (:mod:`picd.respelling`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from picd.layout import Doubt

LEAST = 0.01
"""How likely a character is in a column, to be worth a thought."""
BARE = 0.02
"""How likely a letter is, at least, where it is seen with an accent."""


def doubts(likely: NDArray[np.float32], characters: Sequence[str]) -> tuple[Doubt, ...]:
    """Second thoughts about a line: ``likely`` (columns, characters), 0..1, says how likely each of
    ``characters`` is in each column; the first of them is none. What is read are the likeliest,
    without repetitions and without none."""
    best = likely.argmax(1)
    begins = (best != 0) & (np.diff(best, prepend=0) != 0)
    odds: dict[tuple[int, int, str], float] = {}

    def add(start: int, stop: int, text: str, value: float) -> None:
        odds[start, stop, text] = max(odds.get((start, stop, text), 0.0), value)

    at = np.cumsum(begins) - 1  # the character that each column belongs to, or comes after
    for column, index in zip(*np.nonzero(likely >= LEAST), strict=True):
        here, read = int(at[column]), best[column]
        value = float(likely[column, index] / likely[column, read])
        if index == read:
            if read and _bare(characters[read]) != characters[read]:
                add(here, here + 1, _bare(characters[read]), BARE)
        elif not index:
            add(here, here + 1, "", value)
        elif not characters[index].isspace():
            for text in {characters[index], _bare(characters[index])}:
                add(here + 1, here + 1, text, value)
                if read:
                    add(here, here, text, value)
                    add(here, here + 1, text, value)
    return tuple(Doubt(*key, value) for key, value in odds.items())


def _bare(character: str) -> str:
    """A letter without its accent."""
    return unicodedata.normalize("NFD", character)[0]
