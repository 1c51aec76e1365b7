"""Marks: small bitmaps of few colours are found, coded and painted back exactly."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.picture_input import example_path
from picd import Codec
from picd.colours import value_of
from picd.errors import BitstreamError
from picd.glyphs import render_glyphs, typeset
from picd.images import load_image
from picd.layout import Mark, PlacedWord, Rule, TextLayout, TextLine, TextStyle
from picd.mark_coder import HIGHEST, MAX_COLOURS, MAX_MARKS, grid_colour, see_around
from picd.marks import _median, fit_marks, paint_marks
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
    page = paint_rules(PAGE)
    paint_marks(page, marks)
    return page


def found(picture: np.ndarray, price: float = 100.0, *seen: np.ndarray, **more) -> set[Mark]:
    return set(fit_marks(picture, painted(), RULES, NO_WORDS, price, *seen, **more))


def encoded(*marks: Mark) -> bytes:
    return encode_skeleton(RULES, marks, WIDTH, HEIGHT)


def decoded(data: bytes) -> tuple[Mark, ...]:
    return decode_skeleton(data, WIDTH, HEIGHT)[1]


def test_icons_are_found_and_painted_exactly() -> None:
    picture = painted(*icons())
    assert found(picture) == set(icons())
    assert np.array_equal(painted(*found(picture)), picture)


def test_palettes_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, palettes = painted(*icons()), {}
    first = found(picture, palettes=palettes)
    monkeypatch.setattr("picd.marks._typical", None)  # to call it again would fail
    assert found(picture, palettes=palettes) == first


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=9))
def test_medians_are_numpys(pixels: list[tuple[int, int, int]]) -> None:
    colours = np.array(pixels, np.int32)
    assert _median(colours).tolist() == np.median(colours, 0).astype(int).tolist()


def test_an_icon_is_sent_once() -> None:
    sent = fit_marks(painted(*icons()), painted(), RULES, NO_WORDS, 100.0)
    one, all_of_them = len(encoded(icons()[0])), len(encoded(*sent))
    plain, other = len(encoded()), len(encoded(icons()[-1]))
    assert all_of_them - plain < (one - plain) + 2 * (other - plain) + 2 * (len(sent) - 3)


def test_the_dearer_a_bit_the_fewer_marks() -> None:
    picture = painted(*icons())
    counts = [len(found(picture, 10.0**power)) for power in range(2, 7)]
    assert counts == sorted(counts, reverse=True) and counts[0] == 8 and counts[-1] == 0


def test_what_the_picture_stream_does_well_is_no_mark() -> None:
    picture, blank = painted(*icons()), painted()
    bits = np.full((16, 20), 1.0, np.float32)
    assert not found(picture, 100.0, picture, bits)
    assert len(found(picture, 100.0, blank, bits)) == 8
    dear = found(picture, 100.0, picture, 400 * bits)
    assert len(dear) >= 6  # it is right, but costs more than marks do


def test_marks_leave_the_picture_its_bits() -> None:
    picture = painted(*icons())
    counts = [len(found(picture, room=room)) for room in (1e6, 1000.0, 300.0, 100.0)]
    assert counts == sorted(counts, reverse=True) and counts[0] == 8 and counts[-1] == 0
    assert len(set(counts)) > 2


def test_noise_is_no_mark() -> None:
    picture = painted(*icons())
    picture[40:100, 180:260] = np.random.default_rng(0).integers(0, 255, (60, 80, 3))
    assert found(picture) == set(icons())


def test_a_photograph_is_no_mark() -> None:
    """In one or two colours it would mend much, and be full of specks."""
    picture = painted(*icons())
    picture[40:100, 180:300] = load_image(example_path("web"))[300:360, 60:180]
    assert found(picture, 256.0) == set(icons())
    for power in range(8, 18):
        assert not any(mark.x >= 180 and mark.y < 100 for mark in found(picture, 2.0**power))


@pytest.mark.parametrize("flat", [True, False])
def test_a_piece_of_something_large_is_a_mark_where_it_is_flat(flat: bool) -> None:
    """A photograph goes on from piece to piece; the last may be a smooth strip of few colours."""
    picture = paint_rules(PAGE)
    height = HIGHEST + 20
    photo = np.full((height, 160, 3), (40, 120, 60), np.uint8)
    if not flat:
        noise = np.random.default_rng(8).normal(128, 60, (height, 160, 3))
        photo = np.clip(cv2.GaussianBlur(noise, (0, 0), 2) * 4 - 384, 0, 255).astype(np.uint8)
        water = np.linspace(90, 140, 20)[:, None] + np.linspace(0, 20, 160)
        photo[HIGHEST:] = water[..., None] + [0, 10, 40]
    picture[:height, 100:260] = photo
    marks = fit_marks(picture, paint_rules(PAGE), RULES, NO_WORDS, 500.0)
    assert bool([m for m in marks if m.y >= HIGHEST - 4]) == flat


def test_no_piece_of_a_sky_is_a_mark() -> None:
    """Where it changes little a piece of it has its colours, and an edge that the sky has not,
    unless all are marks."""
    picture = paint_rules(PAGE)
    sky = np.linspace(0, 40, 300)[:, None] + np.linspace(0, 6, HEIGHT - 50)
    picture[: HEIGHT - 50, 10:310] = (np.array([90, 130, 190]) + sky.T[..., None]).astype(np.uint8)
    for power in range(5, 14):
        marks = fit_marks(picture, paint_rules(PAGE), RULES, NO_WORDS, 2.0**power)
        sky = painted(*marks)[10:130, 20:300].astype(int)
        assert np.abs(np.diff(sky, axis=1)).max() < 24, power
        assert np.abs(np.diff(sky, axis=0)).max() < 24, power


def test_what_looks_the_same_is_judged_together() -> None:
    """One dash of a dashed line is not worth what it takes, fifty of them are."""
    dashes = [mark("######", 20 + 12 * i, y, INK) for i in range(20) for y in (60, 90)]
    assert found(painted(*dashes), 40_000.0) == set(dashes)
    assert not found(painted(*dashes[:3]), 40_000.0)


def test_marks_that_were_sent_are_kept_and_sent_again() -> None:
    first, second = icons()[:1], icons()[:6]
    picture, below = painted(*second), painted(*first)
    again = fit_marks(picture, below, RULES, NO_WORDS, 5000.0, sent=first)
    assert set(again) == set(second)
    alone = fit_marks(picture, below, RULES, NO_WORDS, 5000.0)
    assert len(encoded(*again)) < len(encoded(*alone)) + 8  # nothing is sent twice


def test_another_icon_of_that_size_is_not_sent_again() -> None:
    """Red for a blue one, or the mirrored one, would mend most of the error for next to nothing."""
    triangle = "\n".join("#" * (i + 1) + "." * (29 - i) for i in range(30))
    mirrored = "\n".join(row[::-1] for row in triangle.split())
    red, blue = (206, 74, 90), (49, 99, 140)
    pictures = painted(mark(triangle, 20, 20, red)), painted(mark(triangle, 20, 20, blue))
    flipped = painted(mark(mirrored, 20, 20, red))
    for price in (1e3, 1e4, 1e5):
        for picture in (pictures[1], flipped):
            sent = [mark(triangle, 120, 20, red)]
            below = painted(*sent)
            picture[20:50, 120:150] = below[20:50, 120:150]
            marks = fit_marks(picture, below, RULES, NO_WORDS, price, sent=sent)
            assert not any(
                m.x < 60 and m.indices == sent[0].indices and m.palette == (red,) for m in marks
            )
    sent = [mark(triangle, 120, 20, red)]
    pictures[0][20:50, 120:150] = painted(*sent)[20:50, 120:150]
    again = fit_marks(pictures[0], painted(*sent), RULES, NO_WORDS, 1e5, sent=sent)
    assert len(again) == 2 and len({(m.indices, m.palette) for m in again}) == 1


@pytest.mark.parametrize("sent_first", [True, False])
def test_a_number_in_a_ring_is_not_sent_for_another(sent_first: bool) -> None:
    """The ring is nearly all of both, but what is in it has a meaning."""

    def ring(digit: str, x: int, picture: np.ndarray) -> None:
        cv2.circle(picture, (x, 60), 14, INK, 3)
        cv2.putText(picture, digit, (x - 5, 65), cv2.FONT_HERSHEY_PLAIN, 1.0, INK, 1)

    def inside(x: int, picture: np.ndarray) -> np.ndarray:
        return picture[52:70, x - 8 : x + 9]

    blank = paint_rules(PAGE)
    picture, first = blank.copy(), blank.copy()
    for digit, x in (("4", 40), ("4", 100), ("2", 160)):
        ring(digit, x, picture)
    ring("4", 40, first)
    sent = fit_marks(first, blank, RULES, NO_WORDS, 3000.0) if sent_first else ()
    below = blank.copy()
    paint_marks(below, sent)
    for price in (3e3, 1e4, 3e4, 1e5):
        marks = fit_marks(picture, below, RULES, NO_WORDS, price, sent=sent)
        again = blank.copy()
        paint_marks(again, marks)
        assert np.array_equal(inside(100, again), inside(40, again))  # the same is sent again
        if (inside(40, again) != inside(40, blank)).any():
            assert not np.array_equal(inside(160, again), inside(40, again)), price


def test_errors_in_words_count_less() -> None:
    wider = "\n".join(row[:5] + row[4:] for row in FOLDER.split())  # another bitmap, not again
    picture = painted(mark(FOLDER, 20, 20, INK, FILL), mark(wider, 200, 20, INK, FILL))
    words = NO_WORDS.copy()
    words[:, :120] = True
    tried = [
        [mark.x for mark in fit_marks(picture, painted(), RULES, words, 1.3**power)]
        for power in range(20, 50)
    ]
    assert [200] in tried and [20] not in tried and [20, 200] in tried


@pytest.mark.parametrize("apart", [4, 0])
def test_an_icon_goes_without_the_word_beside_it_unless_they_touch(apart: int) -> None:
    """A radio button like others of the page, and what a face of other letters leaves of a word."""
    icon, left = mark(FOLDER, 20, 40, INK, FILL), mark(ARROW, 31 + apart, 40, INK)
    words = NO_WORDS.copy()
    words[38:48, 31 + apart : 120] = True
    got = fit_marks(painted(icon, left), painted(), RULES, words, 100.0)
    assert (icon in got) == (apart > 0)
    assert np.array_equal(painted(*got), painted(icon, left))


def test_an_icon_whose_edge_is_in_the_box_of_a_word_is_one_with_its_twins() -> None:
    icons = [mark(FOLDER, 20, y, INK, FILL) for y in (40, 60)]
    left = mark(ARROW, 33, 40, INK)
    words = NO_WORDS.copy()
    words[38:48, 29:120] = True
    got = fit_marks(painted(*icons, left), painted(), RULES, words, 100.0)
    assert set(icons) <= set(got)


def test_icons_of_one_look_are_judged_together_though_not_inked_alike() -> None:
    """Pictures that were JPEG or WebP: what is faint is hardly ink in one and hardly none in the
    other, here what is in a box."""
    box = "#" * 9 + 7 * "\n#.......#" + "\n" + "#" * 9
    one, other = mark(box, 20, 40, INK), mark(box, 80, 40, INK)
    alone, both = painted(one), painted(one, other)
    for picture in (alone, both):
        picture[43:46, 23:26] -= 23
    both[43:46, 83:86] -= 17
    dear = next(1.1**k for k in range(60, 240) if not found(alone, 1.1**k))
    assert len(found(both, dear)) == 2


def test_a_crude_mark_does_not_spoil_words() -> None:
    """Selected words on a ground that the layout has not: one colour would mend most of that error,
    and leave pieces of letters."""

    def page(x: int, ground: tuple[int, int, int]) -> TextLayout:
        style = TextStyle(0, 52, (230, 230, 230), ground)
        return TextLayout(120, 32, (TextLine(style, 80, (PlacedWord("DataFrame", x, 260),)),))

    glyphs, wanted = render_glyphs(page(40, (26, 35, 45))), render_glyphs(page(44, (45, 100, 150)))
    below, picture = (typeset(np.full((32, 120, 3), 30, np.uint8), g) for g in (glyphs, wanted))
    edges = [cv2.Laplacian(each.mean(2), cv2.CV_64F).ravel() for each in (picture, below)]
    before, tried = np.corrcoef(*edges)[0, 1], 0
    for price in 2.0 ** np.arange(4, 18):
        after = below.copy()
        marks = fit_marks(picture, below, (), glyphs.box > 0, price)
        paint_marks(after, marks)
        tried += bool(marks)
        edges[1] = cv2.Laplacian(after.mean(2), cv2.CV_64F).ravel()
        assert np.corrcoef(*edges)[0, 1] >= (max(0.7, before) if marks else before)
    assert tried > 2


def test_marks_are_over_the_words(set_page: TextLayout) -> None:
    plain = render_glyphs(set_page)
    x, y = (int(v) for v in np.argwhere(plain.box)[0][::-1])
    layout = replace(set_page, marks=(mark(ARROW, x + 2, y + 2, INK), mark(ARROW, 0, 0, INK)))
    glyphs = render_glyphs(layout)
    assert np.array_equal(glyphs.coverage, plain.coverage)
    draft = np.full((set_page.height, set_page.width, 3), 128, np.uint8)
    pages = typeset(draft, plain), typeset(draft, glyphs)
    arrow = np.array([[c == "#" for c in row] for row in ARROW.split()])
    changed = (pages[0] != pages[1]).any(-1)
    assert (pages[1][y + 2 : y + 7, x + 2 : x + 5][arrow] == INK).all()
    assert changed.sum() <= arrow.sum() and changed[y + 2 : y + 7, x + 2 : x + 5].any()
    assert (glyphs.skeleton[:5, :3][arrow] == INK).all()  # the codec draws beside words
    assert (glyphs.skeleton[y : y + 8, x : x + 8] == plain.skeleton[y : y + 8, x : x + 8]).all()


def test_colours_are_not_mixed_with_what_is_around() -> None:
    picture = painted()
    cv2.circle(picture, (110, 70), 9, FILL, -1, cv2.LINE_AA)
    colours = [m.palette for m in found(picture, 3000.0)]
    assert colours == [(grid_colour(np.array(FILL)),)]


def test_soft_edges_take_few_colours() -> None:
    picture = painted()
    y, x = np.mgrid[-9:10, -9:10]
    cover = np.clip(8.5 - np.hypot(x, y), 0, 1)[..., None]
    area = picture[60:79, 100:119]
    area[:] = np.round(cover * (200, 30, 30) + (1 - cover) * area)
    (disc,) = found(picture, 300.0)
    assert 2 <= len(disc.palette) <= 8
    assert np.abs(painted(disc).astype(int) - picture).mean(where=picture != 250) < 12


def test_the_same_bytes_give_a_better_page(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.ascontiguousarray(np.tile(painted(*icons()), (2, 2, 1)))

    def left() -> float:
        encoded = codec.encode(picture, max_bytes=500, content="screen", ocr="none")
        assert encoded.bytes <= 500
        page = codec.decode(encoded.data, stage="typeset").image
        return float(((page.astype(float) - picture) ** 2).sum())

    with_marks = left()
    monkeypatch.setattr("picd.dressing.fit_marks", lambda *_: ())
    assert with_marks < 0.5 * left()


def test_marks_never_make_a_file_that_is_refused(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("picd.limits._is_setting_allowed", lambda layout: not layout.marks)
    encoded = codec.encode(painted(*icons()), quality=60, content="screen", ocr="none")
    assert not encoded.layout.marks
    codec.info(encoded.data)


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
