"""Words of several inks are set in them, and read as one word."""

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picd import pieces
from picd.columns import layout_text, layout_words
from picd.dressing import coded_text
from picd.font_metrics import FACES, UNITS_PER_EM, natural_extent
from picd.glyphs import render_glyphs, typeset
from picd.layout import UNITS_PER_PIXEL, PlacedWord, TextLayout, TextLine, TextStyle, Word
from picd.layout_coder import decode_layout
from picd.pieces import LONGEST, in_pieces
from picd.text_coder import decode_text
from picd.typography import fit_layout

GREEN, BLUE = (78, 154, 6), (115, 159, 255)
RED = (239, 61, 61)
DARK, WHITE, BLACK = (16, 24, 32), (255, 255, 255), (0, 0, 0)
PROMPT = ("mira@atlas:", GREEN), ("~/observatory", BLUE), ("$main", RED)
NAMES = {face.name: index for index, face in enumerate(FACES)}
SIZE = 18 * UNITS_PER_PIXEL


def line_of(parts, face, row=0, ground=DARK, start=40):
    """A word of ``parts`` (text, ink) on a line, its box in pixels, and its layout."""
    lines, pen = [], start
    for index, (text, ink) in enumerate(parts):
        advance, left, right = (v * SIZE / UNITS_PER_EM for v in natural_extent(face, text))
        word = PlacedWord(text, round(pen + left), round(right - left))
        style = TextStyle(face, SIZE, ink, ground)
        lines.append(TextLine(style, 4 * (40 + 30 * row), (word,), joined=index > 0))
        pen += advance
    box = start / 4, 40 + 30 * row - 14, (pen - start) / 4, 19
    return lines, Word("".join(text for text, _ in parts), box, 1.0, row)


def page_of(rows, face, ground=DARK):
    """(picture, its layout, its words) of rows that are one word each."""
    lines, words = [], []
    for row, parts in enumerate(rows):
        more, word = line_of(parts, face, row, ground)
        lines += more
        words.append(word)
    layout = TextLayout(420, 60 + 30 * len(rows), tuple(lines))
    plain = np.full((layout.height, layout.width, 3), ground, np.uint8)
    return typeset(plain, render_glyphs(layout)), layout, words


def texts(found):
    return [("|" if word.joined else "") + word.text for word in found]


@pytest.mark.parametrize("name", ["Open Sans", "Liberation Mono", "Noto Serif"])
@pytest.mark.parametrize("dot", ["·", "•"])
def test_a_dot_between_spaces_is_a_word(name, dot):
    apart = f"Haugen {dot} 6 {dot} min"
    picture, _, words = page_of([((apart, BLACK),)], NAMES[name], WHITE)
    spaced = replace(words[0], text=apart.replace(" ", ""))  # as engines read it
    found = in_pieces(picture, [spaced])
    assert texts(found) == ["Haugen", dot, "6", dot, "min"]
    for before, after in itertools.pairwise(found):
        assert before.box[0] + before.box[2] == pytest.approx(after.box[0])
    assert in_pieces(np.full_like(picture, 255), [spaced]) == [spaced]
    if name != "Liberation Mono":
        picture, _, words = page_of([((f"co{dot}lega", BLACK),)], NAMES[name], WHITE)
        assert in_pieces(picture, words) == words


@settings(deadline=None)
@given(st.text("a·|•l ", min_size=1, max_size=9), st.lists(st.integers(28, 88), max_size=9))
def test_separators_may_touch_anything(text, edges):
    picture = np.full((40, 120, 3), 255, np.uint8)
    inks = itertools.cycle((BLACK, BLACK, RED, GREEN))
    for (start, stop), ink in zip(itertools.pairwise(sorted(edges)), inks, strict=False):
        picture[12:28, start : stop - 1] = ink
    word = Word(text.replace(" ", "") or "a", (28.0, 10.0, 60.0, 20.0), 1.0, 0)
    assert "".join(part.text for part in in_pieces(picture, [word])) == word.text


@pytest.mark.parametrize("name", ["DejaVu Sans Mono", "Liberation Mono", "Open Sans"])
@pytest.mark.parametrize("aside", [-2, 0, 2])
def test_a_prompt_is_cut_where_its_colours_change(name, aside):
    """Also where the engine's box is a little off."""
    picture, _, words = page_of([PROMPT], NAMES[name])
    x, y, width, height = words[0].box
    found = in_pieces(picture, [replace(words[0], box=(x + aside, y, width, height))])
    assert texts(found) == ["mira@atlas:", "|~/observatory", "|$main"]
    assert found[0].box[0] == x + aside
    for before, after in itertools.pairwise(found):
        assert before.box[0] + before.box[2] == pytest.approx(after.box[0])


@pytest.mark.parametrize("name", ["Open Sans", "Liberation Mono", "DejaVu Sans Mono"])
def test_pieces_are_as_wide_as_their_letters(name, monkeypatch):
    """Underscores too; cut two letters aside they are not, and the word stays whole."""
    picture, layout, words = page_of([(("two_is_four", BLUE), ("=total", WHITE))], NAMES[name])
    assert texts(in_pieces(picture, words)) == ["two_is_four", "|=total"]
    widths = [word.width / UNITS_PER_PIXEL for word in layout.words]
    most = pieces.SUITS * words[0].box[3]
    assert pieces._least_off(["two_is_four", "=total"], widths) < most
    assert pieces._least_off(["two_is_fo", "ur=total"], widths) > most
    monkeypatch.setattr(pieces, "_letters_before", lambda *_: [9])
    assert in_pieces(picture, words) == words


