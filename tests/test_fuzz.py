"""Hostile bytes raise the reader's own error, in little time and memory (a short campaign)."""

from __future__ import annotations

import io
import time
import zlib

import pytest
from fuzz_campaign import SECONDS, TARGETS, campaign, checked
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from picd import BitstreamError, Codec, ImageError
from picd.bitstream import MAX_PIXELS, Container, Header
from picd.dressing import coded_text
from picd.images import load_image
from picd.layout import PlacedWord, TextLayout, TextLine, TextStyle
from picd.layout_coder import encode_layout
from picd.limits import allowed, text_limit, typesetting_work
from picd.text_coder import decode_text, encode_text

RUNS = {"container": 3000, "picture": 600, "layout": 150, "image": 60, "text": 12, "file": 25}


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_inputs(name: str, tmp_path) -> None:
    counts = campaign(name, RUNS[name], seed=7, failures=tmp_path / "failures")
    assert counts["inputs"] == RUNS[name]
    assert set(counts) == {"inputs", "slowest ms"}, counts


@pytest.mark.parametrize("name", ["container", "layout", "image", "file", "picture"])
@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes(name: str, data: bytes) -> None:
    checked(TARGETS[name], data)


def test_the_campaign_finds_what_is_there(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that raises something else, or is slow, is reported with its input."""

    def broken(data: bytes) -> None:
        if len(data) % 2:
            raise IndexError("odd")

    target = TARGETS["layout"]
    monkeypatch.setitem(TARGETS, "layout", type(target)(broken, lambda: [b"12345678"], 0.1))
    counts = campaign("layout", 50, seed=1, failures=tmp_path)
    assert 0 < counts["IndexError: odd"] < 50
    assert all(len(file.read_bytes()) % 2 for file in tmp_path.iterdir())

    def slow(data: bytes) -> None:
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass

    monkeypatch.setattr("fuzz_campaign.SECONDS", 0.02)
    with pytest.raises(AssertionError, match="s for 0 bytes"):
        checked(type(target)(slow, list, 0.1), b"")


def test_a_long_hostile_text_is_cut_short() -> None:
    """Every bit the likeliest: the decoder would spell 256 KiB out of nothing."""
    data = bytes(1 << 14)  # 2**18 bytes of text are allowed to so long a section
    start = time.process_time()
    with pytest.raises(BitstreamError, match="no end of text"):
        decode_text(data + b"\1", text_limit(96, 64))
    assert time.process_time() - start < SECONDS


def _layout(size: int, words: int, width: int) -> TextLayout:
    style = TextStyle(0, size, (0, 0, 0), (255, 255, 255))
    line = tuple(PlacedWord("W", 0, width) for _ in range(words))
    return TextLayout(640, 400, (TextLine(style, 400, line),))


@pytest.mark.parametrize(("size", "words", "width"), [(1 << 14, 1, 100), (400, 1200, 1 << 17)])
def test_letters_cannot_cover_the_picture_for_ever(
    codec: Codec, size: int, words: int, width: int
) -> None:
    layout = _layout(size, words, width)
    assert not allowed(layout)
    header = Header(640, 400, 40, False, 0, codec.models.id)
    data = Container(header, encode_text(layout), encode_layout(layout), b"").pack()
    start = time.process_time()
    with pytest.raises(BitstreamError, match="too often"):
        codec.decode(data)
    assert time.process_time() - start < SECONDS


def test_encoders_leave_out_what_a_file_may_not_carry() -> None:
    style = TextStyle(0, 48, (0, 0, 0), (255, 255, 255))
    big = TextStyle(0, 80, (0, 0, 0), (255, 255, 255))
    words = tuple(PlacedWord("many", 40 * i, 30) for i in range(100))
    lines = [TextLine(style, 40 * i, words) for i in range(40)] + [TextLine(big, 10, words[:5])]
    layout = TextLayout(200, 200, tuple(lines))
    assert not allowed(layout)
    kept = coded_text(layout, None)[0]
    assert allowed(kept) and 0 < len(kept.lines) < 41
    assert kept.lines[-1].style == big  # the smallest go first


def test_a_dense_page_is_allowed() -> None:
    """A terminal full of small print, 240 x 60 characters on 1280 x 720."""
    style = TextStyle(12, 4 * 9, (0, 0, 0), (255, 255, 255))
    words = tuple(PlacedWord("x" * 9, 4 * 53 * i, 4 * 48) for i in range(24))
    layout = TextLayout(1280, 720, tuple(TextLine(style, 48 * i, words) for i in range(60)))
    assert allowed(layout)
    assert typesetting_work(layout) < 4 * 1280 * 720


def test_a_small_file_cannot_ask_for_gigapixels(codec: Codec) -> None:
    body = b"PICD\x01" + codec.models.id + b"\0" + b"\x80\x80\x01" * 2 + b"\x50\0"
    data = body + zlib.crc32(body).to_bytes(4, "little")
    with pytest.raises(BitstreamError, match=f"at most {MAX_PIXELS} pixels"):
        codec.decode(data)


@pytest.mark.parametrize("form", ["PNG", "GIF", "TIFF", "WEBP", "BMP", "PPM"])
def test_decompression_bombs(form: str) -> None:
    """Small files of many pixels are refused by their header, before a pixel is decoded."""
    buffer = io.BytesIO()
    if form == "PPM":
        buffer.write(b"P6 100000 100000 255\n")
    else:
        side = (16384, 1100) if form in ("WEBP", "BMP") else (17000, 1200)
        side = (16000, 1100) if form == "WEBP" else side
        Image.new("1" if form != "WEBP" else "RGB", side).save(buffer, form)
    start = time.process_time()
    with pytest.raises(ImageError, match="megapixels|between"):
        load_image(buffer.getvalue())
    assert time.process_time() - start < 0.5


def test_names_in_a_file_are_only_text(codec: Codec) -> None:
    """No path from the file reaches the file system: there is no field for one."""
    word = "../../../etc/passwd"
    style = TextStyle(0, 48, (0, 0, 0), (255, 255, 255))
    line = TextLine(style, 100, (PlacedWord(word, 10, 300),))
    layout = TextLayout(160, 96, (line,))
    header = Header(160, 96, 40, False, 0, codec.models.id)
    data = Container(header, encode_text(layout), encode_layout(layout), b"").pack()
    assert codec.decode(data, stage="typeset").text == word
