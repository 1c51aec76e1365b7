"""Words read in a picture as runs: neighbours on one line in one colour, and the ink they are of.

A run is a window of the picture in which every pixel has its share of ink; its words stand where
that ink is, whatever the boxes of the reading engine say.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from picd.font_metrics import PLAIN_FACES, glyph_metrics
from picd.layout import UNITS_PER_PIXEL, PlacedWord, Word
from picd.stretches import stretches

MIN_CONTRAST = 24.0
"""Ink that differs less from its ground (RGB distance) is left to the picture."""
SPLIT_DISTANCE = 70.0
"""Neighbouring words whose ink or ground differs more (RGB distance) are set in two styles."""
LONGEST_STROKE = 1.3
"""Heights of a word's box that no stroke of a letter is long."""
INK_MARGIN = 0.2
"""Share of a word's box, above and below, that says nothing of its ink."""
SELDOM, NOT_GROUND = 0.3, 0.1
"""The most frequent colour of a word's box is its ink where so little of it has that, and of its
edge."""
EVEN, WIDEST_STROKE, BRIGHTEST = 0.6, 0.35, 0.7
"""Words stand on no even ground where less of their boxes has its colour: a photograph. Strokes are
at most so wide, in heights of a box; and so much of the ink its ground may have."""
REFERENCE_FACE = 3
SPECKS = frozenset(".,:;'`-–_~·•…")
"""Characters that are hardly more than a speck."""
FAINT, SPECK_APART = 0.5, 1
"""Ink of a speck beside a word, over that of its letters, and columns from one to the next."""
SHAPES = "".join(map(chr, range(0x2500, 0x27C0)))
Floats = NDArray[np.float32]


@dataclass
class Run:
    """Words of one line in one style, under analysis. ``alpha`` (h, w) in 0..1 is the share of
    ink of each pixel of the window whose corner is (x, y); ``placed`` are the words in window
    coordinates, in units."""

    words: list[Word]
    x: int
    y: int
    alpha: Floats
    ink: Floats
    ground: Floats
    lefts: NDArray  # edges of the reported boxes, in window pixels
    rights: NDArray
    placed: list[PlacedWord] = field(default_factory=list)
    em: float = 0.0  # in pixels, for the reference face
    baseline: int = 0  # in units, in the window
    weight: float = 1.0  # ink per letter, over that of the reference face
    stretch: float = 1.0  # width of the words, over that of the reference face
    scores: Floats = field(default_factory=lambda: np.zeros(len(PLAIN_FACES), np.float32))
    inked: float = 0.0  # logarithm of its ink over that of the regular face it resembles most
    face: int = 0
    size: int = 0
    uneven: bool = False  # on no ground of one colour
    strayed: bool = False  # a word that stood on no common row with the others

    @property
    def letters(self) -> int:
        return sum(len(word.text) for word in self.words)


def word_groups(words: Iterable[Word], min_confidence: float) -> list[list[Word]]:
    """Words by line, split at column gaps; in reading order."""
    by_line: dict[int, list[Word]] = defaultdict(list)
    words = list(words)
    for word in words:
        if len(word.text) == 1 and any(_holds(other, word) for other in words):
            continue
        word = _without_icons(word)
        if word.confidence >= min_confidence and word.text and min(word.box[2:]) >= 2:
            by_line[word.line].append(word)
    groups = []
    for line in by_line.values():
        line.sort(key=lambda word: word.box[0])
        group = [line[0]]
        for before, word in itertools.pairwise(line):
            gap = word.box[0] - before.box[0] - before.box[2]
            if gap > 1.5 * max(word.box[3], before.box[3]):
                groups.append(group)
                group = []
            group.append(word)
        groups.append(group)
    return groups


def _holds(word: Word, lone: Word) -> bool:
    """Whether a lone character was found inside a word of another line: it was read twice."""
    (x, y, width, height), (left, top, wide, high) = word.box, lone.box
    across = min(x + width, left + wide) - max(x, left)
    down = min(y + height, top + high) - max(y, top)
    inside = across > 0.6 * wide and down > 0.5 * high
    return inside and len(word.text) > 1 and word.line != lone.line


