"""Mending what engines misread: the typeset page as the judge of their second thoughts.

Engines see each line at a size of its own, and mostly without a dictionary. The page is set in one
face and size, where another letter fits the picture or does not; and the model of the text stream
knows what words are like. A word is spelt as an engine also thought it may be (``Word.doubts``)
where picture, engine and text model together say so. The picture says it in two ways: how well our
face fits, and which of the page's own letters one looks like (:mod:`picd.exemplars`).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import inf, log2, prod

import numpy as np

from picd.exemplars import Exemplars
from picd.layout import Doubt, PlacedWord, Word
from picd.runs import Floats, Run
from picd.text_coder import bits_alone
from picd.word_fit import drawn_and_found, render_correlation

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
WORTH, EVIDENCE = 40.0, 5.0
"""Bits that a correlation of 1 is worth, and what must speak for each change."""
SEEN, ALIKE = 0.005, 0.6
"""Correlation that another spelling must gain, and have."""
TWICE = 0.8
"""Words that correlate less may have been misread in two places."""
LIKELY, JUDGED = 16, 12
"""So many doubts about a word are tried by twos, and of all its spellings so many are judged by the
text model."""
LOOK_ALIKES = {letter: group.replace(letter, "") for group in ("Il1|", "O0") for letter in group}
UNHEARD = 0.02
"""How likely one of them is where the engine thought of nothing else."""
LIKENESS, TELLING = 60.0, 3
"""Bits that a letter's likeness to another of the page's is worth, over that to those it was read
as, in words of at least so many letters ("Id" and "ld" may be the same to a pixel)."""
SAME, UNLIKE, UNFIT = 0.98, 0.03, 0.1
"""Likeness of letters that are the same; how much less it is for one that is not; and correlation
that a spelling may lose in our face, whose letters may be of another shape."""
Scales = dict[tuple[int, int], int]


def respell(runs: Sequence[Run], scales: Scales) -> None:
    """Mend the words of ``runs``, which are as wide as ``scales`` says."""
    known = _pooled(word for run in runs for word in run.words)
    places = {
        text: {place for doubt in doubts for place in (doubt.start, doubt.stop - 1)}
        for text, doubts in known.items()
    }
    page = Exemplars(runs, scales, places)
    for run in runs:
        scale = scales[run.face, run.size]
        run.placed = [
            _twin(run, _doubted(run, word, known[word.text], scale, page), scale)
            for word in run.placed
        ]


def _pooled(words: Iterable[Word]) -> dict[str, list[Doubt]]:
    """The doubts about each text, wherever it is read on the page, at their largest odds."""
    odds: dict[str, dict[Doubt, float]] = defaultdict(dict)
    for word in words:
        for doubt in word.doubts:
            known, alike = odds[word.text], replace(doubt, odds=0.0)
            known[alike] = max(known.get(alike, 0.0), doubt.odds)
    return defaultdict(list) | {
        text: [replace(doubt, odds=value) for doubt, value in known.items()]
        for text, known in odds.items()
    }


def _doubted(
    run: Run, word: PlacedWord, doubts: Sequence[Doubt], scale: int, page: Exemplars
) -> PlacedWord:
    """The word as the engine also thought it may be spelt, if more speaks for that."""
    doubts = [*doubts, *_look_alikes(word.text)]
    if not doubts or len(word.text) < 2 or not any(map(str.isalnum, word.text)):
        return word

    def fit(trial: PlacedWord) -> float:
        return render_correlation(run, trial, run.face, run.size, scale)

    before = fit(word)
    trials = []
    for text, (odds, count) in _spellings(word.text, doubts, twice=before < TWICE).items():
        trial = PlacedWord(text, word.x, word.width)
        after = fit(trial)
        if after < max(before - UNFIT, ALIKE):
            continue
        seen = [WORTH * (after - before)] if after >= before + SEEN else []
        alike = _likeness(run, word, text, page)
        if alike is not None:
            seen.append(alike)
        if seen and alike != -inf:
            trials.append((max(seen) + log2(odds) - EVIDENCE * count, trial))
    trials.sort(key=lambda each: -each[0])
    as_read = bits_alone(word.text) if trials else 0.0
    judged = [(seen + as_read - bits_alone(trial.text), trial) for seen, trial in trials[:JUDGED]]
    best = max(judged, key=lambda each: each[0], default=(0.0, word))
    return best[1] if best[0] > 0 else word


def _look_alikes(text: str) -> Iterator[Doubt]:
    """Characters that may be others of their shape, which those beside them go with: 0 after F."""
    for place, character in enumerate(text):
        beside = {_kind(c) for c in text[max(place - 1, 0) : place] + text[place + 1 : place + 2]}
        for other in LOOK_ALIKES.get(character, ""):
            if beside == {_kind(other)} != {_kind(character)}:
                yield Doubt(place, place + 1, other, UNHEARD)


def _kind(character: str) -> tuple[bool, bool, bool]:
    return character.islower(), character.isupper(), character.isdigit()


def _likeness(run: Run, word: PlacedWord, text: str, page: Exemplars) -> float | None:
    """Bits that the page's own letters say for the spelling ``text`` if it has one other letter;
    minus infinity where they say that it is as it was read, None where they say nothing."""
    changed = [i for i, pair in enumerate(zip(word.text, text, strict=False)) if len(set(pair)) > 1]
    if not TELLING <= len(text) == len(word.text) or len(changed) != 1:
        return None
    read, other = word.text[changed[0]], text[changed[0]]
    as_read, as_other = (page.likeness(run, word, changed[0], c) for c in (read, other))
    if as_read is not None and as_read >= SAME and as_read > (as_other or 0.0):
        return -inf
    if as_other is not None:
        if as_other < SAME:
            return None
        return LIKENESS * (as_other - as_read) if as_read is not None else 0.0
    usual = page.usual(run, read)
    if usual is None or as_read is None or usual < SAME or as_read > usual - UNLIKE:
        return None
    return LIKENESS * (usual - as_read)


def _spellings(text: str, doubts: Sequence[Doubt], twice: bool) -> dict[str, tuple[float, int]]:
    """``text`` with each of ``doubts`` and, if ``twice``, with two of the likeliest: how likely
    that is, and how many they are."""
    likely = sorted(doubts, key=lambda doubt: -doubt.odds)[:LIKELY] if twice else []
    pairs = itertools.combinations(sorted(likely, key=lambda doubt: doubt.start), 2)
    apart = [pair for pair in pairs if pair[0].stop <= pair[1].start]
    result: dict[str, tuple[float, int]] = {"": (0.0, 0), text: (0.0, 0)}
    for chosen in (*((doubt,) for doubt in doubts), *apart):
        other = text
        for doubt in reversed(chosen):
            other = other[: doubt.start] + doubt.text + other[doubt.stop :]
        way = prod(doubt.odds for doubt in chosen), len(chosen)
        result[other] = max(result.get(other, way), way)
    del result[""], result[text]
    return result


def _twin(run: Run, given: PlacedWord, scale: int) -> PlacedWord:
    """The word with letters changed for those of their shape in another size."""
    word = given
    for _ in given.text:
        drawn, found = drawn_and_found(run, word, run.face, run.size, scale)
        trials = [(_left_over(run, trial, scale, drawn, found), trial) for trial in _twins(word)]
        share, best = min(trials, key=lambda trial: trial[0], default=(1.0, word))
        if share > MISREAD:
            break
        word = best
    if word is given:
        return given
    sure = render_correlation(run, word, run.face, run.size, scale) > WELL_READ
    return word if sure else given


def _twins(word: PlacedWord) -> Iterator[PlacedWord]:
    """The word with one letter changed for one of its shape."""
    for index, character in enumerate(word.text):
        for twin in TWINS.get(character, ""):
            text = word.text[:index] + twin + word.text[index + 1 :]
            yield PlacedWord(text, word.x, word.width)


def _left_over(run: Run, trial: PlacedWord, scale: int, drawn: Floats, found: Floats) -> float:
    """Squared error of the trial over that of the word as ``drawn``, where the two differ."""
    other, _ = drawn_and_found(run, trial, run.face, run.size, scale)
    differ = (np.abs(other - drawn) > 0.1).any(axis=0)
    before = float(((drawn - found)[:, differ] ** 2).sum())
    return float(((other - found)[:, differ] ** 2).sum()) / before if before > 0 else 1.0
