"""The face and size of runs. Judged alone they flip between faces, so runs that look alike are
pooled, and the page agrees on a small palette of faces.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from picd.font_metrics import (
    FACES,
    KERNED,
    PLAIN_FACES,
    SCALE_STEPS,
    UNITS_PER_EM,
    advances,
    style_scale,
    word_extent,
)
from picd.layout import UNITS_PER_PIXEL, PlacedWord
from picd.runs import REFERENCE_FACE, Floats, Run
from picd.word_fit import (
    LONE_CORRELATION,
    MODEL_ASCENT,
    ink_over,
    mean_correlation,
    model_correlation,
    render_correlation,
    row_profile,
    standing,
    standing_at,
    telling_words,
)

FACE_COST, FAMILY_COST = 0.4, 0.8
"""What a further face on the page must gain, in correlation summed over runs, and what the first
sans face of a page in serif, or the other way round: small letters look a little like both."""
BOLD_INK, BOLD_COST = 0.5, 0.085
"""Bold is what has more ink than the page's regular text: correlation that a unit of the logarithm
of ink is worth, and what bold must gain. A logistic regression on 60 generated pages, by which 7 %
of regular and 8 % of bold runs were taken for the other."""
USUAL_INK = 0.3
"""Quantile of the page's letters, by ink, that is regular text."""
BOLDER, MUCH_BOLDER, BOLD_ALONE, SIBLING = 0.15, 0.25, 0.05, 0.1
"""Ink that a word within a line has at least to be bold, and a line on the page, what it must gain
for the cut, and what another family must fit better."""
SHORT, PEERS, BOLDER_THAN_PEERS, BOLDER_THAN_DARK = 24, 8, 0.1, 0.33
"""Runs of so few letters are bold only if they have so much more ink, as a logarithm, than so many
regular runs like them, the longest; light ones on dark, which renderers thicken, more, if there are
none of their colours. On 40 generated pages 82 of 1,362 regular words in such runs
had been bold; 17 are, and 13 of 186 bold ones regular as before."""
BOLD = np.array([face.bold for face in PLAIN_FACES])
FIXED = np.array([face.family == "mono" for face in PLAIN_FACES])
USUAL_FACES, BADLY, FAIRLY, TELLING, MUCH_BETTER = 4, 0.5, 0.75, 4, 0.1
"""Runs of at least TELLING letters that correlate less than FAIRLY are tried in those of so many
faces of the page that have their weight, less than BADLY in all of them, and take one that gains
MUCH_BETTER."""
FIXED_FACE, ODD_WIDTH, SWITCH = 12, 0.1, 0.25
"""Where a page has no fixed-width face, this is tried for words within a line that are so much
wider or narrower than its others, as a logarithm; each change must gain so much correlation."""
WITNESSES = 6
"""So many runs of a look, the longest, decide for the others."""
STRETCH_COST = 0.05
"""What a unit of stretch, as a logarithm, must gain in correlation."""
WHOLE_PIXEL = 0.12
"""Correlation that a baseline on a whole pixel is worth: text on screens stands there, and is
sharper (and cheaper)."""
KERNING_COST, KERNING_WITNESSES, MOVED = 0.1, 24, 0.25
"""What kerning must gain, in correlation summed over so many words of a size at most, those that it
moves by the most pixels."""
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
    for face in range(len(PLAIN_FACES)):
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

    Faces join the palette greedily while they gain more than they cost over the looks; then the
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
        known = {FACES[face].family for face in palette} | {"mono"}
        cost = np.array([FACE_COST if f.family in known else FAMILY_COST for f in PLAIN_FACES])
        gain = np.maximum(pooled - current[:, None], 0).sum(axis=0) - cost
        best = int(gain.argmax())
        if gain[best] < 0:
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
    run: Run, words: Sequence[PlacedWord], size: int, scale: int, largest: int | None = None
) -> tuple[float, int]:
    """(score, baseline) of the baseline near the first estimate on which ``words`` fit best."""
    below = run.baseline // UNITS_PER_PIXEL * UNITS_PER_PIXEL
    bases = {below - UNITS_PER_PIXEL, below, below + UNITS_PER_PIXEL, run.baseline}

    def score(base: int) -> float:
        bonus = WHOLE_PIXEL if base % UNITS_PER_PIXEL == 0 else 0.0
        return standing_at(run, base, words, size, scale, largest) + bonus

    return max((score(base), base) for base in sorted(bases))


