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
    for column in np.flatnonzero(begins):
        bare = _bare(characters[best[column]])
        if bare != characters[best[column]]:
            add(int(at[column]), int(at[column]) + 1, bare, BARE)
    peaks = likely[np.arange(len(likely)), best]
    for column in np.flatnonzero(peaks <= 1 - LEAST):  # elsewhere nothing else is likely enough
        here, read = int(at[column]), best[column]
        for index in np.flatnonzero(likely[column] >= LEAST):
            value = float(likely[column, index] / peaks[column])
            if index == read or characters[index].isspace():
                continue
            if not index:
                add(here, here + 1, "", value)
                continue
            for text in dict.fromkeys((characters[index], _bare(characters[index]))):
                add(here + 1, here + 1, text, value)
                if read:
                    add(here, here, text, value)
                    add(here, here + 1, text, value)
    return tuple(Doubt(*key, value) for key, value in odds.items())


def _bare(character: str) -> str:
    """A letter without its accent."""
    return unicodedata.normalize("NFD", character)[0]
