"""Marks: small bitmaps of few colours are found, coded and painted back exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picd import Codec
from picd.colours import value_of
from picd.errors import BitstreamError
from picd.glyphs import render_glyphs
from picd.layout import Mark, Rule, TextLayout
from picd.mark_coder import MAX_COLOURS, MAX_MARKS, see_around
from picd.marks import fit_marks, paint_marks
from picd.rules import paint_rules
from picd.skeleton_coder import decode_skeleton, encode_skeleton

WIDTH, HEIGHT = 320, 200
RULES = (Rule(0, 0, WIDTH, HEIGHT, (250, 250, 250)), Rule(0, 150, WIDTH, HEIGHT, (0, 90, 160)))
PAGE = TextLayout(WIDTH, HEIGHT, rules=RULES)
NO_WORDS = np.zeros((HEIGHT, WIDTH), bool)
INK, FILL = (49, 49, 49), (206, 173, 99)  # of the grid of 32 levels

FOLDER = """
.####......
#oooo#####.
#ooooooooo#
#ooooooooo#
#ooooooooo#
.#########.
"""
ARROW = """
#..
##.
###
##.
#..
"""


def mark(drawing: str, x: int, y: int, *palette: tuple[int, int, int]) -> Mark:
    rows = drawing.split()
    indices = tuple(".#o".index(character) for row in rows for character in row)
    return Mark(x, y, len(rows[0]), indices, palette)


def icons() -> list[Mark]:
    """A column of folders, one more on the dark panel, and two arrows."""
    places = [(20, y) for y in range(20, 140, 24)] + [(200, 170)]
    arrows = [mark(ARROW, 60, 25, INK), mark(ARROW, 100, 25, FILL)]
    return [mark(FOLDER, *place, INK, FILL) for place in places] + arrows


def painted(*marks: Mark) -> np.ndarray:
    return paint_marks(paint_rules(PAGE), marks)


def encoded(*marks: Mark) -> bytes:
    return encode_skeleton(RULES, marks, WIDTH, HEIGHT)


def decoded(data: bytes) -> tuple[Mark, ...]:
    return decode_skeleton(data, WIDTH, HEIGHT)[1]


def test_icons_are_found_and_painted_exactly() -> None:
    picture = painted(*icons())
    found = fit_marks(picture, PAGE, 100.0, NO_WORDS)
    assert set(found) == set(icons())
    assert np.array_equal(painted(*found), picture)


def test_an_icon_is_sent_once() -> None:
    found = fit_marks(painted(*icons()), PAGE, 100.0, NO_WORDS)
    one, all_of_them = len(encoded(icons()[0])), len(encoded(*found))
    plain, other = len(encoded()), len(encoded(icons()[-1]))
    assert all_of_them - plain < (one - plain) + 2 * (other - plain) + 2 * (len(found) - 3)


def test_the_dearer_a_bit_the_fewer_marks() -> None:
    picture = painted(*icons())
    counts = [len(fit_marks(picture, PAGE, 10.0**power, NO_WORDS)) for power in range(2, 7)]
    assert counts == sorted(counts, reverse=True) and counts[0] == 8 and counts[-1] == 0


def test_what_the_picture_stream_does_well_is_no_mark() -> None:
    picture, blank = painted(*icons()), painted()
    bits = np.full((16, 20), 1.0, np.float32)
    assert not fit_marks(picture, PAGE, 100.0, NO_WORDS, picture, bits)
    assert len(fit_marks(picture, PAGE, 100.0, NO_WORDS, blank, bits)) == 8
    dear = fit_marks(picture, PAGE, 100.0, NO_WORDS, picture, 400 * bits)
    assert len(dear) >= 6  # it is right, but costs more than marks do


def test_letters_and_photographs_are_no_marks() -> None:
    picture = painted(*icons())
    words = NO_WORDS.copy()
    words[:, :120] = True
    assert [m.x for m in fit_marks(picture, PAGE, 100.0, words)] == [200]
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3))
    picture[40:100, 180:260] = noise
    assert set(fit_marks(picture, PAGE, 100.0, NO_WORDS)) == set(icons())


def test_soft_edges_take_few_colours() -> None:
    picture = painted()
    y, x = np.mgrid[-9:10, -9:10]
    cover = np.clip(8.5 - np.hypot(x, y), 0, 1)[..., None]
    area = picture[60:79, 100:119]
    area[:] = np.round(cover * (200, 30, 30) + (1 - cover) * area)
    (found,) = fit_marks(picture, PAGE, 300.0, NO_WORDS)
    assert 2 <= len(found.palette) <= 8
    assert np.abs(painted(found).astype(int) - picture).mean(where=picture != 250) < 12


def test_the_same_bytes_give_a_better_page(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = np.ascontiguousarray(np.tile(painted(*icons()), (2, 2, 1)))

    def left() -> float:
        encoded = codec.encode(picture, max_bytes=500, content="screen", ocr="none")
        assert encoded.bytes <= 500
        page = codec.decode(encoded.data, stage="typeset").image
        return float(((page.astype(float) - picture) ** 2).sum())

    with_marks = left()
    monkeypatch.setattr("picd.codec.fit_marks", lambda *_: ())
    assert with_marks < 0.5 * left()


def test_marks_are_seen_by_the_codec() -> None:
    layout = replace(PAGE, marks=tuple(icons()))
    assert np.array_equal(render_glyphs(layout).skeleton, painted(*icons()))


def test_what_is_around_a_pixel() -> None:
    alike, rank = see_around(np.array([[1, 1, 0], [1, 2, 2]]))
    assert rank.tolist() == [[4, 0, 1], [1, 4, 0]]
    assert alike.tolist() == [[7, 2, 2], [6, 5, 2]]


@st.composite
def marks(draw: st.DrawFn) -> Mark:
    width, height = draw(st.integers(1, 12)), draw(st.integers(1, 9))
    x, y = draw(st.integers(0, WIDTH - width)), draw(st.integers(0, HEIGHT - height))
    drawn = draw(st.lists(st.integers(0, 5), min_size=width * height, max_size=width * height))
    numbers = {0: 0}
    indices = tuple(numbers.setdefault(index, len(numbers)) for index in drawn)
    level = st.integers(0, 31).map(value_of) | st.integers(0, 255)
    palette = tuple(draw(st.tuples(level, level, level)) for _ in range(len(numbers) - 1))
    return Mark(x, y, width, indices, palette)


@settings(deadline=None)
@given(st.lists(marks(), max_size=12), st.booleans())
def test_marks_come_back(listed: list[Mark], again: bool) -> None:
    if again:
        listed = [replace(m, x=0, y=i) for m in listed for i in range(3)]
    assert decoded(encoded(*listed)) == tuple(listed)
    painted(*listed)  # whatever can be sent can be painted


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=80))
def test_any_bytes_are_marks_or_refused(data: bytes) -> None:
    try:
        painted(*decoded(data))
    except BitstreamError:
        pass


def test_what_cannot_be_sent_is_refused() -> None:
    dot = mark("#", 3, 3, INK)
    many = tuple(tuple(value_of(i) for _ in "rgb") for i in range(MAX_COLOURS + 1))
    for wrong, message in [
        (replace(dot, width=200, indices=(1,) * 200), "200 x 1 pixels"),
        (replace(dot, indices=(2,), palette=(INK, FILL)), "too many colours"),
        (replace(dot, width=16, indices=tuple(range(1, 17)), palette=many), "too many colours"),
    ]:
        with pytest.raises(ValueError, match=message):
            encoded(wrong)
    with pytest.raises(BitstreamError, match="too many marks"):
        encoded(*(dot,) * (MAX_MARKS + 1))
    with pytest.raises(BitstreamError, match="not inside"):
        encoded(replace(dot, x=WIDTH))
    with pytest.raises(BitstreamError, match="too many pixels"):
        encoded(*(replace(dot, width=100 + i, indices=(1,) * (100 + i) * 64) for i in range(6)))