def set_in(run: Run, face: int, size: int) -> None:
    """Give the run a face and a size, and the baseline that suits them."""
    run.face, run.size, words = face, size, telling_words(run, 2)
    _, run.baseline = best_standing(run, words, size, style_scale(face, size, words))


def agree_on_weight(runs: Sequence[Run]) -> None:
    """Let short bold runs be regular that have no more ink than regular ones of their height and
    colours (or of any), such as other words of a menu: few letters alone tell little."""
    for run in runs:
        if not BOLD[run.face] or run.letters > SHORT:
            continue
        tall = [p for p in runs if not BOLD[p.face] and _as_tall(run, p)]
        if not tall:
            continue
        peers = [p for p in tall if _like_coloured(run, p)] or tall
        leader = max(peers, key=lambda peer: peer.letters)
        peers = sorted((p for p in peers if p.face == leader.face), key=lambda p: -p.letters)
        usual = float(np.median([_ink_in(peer, leader.face) for peer in peers[:PEERS]]))
        least = BOLDER_THAN_DARK if _light(run) > _light(leader) else BOLDER_THAN_PEERS
        if _ink_in(run, leader.face) - usual < least:
            set_in(run, leader.face, leader.size)


def _as_tall(run: Run, other: Run) -> bool:
    # the em of few letters is a guess, which their face has been chosen by
    difference = min(abs(np.log(other.em / run.em)), abs(np.log(other.size / run.size)))
    return bool(difference <= 0.06 + 0.25 / run.letters)


def _like_coloured(run: Run, other: Run) -> bool:
    ink, ground = other.ink - run.ink, other.ground - run.ground
    return bool(np.linalg.norm(ink) <= 90 and np.linalg.norm(ground) <= 40)


def _light(run: Run) -> bool:
    """Whether the run is light on dark."""
    return bool(run.ink.sum() > run.ground.sum())


def _ink_in(run: Run, face: int) -> float:
    """Logarithm of a run's ink over what its words have in a face of its height."""
    words, size = telling_words(run, 3), _face_size(run, face)
    return ink_over(run, words, face, size, style_scale(face, size, words))


def by_pitch(runs: Sequence[Run]) -> list[Run]:
    """The runs, cut where words of a fixed-width face begin and end: code within a sentence."""
    letters = _letters_by_face(run for run in runs if not BOLD[run.face])
    pair = [
        max((face for face in letters if FIXED[face] == fixed), key=letters.get, default=default)
        for fixed, default in ((False, REFERENCE_FACE), (True, FIXED_FACE))
    ]
    usual = {face: _usual_width([run for run in runs if run.face == face], face) for face in pair}
    return [part for run in runs for part in _cut_by_pitch(run, pair, usual)]


def _letters_by_face(runs: Iterable[Run]) -> dict[int, int]:
    letters: dict[int, int] = defaultdict(int)
    for run in runs:
        letters[run.face] += run.letters
    return letters


def _usual_width(runs: Sequence[Run], face: int) -> float:
    widths = [_width_in(word, face, run.size) for run in runs for word in telling_words(run, 2)]
    return float(np.median(widths or [0.0]))


def _width_in(word: PlacedWord, face: int, size: int) -> float:
    """Logarithm of a word's width over that in a face."""
    return float(np.log(word.width / max(word_extent(face, size, word.text)[1], 1)))


