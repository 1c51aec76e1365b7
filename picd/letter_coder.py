"""Lossless coding of the page's own letters (docs/FORMAT.md, section layout).

The text is known already, and how it is set. For each face and size the letters come that are in
it, the most frequent first: whether it is the page's own, and by how much its coverage differs from
the face's. Differences lie along the edges of the letter, which an outline drawn in
exact integers tells (:mod:`picd.outlines`), and beside each other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

from picd.adaptive import AdaptiveBits
from picd.errors import BitstreamError
from picd.glyphs import LARGEST_KEPT, LEVELS
from picd.layout import OwnLetter, TextLine
from picd.outlines import Outline, has_outline, outline

MAX_PIXELS = 1 << 16
"""Pixels of all own letters of a page."""
_CLASSES = np.array([0, *[1] * 5, *[2] * 5, *[3] * 5, 4])
_COARSE = np.array([0, *[1] * 7, *[2] * 9])


def candidates(lines: Iterable[TextLine]) -> Iterator[tuple[int, int, str, int]]:
    """(face, size, character, how often) of the typeset letters that may be the page's own, which
    are those with ink and of an ordinary size, in the order in which they are sent."""
    counts: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    for line in lines:
        if not line.pictured and line.style.size <= LARGEST_KEPT:
            for word in line.words:
                counts[line.style.face, line.style.size].update(word.text)
    for (face, size), count in counts.items():
        for character in sorted(count, key=lambda c: (-count[c], c)):
            if has_outline(face, character):
                yield face, size, character, count[character]


def code_letters(
    bits: AdaptiveBits,
    lines: Sequence[TextLine],
    scales: dict[tuple[int, int], int],
    letters: Iterable[OwnLetter] | None,
) -> tuple[OwnLetter, ...]:
    """Code the own ``letters`` (None in a decoder) of ``lines``, whose faces and sizes are as wide
    as ``scales`` tells; those that no line sets are left out.

    Raises:
        BitstreamError: they are more than a page can need.
    """
    if not bits.bit("letters", value=bool(letters)):
        return ()
    own = {(each.face, each.size, each.character): each for each in letters or ()}
    coded, pixels, before = [], 0, 0
    for face, size, character, count in candidates(lines):
        letter = own.get((face, size, character))
        often = min(count.bit_length(), 6)
        names = f"letter own {often}", f"letter own {often} {before}"
        before = bits.bit(*names, value=letter is not None)
        if not before:
            continue
        drawn = outline(face, size, scales[face, size], character)
        pixels += drawn.coverage.size
        if pixels > MAX_PIXELS:
            raise BitstreamError("layout section is malformed: too many letters of its own")
        levels = _code_levels(bits, drawn, letter and letter.levels)
        coded.append(OwnLetter(face, size, character, levels))
    return tuple(coded)


def reached(drawn: Outline) -> np.ndarray:
    """Where the coverage of a letter may differ from its outline's: on it and beside, (h, w)."""
    return cv2.dilate((drawn.coverage > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def _code_levels(
    bits: AdaptiveBits, drawn: Outline, given: tuple[int, ...] | None
) -> tuple[int, ...]:
    height, width = drawn.coverage.shape
    padded = np.pad(drawn.coverage, 1)
    here = _CLASSES[drawn.coverage].tolist()
    coarse = _COARSE[padded]
    around = (
        27 * coarse[1:-1, :-2] + 9 * coarse[1:-1, 2:] + 3 * coarse[:-2, 1:-1] + coarse[2:, 1:-1]
    ).tolist()
    where = reached(drawn).tolist()
    levels = [[0] * (width + 2) for _ in range(height + 1)]  # a row above, a column either side
    for y in range(height):
        above, row = levels[y], levels[y + 1]
        for x in range(width):
            if where[y][x]:
                level = 0 if given is None else given[y * width + x]
                nearby = row[x], above[x + 1], above[x], above[x + 2]
                row[x + 1] = _code_level(bits, here[y][x], around[y][x], nearby, level)
    return tuple(level for row in levels[1:] for level in row[1:-1])


def _code_level(
    bits: AdaptiveBits, here: int, around: int, nearby: tuple[int, int, int, int], level: int
) -> int:
    left, up, *corners = (min(max(each, -2), 2) for each in nearby)
    names = (
        f"letter n {here} {left} {up}",
        f"letter e {here} {around}",
        f"letter c {here} {left} {up} {corners[0]} {corners[1]}",
    )
    if not bits.bit(*names, value=level != 0):
        return 0
    sides = (left > 0) - (left < 0), (up > 0) - (up < 0)
    names = f"letter s {here} {sides[0]} {sides[1]}", f"letter s {here} {around}"
    negative = bits.bit(*names, value=level < 0)
    size = 1
    while size < LEVELS:
        names = f"letter m {size} {here} {negative}", f"letter m {size} {max(abs(left), abs(up))}"
        if not bits.bit(*names, value=size < abs(level)):
            break
        size += 1
    return -size if negative else size
