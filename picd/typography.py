"""Typography by analysis and synthesis: words read in a picture become a page set in our fonts.

Every run of words is explained by rendering: its rows give size and baseline, its columns the
words' ink, and the faces compete by correlation with the picture. Runs judged alone flip between
faces, so the page first agrees on a small palette of faces by pooled evidence.

"""

from __future__ import annotations

import itertools
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picd.columns import in_columns
from picd.glyphs import (
    FACES,
    SCALE_STEPS,
    UNITS_PER_EM,
    glyph_mask,
    glyph_metrics,
    natural_extent,
    style_scale,
    word_coverage,
    word_extent,
)
from picd.layout import UNITS_PER_PIXEL, PlacedWord, TextLayout, TextLine, TextStyle, Word

MIN_CONTRAST = 24.0
"""Ink that differs less from its ground (RGB distance) is left to the picture."""
MIN_CORRELATION = 0.45
"""A word whose typeset picture correlates less with the original is left to the picture; long
words, whose letters drift in a face of other proportions, may have down to half of that."""
LEAST_INSIDE = 0.6
"""Share of the height of capitals that has to be in the engine's box: mostly all of it is."""
SPLIT_DISTANCE = 70.0
"""Neighbouring words whose ink or ground differs more (RGB distance) are set in two styles."""
LONGEST_STROKE = 1.3
"""Heights of a word's box that no stroke of a letter is long."""
INK_MARGIN = 0.2
"""Share of a word's box, above and below, that says nothing of its ink."""
MODEL_EM = 32
"""Pixels per em of the word models that faces are compared with."""
MODEL_ASCENT, MODEL_ROWS, MODEL_PAD = 40, 56, 8
REFERENCE_FACE = 3
LIKELY_BASELINES = (0.45, 1.1)
"""Where the baseline is in an engine's box, in its heights from the top: with margins."""
PROBE_FACES = (3, 12)
"""A proportional and a fixed-width face: one of them is near enough to find size and baseline."""
FEW = 3
"""So few letters may be twice as wide in a fixed-width face."""
FACE_COST = 0.4
"""What a further face on the page must gain, in correlation summed over runs."""
BOLD_INK, BOLD_COST = 0.5, 0.085
"""Bold is what has more ink than the page's regular text: correlation that a unit of the logarithm
of ink is worth, and what bold must gain. A logistic regression on 60 generated pages, by which 7 %
of regular and 8 % of bold runs were taken for the other."""
USUAL_INK = 0.3
"""Quantile of the page's letters, by ink, that is regular text."""
BOLDER, BOLD_ALONE, SIBLING = 0.15, 0.05, 0.1
"""Ink that a word within a line has at least to be bold, what it must gain for the cut, and what
another family must fit better."""
BOLD = np.array([face.bold for face in FACES])
SURE, SURELY = 0.95, 0.65
"""A word that the engine is sure of needs but this share of it beside others that fit."""
LEANING = 0.4
"""How far, in sizes, words of one line may stand above or below the others."""
THIN = frozenset("-–—_=~.…·:")
"""Marks of a row or two, which another row leaves nothing in common with."""
LONE_CORRELATION, STRANGE_CORRELATION = 0.6, 0.7
"""What a single character on its line needs, or a word on a row of its own, and what symbols and
letters need that are of no size of the page: mostly these are icons."""
MISREAD, WELL_READ = 0.25, 0.92
"""A letter was its twin where that leaves less than this share of the squared error, and the word
then correlates so well that its box cannot be to blame. On 24 generated pages no right word
changes."""
TWINS = {
    letter: group.replace(letter, "")
    for group in ("Cc", "Kk", "Oo0", "Pp", "Ss", "Uu", "Vv", "Ww", "Xx", "Yy", "Zz")
    for letter in group
}
"""Letters that differ in size and hardly in shape."""
INK_SCALE, GROUND_SCALE, COLOUR_BITS = 20.0, 10.0, 10.0
"""RGB distances that are worth a bit or so a letter, and what a further colour costs."""
READING_SIZE = 16 * UNITS_PER_PIXEL
"""Letters that are larger have more to lose of their colour."""
STRENGTH = 0.25
"""Weight of an ink's distance in strength, which thin letters hardly tell, beside that in hue."""
WITNESSES = 6
"""So many runs of a look, the longest, decide for the others."""
STRETCH_COST, FIXED_STRETCH_COST = 0.02, 0.03
"""What a unit of stretch, as a logarithm, must gain in correlation. Faces of one pitch are all
nearly as wide, so that theirs tells more."""
SETTLED = 0.04
"""What a run must gain, in correlation, to leave the baseline that its look was fitted with."""
STRETCHED, OTHER_SIZE, STRANGELY_WIDE = 0.03, 0.15, 0.1
"""A run so much wider or narrower than others of its size, as a logarithm, may be of another size
of the page, no further off than this; or of none of them."""
SIZE_STEP = 2
"""Sizes are multiples of half a pixel."""

SHAPES = "".join(map(chr, range(0x2500, 0x27C0)))

Floats = NDArray[np.float32]
Colour = tuple[int, int, int]


@dataclass
class _Run:
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
    scores: Floats = field(default_factory=lambda: np.zeros(len(FACES), np.float32))
    inked: float = 0.0  # logarithm of its ink over that of the regular face it resembles most
    face: int = 0
    size: int = 0
    strayed: bool = False  # a word that stood on no common row with the others

    @property
    def letters(self) -> int:
        return sum(len(word.text) for word in self.words)


