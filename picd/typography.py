"""Typography by analysis and synthesis: words read in a picture become a page set in our fonts.

Every run of words is explained by rendering: its rows give size and baseline, its columns the
words' ink, and the faces compete by correlation with the picture. Runs judged alone flip between
faces, so the page first agrees on a small palette of faces by pooled evidence.
:func:`fit_layout` is the road: runs (:mod:`picd.runs`), their faces (:mod:`picd.faces`), what the
runs of a page say about each other (here), what was misread (:mod:`picd.respelling`), colours
(:mod:`picd.inks`), and what has no ground of one colour (:mod:`picd.grounds`). How well a word fits
is in :mod:`picd.word_fit`.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from picd.columns import in_columns
from picd.faces import (
    SIZE_STEP,
    WITNESSES,
    agree_on_weight,
    by_pitch,
    by_weight,
    choose_faces,
    common_size,
    em_by_width,
    kern,
    pooled_looks,
    reconsider,
    relative_size,
    score_faces,
    set_in,
)
from picd.font_metrics import style_scale, word_extent
from picd.grounds import with_clear_lines
from picd.inks import run_styles
from picd.layout import UNITS_PER_PIXEL, PlacedWord, TextLayout, TextLine, TextStyle, Word
from picd.pieces import in_pieces
from picd.respelling import respell
from picd.runs import REFERENCE_FACE, Floats, Run, find_words, runs_of, word_groups
from picd.spacing import fit_spacing
from picd.word_fit import (
    LONE_CORRELATION,
    MODEL_ASCENT,
    MODEL_EM,
    STRANGE_CORRELATION,
    likeness,
    mean_correlation,
    model_correlation,
    row_profile,
    standing,
    standing_at,
    telling_words,
)

MIN_CORRELATION = 0.45
"""A word whose typeset picture correlates less with the original is left to the picture; long
words, whose letters drift in a face of other proportions, may have down to half of that."""
LEAST_INSIDE = 0.6
"""Share of the height of capitals that has to be in the engine's box: mostly all of it is."""
LIKELY_BASELINES = (0.45, 1.1)
"""Where the baseline is in an engine's box, in its heights from the top: with margins."""
PROBE_FACES = (3, 12)
"""A proportional and a fixed-width face: one of them is near enough to find size and baseline."""
FEW = 3
"""So few letters may be twice as wide in a fixed-width face."""
SURE, SURELY = 0.95, 0.65
"""A word that the engine is sure of needs but this share of it beside others that fit."""
LEANING = 0.4
"""How far, in sizes, words of one line may stand above or below the others."""
SETTLED = 0.04
"""What a run must gain, in correlation, to leave the baseline that its look was fitted with."""
STRETCHED, OTHER_SIZE, STRANGELY_WIDE = 0.03, 0.15, 0.1
"""A run so much wider or narrower than others of its size, as a logarithm, may be of another size
of the page, no further off than this; or of none of them."""


def fit_layout(
    image: NDArray[np.uint8], words: Iterable[Word], *, min_confidence: float = 0.5
) -> TextLayout:
    """Fit a :class:`TextLayout` to ``words`` (boxes a few pixels off at most) in ``image``.

    ``image`` is uint8 (H, W, 3). Words below ``min_confidence``, and words whose typeset
    rendering does not resemble the picture, are dropped. Deterministic.
    """
    height, width = image.shape[:2]
    groups = word_groups(in_pieces(image, words), min_confidence)
    runs = [run for group in groups for run in _fitted(image, group)]
    looks = pooled_looks(runs)
    for look in looks:
        for run in look[:WITNESSES]:
            score_faces(run)
    choose_faces(looks)
    for look in looks:
        _refine(look)
    agree_on_weight(runs)
    runs = by_weight(by_pitch(runs))
    reconsider(runs)
    kern(runs)
    _agree_on_sizes(runs)
    _settle(runs)
    _agree_on_baselines(runs)
    respell(runs, _scales(runs))
    _relocate(runs)
    scales, usual = _scales(runs), _usual(runs)
    runs = [
        part
        for run in runs
        for part in _explained(run, scales[run.face, run.size], (run.face, run.size) in usual)
    ]
    lines = _lines(image, runs)
    spaced = fit_spacing(image, TextLayout(width, height, tuple(lines)))
    for run, line in zip(runs, spaced.lines, strict=True):
        run.placed = [replace(w, x=w.x - run.x * UNITS_PER_PIXEL) for w in line.words]
    # colours again, now that letters are where those of the picture are
    layout = TextLayout(width, height, in_columns(_lines(image, runs)))
    return with_clear_lines(image, layout)