def test_words_of_one_ink_stay_whole():
    rng = np.random.default_rng(3)
    for ink, ground in ((BLACK, WHITE), (GREEN, DARK), (WHITE, (200, 40, 40))):
        picture, _, words = page_of([(("settings.local", ink),)], NAMES["Open Sans"], ground)
        noisy = np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)
        assert in_pieces(picture, words) == words
        assert in_pieces(noisy, words) == words


@pytest.mark.parametrize("name", ["DejaVu Sans Mono", "Liberation Mono", "Open Sans"])
def test_a_space_that_was_not_seen_is_seen(name):
    spaces = " " if "Mono" in name else "  "
    picture, _, (word,) = page_of([((f"[{spaces}81%]", BLACK),)], NAMES[name], WHITE)
    found = in_pieces(picture, [replace(word, text="[81%]")])
    assert texts(found) == ["[", "81%]"]
    assert found[0].box[0] + found[0].box[2] == pytest.approx(found[1].box[0])
    # the edge of a frame is no letter, in spaced letters there are no words, and _ is no space
    framed = picture.copy()
    framed[:, 44:58] = 255
    framed[:, 44:46] = 0
    for other, text in (
        (framed, "181%]"),
        (page_of([(("a b c d", BLACK),)], NAMES[name])[0], "abcd"),
        (page_of([(("m_Pointer", BLACK),)], NAMES[name], WHITE)[0], "m_Pointer"),
    ):
        assert texts(in_pieces(other, [replace(word, text=text)])) == [text]


def test_a_photograph_is_no_word_of_many_inks():
    picture = np.random.default_rng(5).integers(0, 256, (40, 200, 3)).astype(np.uint8)
    word = Word("shop", (10, 5, 170, 30))
    assert in_pieces(picture, [word]) == [word]
    for box in ((0, 0, 1, 1), (-20, -20, 10, 10), (190, 35, 40, 40)):
        assert in_pieces(picture, [replace(word, box=box)]) == [replace(word, box=box)]


def test_hostile_words_take_no_time():
    """As long as a picture, over noise."""
    picture = np.random.default_rng(6).integers(0, 256, (16, 4000, 3)).astype(np.uint8)
    faint = np.random.default_rng(7).integers(100, 115, (64, 400, 3)).astype(np.uint8)
    start = time.process_time()
    for text in ("ab", "a" * LONGEST, "a" * 4000):
        word = Word(text, (0, 0, 4000, 16))
        assert in_pieces(picture, [word]) == [word]
    in_pieces(faint, [Word("faint", (0, 0, 400, 64))])
    assert time.process_time() - start < 2


def test_a_page_of_prompts_is_set_in_its_colours():
    rows = [PROMPT, (("print(", BLUE), ('"hello"', GREEN), (").then", RED)), PROMPT]
    picture, truth, words = page_of(rows, NAMES["DejaVu Sans Mono"])
    layout = fit_layout(picture, words)
    assert layout_text(layout) == "\n".join(word.text for word in words)
    assert [w["text"] for w in layout_words(layout)] == [word.text for word in words]
    assert [line.joined for line in layout.lines] == [line.joined for line in truth.lines]
    for line, true in zip(layout.lines, truth.lines, strict=True):
        assert np.abs(np.subtract(line.style.ink, true.style.ink)).max() < 24, line
    set_again = typeset(np.full_like(picture, DARK), render_glyphs(layout))
    apart = np.abs(set_again.astype(int) - picture).mean()
    pieces_off = fit_without_pieces(picture, words)
    before = typeset(np.full_like(picture, DARK), render_glyphs(pieces_off))
    assert apart < 0.5 * np.abs(before.astype(int) - picture).mean()


def fit_without_pieces(picture, words):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE_COST", np.inf)
        return fit_layout(picture, words)


def test_joints_go_through_a_file():
    _, layout, _ = page_of([PROMPT, PROMPT], NAMES["Liberation Mono"])
    trimmed, text, coded = coded_text(layout, None)
    assert trimmed == layout
    assert decode_layout(coded, decode_text(text), layout.width, layout.height) == layout
    assert layout_text(layout) == "\n".join(["mira@atlas:~/observatory$main"] * 2)


def test_what_remains_of_a_word_is_joined_to_nothing_else():
    """Where its beginning is dropped for want of bytes, or was left to the picture."""
    _, layout, _ = page_of([PROMPT], NAMES["Liberation Mono"])
    before, middle, after = layout.lines
    small = replace(middle.style, size=SIZE // 2)  # the smallest lines go first
    lines = before, replace(middle, style=small), after
    whole = replace(layout, lines=lines)
    _, text, coded = coded_text(whole, None)
    kept, text, coded = coded_text(whole, len(text) + len(coded) - 3)
    assert [line.words[0].text for line in kept.lines] == ["mira@atlas:", "$main"]
    assert decode_layout(coded, decode_text(text), layout.width, layout.height) == kept
    assert layout_text(kept) == "mira@atlas:\n$main"