def fit_layout(
    image: NDArray[np.uint8], words: Iterable[Word], *, min_confidence: float = 0.5
) -> TextLayout:
    """Fit a :class:`TextLayout` to ``words`` (boxes a few pixels off at most) in ``image``.

    ``image`` is uint8 (H, W, 3). Words below ``min_confidence``, and words whose typeset
    rendering does not resemble the picture, are dropped. Deterministic.
    """
    height, width = image.shape[:2]
    runs = [run for group in _groups(words, min_confidence) for run in _fitted(image, group)]
    looks = _looks(runs)
    for look in looks:
        for run in look[:WITNESSES]:
            _score_faces(run)
    _choose_faces(looks)
    for look in looks:
        _refine(look)
    runs = [part for run in runs for part in _by_weight(run)]
    _agree_on_sizes(runs)
    _settle(runs)
    _agree_on_baselines(runs)
    _respell(runs, _scales(runs))
    _relocate(runs)
    scales, usual = _scales(runs), _usual(runs)
    runs = [
        part
        for run in runs
        for part in _explained(run, scales[run.face, run.size], (run.face, run.size) in usual)
    ]
    styles = _styles(image, runs, _scales(runs))
    lines = [_line(run, style) for run, style in zip(runs, styles, strict=True)]
    return TextLayout(width, height, in_columns(lines))


# --- words to runs -------------------------------------------------------------------------


def _groups(words: Iterable[Word], min_confidence: float) -> list[list[Word]]:
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
    return Word(bare, box, word.confidence, word.line)


def _in_our_faces(character: str) -> str:
    """What looks the same in characters that we can set: engines that read Chinese write the full
    width comma and one character for degrees Celsius. A circled digit is not the digit."""
    kind, *alike = unicodedata.decomposition(character).split() or [""]
    if kind not in ("<wide>", "<compat>") or not _has_no_face(character):
        return character
    return "".join(chr(int(code, 16)) for code in alike)


def _has_no_face(character: str) -> bool:
    return glyph_metrics(REFERENCE_FACE, character).face < 0


def _fitted(image: NDArray[np.uint8], words: list[Word]) -> Iterator[_Run]:
    """Runs of ``words`` with size and baseline; where several stand on no common row, as on a line
    that leans, each is tried alone."""
    for run in _analyse(image, words):
        if _fit_rows(run):
            yield run
        elif len(run.words) > 1:
            alone = (part for word in run.words for part in _analyse(image, [word]))
            yield from (replace(part, strayed=True) for part in alone if _fit_rows(part))


def _analyse(image: NDArray[np.uint8], words: list[Word]) -> list[_Run]:
    """Runs of one colour among ``words``, with their ink maps; words without contrast go."""
    coloured = [(word, colours) for word in words if (colours := _word_colours(image, word))]
    runs: list[_Run] = []
    group: list[tuple[Word, tuple[Floats, Floats]]] = []
    for item in coloured:
        if group and _differs(group[-1][1], item[1]):
            runs.append(_run(image, group))
            group = []
        group.append(item)
    if group:
        runs.append(_run(image, group))
    return [run for run in runs if run.placed]


def _differs(a: tuple[Floats, Floats], b: tuple[Floats, Floats]) -> bool:
    return max(np.linalg.norm(a[0] - b[0]), np.linalg.norm(a[1] - b[1])) > SPLIT_DISTANCE


def _word_colours(image: NDArray[np.uint8], word: Word) -> tuple[Floats, Floats] | None:
    """(ink, ground) RGB of a word: ground is the most frequent colour of its box, ink the
    far end of what departs from it."""
    x, y, width, height = word.box
    y0, y1 = max(round(y), 0), min(round(y + height), image.shape[0])
    x0, x1 = max(round(x), 0), min(round(x + width), image.shape[1])
    if y1 - y0 < 4 or x1 - x0 < 2:
        return None
    box = image[y0:y1, x0:x1].astype(np.float32)
    pixels = box.reshape(-1, 3)
    cells = (pixels / 16).astype(np.int32) @ np.array([256, 16, 1])
    ground = pixels[cells == np.bincount(cells).argmax()].mean(axis=0)
    # Boxes reach into the rows above and below, whose ground would pass for ink.
    margin = round(INK_MARGIN * (y1 - y0))
    away = box[margin : y1 - y0 - margin].reshape(-1, 3) - ground
    distance = np.sqrt((away * away).sum(axis=1))
    reach = np.quantile(distance, 0.985)
    if reach < MIN_CONTRAST:
        return None
    return ground + np.median(away[distance >= 0.85 * reach], axis=0), ground


def _run(image: NDArray[np.uint8], group: list[tuple[Word, tuple[Floats, Floats]]]) -> _Run:
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
    alpha = np.clip(window @ direction / float(direction @ direction), 0, 1)
    # What is neither ink nor ground nor between them (icons, other text) counts less.
    strange = window - alpha[..., None] * direction
    alpha *= np.sqrt((strange * strange).sum(axis=2)) < 0.6 * np.linalg.norm(direction)
    lefts, rights = boxes[:, 0] - x0, boxes[:, 0] + boxes[:, 2] - x0
    _clear_rules(alpha, lefts, rights)
    run = _Run(words, x0, y0, alpha.astype(np.float32), ink, ground, lefts, rights)
    height = bottom - top
    _find_words(run, int(top - y0 + 0.2 * height), int(bottom - y0 - 0.2 * height))
    return run


def _find_words(run: _Run, top: int, bottom: int) -> None:
    """Place every word on its ink in the given rows; words without ink go."""
    top = max(top, 0)
    profile = run.alpha[top : max(bottom, top + 1)].max(axis=0)
    spans = _spans(profile, run.lefts, run.rights, 1.25 * (bottom - top))
    inked = [i for i, (left, right) in enumerate(spans) if right - left >= 1]
    run.words = [run.words[i] for i in inked]
    run.lefts, run.rights = run.lefts[inked], run.rights[inked]
    run.placed = [_placed(run.words[k].text, *spans[i]) for k, i in enumerate(inked)]