def _without_icons(word: Word) -> Word:
    """Less the shapes that engines read into icons at a word, and what no face has at its ends;
    empty if it cannot be set."""
    text = "".join(map(_in_our_faces, word.text.strip()))
    text = text.replace("°°", "°")  # read once as a sign, once with its C
    unknown = "".join(filter(_has_no_face, text))
    bare = text.strip(SHAPES + unknown) or text
    known = sum(character not in unknown for character in bare)
    if 3 * known < 2 * len(bare):
        bare = ""
    x, y, width, height = word.box
    pitch = width / max(len(text), 1)
    start = text.find(bare)
    box = (x + start * pitch, y, len(bare) * pitch, height)
    if text == word.text:
        return word.part(start, start + len(bare), box)
    return replace(word, text=bare, box=box, doubts=())


def _in_our_faces(character: str) -> str:
    """What looks the same in characters that we can set: engines that read Chinese write the full
    width comma and one character for degrees Celsius. A circled digit is not the digit."""
    kind, *alike = unicodedata.decomposition(character).split() or [""]
    if kind not in ("<wide>", "<compat>") or not _has_no_face(character):
        return character
    return "".join(chr(int(code, 16)) for code in alike)


def _has_no_face(character: str) -> bool:
    return glyph_metrics(REFERENCE_FACE, character).face < 0


def runs_of(image: NDArray[np.uint8], words: list[Word]) -> list[Run]:
    """Runs of one colour among ``words``, with their ink maps; words without contrast go."""
    coloured = [(word, colours) for word in words if (colours := _word_colours(image, word))]
    runs: list[Run] = []
    group: list[tuple[Word, tuple[Floats, Floats]]] = []
    for word, colours in coloured:
        if group and _differs(group[-1][1], colours):
            runs.append(_run(image, group))
            group = []
        elif group and word.joined and _touch(group[-1][0], word):
            group[-1] = group[-1][0].followed_by(word), group[-1][1]
            continue
        group.append((word, colours))
    if group:
        runs.append(_run(image, group))
    return [run for run in runs if run.placed]


def _touch(piece: Word, other: Word) -> bool:
    return abs(piece.box[0] + piece.box[2] - other.box[0]) < 1


def _differs(a: tuple[Floats, Floats], b: tuple[Floats, Floats]) -> bool:
    return max(np.linalg.norm(a[0] - b[0]), np.linalg.norm(a[1] - b[1])) > SPLIT_DISTANCE


def _word_colours(image: NDArray[np.uint8], word: Word) -> tuple[Floats, Floats] | None:
    """(ink, ground) RGB of a word: ground is the most frequent colour of its box, ink the
    far end of what departs from it. On a photograph no colour is as frequent as the ink is."""
    x, y, width, height = word.box
    y0, y1 = max(round(y), 0), min(round(y + height), image.shape[0])
    x0, x1 = max(round(x), 0), min(round(x + width), image.shape[1])
    if y1 - y0 < 4 or x1 - x0 < 2:
        return None
    box = image[y0:y1, x0:x1].astype(np.float32)
    ground = commonest(box)
    alike = is_ink(box, ground)
    if alike is not None:
        ink, ground = ground, np.median(box[~alike], axis=0)
        return (ink, ground) if np.linalg.norm(ink - ground) >= MIN_CONTRAST else None
    # Boxes reach into the rows above and below, whose ground would pass for ink.
    margin = round(INK_MARGIN * (y1 - y0))
    away = box[margin : y1 - y0 - margin].reshape(-1, 3) - ground
    distance = np.sqrt((away * away).sum(axis=1))
    reach = np.quantile(distance, 0.985)
    if reach < MIN_CONTRAST:
        return None
    return ground + np.median(away[distance >= 0.85 * reach], axis=0), ground


def share_of(colour: NDArray[np.floating] | float, box: NDArray) -> float:
    """How much of a box (h, w, 3) has a colour, as far as that can be told."""
    return float((np.abs(box - colour).max(axis=2) < MIN_CONTRAST).mean())


