"""Lines go over to the picture where bytes are left, and stay readable as text."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from picd import Codec
from picd.codec import layout_text
from picd.glyphs import render_glyphs, typeset
from picd.layout import TextLayout
from picd.pictured import LEGIBLE, SHARES, spend, with_pictured, worst_first


def _shown(layout: TextLayout) -> int:
    return sum(line.pictured for line in layout.lines)


def test_pictured_lines_are_not_set(set_page: TextLayout) -> None:
    plain = render_glyphs(set_page)
    part = render_glyphs(with_pictured(set_page, [1]))
    rows = slice(48 + 20, 48 + 64)  # the second line is at 104
    assert plain.coverage[rows].any() and not part.coverage[rows].any()
    assert not part.box[rows].any()
    assert np.array_equal(plain.coverage[: rows.start], part.coverage[: rows.start])


def test_lines_that_our_fonts_fit_worst_come_first(set_page: TextLayout) -> None:
    picture = np.full((256, 384, 3), 255, np.uint8)
    picture = typeset(picture, render_glyphs(set_page))
    third = set_page.lines[2]
    elsewhere = replace(third, baseline=third.baseline + 16)
    layout = replace(set_page, lines=(*set_page.lines[:2], elsewhere, set_page.lines[3]))
    assert worst_first(layout, picture)[0] == 2


@dataclass
class _Attempt:
    quality: float
    error: float


@pytest.mark.parametrize(
    ("errors", "cost", "shown"),
    [
        ([9, 8, 7, 6, 5], 5, 4),  # the more the better
        ([9, 8, 7, 8, 5], 5, 2),
        ([9, 7, 9, 9, 9], 5, 1),
        ([9, 9, 9, 9, 5], 5, 0),
        ([9, 8, 7, 6, 5], 13, 2),  # three would not be legible
        ([9, 8, 7, 6, 5], 40, 0),
    ],
)
def test_the_least_error_that_is_legible(
    set_page: TextLayout, errors: list[float], cost: float, shown: int
) -> None:
    def attempt(layout: TextLayout) -> _Attempt:
        return _Attempt(100 - cost * _shown(layout), errors[_shown(layout)])

    assert len(set_page.lines) == SHARES
    picture = np.zeros((256, 384, 3), np.uint8)
    best = spend(attempt(set_page), set_page, picture, attempt)
    assert best == _Attempt(100 - cost * shown, errors[shown])


def test_nothing_is_tried_below_legible_quality(set_page: TextLayout) -> None:
    first = _Attempt(LEGIBLE - 0.5, 9.0)
    picture = np.zeros((256, 384, 3), np.uint8)
    assert spend(first, set_page, picture, lambda layout: pytest.fail("tried")) is first


def test_more_bytes_make_a_better_picture(codec: Codec, page: np.ndarray) -> None:
    """Typeset text alone would end that: it is in another font, whatever it may cost."""
    small, large = (codec.encode(page, bpp=bpp) for bpp in (0.02, 0.4))
    assert _shown(small.layout) == 0 < _shown(large.layout)
    assert layout_text(small.layout) == layout_text(large.layout)
    assert large.bytes <= 0.4 * page[..., 0].size / 8
    pages = [codec.decode(e.data, stage="typeset") for e in (small, large)]
    assert pages[0].text == pages[1].text
    errors = [np.mean((p.image.astype(float) - page) ** 2) for p in pages]
    assert errors[1] < 0.6 * errors[0]
