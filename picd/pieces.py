"""Words of several inks as pieces of one ink each: ``user@host:~/folder$``, ``print("text")``; and
words with a space within that the engine did not see, or a dot between two spaces.

Reading engines part words at spaces, but editors and terminals change colour within them. Between a
ground and one ink colours lie on a line; so the columns of a word's ink are told in parts, each
with a line of its own where that leaves enough less of their squared error. Where a letter ends is
told by the text, set in a face of either kind.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from picd.font_metrics import glyph_metrics, natural_extent
from picd.layout import Word
from picd.runs import commonest, is_ink, share_of
from picd.stretches import stretches

PIECE_COST = 3e5
"""Squared error, of RGB levels, that a further piece has to take away: some thirty bits, at the
price that a bit of a letter has at 0.03 bits per pixel."""
ROWS = 0.25
"""Share of a word's box, above and below, that does not tell its inks."""
INKED = 32.0
"""RGB distance from the ground at which a pixel is ink."""
MOST_PIECES = 6
"""Into more pieces a word is not cut: it is a picture."""
PROPORTIONAL, FIXED = 3, 12
"""A face of either kind: one of them is near enough to tell where in a word a letter ends."""
WIDE, WIDER, FITS, SUITS = 0.4, 2.0, 0.15, 0.25
"""A gap of so many heights of a word's box, so many times as wide as any other of its ink, is a
space that the engine did not see, ``[ 81%]``, if what is on both sides is as wide as its letters,
to so many heights; of pieces they may be more off, as faces are more different."""
SEPARATORS, BESIDE_SEPARATOR = "·•|", 0.2
"""What stands between words, and how many heights of its box it is from them if there are spaces,
which engines do not see beside it; without them it is half of that, but in fixed-width faces."""
PHOTOGRAPH = 0.42
"""Share of a word's box that has its ground's colour, below which there is a photograph behind."""
TOUCHING = 6
"""At most so many letters hang together."""
LONGEST, VALLEYS = 160, 8
"""Letters of the longest word that is looked at, and columns between letters, or within them, for
each, beyond which it is no text: looking takes longer by their square."""
Doubles = NDArray[np.float64]


def in_pieces(image: NDArray[np.uint8], words: Iterable[Word]) -> list[Word]:
    """``words`` of ``image``, uint8 (H, W, 3), cut at spaces that were not seen, and those of
    several inks into pieces that follow each other; all but the first of a word are ``joined``."""
    return [
        piece
        for word in words
        for between in _at_separators(image, word)
        for part in _at_spaces(image, between)
        for piece in _pieces(image, part)
    ]


def _seen(image: NDArray[np.uint8], word: Word, rows: float) -> tuple[int, Doubles]:
    """The first column of a word's box, and how far from its ground are its pixels (h, w, 3) but
    for a share of ``rows`` above and below; none if there is too little to look at, or too much, or
    a photograph behind."""
    x, y, width, height = word.box
    margin = rows * height
    y0, y1 = max(round(y + margin), 0), min(round(y + height - margin), image.shape[0])
    x0, x1 = max(round(x) - 1, 0), min(round(x + width) + 1, image.shape[1])
    if not 2 <= len(word.text) <= LONGEST or y1 - y0 < 4 or x1 - x0 < 4:
        return x0, np.zeros((0, 0, 3))
    box = image[y0:y1, x0:x1].astype(np.float64)
    ground = commonest(box)
    whole = image[max(round(y), 0) : max(round(y + height), 0), x0:x1]
    if share_of(ground, whole) < PHOTOGRAPH or is_ink(box, ground) is not None:
        return x0, np.zeros((0, 0, 3))
    return x0, box - ground


def _inked(away: Doubles) -> NDArray[np.bool_]:
    """The columns with ink."""
    return (away * away).sum(2).max(0, initial=0) > INKED**2