def _cut_by_pitch(run: Run, pair: Sequence[int], usual: dict[int, float]) -> list[Run]:
    """One run of :func:`by_pitch`: ``pair`` is a proportional and a fixed-width face, ``usual`` the
    logarithm of how wide each is on the page."""
    widths = np.array([_width_in(word, run.face, run.size) for word in run.placed])
    lengths = np.array([len(word.text) for word in run.placed])
    odd = (np.abs(widths - np.median(np.repeat(widths, lengths))) > ODD_WIDTH) & (lengths > 2)
    if not odd.any():
        return [run]
    pair = [run.face if FIXED[run.face] == FIXED[face] and not BOLD[run.face] else face
            for face in pair]  # fmt: skip
    fits = np.zeros((len(run.placed), 2))
    for column, face in enumerate(pair):
        size = _face_size(run, face)
        for row, word in enumerate(run.placed):
            stretch = abs(_width_in(word, face, size) - usual.get(face, 0.0))
            fits[row, column] = model_correlation(run, word, face, size, run.baseline)
            fits[row, column] -= 0.5 * max(stretch - 0.06, 0)
    fits *= np.sqrt(lengths)[:, None]
    labels = _labelled(fits)
    if len(set(labels)) == 1:
        return [run]
    parts = []
    items = zip(labels, run.words, run.placed, strict=True)
    for label, group in itertools.groupby(items, key=lambda item: item[0]):
        _, found, placed = zip(*group, strict=True)
        part = replace(run, words=list(found), placed=list(placed), face=pair[label])
        part.size = common_size([part], part.face)
        parts.append(part)
    return parts if all(standing(part) > LONE_CORRELATION for part in parts) else [run]


def _labelled(fits: Floats) -> list[int]:
    """The columns of ``fits`` (n, 2), one a row, of the largest sum less SWITCH for each change."""
    best, ways = np.zeros(2), []
    for row in fits:
        stay, change = best, best[::-1] - SWITCH
        ways.append(np.where(change > stay, [1, 0], [0, 1]))
        best = np.maximum(stay, change) + row
    labels = [int(best.argmax())]
    for way in reversed(ways[1:]):
        labels.append(int(way[labels[-1]]))
    return labels[::-1]


def by_weight(runs: Sequence[Run]) -> list[Run]:
    """The runs, cut where words of more ink than the others begin and end: they are bold. The
    others are those of the run or, where all of it has much more ink, of the page: in the same
    face, and light on dark or not as it is, because that is drawn thicker."""
    inks = [None if BOLD[run.face] else _inked_words(run) for run in runs]
    page: dict[tuple[int, bool], list[Floats]] = defaultdict(list)
    for run, inked in zip(runs, inks, strict=True):
        if inked is not None:
            page[run.face, _light(run)].append(_by_letter(run, inked))
    usual = {key: float(np.median(np.concatenate(letters))) for key, letters in page.items()}
    parts = []
    for run, inked in zip(runs, inks, strict=True):
        if inked is None:
            parts.append(run)
            continue
        own, others = float(np.median(_by_letter(run, inked))), usual[run.face, _light(run)]
        parts += _cut_by_weight(run, inked - (others if own - others > MUCH_BOLDER else own))
    return parts


def _inked_words(run: Run) -> Floats:
    """Logarithm of the ink of each word of a run over what it has in the run's face."""
    scale = style_scale(run.face, run.size, run.placed)
    return np.array([ink_over(run, [word], run.face, run.size, scale) for word in run.placed])


def _by_letter(run: Run, words: Floats) -> Floats:
    return np.repeat(words, [len(word.text) for word in run.placed])


def _cut_by_weight(run: Run, more: Floats) -> list[Run]:
    """One run of :func:`by_weight`, whose words have ``more`` ink, as a logarithm."""
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
    faces = [i for i, face in enumerate(PLAIN_FACES) if face.bold and face.family == family]
    fits = {
        face: model_correlation(run, word, face, _face_size(run, face), run.baseline)
        for face in [run.face, *faces]
    }
    own = FACES[run.face].name
    best = max(faces, key=lambda face: fits[face] + SIBLING * FACES[face].name.startswith(own))
    gain = fits[best] - fits[run.face] + BOLD_INK * more - BOLD_COST
    return best if gain > BOLD_ALONE else None