def _fitted(image: NDArray[np.uint8], words: list[Word]) -> Iterator[Run]:
    """Runs of ``words`` with size and baseline; where several stand on no common row, as on a line
    that leans, each is tried alone."""
    for run in runs_of(image, words):
        if _fit_rows(run):
            yield run
        elif len(run.words) > 1:
            alone = (part for word in run.words for part in runs_of(image, [word]))
            yield from (replace(part, strayed=True) for part in alone if _fit_rows(part))


def _fit_rows(run: Run) -> bool:
    """Size and baseline for the reference face; False if nothing fits.

    The rows of ink give the best baseline for every em; the few most likely ems are then judged
    by whole words, because rows alone mistake rules and neighbouring lines for text.
    """
    rows = np.zeros(len(run.alpha), np.float32)
    for word in run.placed:
        first, last = word.x // UNITS_PER_PIXEL, -(-(word.x + word.width) // UNITS_PER_PIXEL)
        rows += run.alpha[:, max(first, 0) : last].sum(axis=1)
    model = np.sum([row_profile(REFERENCE_FACE, word.text) for word in run.placed], axis=0)
    if not model.any() or not rows.any():
        return False
    fits, within = [], _likely_baselines(run)
    by_width = em_by_width(run, REFERENCE_FACE)
    ems = by_width * 2 ** np.linspace(-0.55, 0.55, 15)
    if run.letters <= FEW:
        ems = np.append(ems, em_by_width(run, PROBE_FACES[1]) * 2 ** np.linspace(-0.4, 0.4, 11))
    for em in ems:
        match, baseline = _match_rows(rows, model, float(em), within)
        fits.append((match, float(em), round(baseline * UNITS_PER_PIXEL)))
    words = telling_words(run, 2)

    def score(fit: tuple[float, float, int]) -> float:
        _, em, baseline = fit
        return max(
            mean_correlation(
                run, words, face, em * UNITS_PER_PIXEL * relative_size(face, "x"), baseline
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
    find_words(run, int(base - 0.78 * run.em), int(np.ceil(base + 0.22 * run.em)))
    return bool(run.placed)


def _likely_baselines(run: Run) -> tuple[float, float]:
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


def _refine(look: Sequence[Run]) -> None:
    """Set one size for the runs of a look in one face, and the baseline of every run, to those
    near the first estimates that correlate best."""
    for face in {run.face for run in look}:
        peers = [run for run in look if run.face == face]
        size = common_size(peers, face)
        for run in peers:
            set_in(run, face, size)


def _agree_on_sizes(runs: Sequence[Run]) -> None:
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
            face, size = max(near, key=lambda key: (weight[key], key))
            if face == run.face or standing(replace(run, face=face, size=size)) > standing(run):
                run.face, run.size = face, size


def _settle(runs: Sequence[Run]) -> None:
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
        words = telling_words(run, 2)

        trials = []
        for size, move in itertools.product(sorted(sizes), (0, -UNITS_PER_PIXEL, UNITS_PER_PIXEL)):
            scale, baseline = scales.get((run.face, size), own), run.baseline + move
            found = standing_at(run, baseline, words, size, scale, max(sizes))
            stays = size == run.size and not move
            trials.append((found + (SETTLED if stays else 0.0), size, baseline))
        _, size, run.baseline = max(trials)
        if size != run.size:
            run.size = size
            scales = _scales(runs)


def _agree_on_baselines(runs: Sequence[Run]) -> None:
    """Runs of one size on one line stand on the baseline of the longest of them."""
    by_line: dict[tuple[int, int], list[Run]] = defaultdict(list)
    for run in runs:
        by_line[run.words[0].line, run.size].append(run)
    for pieces in by_line.values():
        longest = max(pieces, key=lambda run: run.letters)
        baseline = longest.baseline + longest.y * UNITS_PER_PIXEL
        for run in pieces:
            own = baseline - run.y * UNITS_PER_PIXEL
            if abs(run.baseline - own) <= UNITS_PER_PIXEL:
                run.baseline = own


def _relocate(runs: Sequence[Run]) -> None:
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


def _relocated(run: Run, word: PlacedWord, usual: float) -> PlacedWord:
    expected = max(round(usual * word_extent(run.face, run.size, word.text)[1]), 1)

    def score(trial: PlacedWord) -> float:
        return model_correlation(run, trial, run.face, run.size, run.baseline)

    now = score(word)
    if abs(word.width - expected) <= 0.04 * expected + 3 and now > 0.6:
        return word
    reach, spare = run.size // 3, word.width - expected
    first = max(word.x + min(spare, 0) - reach, 0)
    starts = {word.x, max(word.x + spare, 0), *range(first, word.x + max(spare, 0) + reach, 2)}
    trials = [PlacedWord(word.text, x, expected) for x in sorted(starts)]
    best = max(trials, key=score)
    return best if score(best) > now + 0.04 else word


def _scales(runs: Sequence[Run]) -> dict[tuple[int, int], int]:
    """The renderer's horizontal scale for every face and size."""
    words: dict[tuple[int, int], list[PlacedWord]] = defaultdict(list)
    for run in runs:
        words[run.face, run.size].extend(run.placed)
    return {key: style_scale(*key, group) for key, group in words.items()}


def _usual(runs: Sequence[Run]) -> set[tuple[int, int]]:
    """Faces and sizes that set more than two letters of the page."""
    letters: dict[tuple[int, int], int] = defaultdict(int)
    for run in runs:
        letters[run.face, run.size] += run.letters
    return {key for key, count in letters.items() if count > 2}


def _explained(run: Run, scale: int, usual: bool) -> Iterator[Run]:
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
        fits = [likeness(trial, word, scale) for trial in trials]
        best = trials[int(np.argmax(fits))]
        if _stands_in(found, best) and max(fits) > LONE_CORRELATION:
            moved[best.baseline].append((found, word))
    for baseline, pairs in moved.items():
        founds, placed = zip(*pairs, strict=True)
        yield replace(run, words=list(founds), placed=list(placed), baseline=baseline)


def _judged(
    run: Run, scale: int, usual: bool
) -> tuple[list[tuple[Word, PlacedWord]], list[tuple[Word, PlacedWord]]]:
    """The words of a run, as found and as placed, that resemble the picture, and the others."""
    alone = len(run.placed) == 1
    shares = [
        likeness(run, word, scale) / _least_correlation(word.text, alone, usual, run.strayed)
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


def _stands_in(found: Word, run: Run) -> bool:
    """Whether most of the height of the run's letters is in the box in which a word was found:
    what stands beside it is the edge of another ground."""
    _, top, _, height = found.box
    baseline, cap = run.y + run.baseline / UNITS_PER_PIXEL, 0.75 * run.size / UNITS_PER_PIXEL
    inside = min(baseline, top + height) - max(baseline - cap, top)
    return inside >= LEAST_INSIDE * cap


def _least_correlation(text: str, alone: bool, usual: bool, strayed: bool) -> float:
    if not usual or (alone and len(text) == 1 and not text.isalnum()):
        return STRANGE_CORRELATION
    if strayed or (alone and len(text) == 1):
        return LONE_CORRELATION
    return MIN_CORRELATION * max(0.5, 1 - 0.04 * max(len(text) - 4, 0))


def _lines(image: NDArray[np.uint8], runs: Sequence[Run]) -> list[TextLine]:
    styles = run_styles(image, runs, _scales(runs))
    return [_line(run, style) for run, style in zip(runs, styles, strict=True)]


def _line(run: Run, style: TextStyle) -> TextLine:
    left, top = run.x * UNITS_PER_PIXEL, run.y * UNITS_PER_PIXEL
    words = sorted(run.placed, key=lambda word: word.x)
    moved = (PlacedWord(word.text, max(word.x + left, 0), word.width) for word in words)
    return TextLine(style, run.baseline + top, tuple(moved), joined=run.words[0].joined)
