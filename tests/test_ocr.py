"""Engines behind one protocol; rapidocr and tesseract read a page that we set ourselves."""

import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from picd.errors import ModelError
from picd.font_metrics import word_extent
from picd.glyphs import render_glyphs, typeset
from picd.layout import PlacedWord, TextLayout, TextLine, TextStyle
from picd.ocr import STRIP_OVERLAP, STRIP_PIXELS, _rapid_words, _strips, load_engine
from picd.runtime import SPINNING

LINES = ("Reading the page", "twice costs nothing", "Invoice 2041 total 318")


def page(width=420, height=200, size=80):
    """A picture of LINES and the true boxes (x, width) by word, in pixels."""
    lines, boxes = [], {}
    for row, text in enumerate(LINES):
        x, words = 40, []
        for word in text.split():
            advance, ink = word_extent(3, size, word)
            words.append(PlacedWord(word, x, ink))
            boxes[word] = (x / 4, ink / 4)
            x += advance + size // 3
        style = TextStyle(3, size, (0, 0, 0), (255, 255, 255))
        lines.append(TextLine(style, 4 * (50 + 50 * row), tuple(words)))
    glyphs = render_glyphs(TextLayout(width, height, tuple(lines)))
    return typeset(np.full((height, width, 3), 255, np.uint8), glyphs), boxes


@pytest.fixture(scope="module")
def rapidocr():
    return load_engine("rapidocr")


def check(words, boxes):
    assert [word.text for word in words] == " ".join(LINES).split()
    assert [len([w for w in words if w.line == n]) for n in sorted({w.line for w in words})] == [
        3,
        3,
        4,
    ]
    for word in words:
        x, width = boxes[word.text]
        assert word.box[0] == pytest.approx(x, abs=9)
        assert word.box[0] + word.box[2] == pytest.approx(x + width, abs=9)
        assert 0.5 < word.confidence <= 1


def test_rapidocr_reads_words_with_boxes(rapidocr):
    image, boxes = page()
    check(rapidocr.read(image), boxes)


def test_threads_of_rapidocr_sleep_while_they_wait(rapidocr):
    """Else two pages at a time take five seconds each instead of two and a half."""
    for part in (rapidocr._engine.text_det, rapidocr._engine.text_rec):
        options = part.session.session.get_session_options()
        assert options.get_session_config_entry(SPINNING) == "0"
    assert options.intra_op_num_threads == 1  # several lines are read at once instead


def test_rapidocr_reads_nothing_on_an_empty_page(rapidocr):
    assert rapidocr.read(np.full((64, 64, 3), 255, np.uint8)) == ()


def test_large_pages_are_read_in_strips_at_full_size(rapidocr, monkeypatch):
    image, boxes = page(height=800)
    monkeypatch.setattr("picd.ocr.STRIP_PIXELS", 420 * 100)
    monkeypatch.setattr("picd.ocr.STRIP_OVERLAP", 60)
    check(rapidocr.read(image), boxes)


def test_strips_tile_the_page_and_overlap():
    strips = _strips(6000, 4000)
    assert len(strips) == 6000 * 4000 / STRIP_PIXELS
    assert strips[0][2] == 0 and strips[-1][3] == 6000
    for (_, bottom, _, core_bottom), (top, _, core_top, _) in zip(strips, strips[1:], strict=False):
        assert core_bottom == core_top
        assert bottom - core_bottom == core_top - top == STRIP_OVERLAP
    assert _strips(100, 100) == [(0, 100, 0, 100)]


@pytest.mark.skipif(not shutil.which("tesseract"), reason="tesseract is not installed")
def test_tesseract_reads_words_with_boxes():
    image, boxes = page()
    check(load_engine("tesseract").read(image), boxes)


def test_none_reads_nothing():
    assert load_engine("none").read(page()[0]) == ()


def test_auto_prefers_rapidocr_and_falls_back(monkeypatch):
    assert load_engine().name == "rapidocr"
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert load_engine().name == "none"


@pytest.mark.parametrize("name", ["rapidocr", "easyocr"])
def test_a_missing_engine_is_one_line(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModelError, match=f"{name} is missing") as error:
        load_engine(name)
    assert "\n" not in str(error.value)


def test_easyocr_without_weights_is_one_line(monkeypatch):
    class Reader:
        def __init__(self, *_, **__):
            raise OSError("could not\nfetch craft")

    monkeypatch.setitem(sys.modules, "easyocr", type(sys)("easyocr"))
    sys.modules["easyocr"].Reader = Reader
    with pytest.raises(ModelError, match="weights: could not fetch craft"):
        load_engine("easyocr")


def test_easyocr_lines_become_words(monkeypatch):
    class Reader:
        def __init__(self, *_, **__):
            pass

        def readtext(self, image, **_):
            return [([[10, 5], [110, 5], [110, 25], [10, 25]], "two words!", 0.8)]

    monkeypatch.setitem(sys.modules, "easyocr", type(sys)("easyocr"))
    sys.modules["easyocr"].Reader = Reader
    words = load_engine("easyocr").read(np.zeros((40, 200, 3), np.uint8))
    assert [word.text for word in words] == ["two", "words!"]
    x, y, width, height = words[1].box
    assert (y, height) == (5, 20) and x + width == 110 and x == pytest.approx(50, abs=3)


def test_unknown_engine():
    with pytest.raises(ModelError, match="unknown OCR engine 'abc'"):
        load_engine("abc")


@pytest.mark.parametrize("second, texts", [(2, ["year", "21"]), (6, ["year", "2", "1"])])
def test_digits_without_room_between_them_are_one_number(second, texts):
    """Columns of 10 px in a line 30 px high; the recogniser saw a space in "2 1" either way."""
    start = 8
    columns = [[0, 2, 4, 6], [start], [start + second - 1]]
    info = SimpleNamespace(word_cols=columns, line_txt_len=20, confs=[0.9] * 8)
    quad = np.array([[0, 0], [200, 0], [200, 30], [0, 30]], np.float32)
    assert [word.text for word in _rapid_words(quad, "year 2 1", info)] == texts


def test_a_lone_character_has_the_whole_box():
    info = SimpleNamespace(word_cols=[[3]], line_txt_len=20, confs=[0.9])
    quad = np.float32([[50, 10], [64, 10], [64, 30], [50, 30]])
    (word,) = _rapid_words(quad, "7", info)
    assert word.box == (50, 10, 14, 20)