def is_ink(box: NDArray[np.floating], colour: NDArray[np.floating]) -> NDArray[np.bool_] | None:
    """Where the box of a word (h, w, 3) has its most frequent ``colour``, if that is hardly at its
    edge, as ground is; else None."""
    alike = np.abs(box - colour).max(axis=2) < MIN_CONTRAST
    edge = np.concatenate([alike[0], alike[-1], alike[:, 0], alike[:, -1]])
    return alike if alike.mean() < SELDOM and edge.mean() < NOT_GROUND else None


def commonest(box: NDArray[np.floating]) -> NDArray[np.floating]:
    """The most frequent colour of a box (h, w, 3), to 16 levels, and of those that are it the
    mean."""
    pixels = box.reshape(-1, 3)
    cells = (pixels / 16).astype(np.int32) @ np.array([256, 16, 1])
    return pixels[cells == np.bincount(cells).argmax()].mean(axis=0)


def _run(image: NDArray[np.uint8], group: list[tuple[Word, tuple[Floats, Floats]]]) -> Run:
    """The window, common colours, ink map and word positions of one run."""
    words = [word for word, _ in group]
    weights = np.array([len(word.text) for word in words], np.float32)
    ground = np.average([colours[1] for _, colours in group], axis=0, weights=weights)
    # The strongest ink among the words: short words at small sizes never reach their full ink.
    ink = max((colours[0] for _, colours in group), key=lambda c: np.linalg.norm(c - ground))
    boxes = np.array([word.box for word in words])
    top, bottom = boxes[:, 1].min(), (boxes[:, 1] + boxes[:, 3]).max()
    reach = 0.4 * (bottom - top)
    y0, y1 = max(int(top) - 2, 0), min(int(bottom) + 3, image.shape[0])
    x0 = max(int(boxes[0, 0] - reach), 0)
    x1 = min(int((boxes[:, 0] + boxes[:, 2]).max() + reach) + 1, image.shape[1])
    direction = (ink - ground).astype(np.float32)
    window = image[y0:y1, x0:x1].astype(np.float32) - ground.astype(np.float32)
    alpha = window @ direction / float(direction @ direction)
    right = int((boxes[:, 0] + boxes[:, 2]).max()) + 1
    inside = window[:, max(int(boxes[0, 0]) - x0, 0) : max(right - x0, 1)]
    uneven = share_of(0.0, inside) < EVEN
    alpha = np.clip(_above_ground(alpha, bottom - top) if uneven else alpha, 0, 1)
    # What is neither ink nor ground nor between them (icons, other text) counts less.
    strange = window - alpha[..., None] * direction
    alpha *= np.sqrt((strange * strange).sum(axis=2)) < 0.6 * np.linalg.norm(direction)
    lefts, rights = boxes[:, 0] - x0, boxes[:, 0] + boxes[:, 2] - x0
    _clear_rules(alpha, lefts, rights)
    run = Run(words, x0, y0, alpha.astype(np.float32), ink, ground, lefts, rights, uneven=uneven)
    height = bottom - top
    find_words(run, int(top - y0 + 0.2 * height), int(bottom - y0 - 0.2 * height))
    return run


