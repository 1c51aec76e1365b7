"""Lines go over to the picture where bytes are left, and stay readable as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from picd import Codec
from picd.codec import layout_text
from picd.glyphs import render_glyphs, typeset
from picd.layout import UNITS_PER_PIXEL, TextLayout
from picd.pictured import LEGIBLE, spend, with_pictured


def _shown(layout: TextLayout) -> int:
    return sum(line.pictured for line in layout.lines)


def test_pictured_lines_are_not_set(set_page: TextLayout) -> None:
    plain = render_glyphs(set_page)
    part = render_glyphs(with_pictured(set_page, [1]))
    rows = slice(48 + 20, 48 + 64)  # the second line is at 104
    assert plain.coverage[rows].any() and not part.coverage[rows].any()
    assert not part.box[rows].any()
    assert np.array_equal(plain.coverage[: rows.start], part.coverage[: rows.start])


@dataclass
class _Attempt:
    quality: float
    page: np.ndarray


WHITE = np.full((256, 384, 3), 255, np.uint8)


def _attempts(
    layout: TextLayout, misfit: list[int], cost: float, blurred: tuple[int, ...] = ()
) -> tuple[np.ndarray, Callable[[TextLayout], _Attempt]]:
    """A picture that ``layout`` misses by ``misfit`` pixels a line, and a codec for which a
    pictured line costs so much quality and looks as it should, or is blank where ``blurred``."""
    moved = [
        replace(line, baseline=line.baseline + UNITS_PER_PIXEL * pixels)
        for line, pixels in zip(layout.lines, misfit, strict=True)
    ]
    picture = typeset(WHITE, render_glyphs(replace(layout, lines=tuple(moved))))

    def attempt(tried: TextLayout) -> _Attempt:
        page = typeset(WHITE, render_glyphs(tried))
        for index, line in enumerate(tried.lines):
            rows = slice(56 * index + 16, 56 * index + 66)
            if line.pictured:
                page[rows] = 255 if index in blurred else picture[rows]
        return _Attempt(100 - cost * _shown(tried), page)

    return picture, attempt


@pytest.mark.parametrize(
    ("misfit", "cost", "blurred", "shown"),
    [
        ([2, 3, 2, 3], 5, (), [0, 1, 2, 3]),
        ([0, 0, 4, 2], 10, (), [2, 3]),  # all would not be legible: those that fit worst
        ([0, 0, 4, 0], 28, (), [2]),
        ([4, 4, 4, 4], 31, (), []),
        ([2, 3, 2, 3], 5, (1,), [0, 2, 3]),  # one looks worse than it did typeset
        ([2, 3, 2, 3], 5, (0, 1, 2, 3), []),
    ],
)
def test_lines_go_over_where_that_is_legible_and_better(
    set_page: TextLayout, misfit: list[int], cost: float, blurred: tuple[int, ...], shown: list[int]
) -> None:
    picture, attempt = _attempts(set_page, misfit, cost, blurred)
    best = spend(attempt(set_page), set_page, picture, attempt)
    expected = attempt(with_pictured(set_page, shown))
    assert best.quality == expected.quality and np.array_equal(best.page, expected.page)


def test_nothing_is_tried_below_legible_quality(set_page: TextLayout) -> None:
    first = _Attempt(LEGIBLE - 0.5, WHITE)
    assert spend(first, set_page, WHITE, lambda layout: pytest.fail("tried")) is first


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
