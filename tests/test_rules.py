"""Rules: what is ruled and filled on a page is found, coded and painted back exactly."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from demo.picture_input import example_path
from picd import rules as rules_module
from picd.errors import BitstreamError
from picd.images import load_image
from picd.layout import Rule, TextLayout
from picd.rules import GREY, RADII, ROUND_ENDS, Ruler, fit_rules, paint_rules
from picd.skeleton_coder import decode_skeleton, encode_skeleton

WIDTH, HEIGHT = 320, 200
INK, PAPER, PANEL = (40, 40, 40), (250, 250, 250), (225, 230, 240)


def painted(*rules: Rule) -> np.ndarray:
    return paint_rules(TextLayout(WIDTH, HEIGHT, (), rules))


def encoded(*rules: Rule) -> bytes:
    return encode_skeleton(rules, (), WIDTH, HEIGHT)


def decoded(data: bytes) -> tuple[Rule, ...]:
    return decode_skeleton(data, WIDTH, HEIGHT)[0]


def table() -> tuple[Rule, ...]:
    """Paper, a round panel, five lines across it and a button."""
    lines = (Rule(40, y, 280, y + 1, INK) for y in range(50, 175, 25))
    paper = Rule(0, 0, WIDTH, HEIGHT, PAPER)
    return paper, Rule(30, 20, 290, 180, PANEL, 12), *lines, Rule(200, 130, 260, 145, (0, 90, 200))


def test_what_is_ruled_is_found_exactly():
    picture = painted(*table())
    rules = fit_rules(picture, price=300)
    assert len(rules) == len(table())
    assert np.array_equal(painted(*rules), picture)


def test_lines_that_meet_are_found_to_the_pixel():
    across = [Rule(60, y, 261, y + 1, INK) for y in (40, 90, 140)]
    down = [Rule(x, 40, x + 1, 141, INK) for x in (60, 160, 260)]
    beside = [Rule(x, y, x + 9, y + 9, INK) for x, y in ((10, 10), (300, 180))]
    picture = painted(table()[0], *across, *down, *beside)
    rules = fit_rules(picture, price=300)
    assert set(across + down) <= set(rules)
    assert np.array_equal(painted(*rules), picture)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_components_of_sparse_and_dense_masks(share: float):
    mask = np.uint8(255) * (np.random.default_rng(3).random((90, 120)) < share)
    mask[20:30, 40:44] = 255
    expected = cv2.connectedComponentsWithStats(mask, connectivity=4)[2][1:]
    assert rules_module._components(mask) == expected.tolist()


def test_a_panel_with_words_and_a_photograph_in_it_is_still_found():
    picture = painted(*table()[:2])
    random = np.random.default_rng(1)
    picture[60:66, 50:120] = random.choice([0, 225], (6, 70, 1))
    picture[90:150, 150:240] = random.integers(0, 255, (60, 90, 3))
    rules = fit_rules(picture, price=2000)
    assert rules == table()[:2]


def test_stems_of_letters_are_no_lines():
    picture = painted(table()[0])
    picture[60:100, 50:53] = INK
    under = np.zeros(picture.shape[:2], bool)
    under[55:105, 40:120] = True
    assert len(fit_rules(picture, price=300)) == 2
    assert fit_rules(picture, price=300, words=under) == table()[:1]


def test_a_flat_patch_of_a_photograph_is_no_rule():
    picture = np.random.default_rng(2).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    picture[:, :60] = PAPER
    picture[80:120, 150:240] = PANEL
    assert PANEL not in {rule.colour for rule in fit_rules(picture, price=300)}


def test_a_triangle_is_no_rule():
    picture = painted(Rule(0, 0, WIDTH, HEIGHT, PAPER))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    picture[(rows > 40) & (columns > 60) & (rows + columns < 240)] = PANEL
    assert fit_rules(picture, price=300) == (Rule(0, 0, WIDTH, HEIGHT, PAPER),)


def test_a_panel_cut_by_lines_is_one(monkeypatch: pytest.MonkeyPatch):
    picture = painted(table()[0], Rule(30, 20, 290, 180, PANEL))
    picture[20:180, 40:290:12] = INK
    panel = (30, 20, 290, 180, PANEL)
    whole = fit_rules(picture, price=50_000)  # more than a piece is worth
    assert panel in {(r.x0, r.y0, r.x1, r.y1, r.colour) for r in whole}
    monkeypatch.setattr(rules_module, "GAPS", ())
    assert PANEL not in {rule.colour for rule in fit_rules(picture, price=50_000)}


def test_a_curved_band_is_no_staircase(monkeypatch: pytest.MonkeyPatch):
    picture = painted(table()[0])
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    middle = 100 + 60 * np.sin(columns / 50)
    picture[np.abs(rows - middle) < 26] = PANEL
    picture[:, 30::40] = INK
    assert PANEL not in {rule.colour for rule in fit_rules(picture, price=1000)}
    monkeypatch.setattr(rules_module, "HELD", 0)
    monkeypatch.setattr(rules_module, "FALSE", 1)
    assert PANEL in {rule.colour for rule in fit_rules(picture, price=1000)}


def test_a_strip_of_a_sky_is_no_rule(monkeypatch: pytest.MonkeyPatch):
    """It would end where the picture does not."""
    picture = load_image(example_path("web"))[220:480, 40:960]
    sky = np.s_[14:40, 20:880]  # of the photograph in the page

    def edges() -> int:
        page = paint_rules(TextLayout(920, 260, rules=fit_rules(picture, price=4000)))
        return int((np.abs(np.diff(page[sky].astype(int), axis=0)) > 8).any(-1).sum())

    assert edges() == 0
    monkeypatch.setattr(rules_module, "FALSE", 1)
    assert edges() > 100


def test_bars_that_hang_together_by_a_frame_are_found():
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    bars = {(0, 0, WIDTH, 24), (0, 180, WIDTH, HEIGHT)}
    for x0, y0, x1, y1 in (*bars, (0, 0, 3, HEIGHT), (200, 0, 204, HEIGHT)):
        mask[y0:y1, x0:x1] = 255
    assert set(rules_module._bars(mask)) == bars
    mask[6:18, 40:300:30] = 0  # icons
    assert set(rules_module._bars(mask)) == bars


def test_a_row_of_a_picture_that_a_box_of_words_hides_is_a_rule():
    picture = painted(table()[0])
    picture[40:100, 60:220] = np.linspace(0, 120, 60).astype(np.uint8)[:, None, None]
    boxes = np.zeros(picture.shape[:2], bool)
    boxes[99:115, 60:200] = True  # of a caption right below
    page = np.where(boxes[..., None], np.uint8(PAPER), picture)
    worth = ((picture - page.astype(np.float32)) ** 2).sum(-1)
    ruler = Ruler(picture, np.zeros(picture.shape[:2], bool))
    paper, hidden = ruler.more(table()[:1], worth, 100.0, None, boxes)
    assert hidden == Rule(60, 99, 200, 100, (120, 120, 120))
    # it ends where the picture goes on, but what is there is not seen
    assert ruler.more((paper, hidden), np.zeros_like(worth), 100.0, None, boxes) == (paper, hidden)
    assert ruler.more(table()[:1], worth, 1e6, None, boxes) == table()[:1]


def drawn_round(*shapes: tuple[tuple[int, int, int, int], float, tuple[int, ...]]) -> np.ndarray:
    """Rounded rectangles (x0, y0, x1, y1) as Pillow draws them sixteen times as large."""
    paper = Image.new("RGB", (16 * WIDTH, 16 * HEIGHT), PAPER)
    draw = ImageDraw.Draw(paper)
    for (x0, y0, x1, y1), radius, colour in shapes:
        box = 16 * x0, 16 * y0, 16 * x1 - 1, 16 * y1 - 1
        draw.rounded_rectangle(box, 16 * radius, fill=colour)
    return np.array(paper.resize((WIDTH, HEIGHT), Image.Resampling.BOX))


@pytest.mark.parametrize("size", [17, 34, 41, 42, 75, 120])
@pytest.mark.parametrize("length", [0, 1, 130])
def test_discs_and_pills_are_one_rule_to_the_pixel(size: int, length: int):
    box = 40, 30, 40 + size + length, 30 + size
    picture = drawn_round((box, size / 2, (200, 60, 80)))
    cut = picture.copy()
    cut[30 + size // 2 - 2 : 30 + size // 2 + 2, 45:50] = 255  # something on it
    for seen in (picture, cut):
        rules = fit_rules(seen, price=300)[:2]
        assert rules[1] == Rule(*box, (200, 60, 80), ROUND_ENDS)
        assert np.abs(painted(*rules).astype(int) - picture).max() < 24


def test_a_balloon_has_three_round_corners():
    balloon = (40, 30, 240, 70), 16, (90, 60, 200)
    corner = (222, 30, 240, 48), 0, (90, 60, 200)
    paper, found = fit_rules(drawn_round(balloon, corner), price=300)[:2]
    assert found == Rule(*balloon[0], (90, 60, 200), 16)


def test_more_rules_are_those_that_the_picture_stream_does_badly():
    lines = [Rule(40, 60, 240, 61, INK), Rule(40, 90, 240, 91, INK)]
    panel = Rule(20, 40, 260, 120, PANEL)
    picture = painted(table()[0], panel, *lines)
    worth = np.zeros(picture.shape[:2], np.float32)
    worth[60, 40:240] = 2000.0  # the other line is coded well
    ruler, dear = Ruler(picture), (table()[0], panel)
    assert ruler.more(dear, worth, 100.0, None) == (*dear, lines[0])
    assert ruler.more(dear, worth, 1e5, None) == dear
    worth = ((picture - np.float32(PAPER)) ** 2).sum(-1)  # nothing was coded
    more = ruler.more(table()[:1], worth, 100.0, None)
    assert more.index(panel) < more.index(lines[0])  # what is larger is painted first


def test_a_dearer_rule_is_rarer_and_a_photograph_has_none():
    picture = painted(*table())
    counts = [len(fit_rules(picture, price)) for price in (300, 5000, 100_000)]
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[-1]
    assert len(fit_rules(picture, 300, limit=3)) == 3
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    assert fit_rules(noise, 300) == ()
    assert (paint_rules(TextLayout(30, 20)) == GREY).all()


colours = st.tuples(*[st.integers(0, 255)] * 3)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    x0, y0 = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, HEIGHT - 1))
    x1, y1 = draw(st.integers(x0 + 1, WIDTH)), draw(st.integers(y0 + 1, HEIGHT))
    area = min(x1 - x0, y1 - y0) > 4
    return Rule(x0, y0, x1, y1, draw(colours), draw(st.sampled_from(RADII)) if area else 0)


@settings(deadline=None)
@given(st.lists(rules(), max_size=40))
def test_rules_come_back(listed: list[Rule]):
    assert decoded(encoded(*listed)) == tuple(listed)
    painted(*listed)  # whatever can be sent can be painted


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=60))
def test_any_bytes_are_rules_or_refused(data: bytes):
    try:
        painted(*decoded(data))
    except BitstreamError:
        pass


def test_a_table_costs_a_few_bytes_a_row():
    lines = tuple(Rule(40, y, 280, y + 1, INK) for y in range(10, 190, 9))
    assert len(encoded(*lines)) < 3 * len(lines)


def test_more_than_the_format_counts_is_refused():
    with pytest.raises(ValueError, match="at most 255"):
        encoded(*(table()[0],) * 256)
