"""Words are put where they are, and letters sent that are the page's own."""

from dataclasses import replace

import numpy as np
import pytest

from picd.font_metrics import FACES, layout_scales
from picd.glyphs import render_glyphs, typeset
from picd.layout import PlacedWord, TextLayout, TextLine, TextStyle
from picd.layout_coder import decode_layout, encode_layout
from picd.letters import fit_letters
from picd.prices import price_at_quality, price_at_rate, scarcity
from picd.spacing import fit_spacing

WIDTH, HEIGHT = 420, 160
FREE, DEAR = 1.0, 1e9
SENTENCE = "the quick brown fox jumps over some lazy dogs and then once more around".split()


def layout_in(face: int, size: int = 56, ink: tuple[int, int, int] = (0, 0, 0)) -> TextLayout:
    """Six lines of words set as wide as Liberation Sans would be, in a face."""
    style, lines = TextStyle(face, size, ink, (255, 255, 255)), []
    for row in range(6):
        x, words = 40 + 4 * row, []
        for text in SENTENCE[2 * row : 2 * row + 4]:
            width = 28 * len(text) - 6
            words.append(PlacedWord(text, x, width))
            x += width + 18
        lines.append(TextLine(style, 4 * (22 + 24 * row), tuple(words)))
    return TextLayout(WIDTH, HEIGHT, tuple(lines))


def page_of(layout: TextLayout) -> np.ndarray:
    return typeset(np.full((HEIGHT, WIDTH, 3), 255, np.uint8), render_glyphs(layout))


def face_named(name: str) -> int:
    return next(i for i, face in enumerate(FACES) if face.name == name)


def moved(layout: TextLayout, by: int) -> TextLayout:
    """Every word up to ``by`` units aside and wider or narrower."""
    chooser = np.random.default_rng(1)

    def aside(word: PlacedWord) -> PlacedWord:
        x, width = chooser.integers(-by, by + 1, 2)
        return PlacedWord(word.text, word.x + int(x), word.width + int(width))

    lines = (replace(line, words=tuple(map(aside, line.words))) for line in layout.lines)
    return replace(layout, lines=tuple(lines))


def error(layout: TextLayout, picture: np.ndarray) -> float:
    return float(((page_of(layout).astype(float) - picture) ** 2).mean())


# spacing


@pytest.mark.parametrize("ink", [(0, 0, 0), (200, 60, 40)])
def test_words_return_to_where_they_are(ink: tuple[int, int, int]) -> None:
    truth = layout_in(face_named("Liberation Sans"), ink=ink)
    picture, wrong = page_of(truth), moved(truth, 4)
    found = fit_spacing(picture, wrong)
    aside = [
        max(abs(a.x - b.x), abs(a.x + a.width - b.x - b.width))
        for a, b in zip(found.words, truth.words, strict=True)
    ]
    assert np.mean(np.array(aside) <= 1) > 0.9
    assert error(found, picture) < 0.15 * error(wrong, picture)


def test_words_in_another_face_come_nearer() -> None:
    picture = page_of(layout_in(face_named("Open Sans")))
    wrong = moved(layout_in(face_named("Roboto")), 4)
    assert error(fit_spacing(picture, wrong), picture) < 0.9 * error(wrong, picture)


def test_words_of_a_blank_picture_stay() -> None:
    layout = layout_in(3)
    blank = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    assert [w.text for w in fit_spacing(blank, layout).words] == [w.text for w in layout.words]
    assert fit_spacing(blank, TextLayout(WIDTH, HEIGHT)) == TextLayout(WIDTH, HEIGHT)


def test_words_may_leave_the_picture() -> None:
    layout = layout_in(3)
    picture = page_of(layout)
    lines = tuple(
        replace(line, baseline=line.baseline - 90, words=tuple(
            PlacedWord(w.text, w.x + shift, w.width) for w in line.words
        ))
        for line, shift in zip(layout.lines, (-300, -60, 0, 60, 900, 2000), strict=True)
    )  # fmt: skip
    fit_spacing(picture, replace(layout, lines=lines))


# letters


def test_own_letters_bring_another_face_back() -> None:
    picture = page_of(layout_in(face_named("DejaVu Sans Mono")))
    layout = layout_in(face_named("Liberation Mono"))
    letters = fit_letters(picture, layout, FREE)
    lettered = replace(layout, letters=letters)
    assert {letter.character for letter in letters} <= set("".join(SENTENCE))
    assert error(lettered, picture) < 0.35 * error(layout, picture)


def test_own_letters_help_where_letters_are_not_in_place() -> None:
    picture = page_of(layout_in(face_named("DejaVu Sans")))
    layout = layout_in(face_named("Liberation Sans"))
    lettered = replace(layout, letters=fit_letters(picture, layout, FREE))
    assert error(lettered, picture) < 0.6 * error(layout, picture)


def test_the_dearer_a_bit_the_fewer_letters() -> None:
    picture = page_of(layout_in(face_named("DejaVu Sans")))
    layout = layout_in(face_named("Liberation Sans"))
    sizes = []
    for price in (FREE, 3000.0, 30000.0, DEAR):
        lettered = replace(layout, letters=fit_letters(picture, layout, price))
        sizes.append(len(encode_layout(lettered)))
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 2 * sizes[-1]
    assert sizes[-1] == len(encode_layout(layout))


def test_letters_of_the_face_itself_are_not_sent() -> None:
    layout = layout_in(face_named("Liberation Sans"))
    assert fit_letters(page_of(layout), layout, 300.0) == ()


def test_pictured_lines_have_no_letters() -> None:
    layout = layout_in(face_named("Liberation Sans"))
    lines = tuple(replace(line, pictured=True) for line in layout.lines)
    picture = page_of(layout_in(face_named("DejaVu Sans")))
    assert fit_letters(picture, replace(layout, lines=lines), FREE) == ()


def test_what_is_sent_is_what_is_set() -> None:
    picture = page_of(layout_in(face_named("DejaVu Sans")))
    layout = layout_in(face_named("Liberation Sans"))
    layout = replace(layout, letters=fit_letters(picture, layout, 2000.0))
    strings = tuple(tuple(word.text for word in line.words) for line in layout.lines)
    back = decode_layout(encode_layout(layout), strings, WIDTH, HEIGHT)
    assert layout.letters and np.array_equal(page_of(back), page_of(layout))
    assert layout_scales(back) == layout_scales(layout)


def test_letters_are_dearer_at_lower_rates() -> None:
    assert price_at_rate(0.01) > price_at_rate(0.03) > price_at_rate(0.3) > 0
    assert price_at_quality(10) > price_at_quality(40) > price_at_quality(100) > 0
    assert scarcity(5e3, None) == scarcity(0, 1e4) == 1 < scarcity(5e3, 1e4) < scarcity(2e4, 1e4)
