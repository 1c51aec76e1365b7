"""How well a word set in one of our fonts fits the ink of a run: by a cheap model that is stretched
to it, and by what the renderer will draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from PIL import Image

from picd.font_metrics import SCALE_STEPS, UNITS_PER_EM, advances, natural_extent, style_scale
from picd.glyphs import glyph_mask, word_coverage
from picd.layout import UNITS_PER_PIXEL, PlacedWord
from picd.runs import Floats, Run

MODEL_EM = 32
"""Pixels per em of the word models that faces are compared with."""
MODEL_ASCENT, MODEL_ROWS, MODEL_PAD = 40, 56, 8
LONE_CORRELATION, STRANGE_CORRELATION = 0.6, 0.7
"""What a single character on its line needs, or a word on a row of its own, and what symbols and
letters need that are of no size of the page: mostly these are icons."""
GROUND = 0.1
"""Quantile of a row of a word that is ground."""
THIN = frozenset("-–—_=~.…·:")
"""Marks of a row or two, which another row leaves nothing in common with."""


@lru_cache(maxsize=65536)
def _word_model(face: int, text: str) -> tuple[Image.Image, float, float]:
    """``text`` at MODEL_EM with room around it, and the columns where its ink begins and ends."""
    _, left, right = natural_extent(face, text)
    unit = MODEL_EM / UNITS_PER_EM
    canvas = np.zeros((MODEL_ROWS, int((right - left) * unit) + 2 * MODEL_PAD + 2), np.uint8)
    pen = MODEL_PAD - left * unit
    for character, advance in zip(text, advances(face, text), strict=True):
        column, phase = divmod(round(pen * UNITS_PER_PIXEL), UNITS_PER_PIXEL)
        # Half a unit of vertical phase would hint; phase 1 does not, and is taken off below.
        mask, dx, dy = glyph_mask(
            face, MODEL_EM * UNITS_PER_PIXEL, SCALE_STEPS, character, phase, 1
        )
        x, y = column + dx, MODEL_ASCENT + dy
        x0, y0 = max(x, 0), max(y, 0)
        area = canvas[y0 : y + mask.shape[0], x0 : x + mask.shape[1]]
        np.maximum(area, mask[y0 - y :, x0 - x :][: area.shape[0], : area.shape[1]], out=area)
        pen += advance * unit
    return Image.fromarray(canvas), float(MODEL_PAD), MODEL_PAD + (right - left) * unit


def model_correlation(run: Run, word: PlacedWord, face: int, size: float, baseline: float) -> float:
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


@lru_cache(maxsize=65536)
def row_profile(face: int, text: str) -> Floats:
    """Ink per row of a word model; the baseline lies a quarter below row MODEL_ASCENT."""
    return np.asarray(_word_model(face, text)[0], np.float32).sum(axis=1)


def telling_words(run: Run, count: int) -> list[PlacedWord]:
    """The most telling words of a run: the longest, up to twelve letters."""
    return sorted(run.placed, key=lambda word: -min(len(word.text), 12))[:count]


def ink_over(run: Run, words: Sequence[PlacedWord], face: int, size: int, scale: int) -> float:
    """Logarithm of the ink of ``words`` over what they have in ``face``. What most of a row has is
    a ground of two tones and no ink."""
    drawn = found = 0.0
    for word in words:
        model, seen = drawn_and_found(run, word, face, size, scale)
        if seen.size:
            drawn += float(model.sum())
            found += float((seen - np.quantile(seen, GROUND, axis=1, keepdims=True)).sum())
    return float(np.log(max(found, 1.0) / max(drawn, 1.0)))


def mean_correlation(
    run: Run, words: Sequence[PlacedWord], face: int, size: int, baseline: int
) -> float:
    letters = sum(len(word.text) for word in words)
    return (
        sum(model_correlation(run, word, face, size, baseline) * len(word.text) for word in words)
        / letters
    )


def standing(run: Run) -> float:
    """:func:`standing_at` of the run as it is."""
    scale = style_scale(run.face, run.size, run.placed)
    return standing_at(run, run.baseline, run.placed, run.size, scale)


def standing_at(
    run: Run,
    baseline: int,
    words: Sequence[PlacedWord],
    size: int,
    scale: int,
    largest: int | None = None,
) -> float:
    """Mean correlation of ``words`` as they are drawn on another baseline of the run. Where several
    sizes are tried, all are judged on the same pixels, those that the ``largest`` has: the tops of
    letters that one of them does not reach count against it."""
    moved = replace(run, baseline=baseline)
    fits = [render_correlation(moved, w, run.face, size, scale, largest) for w in words]
    return float(np.mean(fits))


def likeness(run: Run, word: PlacedWord, scale: int) -> float:
    """Correlation of the word as it will be drawn; where it is nothing but dashes and dots, a row
    higher or lower will do, since faces differ by that."""
    drawn, found = drawn_and_found(run, word, run.face, run.size, scale)
    if not drawn.size:
        return 0.0
    shifts = (-1, 0, 1) if set(word.text) <= THIN else (0,)
    return max(_correlation(np.roll(drawn, shift, axis=0), found) for shift in shifts)


def render_correlation(
    run: Run, word: PlacedWord, face: int, size: int, scale: int, largest: int | None = None
) -> float:
    """Correlation of the word as the renderer will draw it with the picture."""
    drawn, found = drawn_and_found(run, word, face, size, scale, largest)
    return _correlation(drawn, found) if drawn.size else 0.0


def drawn_and_found(
    run: Run, word: PlacedWord, face: int, size: int, scale: int, largest: int | None = None
) -> tuple[Floats, Floats]:
    """The word's window as the renderer will draw it, and as it is in the picture: 0..1. It is as
    high as letters of ``largest``, or of ``size``, may be."""
    em, base = (largest or size) / UNITS_PER_PIXEL, run.baseline / UNITS_PER_PIXEL
    y0, y1 = max(int(base - 0.85 * em), 0), min(int(base + 0.3 * em) + 1, run.alpha.shape[0])
    x0 = max(word.x // UNITS_PER_PIXEL - 2, 0)
    x1 = min((word.x + word.width) // UNITS_PER_PIXEL + 3, run.alpha.shape[1])
    if y1 <= y0 or x1 <= x0:
        return np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32)
    canvas = np.zeros((y1 - y0, x1 - x0), np.uint8)
    moved = PlacedWord(word.text, word.x - x0 * UNITS_PER_PIXEL, word.width)
    word_coverage(moved, face, size, scale, run.baseline - y0 * UNITS_PER_PIXEL, canvas)
    return canvas.astype(np.float32) / 255, run.alpha[y0:y1, x0:x1]
