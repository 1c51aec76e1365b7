"""Any valid layout survives the layout coder, and hostile bytes cannot crash or occupy it."""

import itertools
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picd.errors import BitstreamError
from picd.font_metrics import FACES, UNITS_PER_EM, layout_scales, natural_extent
from picd.layout import OwnLetter, PlacedWord, TextLayout, TextLine, TextStyle
from picd.layout_coder import (
    MAX_POSITION,
    MAX_SIZE,
    decode_layout,
    encode_layout,
)
from picd.letter_coder import reached
from picd.outlines import outline

levels = st.integers(0, 31).map(lambda level: round(level * 255 / 31))
colours = st.one_of(st.tuples(levels, levels, levels), st.tuples(*[st.integers(0, 255)] * 3))
styles = st.builds(
    TextStyle, st.integers(0, len(FACES) - 1), st.integers(1, MAX_SIZE), colours, colours
)
positions = st.one_of(st.integers(-100, 6000), st.integers(-MAX_POSITION, MAX_POSITION))
words = st.builds(
    PlacedWord,
    st.text(max_size=8),
    positions,
    st.one_of(st.integers(0, 600), st.integers(0, MAX_POSITION)),
)
text_lines = st.builds(
    TextLine,
    styles,
    positions,
    st.lists(words, max_size=6).map(tuple),
    st.booleans(),
    clear=st.booleans(),
)
layouts = st.builds(
    TextLayout,
    st.integers(1, 4000),
    st.integers(1, 4000),
    st.lists(text_lines, max_size=8).map(tuple),
)


def joined_where_that_can_be(layout, joints):
    """Lines that are joined to the one before stand on its row, and both have words."""
    lines = []
    for line, joined in zip(layout.lines, joints, strict=False):
        if joined and lines and lines[-1].words and line.words:
            line = replace(line, baseline=lines[-1].baseline - 3, joined=True)
        lines.append(line)
    return replace(layout, lines=tuple(lines))


joints = st.lists(st.booleans(), min_size=8, max_size=8)
STRINGS = tuple(tuple(f"word {i} of the settings page".split()) for i in range(12))

_TITLE = TextStyle(4, 96, (0, 0, 0), (255, 255, 255))
_BODY = TextStyle(3, 56, (66, 66, 66), (255, 255, 255))
GOLDEN = TextLayout(
    640,
    480,
    (
        TextLine(_TITLE, 120, (PlacedWord("Settings", 80, 395),)),
        TextLine(_BODY, 220, (PlacedWord("Show", 82, 143), PlacedWord("hidden", 242, 165))),
        TextLine(_BODY, 300, (PlacedWord("Save", 82, 128), PlacedWord("as", 225, 56))),
        TextLine(_BODY, 300, (PlacedWord("Ctrl+S", 1604, 158),)),
    ),
)
GOLDEN_BYTES = bytes.fromhex("00007bce63249b657f67a4d207640cff0da991967dd5")
"""Changes with the layout prior, that is with the model id, and only then."""


def strings_of(layout):
    return tuple(tuple(word.text for word in line.words) for line in layout.lines)


@settings(deadline=None)
@given(st.builds(joined_where_that_can_be, layouts, joints))
def test_round_trip(layout):
    data = encode_layout(layout)
    assert decode_layout(data, strings_of(layout), layout.width, layout.height) == layout


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused_soon(data):
    start = time.process_time()
    try:
        layout = decode_layout(data, STRINGS, 1280, 720)
    except BitstreamError as error:
        assert "\n" not in str(error)
    else:
        assert strings_of(layout) == STRINGS
        for line in layout.lines:
            assert abs(line.baseline) <= MAX_POSITION
            assert all(0 <= w.width <= MAX_POSITION >= abs(w.x) for w in line.words)
    assert time.process_time() - start < 2


def test_golden_bytes():
    assert encode_layout(GOLDEN) == GOLDEN_BYTES
    assert decode_layout(GOLDEN_BYTES, strings_of(GOLDEN), 640, 480) == GOLDEN