def _clear_rules(alpha: Floats, lefts: NDArray, rights: NDArray) -> None:
    """Remove rows that are ink almost throughout a word, and what is ink for longer than any letter
    is wide: rules, underlines, frames, other grounds."""
    for left, right in zip(lefts, rights, strict=True):
        inner = alpha[:, max(int(left), 0) : int(right) + 1]
        rows, columns = inner.shape
        inner[_long_runs(inner > 0.3, int(LONGEST_STROKE * rows))] = 0
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
    profile: Floats, lefts: NDArray, rights: NDArray, height: float
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
    for left, right in itertools.pairwise(edges):
        inked = np.flatnonzero(profile[left:right] > 0.2)
        if len(inked):
            first, last = left + int(inked[0]), left + int(inked[-1])
            spans.append((_edge(profile, first, -1), _edge(profile, last, 1)))
        else:
            spans.append((float(left), float(left)))
    return spans


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
    clear = np.concatenate([[0], (profile[start:stop] < 0.2).astype(np.int8), [0]])
    change = np.flatnonzero(np.diff(clear))
    begins, ends = change[::2] + start, change[1::2] + start
    if not len(begins):
        return start + int(profile[start:stop].argmin())
    centres = (begins + ends) / 2
    best = int(np.argmax((ends - begins) - 0.5 * np.abs(centres - wanted)))
    return int(centres[best] + 0.5)


def _placed(text: str, left: float, right: float) -> PlacedWord:
    x = round(left * UNITS_PER_PIXEL)
    return PlacedWord(text, x, max(round(right * UNITS_PER_PIXEL) - x, 1))


# --- word models: cheap renderings to compare with -----------------------------------------


@lru_cache(maxsize=65536)
def _word_model(face: int, text: str) -> tuple[Image.Image, float, float]:
    """``text`` at MODEL_EM with room around it, and the columns where its ink begins and ends."""
    _, left, right = natural_extent(face, text)
    unit = MODEL_EM / UNITS_PER_EM
    canvas = np.zeros((MODEL_ROWS, int((right - left) * unit) + 2 * MODEL_PAD + 2), np.uint8)
    pen = MODEL_PAD - left * unit
    for character in text:
        column, phase = divmod(round(pen * UNITS_PER_PIXEL), UNITS_PER_PIXEL)
        # Half a unit of vertical phase would hint; phase 1 does not, and is taken off below.
        mask, dx, dy = glyph_mask(
            face, MODEL_EM * UNITS_PER_PIXEL, SCALE_STEPS, character, phase, 1
        )
        x, y = column + dx, MODEL_ASCENT + dy
        x0, y0 = max(x, 0), max(y, 0)
        area = canvas[y0 : y + mask.shape[0], x0 : x + mask.shape[1]]
        np.maximum(area, mask[y0 - y :, x0 - x :][: area.shape[0], : area.shape[1]], out=area)
        pen += glyph_metrics(face, character).advance * unit
    return Image.fromarray(canvas), float(MODEL_PAD), MODEL_PAD + (right - left) * unit


def _model_correlation(
    run: _Run, word: PlacedWord, face: int, size: float, baseline: float
) -> float:
    """Normalised correlation of the word's model, stretched to its ink, with the picture.

    ``size`` and ``baseline`` are in units. The window is the word's, and the rows of text.
    """
    model, begin, end = _word_model(face, word.text)
    em, base = size / UNITS_PER_PIXEL, baseline / UNITS_PER_PIXEL
    left, width = word.x / UNITS_PER_PIXEL, word.width / UNITS_PER_PIXEL
    height, columns = run.alpha.shape
    y0, y1 = max(int(base - 0.85 * em), 0), min(int(base + 0.3 * em) + 1, height)
    x0, x1 = max(int(left) - 2, 0), min(int(left + width) + 3, columns)
    if y1 - y0 < 3 or x1 - x0 < 2:
        return 0.0
    step_y, step_x = MODEL_EM / em, (end - begin) / max(width, 0.25)
    box = (
        begin + (x0 - left) * step_x,
        MODEL_ASCENT + 0.25 + (y0 - base) * step_y,
        begin + (x1 - left) * step_x,
        MODEL_ASCENT + 0.25 + (y1 - base) * step_y,
    )
    # The parts of the window beyond the model are empty: resample what lies inside.
    inside_x = _inside(box[0], box[2], step_x, model.width)
    inside_y = _inside(box[1], box[3], step_y, model.height)
    if inside_x is None or inside_y is None:
        return 0.0
    kind = Image.Resampling.BOX if min(step_x, step_y) >= 1 else Image.Resampling.BILINEAR
    (cut_l, cut_r), (cut_t, cut_b) = inside_x, inside_y
    shape = (x1 - x0 - cut_l - cut_r, y1 - y0 - cut_t - cut_b)
    inner = (
        box[0] + cut_l * step_x,
        box[1] + cut_t * step_y,
        box[2] - cut_r * step_x,
        box[3] - cut_b * step_y,
    )
    drawn = np.zeros((y1 - y0, x1 - x0), np.float32)
    drawn[cut_t : cut_t + shape[1], cut_l : cut_l + shape[0]] = model.resize(shape, kind, inner)
    return _correlation(drawn, run.alpha[y0:y1, x0:x1])


def _inside(start: float, stop: float, step: float, length: int) -> tuple[int, int] | None:
    """Pixels to cut at both ends, so that the rest samples within 0..length; None if nothing."""
    before = max(int(np.ceil(-start / step)), 0)
    after = max(int(np.ceil((stop - length) / step)), 0)
    return None if (stop - start) / step - before - after < 1 else (before, after)


def _correlation(a: Floats, b: Floats) -> float:
    a, b, n = a.ravel(), b.ravel(), a.size
    sum_a, sum_b = float(a.sum()), float(b.sum())
    norm = (float(a @ a) - sum_a * sum_a / n) * (float(b @ b) - sum_b * sum_b / n)
    return (float(a @ b) - sum_a * sum_b / n) / norm**0.5 if norm > 1e-6 else 0.0


# --- size, baseline, face ------------------------------------------------------------------


@lru_cache(maxsize=65536)
def _row_profile(face: int, text: str) -> Floats:
    """Ink per row of a word model; the baseline lies a quarter below row MODEL_ASCENT."""
    return np.asarray(_word_model(face, text)[0], np.float32).sum(axis=1)


