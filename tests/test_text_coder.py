"""Any words survive the text coder, and hostile bytes cannot crash or occupy it."""

import contextlib
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from picd.errors import BitstreamError
from picd.layout import PlacedWord, TextLayout, TextLine, TextStyle
from picd.text_coder import MAX_TEXT_BYTES, decode_text, encode_text

STYLE = TextStyle(0, 52, (0, 0, 0), (255, 255, 255))
any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)
lines_of_words = st.lists(st.lists(any_text, max_size=6).map(tuple), max_size=6).map(tuple)

GOLDEN_LINES = (
    ("File", "Edit", "View", "Help"),
    ("Save", "the", "current", "document", "before", "closing", "the", "window?"),
    ("Größe:", "1280", "×", "720", "☕"),
)
GOLDEN_BYTES = bytes.fromhex(
    "b95ad019fb9c030e22a8c65c4733da821a5fa4563431bc41e496a5e3b8664595d584958a007cbe161f73"
)
"""Changes with the text prior, that is with the model id, and only then."""


def layout_of(lines):
    words = (tuple(PlacedWord(text, 0, 0) for text in line) for line in lines)
    return TextLayout(640, 480, tuple(TextLine(STYLE, 0, line) for line in words))


@settings(deadline=None, max_examples=30)
@given(lines_of_words)
@example((("",), (), ("", ""), (" ", "\n", "\0", "\x1a", "\x1aw", "a b\tc\r\n")))
@example((("👩‍👩‍👧", "שלום", "e\u0301", "\u202e", "\ud800", "\udc00\ud800", "漢字"),))
def test_round_trip(lines):
    assert decode_text(encode_text(layout_of(lines))) == lines


@settings(deadline=None, max_examples=10)
@given(st.binary(max_size=24))
def test_any_bytes_decode_or_are_refused_soon(data):
    start = time.process_time()
    try:
        lines = decode_text(data)
    except BitstreamError as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(word, str) for line in lines for word in line)
    assert time.process_time() - start < 2


def test_golden_bytes():
    assert encode_text(layout_of(GOLDEN_LINES)) == GOLDEN_BYTES
    assert decode_text(GOLDEN_BYTES) == GOLDEN_LINES


@settings(deadline=None, max_examples=10)
@given(st.data())
def test_damaged_text_decodes_to_something_or_is_refused(data):
    damaged = bytearray(GOLDEN_BYTES[: data.draw(st.integers(1, len(GOLDEN_BYTES)))])
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(BitstreamError):
        assert isinstance(decode_text(bytes(damaged)), tuple)


def test_repetitive_text_is_long_enough_to_be_believed():
    lines = (("a" * 4000,),)
    assert decode_text(encode_text(layout_of(lines))) == lines


def test_too_long_a_text_is_refused():
    with pytest.raises(ValueError, match="can be sent"):
        encode_text(layout_of((("a" * MAX_TEXT_BYTES,),)))


def test_a_page_takes_little_time():
    page = tuple(
        tuple(f"word{i * j % 97} of the settings page".split())
        for j in range(5, 6)
        for i in range(60)
    )
    start = time.process_time()
    data = encode_text(layout_of(page))
    middle = time.process_time()
    assert decode_text(data) == page
    assert middle - start < 5 and time.process_time() - middle < 5
