"""The face and size of runs. Judged alone they flip between faces, so runs that look alike are
pooled, and the page agrees on a small palette of faces.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from picd.glyphs import FACES, SCALE_STEPS, style_scale, word_extent
from picd.layout import UNITS_PER_PIXEL, PlacedWord
from picd.runs import REFERENCE_FACE, Floats, Run
from picd.word_fit import (
    LONE_CORRELATION,
    MODEL_ASCENT,
    ink_over,
    mean_correlation,
    model_correlation,
    row_profile,
    standing,
    standing_at,
    telling_words,
)

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
WITNESSES = 6
"""So many runs of a look, the longest, decide for the others."""
STRETCH_COST = 0.05
"""What a unit of stretch, as a logarithm, must gain in correlation."""
SIZE_STEP = 2
"""Sizes are multiples of half a pixel."""


def em_by_width(run: Run, face: int) -> float:
    """Em in pixels, of the reference face, at which ``face`` is as wide as the run's words."""
    em = 64 * UNITS_PER_PIXEL
    natural = sum(word_extent(face, em, word.text)[1] for word in run.placed)
    wide = 64 * sum(word.width for word in run.placed) / max(natural, 1)
    return max(wide / relative_size(face, "x"), 5.0)


@lru_cache(maxsize=1024)
def relative_size(face: int, letter: str) -> float:
    """Em of ``face`` at which ``letter`` is as tall as the reference face's, over the latter's."""
    tops = [np.flatnonzero(row_profile(index, letter) > 0)[0] for index in (REFERENCE_FACE, face)]
    return (MODEL_ASCENT - tops[0]) / (MODEL_ASCENT - tops[1])


def _face_size(run: Run, face: int) -> int:
    """Em of ``face`` in units for the height of the run's letters."""
    size = run.em * relative_size(face, "x") * UNITS_PER_PIXEL
    return max(SIZE_STEP * round(size / SIZE_STEP), 16)


def score_faces(run: Run) -> None:
    """Correlation of a few words with each face, less a penalty on stretched letters; and how much
    ink they have."""
    words = telling_words(run, 3)
    for face in range(len(FACES)):
        size = _face_size(run, face)
        stretch = np.log(style_scale(face, size, words) / SCALE_STEPS)
        run.scores[face] = mean_correlation(run, words, face, size, run.baseline)
        # Hinting rounds the height of letters by up to half a pixel, so a little is no evidence.
        run.scores[face] -= 0.5 * max(abs(stretch) - 0.06, 0)
    regular = int(np.where(BOLD, -np.inf, run.scores).argmax())
    size = _face_size(run, regular)
    scale = style_scale(regular, size, words)
    run.inked = ink_over(run, words, regular, size, scale)


def pooled_looks(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs of like height, weight, width and colours: what was set in one style. They get one
    em, the median of what their letters say."""
    looks: list[list[Run]] = []
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


def _unlikeness(run: Run, leader: Run) -> float:
    """Most of all in height."""
    return float(
        3 * abs(np.log(run.em / leader.em))
        + abs(np.log(run.weight / leader.weight))
        + abs(np.log(run.stretch / leader.stretch))
    )


def _alike(run: Run, leader: Run) -> bool:
    doubt = 1 / run.letters  # few letters tell little
    return (
        abs(np.log(run.em / leader.em)) <= 0.06 + 0.25 * doubt
        and abs(np.log(run.weight / leader.weight)) <= 0.13 + 0.5 * doubt
        and abs(np.log(run.stretch / leader.stretch)) <= 0.15 + 0.4 * doubt
        and np.linalg.norm(run.ink - leader.ink) <= 90
        and np.linalg.norm(run.ground - leader.ground) <= 40
    )


def choose_faces(looks: Sequence[Sequence[Run]]) -> None:
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


def _more_ink(looks: Sequence[Sequence[Run]]) -> Floats:
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


def best_standing(
    run: Run, words: Sequence[PlacedWord], size: int, scale: int
) -> tuple[float, int]:
    """(score, baseline) of the baseline near the first estimate on which ``words`` fit best."""
    below = run.baseline // UNITS_PER_PIXEL * UNITS_PER_PIXEL
    bases = {below - UNITS_PER_PIXEL, below, below + UNITS_PER_PIXEL, run.baseline}

    def score(base: int) -> float:
        # Text on screens stands on whole pixels, and is sharper (and cheaper) there.
        bonus = 0.12 if base % UNITS_PER_PIXEL == 0 else 0.0
        return standing_at(run, base, words, size, scale) + bonus

    return max((score(base), base) for base in sorted(bases))


def by_weight(run: Run) -> list[Run]:
    """The run, cut where words of more ink than its others begin and end: they are bold."""
    if BOLD[run.face] or len(run.placed) < 2:
        return [run]
    scale = style_scale(run.face, run.size, run.placed)
    inked = np.array([ink_over(run, [word], run.face, run.size, scale) for word in run.placed])
    more = inked - np.median(np.repeat(inked, [len(word.text) for word in run.placed]))
    faces = [
        _bold_face(run, word, float(gain)) for word, gain in zip(run.placed, more, strict=True)
    ]
    parts: list[Run] = []
    pairs = zip(faces, run.words, run.placed, strict=True)
    for bold, group in itertools.groupby(pairs, key=lambda item: item[0] is not None):
        bolds, found, placed = zip(*group, strict=True)
        part = replace(run, words=list(found), placed=list(placed))
        if bold:
            heavy = replace(part, face=max(bolds, key=bolds.count))
            heavy.size = common_size([heavy], heavy.face)
            if standing(heavy) > max(standing(part), LONE_CORRELATION):
                part = heavy
        if parts and parts[-1].face == part.face:
            parts[-1].words += part.words
            parts[-1].placed += part.placed
        else:
            parts.append(part)
    return parts


def _bold_face(run: Run, word: PlacedWord, more: float) -> int | None:
    """The bold face that suits a word with ``more`` ink than the others of its run, as a logarithm;
    None if it is no bolder. Digits and signs tell nothing: their ink differs from face to face."""
    if sum(map(str.isalpha, word.text)) < 3 or more < BOLDER:
        return None
    family = FACES[run.face].family
    faces = [i for i, face in enumerate(FACES) if face.bold and face.family == family]
    fits = {
        face: model_correlation(run, word, face, _face_size(run, face), run.baseline)
        for face in [run.face, *faces]
    }
    own = FACES[run.face].name
    best = max(faces, key=lambda face: fits[face] + SIBLING * FACES[face].name.startswith(own))
    gain = fits[best] - fits[run.face] + BOLD_INK * more - BOLD_COST
    return best if gain > BOLD_ALONE else None


def common_size(runs: Sequence[Run], face: int) -> int:
    """The size near the letters' height whose rendering (hinted, unlike the models) correlates
    best over the longest runs, each on the baseline that suits that size. Hinting makes several
    sizes nearly one: then that whose natural widths are nearest to those found."""
    first = _face_size(runs[0], face)
    samples = [(run, telling_words(run, 2)) for run in runs[:3]]
    letters = [sum(len(word.text) for word in words) for _, words in samples]

    def score(size: int) -> float:
        scale = style_scale(face, size, [word for _, words in samples for word in words])
        found = [best_standing(run, words, size, scale)[0] for run, words in samples]
        unnatural = abs(float(np.log(scale / SCALE_STEPS)))
        return float(np.average(found, weights=letters)) - STRETCH_COST * unnatural

    steps = range(-3 * SIZE_STEP, 2 * SIZE_STEP + 1, SIZE_STEP)
    return max((max(first + step, 16) for step in steps), key=score)