def _fit_rows(run: _Run) -> bool:
    """Size and baseline for the reference face; False if nothing fits.

    The rows of ink give the best baseline for every em; the few most likely ems are then judged
    by whole words, because rows alone mistake rules and neighbouring lines for text.
    """
    rows = np.zeros(len(run.alpha), np.float32)
    for word in run.placed:
        first, last = word.x // UNITS_PER_PIXEL, -(-(word.x + word.width) // UNITS_PER_PIXEL)
        rows += run.alpha[:, max(first, 0) : last].sum(axis=1)
    model = np.sum([_row_profile(REFERENCE_FACE, word.text) for word in run.placed], axis=0)
    if not model.any() or not rows.any():
        return False
    fits = []
    by_width = _em_by_width(run, REFERENCE_FACE)
    ems = by_width * 2 ** np.linspace(-0.55, 0.55, 15)
    if run.letters <= FEW:
        ems = np.append(ems, _em_by_width(run, PROBE_FACES[1]) * 2 ** np.linspace(-0.4, 0.4, 11))
    for em in ems:
        match, baseline = _match_rows(rows, model, float(em), _likely_baselines(run))
        fits.append((match, float(em), round(baseline * UNITS_PER_PIXEL)))
    words = _sample(run, 2)

    def score(fit: tuple[float, float, int]) -> float:
        _, em, baseline = fit
        return max(
            _mean_correlation(
                run, words, face, em * UNITS_PER_PIXEL * _relative_size(face, "x"), baseline
            )
            for face in PROBE_FACES
        )

    likely = sorted(fits, reverse=True)[:6]
    best = max(likely, key=score)
    _, run.em, run.baseline = best
    run.stretch = by_width / run.em
    base = run.baseline / UNITS_PER_PIXEL
    inked = rows[max(int(base - 0.8 * run.em), 0) : int(base + 0.25 * run.em) + 1].sum()
    area = model.sum() / 255 * (run.em / MODEL_EM) ** 2 * run.stretch
    run.weight = max(float(inked / area), 0.05)
    if score(best) <= 0.25:
        return False
    # Now that the rows of text are known, rules and other lines no longer hide the gaps.
    _find_words(run, int(base - 0.78 * run.em), int(np.ceil(base + 0.22 * run.em)))
    return bool(run.placed)


def _likely_baselines(run: _Run) -> tuple[float, float]:
    """Rows of the window between which the engine's boxes put the baseline. Rules, the edges of
    coloured rows and neighbouring lines can look more like text than the text does."""
    top = float(np.median([word.box[1] for word in run.words])) - run.y
    height = float(np.median([word.box[3] for word in run.words]))
    return top + LIKELY_BASELINES[0] * height, top + LIKELY_BASELINES[1] * height


def _match_rows(
    rows: Floats, model: Floats, em: float, likely: tuple[float, float]
) -> tuple[float, float]:
    """(match, baseline in pixels) of the model's rows, scaled to ``em``, sliding over ``rows``."""
    step, reach = MODEL_EM / em, int(np.ceil(1.1 * em))
    cumulative = np.concatenate([[0], np.cumsum(model)])
    best = (0.0, 0.0)
    for phase in (0.0, 0.5):
        # Pixel rows of the text set with its baseline `phase` below a pixel edge.
        grid = (np.arange(-reach, int(0.4 * em) + 3) - phase) * step + MODEL_ASCENT + 0.25
        drawn = np.diff(np.interp(grid, np.arange(len(cumulative)), cumulative))
        match = np.correlate(rows, drawn, "full")
        match /= np.sqrt((drawn * drawn).sum()) + 1e-6
        baselines = np.arange(len(match)) - len(drawn) + 1 + reach + phase
        match[(baselines < likely[0]) | (baselines > likely[1])] = 0
        at = int(match.argmax())
        best = max(best, (float(match[at]), float(baselines[at])))
    return best


def _em_by_width(run: _Run, face: int) -> float:
    """Em in pixels, of the reference face, at which ``face`` is as wide as the run's words."""
    em = 64 * UNITS_PER_PIXEL
    natural = sum(word_extent(face, em, word.text)[1] for word in run.placed)
    wide = 64 * sum(word.width for word in run.placed) / max(natural, 1)
    return max(wide / _relative_size(face, "x"), 5.0)


@lru_cache(maxsize=1024)
def _relative_size(face: int, letter: str) -> float:
    """Em of ``face`` at which ``letter`` is as tall as the reference face's, over the latter's."""
    tops = [np.flatnonzero(_row_profile(index, letter) > 0)[0] for index in (REFERENCE_FACE, face)]
    return (MODEL_ASCENT - tops[0]) / (MODEL_ASCENT - tops[1])


def _face_size(run: _Run, face: int) -> int:
    """Em of ``face`` in units for the height of the run's letters."""
    size = run.em * _relative_size(face, "x") * UNITS_PER_PIXEL
    return max(SIZE_STEP * round(size / SIZE_STEP), 16)


def _sample(run: _Run, count: int) -> list[PlacedWord]:
    """The most telling words of a run: the longest, up to twelve letters."""
    return sorted(run.placed, key=lambda word: -min(len(word.text), 12))[:count]


def _score_faces(run: _Run) -> None:
    """Correlation of a few words with each face, less a penalty on stretched letters; and how much
    ink they have."""
    words = _sample(run, 3)
    for face in range(len(FACES)):
        size = _face_size(run, face)
        stretch = np.log(style_scale(face, size, words) / SCALE_STEPS)
        run.scores[face] = _mean_correlation(run, words, face, size, run.baseline)
        # Hinting rounds the height of letters by up to half a pixel, so a little is no evidence.
        run.scores[face] -= 0.5 * max(abs(stretch) - 0.06, 0)
    regular = int(np.where(BOLD, -np.inf, run.scores).argmax())
    size = _face_size(run, regular)
    scale = style_scale(regular, size, words)
    run.inked = _inked(run, words, regular, size, scale)


