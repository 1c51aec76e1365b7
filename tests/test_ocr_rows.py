"""Boxes of several rows of text are cut between them."""

from types import SimpleNamespace

import numpy as np
import pytest

from picd.glyphs import render_glyphs, typeset
from picd.layout import PlacedWord, TextLayout, TextLine, TextStyle
from picd.ocr import load_engine
from picd.ocr_rows import one_row_each

ROWS = ("2018-06-21 08:30:38 DEBUG moving", "2024-11-28 01:29:51 INFO roof grid",
        "2020-05-10 00:39:04 DEBUG vote", "2024-01-18 20:09:02 WARN withdraw")  # fmt: skip
PITCH, TOP = 28, 40
STYLE = TextStyle(12, 88, (220, 220, 220), (20, 24, 32))


@pytest.fixture(scope="module")
def dense():
    """Rows of 22 pixels, 28 pixels apart."""
    lines = tuple(
        TextLine(STYLE, 4 * (TOP + PITCH * row), (PlacedWord(text, 80, 4 * 13 * len(text)),))
        for row, text in enumerate(ROWS)
    )
    layout = TextLayout(520, 160, lines)
    plain = np.full((160, 520, 3), STYLE.ground, np.uint8)
    return typeset(plain, render_glyphs(layout))


def quad(x0, y0, x1, y1, lean=0):
    return np.array([(x0, y0), (x1, y0 + lean), (x1, y1 + lean), (x0, y1)], np.float32)


def spans(quads):
    return [(int(q[:, 1].min()), int(q[:, 1].max())) for q in quads]


def holds(span, row):
    """Whether a box holds a row from the height of capitals to the baseline, and no other row's."""
    base = TOP + PITCH * row
    return span[0] <= base - 15 and base <= span[1] < base + PITCH - 12 and span[0] > base - PITCH


def test_two_rows_in_one_box_are_two(dense):
    cut = one_row_each(dense, np.array([quad(16, 20, 480, 75)]))
    found = [[holds(span, row) for row in (0, 1)] for span in spans(cut)]
    assert found == [[True, False], [False, True]]


def test_rows_that_no_box_holds_whole_are_found(dense):
    """The second row's foot and the fourth's head are in boxes with the third, cut in half."""
    found = spans(one_row_each(dense, np.array([quad(16, 28, 480, 84), quad(16, 84, 480, 140)])))
    assert all(sum(holds(span, row) for span in found) == 1 for row in range(4))
    assert len(found) == 4


def test_boxes_of_one_row_stay(dense):
    boxes = np.array([quad(16, 20, 480, 46), quad(16, 50, 480, 73, lean=1)])
    assert np.array_equal(one_row_each(dense, boxes), boxes)
    blank = np.zeros_like(dense)
    assert np.array_equal(one_row_each(blank, boxes), boxes)


def test_a_row_is_read_once(dense):
    """What another box holds already is not cut out a second time."""
    boxes = np.array([quad(16, 20, 480, 46), quad(16, 18, 480, 76)])
    assert [sum(holds(s, r) for s in spans(one_row_each(dense, boxes))) for r in (0, 1)] == [1, 1]


def test_hostile_boxes_do_no_harm(dense):
    rng = np.random.default_rng(1)
    boxes = rng.uniform(-300, 900, (60, 4, 2)).astype(np.float32)
    assert one_row_each(dense, boxes).shape[1:] == (4, 2)


def test_rows_that_the_detector_joins_are_all_read(dense, monkeypatch):
    engine = load_engine("rapidocr")

    def joined(picture, seen):
        seen["padding_1"] = {"top": 0, "left": 0}
        return [], SimpleNamespace(boxes=np.array([quad(16, 20, 500, 75)]))

    monkeypatch.setattr(engine._engine, "detect_and_crop", joined)
    words = engine.read(dense)
    assert [w.text for w in words if w.line == words[0].line][:2] == ROWS[0].split()[:2]
    assert [w.text for w in words if w.line == words[-1].line][:2] == ROWS[1].split()[:2]


def test_a_dense_page_is_read(dense):
    words = [word.text for word in load_engine("rapidocr").read(dense)]
    assert [word.replace("INF0", "INFO") for word in words] == " ".join(ROWS).split()


def test_boxes_of_a_banner_are_where_its_words_are():
    """The engine pads pictures that are much wider than high."""
    word = PlacedWord("banner", 4 * 600, 4 * 76)
    style = TextStyle(3, 96, (0, 0, 0), (255, 255, 255))
    layout = TextLayout(1280, 48, (TextLine(style, 4 * 34, (word,)),))
    picture = typeset(np.full((48, 1280, 3), 255, np.uint8), render_glyphs(layout))
    (found,) = load_engine("rapidocr").read(picture)
    assert found.text == "banner"
    assert found.box[1] < 20 and 34 <= found.box[1] + found.box[3] <= 48