def _at_separators(image: NDArray[np.uint8], word: Word) -> Iterator[Word]:
    """A word cut before and after those of its :data:`SEPARATORS` that have a space on each side,
    ``Haugen·6``."""
    found = [k for k, letter in enumerate(word.text[1:-1], 1) if letter in SEPARATORS]
    x0, away = _seen(image, word, 0.0) if found else (0, np.zeros((0, 0, 3)))
    inked = _inked(away)
    inks = stretches(inked)
    places = _laid_best(word.text, inks)
    x, y, width, height = word.box
    cuts = [(0, x)]
    for k in found if len(places) else ():
        before, after = np.searchsorted(inks[:, 0], places[k - 1 : k + 1])
        if not 0 < before < len(inks) - 1 or after != before + 1:
            continue  # it touches a letter
        gaps = inks[before : after + 1, 0] - inks[before - 1 : after, 1]
        if gaps.min() >= BESIDE_SEPARATOR * height:
            cuts += [(k, x0 + places[k - 1]), (k + 1, x0 + places[k])]
    cuts.append((len(word.text), x + width))
    for (start, left), (end, right) in itertools.pairwise(cuts):
        yield word.part(start, end, (left, y, right - left, height))


def _at_spaces(image: NDArray[np.uint8], word: Word) -> Iterator[Word]:
    x0, away = _seen(image, word, 0.0)  # there are also underscores and quotes
    inked = _inked(away)
    inks = stretches(inked)
    gaps = inks[1:, 0] - inks[:-1, 1]
    x, y, width, height = word.box
    widest, second = sorted([0, 0, *gaps.tolist()])[:-3:-1]
    if widest < max(WIDE * height, WIDER * second, 1) or len(inks) > VALLEYS * len(word.text):
        yield word
        return
    at = int(gaps.argmax())
    cut = (inks[at, 1] + inks[at + 1, 0]) / 2
    end = sum(_letters_before(word.text, inked, np.array([cut])))  # one place, or none
    texts = word.text[:end], word.text[end:]
    widths = inks[at, 1] - inks[0, 0], inks[-1, 1] - inks[at + 1, 0]
    if not end or _least_off(texts, widths) > FITS * height:
        yield word
        return
    yield word.part(0, end, (x, y, x0 + cut - x, height))
    yield word.part(end, len(word.text), (x0 + cut, y, x + width - x0 - cut, height))


def _least_off(texts: Sequence[str], widths: Sequence[int]) -> float:
    """By how much, at most, a text is not as wide as it should be beside the widest one, in a face
    of the kind that suits them better."""

    def off(face: int) -> float:
        extents = [natural_extent(face, text) for text in texts]
        natural = np.array([right - left for _, left, right in extents])
        scale = max(widths) / max(natural[int(np.argmax(widths))], 1)
        return float(np.abs(np.array(widths) - scale * natural).max())

    return min(off(face) for face in (PROPORTIONAL, FIXED))


def _pieces(image: NDArray[np.uint8], word: Word) -> Iterator[Word]:
    x, y, width, height = word.box
    x0, away = _seen(image, word, ROWS)
    if not away.size:
        yield word
        return
    scatter = np.einsum("yxi,yxj->xij", away, away)
    inked = _inked(away)
    if _beside_a_line(scatter.sum(0)) < PIECE_COST or not inked.any():
        yield word
        return
    columns = _between(np.einsum("xii->x", scatter), inked)
    if len(columns) > VALLEYS * len(word.text):
        yield word
        return
    total = np.cumsum(np.concatenate([np.zeros((1, 3, 3)), scatter]), axis=0)
    cuts = columns[_told_best(total[columns])]
    if not 0 < len(cuts) < MOST_PIECES:
        yield word
        return
    _, whole = _seen(image, word, 0.0)  # with underscores and quotes
    inked = _inked(whole) if whole.size else inked
    ends = _letters_before(word.text, inked, cuts)
    if len(ends) < len(cuts):
        yield word
        return
    spans = list(itertools.pairwise([0, *ends, len(word.text)]))
    columns = np.flatnonzero(inked)
    inks = [part for part in np.split(columns, np.searchsorted(columns, cuts)) if len(part)]
    widths, texts = [part[-1] + 1 - part[0] for part in inks], [word.text[a:b] for a, b in spans]
    if len(inks) < len(spans) or _least_off(texts, widths) > SUITS * height:
        yield word
        return
    edges = itertools.pairwise([x, *(x0 + cuts + 0.5), x + width])
    for (start, end), (left, right) in zip(spans, edges, strict=True):
        box = left, y, right - left, height
        yield replace(word.part(start, end, box), joined=word.joined or start > 0)


def _beside_a_line(scatter: Doubles) -> Doubles:
    """Squared error of colours that are told as a ground and one ink, by their scatter about the
    ground, (..., 3, 3)."""
    return np.trace(scatter, axis1=-2, axis2=-1) - np.linalg.eigvalsh(scatter)[..., -1]