def _inked(run: _Run, words: Sequence[PlacedWord], face: int, size: int, scale: int) -> float:
    """Logarithm of the ink of ``words`` over what they have in ``face``."""
    both = [_drawn_and_found(run, word, face, size, scale) for word in words]
    drawn, found = (
        max(float(sum(part.sum() for part in parts)), 1.0) for parts in zip(*both, strict=True)
    )
    return float(np.log(found / drawn))


def _mean_correlation(
    run: _Run, words: Sequence[PlacedWord], face: int, size: int, baseline: int
) -> float:
    letters = sum(len(word.text) for word in words)
    return (
        sum(_model_correlation(run, word, face, size, baseline) * len(word.text) for word in words)
        / letters
    )


def _looks(runs: Sequence[_Run]) -> list[list[_Run]]:
    """Runs of like height, weight, width and colours: what was set in one style. They get one
    em, the median of what their letters say."""
    looks: list[list[_Run]] = []
    for run in sorted(runs, key=lambda run: -run.letters):
        like = [look for look in looks if _alike(run, look[0])]
        if like:
            min(like, key=lambda look: _unlikeness(run, look[0])).append(run)
        else:
            looks.append([run])
    for look in looks:
        ems = np.repeat([run.em for run in look], [run.letters for run in look])
        for run in look:
            run.em = float(np.median(ems))
    return looks


def _unlikeness(run: _Run, leader: _Run) -> float:
    """Most of all in height."""
    return float(
        3 * abs(np.log(run.em / leader.em))
        + abs(np.log(run.weight / leader.weight))
        + abs(np.log(run.stretch / leader.stretch))
    )


def _alike(run: _Run, leader: _Run) -> bool:
    doubt = 1 / run.letters  # few letters tell little
    return (
        abs(np.log(run.em / leader.em)) <= 0.06 + 0.25 * doubt
        and abs(np.log(run.weight / leader.weight)) <= 0.13 + 0.5 * doubt
        and abs(np.log(run.stretch / leader.stretch)) <= 0.15 + 0.4 * doubt
        and np.linalg.norm(run.ink - leader.ink) <= 90
        and np.linalg.norm(run.ground - leader.ground) <= 40
    )


def _choose_faces(looks: Sequence[Sequence[_Run]]) -> None:
    """Set every run's face out of a small palette that the page agrees on.

    Faces join the palette greedily while they gain more than FACE_COST over the looks; then the
    runs of a look vote together.
    """
    if not looks:
        return
    pooled = np.stack(
        [sum(run.scores * run.letters**0.5 for run in look[:WITNESSES]) for look in looks]
    )
    power = np.array([sum(run.letters**0.5 for run in look[:WITNESSES]) for look in looks])
    more = _more_ink([look[:WITNESSES] for look in looks])
    pooled[:, BOLD] += (power * (BOLD_INK * more - BOLD_COST))[:, None]
    palette = [int(pooled.sum(axis=0).argmax())]
    while len(palette) < 8:
        current = pooled[:, palette].max(axis=1)
        extra = np.maximum(pooled - current[:, None], 0).sum(axis=0)
        best = int(extra.argmax())
        if extra[best] < FACE_COST:
            break
        palette.append(best)
    for look, votes in zip(looks, pooled, strict=True):
        common = palette[int(votes[palette].argmax())]
        for run in look:
            run.face = common


def _more_ink(looks: Sequence[Sequence[_Run]]) -> Floats:
    """How much more ink each look has than the page's regular text, as a logarithm. Renderers
    darken text more or less: bold is what is darker than the rest."""
    own = [
        float(np.average([r.inked for r in look], weights=[r.letters for r in look]))
        for look in looks
    ]
    runs = sorted((run.inked, run.letters) for look in looks for run in look)
    covered = np.cumsum([letters for _, letters in runs])
    usual = runs[int(np.searchsorted(covered, USUAL_INK * covered[-1]))][0]
    return np.array(own, np.float32) - usual


def _refine(look: Sequence[_Run]) -> None:
    """Set one size for the runs of a look in one face, and the baseline of every run, to those
    near the first estimates that correlate best."""
    for face in {run.face for run in look}:
        peers = [run for run in look if run.face == face]
        size = _common_size(peers, face)
        for run in peers:
            words = _sample(run, 2)
            scale = style_scale(face, size, words)
            run.size, (_, run.baseline) = size, _best_standing(run, words, size, scale)


def _best_standing(
    run: _Run, words: Sequence[PlacedWord], size: int, scale: int
) -> tuple[float, int]:
    """(score, baseline) of the baseline near the first estimate on which ``words`` fit best."""
    below = run.baseline // UNITS_PER_PIXEL * UNITS_PER_PIXEL
    bases = {below - UNITS_PER_PIXEL, below, below + UNITS_PER_PIXEL, run.baseline}

    def score(base: int) -> float:
        # Text on screens stands on whole pixels, and is sharper (and cheaper) there.
        bonus = 0.12 if base % UNITS_PER_PIXEL == 0 else 0.0
        return _standing_at(run, base, words, size, scale) + bonus

    return max((score(base), base) for base in sorted(bases))


def _by_weight(run: _Run) -> list[_Run]:
    """The run, cut where words of more ink than its others begin and end: they are bold."""
    if BOLD[run.face] or len(run.placed) < 2:
        return [run]
    scale = style_scale(run.face, run.size, run.placed)
    inked = np.array([_inked(run, [word], run.face, run.size, scale) for word in run.placed])
    more = inked - np.median(np.repeat(inked, [len(word.text) for word in run.placed]))
    faces = [
        _bold_face(run, word, float(gain)) for word, gain in zip(run.placed, more, strict=True)
    ]
    parts: list[_Run] = []
    pairs = zip(faces, run.words, run.placed, strict=True)
    for bold, group in itertools.groupby(pairs, key=lambda item: item[0] is not None):
        bolds, found, placed = zip(*group, strict=True)
        part = replace(run, words=list(found), placed=list(placed))
        if bold:
            heavy = replace(part, face=max(bolds, key=bolds.count))
            heavy.size = _common_size([heavy], heavy.face)
            if _standing(heavy) > max(_standing(part), LONE_CORRELATION):
                part = heavy
        if parts and parts[-1].face == part.face:
            parts[-1].words += part.words
            parts[-1].placed += part.placed
        else:
            parts.append(part)
    return parts