def _above_ground(alpha: Floats, height: float) -> Floats:
    """The share of ink over a ground that has some of its colour itself, as a photograph: what is
    left of that where nothing as narrow as a stroke is (a top hat, as in Serra 1982)."""
    side = max(round(WIDEST_STROKE * height), 3) | 1
    ground = cv2.morphologyEx(alpha, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    ground = np.clip(ground, 0, BRIGHTEST)
    return (alpha - ground) / (1 - ground)


def find_words(run: Run, top: int, bottom: int) -> None:
    """Place every word on its ink in the given rows; words without ink go."""
    top = max(top, 0)
    profile = run.alpha[top : max(bottom, top + 1)].max(axis=0)
    texts = [word.text for word in run.words]
    spans = _spans(profile, texts, run.lefts, run.rights, 1.25 * (bottom - top))
    inked = [i for i, (left, right) in enumerate(spans) if right - left >= 1]
    run.words = [run.words[i] for i in inked]
    run.lefts, run.rights = run.lefts[inked], run.rights[inked]
    run.placed = [_placed(run.words[k].text, *spans[i]) for k, i in enumerate(inked)]


def _clear_rules(alpha: Floats, lefts: NDArray, rights: NDArray) -> None:
    """Remove rows that are ink almost throughout a word, and what is ink for longer than any letter
    is wide: rules, underlines, frames, other grounds."""
    rows = len(alpha)
    alpha[_long_runs(alpha > 0.3, int(LONGEST_STROKE * rows))] = 0
    for left, right in zip(lefts, rights, strict=True):
        inner = alpha[:, max(int(left), 0) : int(right) + 1]
        columns = inner.shape[1]
        ruled = (inner > 0.3).mean(axis=1) > 0.85
        if columns > 1.5 * rows:
            inner[ruled] = 0
        if columns > 0.75 * rows:  # above and below they go on between the words
            ruled[rows // 4 : rows - rows // 4] = False
            alpha[ruled] = 0


def _long_runs(inked: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    """What belongs to a horizontal run of more than ``length`` of (rows, columns)."""
    if length >= inked.shape[1]:
        return np.zeros_like(inked)
    shape = cv2.getStructuringElement(cv2.MORPH_RECT, (length + 1, 1))
    return cv2.morphologyEx(inked.astype(np.uint8), cv2.MORPH_OPEN, shape).astype(bool)


def _spans(
    profile: Floats, texts: Sequence[str], lefts: NDArray, rights: NDArray, height: float
) -> list[tuple[float, float]]:
    """Ink columns of every word: boundaries move to the clearest gap near the reported one."""
    reach = 0.35 * height
    edges = [_gap(profile, lefts[0] - reach, lefts[0] + 0.15 * height, lefts[0])]
    for right, left in zip(rights, lefts[1:], strict=False):
        middle = (right + left) / 2
        half = max(reach, (left - right) / 2)
        edges.append(_gap(profile, middle - half, middle + half, middle))
    edges.append(_gap(profile, rights[-1] - 0.15 * height, rights[-1] + reach, rights[-1]))
    spans = []
    for text, (left, right) in zip(texts, itertools.pairwise(edges), strict=True):
        inked = _without_dots(text, profile[left:right])
        if len(inked):
            first, last = left + int(inked[0]), left + int(inked[-1])
            spans.append((_edge(profile, first, -1), _edge(profile, last, 1)))
        else:
            spans.append((float(left), float(left)))
    return spans


def _without_dots(text: str, profile: Floats) -> NDArray[np.intp]:
    """The inked columns of a word, less faint specks at its ends: editors show spaces as dots."""
    inked = np.flatnonzero(profile > 0.2)
    parts = np.split(inked, np.flatnonzero(np.diff(inked) > SPECK_APART) + 1)
    if len(parts) < 2:
        return inked
    strength = [float(profile[part].max()) for part in parts]
    usual = FAINT * float(np.median(strength))
    if strength[0] < usual and text[0] not in SPECKS:
        parts = parts[1:]
    if strength[-1] < usual and text[-1] not in SPECKS:
        parts = parts[:-1]
    return np.concatenate(parts) if parts else inked


def _edge(profile: Floats, column: int, step: int) -> float:
    """Sub-pixel edge of the ink that ends at ``column``, going outwards by ``step``."""
    outside = column + step
    share = float(profile[column])
    if 0 <= outside < len(profile):
        share += float(profile[outside])
    share = min(max(share, 0.25), 1.0)
    return column + 1 - share if step < 0 else column + share


def _gap(profile: Floats, start: float, stop: float, wanted: float) -> int:
    """Column in the middle of the widest run of ground within start..stop, near ``wanted``."""
    start, stop = max(int(start), 0), min(int(stop) + 1, len(profile))
    if stop <= start:
        return min(max(round(wanted), 0), len(profile))
    begins, ends = (stretches(profile[start:stop] < 0.2) + start).T
    if not len(begins):
        return start + int(profile[start:stop].argmin())
    centres = (begins + ends) / 2
    best = int(np.argmax((ends - begins) - 0.5 * np.abs(centres - wanted)))
    return int(centres[best] + 0.5)


def _placed(text: str, left: float, right: float) -> PlacedWord:
    x = round(left * UNITS_PER_PIXEL)
    return PlacedWord(text, x, max(round(right * UNITS_PER_PIXEL) - x, 1))