def reconsider(runs: Sequence[Run]) -> None:
    """Give runs that fit badly another of the page's usual faces, if one fits them much better:
    their look has voted for what suits its longest runs. None is bold for want of another: what
    is has more ink than the page's regular runs, not less than they would have in that face."""
    letters = _letters_by_face(runs)
    regular = sorted((run for run in runs if not BOLD[run.face]), key=lambda run: -run.letters)
    inks = [_ink_in(run, run.face) for run in regular[:PEERS]]
    least = float(np.median(inks)) - BOLDER if inks else -np.inf
    usual = sorted(letters, key=lambda face: (-letters[face], face))[:USUAL_FACES]
    palette = usual + [face for face in range(len(PLAIN_FACES)) if _regular_of(face, usual)]
    for run in runs:
        before = standing(run)
        if before > FAIRLY or run.letters < TELLING:
            continue
        alike = [
            face
            for face in palette
            if BOLD[face] == BOLD[run.face]
            or (before < BADLY and (not BOLD[face] or _ink_in(run, face) > least))
        ]
        trials = [replace(run, face=face) for face in alike]
        for trial in trials:
            set_in(trial, trial.face, common_size([trial], trial.face))
        best = max(trials, key=standing, default=run)
        if standing(best) > before + MUCH_BETTER:
            run.face, run.size, run.baseline = best.face, best.size, best.baseline


def _regular_of(face: int, faces: Sequence[int]) -> bool:
    """Whether ``face`` is not among ``faces``, but a bold one of its name is."""
    own, bolds = FACES[face], (FACES[other] for other in faces if BOLD[other])
    alike = any(bold.family == own.family and bold.name.startswith(own.name) for bold in bolds)
    return alike and not own.bold and face not in faces


def kern(runs: Sequence[Run]) -> None:
    """Let the runs of a face be kerned where the words that this moves then fit better, all in
    all: a page's programs kern or do not."""
    groups: dict[tuple[int, int], list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.face, run.size].append(run)
    gain: dict[int, float] = defaultdict(float)
    for (face, size), group in groups.items():
        if face in KERNED:
            gain[face] += _kerning_gain(group, face, size)
    for run in runs:
        if gain[run.face] > KERNING_COST:
            run.face = KERNED[run.face]


def _kerning_gain(runs: Sequence[Run], face: int, size: int) -> float:
    """What the words of ``runs`` that kerning moves most gain by it, in correlation."""
    words = [word for run in runs for word in run.placed]
    scales = [style_scale(each, size, words) for each in (face, KERNED[face])]
    moved = [
        (moves, index, word)
        for index, run in enumerate(runs)
        for word in run.placed
        if (moves := _moves(face, size, word.text)) >= MOVED
    ]
    moved.sort(key=lambda each: -each[0])
    gain = 0.0
    for _, index, word in moved[:KERNING_WITNESSES]:
        plain, kerned = (
            render_correlation(runs[index], word, each, size, scale)
            for each, scale in zip((face, KERNED[face]), scales, strict=True)
        )
        gain += kerned - plain
    return gain


@lru_cache(maxsize=65536)
def _moves(face: int, size: int, text: str) -> float:
    """Pixels by which kerning moves a letter of ``text`` most against the one before it."""
    pairs = zip(advances(face, text), advances(KERNED[face], text), strict=True)
    most = max(abs(kerned - plain) for plain, kerned in pairs)
    return most * size / (UNITS_PER_EM * UNITS_PER_PIXEL)


def common_size(runs: Sequence[Run], face: int) -> int:
    """The size near the letters' height whose rendering (hinted, unlike the models) correlates
    best over the longest runs, each on the baseline that suits that size. Hinting makes several
    sizes nearly one: then that whose natural widths are nearest to those found."""
    first = _face_size(runs[0], face)
    samples = [(run, telling_words(run, 2)) for run in runs[:3]]
    letters = [sum(len(word.text) for word in words) for _, words in samples]
    largest = first + 2 * SIZE_STEP

    def score(size: int) -> float:
        scale = style_scale(face, size, [word for _, words in samples for word in words])
        found = [best_standing(run, words, size, scale, largest)[0] for run, words in samples]
        unnatural = abs(float(np.log(scale / SCALE_STEPS)))
        return float(np.average(found, weights=letters)) - STRETCH_COST * unnatural

    steps = range(-3 * SIZE_STEP, 2 * SIZE_STEP + 1, SIZE_STEP)
    return max((max(first + step, 16) for step in steps), key=score)