def _bold_face(run: _Run, word: PlacedWord, more: float) -> int | None:
    """The bold face that suits a word with ``more`` ink than the others of its run, as a logarithm;
    None if it is no bolder. Digits and signs tell nothing: their ink differs from face to face."""
    if sum(map(str.isalpha, word.text)) < 3 or more < BOLDER:
        return None
    family = FACES[run.face].family
    faces = [i for i, face in enumerate(FACES) if face.bold and face.family == family]
    fits = {
        face: _model_correlation(run, word, face, _face_size(run, face), run.baseline)
        for face in [run.face, *faces]
    }
    own = FACES[run.face].name
    best = max(faces, key=lambda face: fits[face] + SIBLING * FACES[face].name.startswith(own))
    gain = fits[best] - fits[run.face] + BOLD_INK * more - BOLD_COST
    return best if gain > BOLD_ALONE else None


def _standing(run: _Run) -> float:
    """:func:`_standing_at` of the run as it is."""
    scale = style_scale(run.face, run.size, run.placed)
    return _standing_at(run, run.baseline, run.placed, run.size, scale)


def _standing_at(
    run: _Run, baseline: int, words: Sequence[PlacedWord], size: int, scale: int
) -> float:
    """Mean correlation of ``words`` as they are drawn on another baseline of the run."""
    moved = replace(run, baseline=baseline)
    return float(np.mean([_render_correlation(moved, w, run.face, size, scale) for w in words]))


def _common_size(runs: Sequence[_Run], face: int) -> int:
    """The size near the letters' height whose rendering (hinted, unlike the models) correlates
    best over the longest runs, each on the baseline that suits that size. Hinting makes several
    sizes nearly one: then that whose natural widths are nearest to those found."""
    first = _face_size(runs[0], face)
    samples = [(run, _sample(run, 2)) for run in runs[:3]]
    letters = [sum(len(word.text) for word in words) for _, words in samples]
    cost = FIXED_STRETCH_COST if FACES[face].family == "mono" else STRETCH_COST

    def score(size: int) -> float:
        scale = style_scale(face, size, [word for _, words in samples for word in words])
        found = [_best_standing(run, words, size, scale)[0] for run, words in samples]
        unnatural = abs(float(np.log(scale / SCALE_STEPS)))
        return float(np.average(found, weights=letters)) - cost * unnatural

    steps = range(-3 * SIZE_STEP, 2 * SIZE_STEP + 1, SIZE_STEP)
    return max((max(first + step, 16) for step in steps), key=score)


def _agree_on_sizes(runs: Sequence[_Run]) -> None:
    """Let rare faces and sizes give way to much more frequent neighbours."""
    weight: dict[tuple[int, int], int] = defaultdict(int)
    for run in runs:
        weight[run.face, run.size] += run.letters
    for run in runs:
        own = weight[run.face, run.size]
        near = [
            key
            for key, letters in weight.items()
            if letters > max(2 * own, 8)
            and (key[0] == run.face or run.letters <= 3)
            and abs(np.log(key[1] / run.size)) <= 0.05 + 0.3 / own
        ]
        if near:
            run.face, run.size = max(near, key=lambda key: (weight[key], key))


def _settle(runs: Sequence[_Run]) -> None:
    """Let runs go over to another size of the page or move by a pixel where they then fit better.
    The page draws all of one size equally wide, so that a size may also be half a pixel off."""
    usual, scales = _usual(runs), _scales(runs)
    for run in runs:
        own = style_scale(run.face, run.size, run.placed)
        away = abs(np.log(own / scales[run.face, run.size]))
        sizes = {run.size}
        if away > STRETCHED:
            near = {size for face, size in usual if face == run.face}
            sizes |= {size for size in near if abs(np.log(size / run.size)) < OTHER_SIZE}
        if away > STRANGELY_WIDE:
            sizes |= {run.size - SIZE_STEP, run.size + SIZE_STEP}
        words = _sample(run, 2)

        trials = []
        for size, move in itertools.product(sorted(sizes), (0, -UNITS_PER_PIXEL, UNITS_PER_PIXEL)):
            scale, baseline = scales.get((run.face, size), own), run.baseline + move
            found = _standing_at(run, baseline, words, size, scale)
            stays = size == run.size and not move
            trials.append((found + (SETTLED if stays else 0.0), size, baseline))
        _, size, run.baseline = max(trials)
        if size != run.size:
            run.size = size
            scales = _scales(runs)


def _agree_on_baselines(runs: Sequence[_Run]) -> None:
    """Runs of one size on one line stand on the baseline of the longest of them."""
    by_line: dict[tuple[int, int], list[_Run]] = defaultdict(list)
    for run in runs:
        by_line[run.words[0].line, run.size].append(run)
    for pieces in by_line.values():
        longest = max(pieces, key=lambda run: run.letters)
        baseline = longest.baseline + longest.y * UNITS_PER_PIXEL
        for run in pieces:
            own = baseline - run.y * UNITS_PER_PIXEL
            if abs(run.baseline - own) <= UNITS_PER_PIXEL:
                run.baseline = own


# --- letters that were misread -------------------------------------------------------------


def _respell(runs: Sequence[_Run], scales: dict[tuple[int, int], int]) -> None:
    """Mend letters of one shape in two sizes: reading engines see each line at a size of its own,
    but the page is set in one, and there the twin fits the picture or does not."""
    for run in runs:
        scale = scales[run.face, run.size]
        run.placed = [_respelled(run, word, scale) for word in run.placed]