def _between(ink: Doubles, inked: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Columns that may be between two letters, which are those with less ink than beside them, and
    where the ink of all begins and ends."""
    first, last = np.flatnonzero(inked)[[0, -1]]
    ink = np.where(inked, ink, 0)
    falls = np.flatnonzero(np.diff(ink[first : last + 1]) < 0) + first + 1
    rises = np.flatnonzero(np.diff(ink[first : last + 1]) > 0) + first
    after = np.minimum(np.searchsorted(rises, falls), len(rises) - 1)
    valleys = (falls + rises[after]) // 2 if len(rises) else falls[:0]
    return np.unique([first, *valleys[(valleys > first) & (valleys < last)], last + 1])


def _told_best(total: Doubles) -> list[int]:
    """Which of the columns that ``total`` (n, 3, 3) is the scatter before are between pieces, where
    those are told best."""
    best, begins = [0.0], [0]
    for end in range(1, len(total)):
        costs = np.array(best) + PIECE_COST + _beside_a_line(total[end] - total[:end])
        begins.append(int(costs.argmin()))
        best.append(float(costs.min()))
    cuts, at = [], begins[-1]
    while at > 0:
        cuts.append(at)
        at = begins[at]
    return cuts[::-1]


def _letters_before(text: str, inked: NDArray[np.bool_], cuts: NDArray[np.intp]) -> list[int]:
    """How many letters of ``text`` come before each of the ``cuts`` between ``inked`` columns;
    fewer of these if there is no place between two letters for each."""
    places = _laid_best(text, stretches(inked))
    if not len(places):
        return []
    return np.unique(np.abs(places - cuts[:, None]).argmin(1) + 1).tolist()


def _laid_best(text: str, inks: NDArray[np.intp]) -> Doubles:
    """The columns of :func:`_laid_over` for the face, of either kind, that is less off; none
    without ink."""
    if not len(inks):
        return np.zeros(0)
    laid = (_laid_over(face, text, inks) for face in (PROPORTIONAL, FIXED))
    return min(laid, key=lambda each: each[0])[1]


def _laid_over(face: int, text: str, inks: NDArray[np.intp]) -> tuple[float, Doubles]:
    """The columns between the n letters of ``text`` as they lie over what is inked, from column to
    column (m, 2), and how far they are off there, set in ``face`` and as wide in all; each inked
    part is some letters, or half of one. (n - 1,), or none if they cannot lie so."""
    letters = [glyph_metrics(face, letter) for letter in text]
    pens = np.cumsum([0, *(each.advance for each in letters)])[:-1]
    lefts = pens + [each.left for each in letters]
    rights = pens + [each.right for each in letters]
    scale = (inks[-1, 1] - inks[0, 0]) / max(rights[-1] - lefts[0], 1)
    lefts, rights = lefts * scale, rights * scale
    best: dict[tuple[int, int], tuple[float, tuple[int, int]]] = {(0, 0): (0.0, (0, 0))}
    for part in range(len(inks)):
        for letter in range(len(text)):
            cost, _ = best.get((part, letter), (np.inf, None))
            if cost == np.inf:
                continue
            if part:
                gap = inks[part, 0] - inks[part - 1, 1]
                cost += abs(lefts[letter] - rights[letter - 1] - gap)
            for parts, count in ((1, 1), (2, 1), *((1, n) for n in range(2, TOUCHING + 1))):
                to = part + parts, letter + count
                if to[0] > len(inks) or to[1] > len(text):
                    continue
                width = inks[to[0] - 1, 1] - inks[part, 0]
                off = cost + abs(rights[to[1] - 1] - lefts[letter] - width)
                if off < best.get(to, (np.inf,))[0]:
                    best[to] = off, (part, letter)
    at = len(inks), len(text)
    if at not in best:
        return np.inf, np.zeros(0)
    places = np.zeros(len(text) + 1)
    off = best[at][0]
    while at != (0, 0):
        before = best[at][1]
        within = (rights[before[1] : at[1] - 1] + lefts[before[1] + 1 : at[1]]) / 2
        places[before[1] + 1 : at[1]] = inks[before[0], 0] + within - lefts[before[1]]
        if before[0]:
            places[before[1]] = (inks[before[0] - 1, 1] + inks[before[0], 0]) / 2
        at = before
    return float(off), places[1:-1]
