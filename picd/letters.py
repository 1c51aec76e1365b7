"""The page's own letters: how those in the picture differ from the bundled fonts'.

A page repeats a few dozen letters hundreds of times, so where there are bytes to spare it pays to
send once what a letter is like, as the difference to the face that its lines are set in. That is
the symbol dictionary of JBIG2 and DjVu, with soft edges, and a font to predict the symbols from.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from picd.glyphs import LEVELS, render_glyphs
from picd.layout import OwnLetter, TextLayout
from picd.letter_coder import MAX_PIXELS, reached
from picd.occurrences import Floats, Letter, Occurrences, inked

LEVEL_BITS = np.array([0.27, 2.6, 3.4, 4.1, 4.5], np.float32)
"""About what a pixel costs, by the magnitude of its level, and what a letter costs beside that."""
LETTER_BITS = 2.0
HARM = 3.0
"""What an error that a level makes larger, at an occurrence, weighs: letters would have specks."""


def fit_letters(
    picture: NDArray[np.uint8], layout: TextLayout, price: float
) -> tuple[OwnLetter, ...]:
    """The letters that are worth sending where a bit has to mend ``price`` of squared error (of
    RGB levels) in ``picture``, uint8 (H, W, 3)."""
    layout = replace(layout, letters=())
    page, glyphs = Occurrences(layout), render_glyphs(layout)
    found, drawn = inked(picture, glyphs), glyphs.coverage / np.float32(255)
    fitted = [_fitted(page, letter, found, drawn, price) for letter in page.letters.values()]
    ranked = sorted((pair for pair in fitted if pair[0] > 0), key=lambda pair: -pair[0])
    pixels = np.cumsum([len(letter.levels) for _, letter in ranked])
    return tuple(letter for (_, letter), n in zip(ranked, pixels, strict=True) if n <= MAX_PIXELS)


def about_bits(letter: OwnLetter) -> float:
    """About what a letter costs."""
    return LETTER_BITS + float(LEVEL_BITS[np.abs(letter.levels)].sum())


def _fitted(
    page: Occurrences, letter: Letter, found: Floats, drawn: Floats, price: float
) -> tuple[float, OwnLetter]:
    """What a letter gains, in squared error less its price, with the levels that gain most."""
    seen, cells, masks = page.windows(letter, found)
    around, _, _ = page.windows(letter, drawn)
    around *= around > masks + 1e-3  # its neighbours, where they reach into its cell
    weights = cells * page.contrast[letter.places, None, None]
    plain = weights * (np.maximum(masks, around) - seen) ** 2
    where = reached(letter.drawn)
    own = OwnLetter(letter.face, letter.size, letter.character, (0,) * where.size)
    least = price * (LETTER_BITS + LEVEL_BITS[0] * where.sum())
    if plain[:, where].sum() < least:
        return 0.0, own  # even the best levels would not be worth it
    steps = np.arange(-LEVELS, LEVELS + 1)
    errors = []
    for step in steps:
        tried = np.maximum(np.clip(masks + step / LEVELS, 0, 1), around)
        change = weights * (tried - seen) ** 2 - plain
        errors.append(np.where(change > 0, HARM * change, change).sum(0))
    errors = np.stack(errors)
    costs = errors + price * LEVEL_BITS[np.abs(steps)][:, None, None]
    levels = np.where(where, costs.argmin(0), LEVELS)
    spent = np.take_along_axis(costs, levels[None], 0)[0]
    gain = (errors[LEVELS] - spent)[where].sum() - price * LETTER_BITS
    return float(gain), replace(own, levels=tuple((levels - LEVELS).ravel().tolist()))