def _respelled(run: _Run, given: PlacedWord, scale: int) -> PlacedWord:
    word = given
    for _ in given.text:
        drawn, found = _drawn_and_found(run, word, run.face, run.size, scale)
        trials = [(_left_over(run, trial, scale, drawn, found), trial) for trial in _twins(word)]
        share, best = min(trials, key=lambda trial: trial[0], default=(1.0, word))
        if share > MISREAD:
            break
        word = best
    if word is given:
        return given
    sure = _render_correlation(run, word, run.face, run.size, scale) > WELL_READ
    return word if sure else given


def _twins(word: PlacedWord) -> Iterator[PlacedWord]:
    """The word with one letter changed for one of its shape."""
    for index, character in enumerate(word.text):
        for twin in TWINS.get(character, ""):
            text = word.text[:index] + twin + word.text[index + 1 :]
            yield PlacedWord(text, word.x, word.width)


def _left_over(run: _Run, trial: PlacedWord, scale: int, drawn: Floats, found: Floats) -> float:
    """Squared error of the trial over that of the word as ``drawn``, where the two differ."""
    other, _ = _drawn_and_found(run, trial, run.face, run.size, scale)
    differ = (np.abs(other - drawn) > 0.1).any(axis=0)
    before = float(((drawn - found)[:, differ] ** 2).sum())
    return float(((other - found)[:, differ] ** 2).sum()) / before if before > 0 else 1.0


# --- words that do not fit -----------------------------------------------------------------


def _relocate(runs: Sequence[_Run]) -> None:
    """Move words whose ink is wider or narrower than their text, or that correlate badly: their
    box was cut, or holds a border or an icon. The style's usual width is tried all around."""
    ratios: dict[tuple[int, int], list[float]] = defaultdict(list)
    for run in runs:
        for word in run.placed:
            if len(word.text) > 2:
                natural = word_extent(run.face, run.size, word.text)[1]
                ratios[run.face, run.size].append(word.width / natural)
    for run in runs:
        usual = float(np.median(ratios.get((run.face, run.size)) or [1.0]))
        run.placed = [_relocated(run, word, usual) for word in run.placed]


def _relocated(run: _Run, word: PlacedWord, usual: float) -> PlacedWord:
    expected = max(round(usual * word_extent(run.face, run.size, word.text)[1]), 1)

    def score(trial: PlacedWord) -> float:
        return _model_correlation(run, trial, run.face, run.size, run.baseline)

    now = score(word)
    if abs(word.width - expected) <= 0.04 * expected + 3 and now > 0.6:
        return word
    reach, spare = run.size // 3, word.width - expected
    first = max(word.x + min(spare, 0) - reach, 0)
    starts = {word.x, max(word.x + spare, 0), *range(first, word.x + max(spare, 0) + reach, 2)}
    trials = [PlacedWord(word.text, x, expected) for x in sorted(starts)]
    best = max(trials, key=score)
    return best if score(best) > now + 0.04 else word


def _scales(runs: Sequence[_Run]) -> dict[tuple[int, int], int]:
    """The renderer's horizontal scale for every face and size."""
    words: dict[tuple[int, int], list[PlacedWord]] = defaultdict(list)
    for run in runs:
        words[run.face, run.size].extend(run.placed)
    return {key: style_scale(*key, group) for key, group in words.items()}


def _usual(runs: Sequence[_Run]) -> set[tuple[int, int]]:
    """Faces and sizes that set more than two letters of the page."""
    letters: dict[tuple[int, int], int] = defaultdict(int)
    for run in runs:
        letters[run.face, run.size] += run.letters
    return {key for key, count in letters.items() if count > 2}


def _explained(run: _Run, scale: int, usual: bool) -> Iterator[_Run]:
    """The run less the words whose rendering does not resemble the picture. Where a line leans,
    those that it does on a row of their own are runs of their own."""
    kept, others = _judged(run, scale, usual)
    if not kept:
        return
    yield replace(run, words=[found for found, _ in kept], placed=[word for _, word in kept])
    reach = round(LEANING * run.size / UNITS_PER_PIXEL)
    moved: dict[int, list[tuple[Word, PlacedWord]]] = defaultdict(list)
    for found, word in others:
        if found.confidence <= SURE or len(found.text) < 2:
            continue
        trials = [
            replace(run, baseline=run.baseline + row * UNITS_PER_PIXEL)
            for row in range(-reach, reach + 1)
        ]
        best = max(trials, key=lambda trial: _likeness(trial, word, scale))
        if _stands_in(found, best) and _likeness(best, word, scale) > LONE_CORRELATION:
            moved[best.baseline].append((found, word))
    for baseline, pairs in moved.items():
        founds, placed = zip(*pairs, strict=True)
        yield replace(run, words=list(founds), placed=list(placed), baseline=baseline)


def _judged(
    run: _Run, scale: int, usual: bool
) -> tuple[list[tuple[Word, PlacedWord]], list[tuple[Word, PlacedWord]]]:
    """The words of a run, as found and as placed, that resemble the picture, and the others."""
    alone = len(run.placed) == 1
    shares = [
        _likeness(run, word, scale) / _least_correlation(word.text, alone, usual, run.strayed)
        if _stands_in(found, run)
        else 0.0
        for found, word in zip(run.words, run.placed, strict=True)
    ]
    beside = max(shares) >= 1
    kept, others = [], []
    for found, word, share in zip(run.words, run.placed, shares, strict=True):
        enough = share >= (SURELY if beside and found.confidence > SURE else 1)
        (kept if enough else others).append((found, word))
    return kept, others


def _stands_in(found: Word, run: _Run) -> bool:
    """Whether most of the height of the run's letters is in the box in which a word was found:
    what stands beside it is the edge of another ground."""
    _, top, _, height = found.box
    baseline, cap = run.y + run.baseline / UNITS_PER_PIXEL, 0.75 * run.size / UNITS_PER_PIXEL
    inside = min(baseline, top + height) - max(baseline - cap, top)
    return inside >= LEAST_INSIDE * cap