@pytest.mark.parametrize(
    "line",
    [
        TextLine(TextStyle(len(FACES), 52, (0, 0, 0), (0, 0, 0)), 0, ()),
        TextLine(TextStyle(0, 0, (0, 0, 0), (0, 0, 0)), 0, ()),
        TextLine(TextStyle(0, 52, (0, 0, 256), (0, 0, 0)), 0, ()),
        TextLine(TextStyle(0, 52, (0, 0, 0), (0, 0, 0)), MAX_POSITION + 1, ()),
        TextLine(TextStyle(0, 52, (0, 0, 0), (0, 0, 0)), 0, (PlacedWord("a", 0, -1),)),
    ],
)
def test_what_cannot_be_sent_is_refused(line):
    with pytest.raises(ValueError):
        encode_layout(TextLayout(64, 64, (line,)))


def test_joints_cost_little():
    """A prompt in three colours, thrice: each piece is where the one before ends."""
    inks = (78, 154, 6), (211, 215, 207), (115, 159, 240)
    lines = []
    for row in range(12):
        x = 40
        for text, ink in zip(("mira@atlas", ":", "~/work"), inks, strict=True):
            _, left, right = natural_extent(12, text)
            style = TextStyle(12, 52, ink, (16, 20, 30))
            unit = style.size / UNITS_PER_EM
            word = PlacedWord(text, round(x + left * unit), round((right - left) * unit))
            lines.append(
                TextLine(style, 100 + 68 * row, (word,), joined=bool(text != "mira@atlas"))
            )
            x += natural_extent(12, text)[0] * unit
    layout = TextLayout(640, 480, tuple(lines))
    data = encode_layout(layout)
    assert decode_layout(data, strings_of(layout), 640, 480) == layout
    apart = replace(layout, lines=tuple(replace(line, joined=False) for line in lines))
    assert len(data) < min(len(encode_layout(apart)), 110)


@pytest.mark.parametrize("line", [
    TextLine(_BODY, 300, (), joined=True),
    TextLine(_BODY, 310, (PlacedWord("as", 225, 56),), joined=True),
])  # fmt: skip
def test_a_joint_to_nothing_is_refused(line):
    with pytest.raises(ValueError, match="joined"):
        encode_layout(replace(GOLDEN, lines=(*GOLDEN.lines[:1], line)))
    with pytest.raises(ValueError, match="joined"):
        encode_layout(replace(GOLDEN, lines=(replace(GOLDEN.lines[0], joined=True),)))


def lettered(*levels: int) -> TextLayout:
    """GOLDEN with three letters of its own, of these levels over and over."""
    scales, own = layout_scales(GOLDEN), []
    for face, size, character in ((3, 56, "e"), (4, 96, "S"), (3, 56, "d")):
        drawn = outline(face, size, scales[face, size], character)
        pattern = itertools.cycle(levels)
        shape = (next(pattern) if here else 0 for here in reached(drawn).ravel().tolist())
        own.append(OwnLetter(face, size, character, tuple(shape)))
    return replace(GOLDEN, letters=tuple(own))


def test_own_letters_survive():
    layout = lettered(1, -4, 0, 2)
    back = decode_layout(encode_layout(layout), strings_of(layout), 640, 480)
    assert set(back.letters) == set(layout.letters)
    assert replace(back, letters=()) == replace(layout, letters=())
    assert encode_layout(back) == encode_layout(layout)


def test_own_letters_of_pictured_lines_are_not_sent():
    layout = lettered(1, -4, 0, 2)
    lines = (replace(layout.lines[0], pictured=True), *layout.lines[1:])
    layout = replace(layout, lines=lines)
    back = decode_layout(encode_layout(layout), strings_of(layout), 640, 480)
    assert {letter.character for letter in back.letters} == {"e", "d"}


def test_own_letters_cost_by_what_they_say():
    plain, faint, busy = (
        len(encode_layout(layout))
        for layout in (
            GOLDEN,
            lettered(0, 0, 0, 0, 0, 0, 0, 1),
            lettered(4, -3, 2, -1),
        )
    )
    assert plain < faint < busy


def test_more_own_letters_than_a_page_needs_are_refused(monkeypatch):
    layout = lettered(1, -4, 0, 2)
    data = encode_layout(layout)
    monkeypatch.setattr("picd.letter_coder.MAX_PIXELS", 100)
    with pytest.raises(BitstreamError, match="letters"):
        decode_layout(data, strings_of(layout), 640, 480)


def test_no_text_costs_nothing():
    assert encode_layout(TextLayout(64, 64)) == b""
    assert decode_layout(b"", (), 64, 64) == TextLayout(64, 64)
    with pytest.raises(BitstreamError):
        decode_layout(b"x", (), 64, 64)
