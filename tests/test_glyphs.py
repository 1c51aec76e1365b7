"""Widths are exact and monotone; rendering fits words to their boxes, never fails, is sharp."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picd.font_metrics import (
    FACES,
    FONT_FOLDER,
    KERNED,
    UNITS_PER_EM,
    advances,
    glyph_metrics,
    natural_extent,
    word_extent,
)
from picd.glyphs import character_pens, glyph_mask, render_glyphs, typeset, word_boxes
from picd.layout import UNITS_PER_PIXEL, PlacedWord, Rule, TextLayout, TextLine, TextStyle

INK, GROUND = (0, 0, 0), (255, 255, 255)
NAMES = {face.name: index for index, face in enumerate(FACES)}
WIDTHS = [398, 407, 416, 380, 399, 380, 383, 429, 477, 346, 349, 375, 415, 415, 413, 344, 385, 356,
          409, 426, 352, 415, 396, 406, 398, 407, 416, 380, 399, 379, 382, 428, 477, 345, 348, 375,
          385, 353, 409, 426, 352, 395, 405]  # fmt: skip


def one_word(text, face=3, size=64, x=80, width=None, baseline=120, shape=(60, 300),
             ground=GROUND):  # fmt: skip
    width = width or max(word_extent(face, size, text)[1], 1)
    line = TextLine(TextStyle(face, size, INK, ground), baseline, (PlacedWord(text, x, width),))
    return TextLayout(shape[1], shape[0], (line,))


def test_every_face_is_bundled_with_its_licence():
    assert all((FONT_FOLDER / face.file).is_file() for face in FACES)
    assert len(list(FONT_FOLDER.glob("LICENSE-*.txt"))) >= 6
    assert sum(path.stat().st_size for path in FONT_FOLDER.iterdir()) < 2_500_000


def test_widths_do_not_change():
    """The layout coder predicts with these: a change makes old files unreadable."""
    widths = [word_extent(face, 64, "Hamburg 123")[1] for face in range(len(FACES))]
    assert widths == WIDTHS


def test_kerned_faces_differ_in_pairs_only():
    for plain, kerned in KERNED.items():
        assert word_extent(kerned, 64, "nnn") == word_extent(plain, 64, "nnn")
        assert word_extent(kerned, 64, "VAT")[1] < word_extent(plain, 64, "VAT")[1]
        assert word_extent(kerned, 64, "V☕")[0] == word_extent(plain, 64, "V☕")[0]
        masks = [glyph_mask(face, 64, 64, "V", 0, 0)[0] for face in (plain, kerned)]
        assert np.array_equal(*masks)


def test_pens_of_a_kerned_word_end_where_it_ends():
    for face in (NAMES["DejaVu Sans"], KERNED[NAMES["DejaVu Sans"]]):
        _, left, right = natural_extent(face, "Type")
        word = PlacedWord("Type", 80, round((right - left) * 64 / UNITS_PER_EM))
        steps = [pen for _, pen, _ in character_pens(word, face, 64, 64)]
        natural = np.cumsum([0, *advances(face, "Type")[:-1]]) * 64 / UNITS_PER_EM
        assert np.diff(steps) == pytest.approx(np.diff(natural), abs=0.3)


def test_extent_scales_and_adds():
    assert word_extent(0, 128, "word")[0] == pytest.approx(2 * word_extent(0, 64, "word")[0], abs=1)
    assert word_extent(12, 64, "iiii")[0] == word_extent(12, 64, "MMMM")[0]
    assert word_extent(0, 64, " ")[1] == 0
    assert word_extent(0, 64, "") == (0, 0)


@pytest.mark.parametrize("face", range(len(FACES)))
def test_ink_starts_and_ends_where_the_layout_says(face):
    coverage = render_glyphs(one_word("Nimble", face, x=83, width=211)).coverage
    inked = np.flatnonzero(coverage.max(axis=0) > 100)
    assert inked[0] == pytest.approx(83 / UNITS_PER_PIXEL, abs=1.1)
    assert inked[-1] + 1 == pytest.approx((83 + 211) / UNITS_PER_PIXEL, abs=1.1)


def test_a_whole_baseline_is_sharp():
    """The foot of an H ends on the baseline, without a grey row below."""
    rows = render_glyphs(one_word("HHH")).coverage.max(axis=1)
    assert rows[29] == 255 and rows[30] == 0


def test_quarter_pixels_move_the_ink():
    sums = [
        (render_glyphs(one_word("l", x=80 + step)).coverage * np.arange(300.0)).sum()
        for step in range(5)
    ]
    assert all(a < b for a, b in zip(sums, sums[1:], strict=False))


def test_bold_has_more_ink():
    regular, bold = (render_glyphs(one_word("weight", face)).coverage.sum() for face in (3, 4))
    assert bold > 1.2 * regular


def test_missing_characters_fall_back_and_then_become_a_box():
    assert FACES[glyph_metrics(15, "→").face].file == "DejaVuSans.ttf"
    assert glyph_metrics(15, "漢").face == -1
    assert render_glyphs(one_word("漢字")).coverage.any()


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(min_size=1, max_size=12),
    face=st.integers(0, len(FACES) - 1),
    size=st.integers(1, 2000),
    x=st.integers(0, 2000),
    width=st.integers(1, 3000),
    baseline=st.integers(-400, 2000),
)
def test_any_layout_renders(text, face, size, x, width, baseline):
    layout = one_word(text, face, size, x, width, baseline)
    glyphs = render_glyphs(layout)
    assert glyphs.coverage.shape == glyphs.box.shape == (60, 300)
    assert not glyphs.coverage[glyphs.box == 0].any()
    assert typeset(np.zeros((60, 300, 3), np.uint8), glyphs).shape == (60, 300, 3)


def test_rendering_is_deterministic():
    layout = one_word("again")
    assert (render_glyphs(layout).coverage == render_glyphs(layout).coverage).all()


def test_typeset_paints_ink_and_clears_ghosts():
    draft = np.full((60, 300, 3), 255, np.uint8)
    draft[10:40, 15:120] = 150  # the smear a crude codec leaves of text
    page = typeset(draft, render_glyphs(one_word("Hill", size=80)))
    (x0, y0, x1, y1), *_ = word_boxes(one_word("Hill", size=80).lines[0], 60, 300)
    area = page[y0:y1, x0:x1].min(axis=2)
    assert area.min() < 10
    assert (area > 250).mean() > 0.4


def test_typeset_keeps_what_is_close_to_the_ground():
    draft = np.full((60, 300, 3), 252, np.uint8)
    layout = one_word("l")
    glyphs = render_glyphs(layout)
    page = typeset(draft, glyphs)
    assert (page[glyphs.coverage == 0] == 252).all()


def test_words_stand_on_what_rules_tell():
    """A frame close by stays, and the ground is exact, where a line's is one of 32 levels."""
    rules = Rule(0, 0, 300, 60, (243, 241, 250)), Rule(10, 33, 290, 34, (200, 60, 60))
    layout = replace(one_word("Nimble", ground=(247, 239, 247)), rules=rules)
    glyphs = render_glyphs(layout)
    bare = (glyphs.box > 0) & (glyphs.coverage == 0)
    assert bare[33].any()
    smeared = glyphs.skeleton // 2
    assert np.array_equal(typeset(smeared, glyphs)[bare], glyphs.skeleton[bare])
    elsewhere = replace(layout, rules=(rules[0], Rule(0, 0, 300, 30, (20, 20, 20))))
    assert (render_glyphs(elsewhere).ground[glyphs.box > 0] == (247, 239, 247)).all()