def _likeness(run: _Run, word: PlacedWord, scale: int) -> float:
    """Correlation of the word as it will be drawn; where it is nothing but dashes and dots, a row
    higher or lower will do, since faces differ by that."""
    drawn, found = _drawn_and_found(run, word, run.face, run.size, scale)
    if not drawn.size:
        return 0.0
    shifts = (-1, 0, 1) if set(word.text) <= THIN else (0,)
    return max(_correlation(np.roll(drawn, shift, axis=0), found) for shift in shifts)


def _least_correlation(text: str, alone: bool, usual: bool, strayed: bool) -> float:
    if not usual or (alone and len(text) == 1 and not text.isalnum()):
        return STRANGE_CORRELATION
    if strayed or (alone and len(text) == 1):
        return LONE_CORRELATION
    return MIN_CORRELATION * max(0.5, 1 - 0.04 * max(len(text) - 4, 0))


def _render_correlation(run: _Run, word: PlacedWord, face: int, size: int, scale: int) -> float:
    """Correlation of the word as the renderer will draw it with the picture."""
    drawn, found = _drawn_and_found(run, word, face, size, scale)
    return _correlation(drawn, found) if drawn.size else 0.0


def _drawn_and_found(
    run: _Run, word: PlacedWord, face: int, size: int, scale: int
) -> tuple[Floats, Floats]:
    """The word's window as the renderer will draw it, and as it is in the picture: 0..1."""
    em, base = size / UNITS_PER_PIXEL, run.baseline / UNITS_PER_PIXEL
    y0, y1 = max(int(base - 0.85 * em), 0), min(int(base + 0.3 * em) + 1, run.alpha.shape[0])
    x0 = max(word.x // UNITS_PER_PIXEL - 2, 0)
    x1 = min((word.x + word.width) // UNITS_PER_PIXEL + 3, run.alpha.shape[1])
    if y1 <= y0 or x1 <= x0:
        return np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32)
    canvas = np.zeros((y1 - y0, x1 - x0), np.uint8)
    moved = PlacedWord(word.text, word.x - x0 * UNITS_PER_PIXEL, word.width)
    word_coverage(moved, face, size, scale, run.baseline - y0 * UNITS_PER_PIXEL, canvas)
    return canvas.astype(np.float32) / 255, run.alpha[y0:y1, x0:x1]


# --- colours -------------------------------------------------------------------------------


def _styles(
    image: NDArray[np.uint8], runs: Sequence[_Run], scales: dict[tuple[int, int], int]
) -> list[TextStyle]:
    """Styles of the runs; close colours of a page become one."""
    weights = [run.letters * max(run.size / READING_SIZE, 1) ** 2 for run in runs]
    grounds = _shared([run.ground for run in runs], weights, GROUND_SCALE)
    inks = [_ink(image, run, scales[run.face, run.size]) for run in runs]
    axes = [ink - run.ground for run, ink in zip(runs, inks, strict=True)]
    inks = _shared(inks, weights, INK_SCALE, axes)
    return [
        TextStyle(run.face, run.size, ink, ground)
        for run, ink, ground in zip(runs, inks, grounds, strict=True)
    ]


def _ink(image: NDArray[np.uint8], run: _Run, scale: int) -> Floats:
    """Ink colour that best explains the window, by least squares over the coverage."""
    height, width = run.alpha.shape
    canvas = np.zeros((height, width), np.uint8)
    for word in run.placed:
        word_coverage(word, run.face, run.size, scale, run.baseline, canvas)
    window = image[run.y : run.y + height, run.x : run.x + width].astype(np.float32)
    cover = canvas.astype(np.float32) / 255
    # Only where picture and rendering agree: misplaced edges would wash the colour out.
    cover *= run.alpha >= 0.5 * cover
    power = float((cover * cover).sum())
    if power <= 0:
        return run.ink
    ink = run.ground + np.tensordot(cover, window - run.ground, 2) / power
    return np.clip(ink, 0, 255)


def _shared(
    colours: Sequence[Floats],
    weights: Sequence[float],
    scale: float,
    axes: Sequence[Floats] | None = None,
) -> list[Colour]:
    """Quantised colours, as few as describe the page shortest: a colour becomes a heavier one when
    what is lost, weight x (distance / scale)^2 / 2, is less than COLOUR_BITS. Distances along
    the ``axes`` count ``STRENGTH``."""
    members: dict[Colour, list[int]] = defaultdict(list)
    for index, colour in enumerate(colours):
        members[_quantised(colour)].append(index)
    total = {colour: sum(weights[i] for i in group) for colour, group in members.items()}
    leaders: list[Colour] = []
    chosen: dict[Colour, Colour] = {}
    for colour in sorted(total, key=lambda c: (-total[c], c)):
        mean_axis = sum(axes[i] for i in members[colour]) if axes else None

        def loss(leader: Colour, colour: Colour = colour, axis: Floats | None = mean_axis) -> float:
            away = np.subtract(leader, colour).astype(np.float64)
            if axis is not None and (power := float(axis @ axis)) > 0:
                away -= (1 - STRENGTH) * (away @ axis) / power * axis
            return total[colour] * float(away @ away) / scale**2 / 2

        best = min(leaders, key=loss, default=None)
        if best is None or loss(best) > COLOUR_BITS:
            best = colour
            leaders.append(colour)
        chosen[colour] = best
    return [chosen[_quantised(colour)] for colour in colours]


def _quantised(colour: Floats) -> Colour:
    """RGB on the 32 levels per channel that the stream can say."""
    levels = np.clip(np.round(np.asarray(colour) * 31 / 255), 0, 31)
    return tuple(round(int(level) * 255 / 31) for level in levels)


def _line(run: _Run, style: TextStyle) -> TextLine:
    left, top = run.x * UNITS_PER_PIXEL, run.y * UNITS_PER_PIXEL
    words = sorted(run.placed, key=lambda word: word.x)
    moved = (PlacedWord(word.text, max(word.x + left, 0), word.width) for word in words)
    return TextLine(style, run.baseline + top, tuple(moved))
