"""Lines go over to the picture where bytes are left, and stay readable as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from picd import Codec
from picd.columns import layout_text
from picd.glyphs import render_glyphs, typeset
from picd.layout import UNITS_PER_PIXEL, TextLayout
from picd.pictured import LEGIBLE, SPARE, spend, with_pictured


def _shown(layout: TextLayout) -> int:
    return sum(line.pictured for line in layout.lines)


def test_pictured_lines_are_not_set(set_page: TextLayout) -> None:
    plain = render_glyphs(set_page)
    part = render_glyphs(with_pictured(set_page, [1]))
    rows = slice(48 + 20, 48 + 64)  # the second line is at 104
    assert plain.coverage[rows].any() and not part.coverage[rows].any()
    assert not part.box[rows].any()
    assert np.array_equal(plain.coverage[: rows.start], part.coverage[: rows.start])


WHITE = np.full((256, 384, 3), 255, np.uint8)
ROOM = 400


@dataclass
class _Attempt:
    """At ``LEGIBLE``, in so many bits by place, it leaves a hundredth of the room for each step."""

    page: np.ndarray
    places: np.ndarray

    @property
    def quality(self) -> float:
        return LEGIBLE + (ROOM - self.places.sum()) / (ROOM / 100)

    def bits(self, quality: float) -> np.ndarray:
        assert quality == LEGIBLE
        return self.places


def _attempts(
    layout: TextLayout, misfit: list[int], costs: list[int], blurred: tuple[int, ...] = ()
) -> tuple[np.ndarray, Callable[[TextLayout], _Attempt]]:
    """A picture that ``layout`` misses by ``misfit`` pixels a line, and a codec for which a
    pictured line takes so many bits and looks as it should, or is blank where ``blurred``."""
    moved = [
        replace(line, baseline=line.baseline + UNITS_PER_PIXEL * pixels)
        for line, pixels in zip(layout.lines, misfit, strict=True)
    ]
    picture = typeset(WHITE, render_glyphs(replace(layout, lines=tuple(moved))))

    def attempt(tried: TextLayout) -> _Attempt:
        page = typeset(WHITE, render_glyphs(tried))
        places = np.zeros((16, 24), np.float32)
        for index, line in enumerate(tried.lines):
            if line.pictured:
                rows = slice(56 * index + 16, 56 * index + 66)
                page[rows] = 255 if index in blurred else picture[rows]
                places[line.baseline // UNITS_PER_PIXEL // 16 - 1, 2:4] = costs[index] / 2
        return _Attempt(page, places)

    return picture, attempt


@pytest.mark.parametrize(
    ("misfit", "costs", "blurred", "shown"),
    [
        ([2, 3, 2, 3], [90, 90, 90, 90], (), [0, 1, 2, 3]),
        ([0, 0, 4, 2], [150, 150, 150, 150], (), [2, 3]),  # those that fit are not worth bits
        ([4, 4, 4, 4], [380, 380, 30, 90], (), [2, 3]),  # those that gain most for their bits
        ([4, 4, 4, 4], [400, 400, 400, 400], (), []),
        ([2, 3, 2, 3], [90, 90, 90, 90], (1,), [0, 2, 3]),  # one looks worse than it did typeset
        ([2, 3, 2, 3], [90, 90, 90, 90], (0, 1, 2, 3), []),
    ],
)
def test_lines_go_over_where_that_is_legible_and_better(
    set_page: TextLayout,
    misfit: list[int],
    costs: list[int],
    blurred: tuple[int, ...],
    shown: list[int],
) -> None:
    picture, attempt = _attempts(set_page, misfit, costs, blurred)
    first = attempt(set_page)
    best = spend(first, set_page, picture, ROOM, lambda more, _: attempt(more), attempt)
    expected = attempt(with_pictured(set_page, shown))
    assert best.quality == expected.quality and np.array_equal(best.page, expected.page)


def test_every_line_that_gains_goes_over_at_a_quality_that_is_given(set_page: TextLayout) -> None:
    picture, attempt = _attempts(set_page, [4, 4, 0, 4], [50, 60, 70, 80])
    best = spend(attempt(set_page), set_page, picture, None, lambda more, _: attempt(more), attempt)
    assert np.array_equal(best.page, attempt(with_pictured(set_page, [0, 1, 3])).page)


def test_fewer_lines_go_over_where_they_took_more_than_they_should(set_page: TextLayout) -> None:
    picture, attempt = _attempts(set_page, [4, 4, 4, 4], [150, 100, 30, 20])

    def dearer(tried: TextLayout) -> _Attempt:
        coded = attempt(tried)
        return replace(coded, places=2 * coded.places)

    best = spend(attempt(set_page), set_page, picture, ROOM, lambda more, _: attempt(more), dearer)
    assert np.array_equal(best.page, attempt(with_pictured(set_page, [2, 3])).page)


@pytest.mark.parametrize(("quality", "room"), [(LEGIBLE, None), (SPARE, ROOM)])
def test_nothing_is_tried_at_less_quality(
    set_page: TextLayout, quality: float, room: int | None
) -> None:
    class Tried(Exception):
        pass

    def tried(*layout: object) -> None:
        raise Tried

    def first(quality: float) -> _Attempt:
        bits = ROOM - (quality - LEGIBLE) * ROOM / 100
        return _Attempt(WHITE, np.full((16, 24), bits / (16 * 24)))

    below = first(quality - 1)
    assert spend(below, set_page, WHITE, room, tried, tried) is below
    with pytest.raises(Tried):
        spend(first(quality + 1), set_page, WHITE, room, tried, tried)


def test_bits_by_place_are_those_of_the_latents(codec: Codec, page: np.ndarray) -> None:
    glyphs = render_glyphs(TextLayout(page.shape[1], page.shape[0]))
    images = codec.image_codec
    latents = images.quantise(images.analyse(page, glyphs), 60)
    places = images.bits_by_place(latents)
    assert places.shape == latents.y.shape[2:] and (places >= 0).all()
    assert places.sum() == pytest.approx(latents.bits - images._hyper_bits(latents.z), rel=1e-4)


def test_more_bytes_make_a_better_picture(codec: Codec, page: np.ndarray) -> None:
    """Typeset text alone would end that: it is in another font, whatever it may cost."""
    small, large = (codec.encode(page, bpp=bpp) for bpp in (0.005, 0.4))
    assert not small.layout.marks and not _shown(small.layout)
    assert large.layout.marks or _shown(large.layout)  # what our fonts miss is sent
    assert layout_text(small.layout) == layout_text(large.layout)
    assert large.bytes <= 0.4 * page[..., 0].size / 8
    pages = [codec.decode(e.data, stage="typeset") for e in (small, large)]
    assert pages[0].text == pages[1].text
    errors = [np.mean((p.image.astype(float) - page) ** 2) for p in pages]
    assert errors[1] < 0.4 * errors[0]