def test_a_piece_leaves_the_ink_of_the_one_before():
    before = one_word("host", face=12, width=150).lines[0]
    style = replace(before.style, ink=(0, 0, 255))
    after = TextLine(style, before.baseline, (PlacedWord("name", 234, 150),), joined=True)
    glyphs = render_glyphs(TextLayout(300, 60, (before, after)))
    inked = glyphs.coverage > 0
    assert (glyphs.ink[:, :57][inked[:, :57]] == INK).all()
    assert (glyphs.ink[:, 60:][inked[:, 60:]] == (0, 0, 255)).all()


def test_text_on_a_gradient_stands_in_no_patch():
    layout = one_word("Hill", size=80, ground=(170, 170, 170))
    ramp = np.linspace(150, 190, 300).round().astype(np.uint8)
    draft = np.broadcast_to(ramp[None, :, None], (60, 300, 3)).copy()
    glyphs = render_glyphs(layout)
    (x0, y0, x1, y1), *_ = word_boxes(layout.lines[0], 60, 300)
    smeared = draft.copy()
    smeared[y0:y1, x0:x1] = 20
    page = typeset(smeared, glyphs).astype(int)
    assert np.abs(page - draft)[(glyphs.coverage == 0) & (glyphs.box > 0)].max() <= 6


def test_shades_stay_within_the_range():
    """A word with nothing like its ground beside it takes the shade of the next, and no more than
    white can be."""
    bright, dim = (one_word("on", x=x, ground=(c,) * 3) for x, c in ((60, 250), (800, 236)))
    glyphs = render_glyphs(TextLayout(300, 60, bright.lines + dim.lines))
    draft = np.full((60, 300, 3), 255, np.uint8)
    draft[:, :150] = 0
    page = typeset(draft, glyphs)
    assert page[(glyphs.coverage == 0) & (glyphs.box > 0)].min() > 200


def test_words_far_apart_are_shaded_apart():
    """However many there are, what is beside one does not show in the ground of another."""
    ramp = np.linspace(150, 190, 1200).round().astype(np.uint8)
    draft = np.broadcast_to(ramp[None, :, None], (60, 1200, 3)).copy()
    near, far = (one_word("Hill", x=x, ground=(170,) * 3) for x in (400, 3600))
    both = render_glyphs(TextLayout(1200, 60, near.lines + far.lines))
    alone = render_glyphs(TextLayout(1200, 60, near.lines))
    assert both.box[:, 600:].any()
    beside = draft.copy()
    beside[:, 700:] += 20
    page = typeset(draft, alone)[:, :400]
    assert (page != draft[:, :400]).any()
    assert (typeset(beside, both)[:, :400] == page).all()


def test_an_empty_layout_leaves_the_draft():
    draft = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert (typeset(draft, render_glyphs(TextLayout(30, 20))) == draft).all()
