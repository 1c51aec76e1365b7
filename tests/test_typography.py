"""A page set in our own fonts is found again: face, size, baseline, places and colours."""

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from picd import typography
from picd.faces import BADLY, agree_on_weight, by_weight, choose_faces, reconsider
from picd.font_metrics import FACES, KERNED, PLAIN_FACES, style_scale, word_extent
from picd.glyphs import render_glyphs, typeset
from picd.images import load_image
from picd.layout import UNITS_PER_PIXEL, PlacedWord, TextLayout, TextLine, TextStyle, Word
from picd.runs import runs_of
from picd.typography import fit_layout
from picd.word_fit import standing, standing_at

TEXT = ("The quick brown fox jumps", "over the lazy dog while", "many wizards make toxic")
EXAMPLES = Path(__file__).parent.parent / "demo" / "examples"
NAMES = {face.name: index for index, face in enumerate(FACES)}
LEVEL = [round(i * 255 / 31) for i in range(32)]


def page(face, size=60, ink=(0, 0, 0), ground=(255, 255, 255), noise=0.0, jitter=0.0, rows=TEXT):
    """(picture, true layout, words with their DOM-like boxes) of three lines in one face."""
    rng = np.random.default_rng(face)
    lines, words = [], []
    for row, text in enumerate(rows):
        x, placed = 60, []
        baseline = 4 * (40 + 36 * row)
        for word in text.split():
            advance, ink_width = word_extent(face, size, word)
            placed.append(PlacedWord(word, x, ink_width))
            box = np.array([x, baseline - size, ink_width, 1.3 * size]) / UNITS_PER_PIXEL
            box += rng.uniform(-jitter, jitter, 4)
            words.append(Word(word, tuple(box), 1.0, row))
            x += advance + size // 4
        lines.append(TextLine(TextStyle(face, size, ink, ground), baseline, tuple(placed)))
    layout = TextLayout(480, 150, tuple(lines))
    picture = typeset(np.full((150, 480, 3), ground, np.uint8), render_glyphs(layout))
    noisy = picture + rng.normal(0, noise, picture.shape) if noise else picture
    return np.clip(noisy, 0, 255).astype(np.uint8), layout, words


@pytest.mark.parametrize("name", ["Open Sans", "Liberation Serif", "DejaVu Sans Mono",
                                  "Liberation Sans Bold", "Carlito"])  # fmt: skip
def test_the_face_and_places_are_found_again(name):
    image, truth, words = page(NAMES[name])
    layout = fit_layout(image, words)
    assert [word.text for word in layout.words] == [word.text for word in truth.words]
    assert {FACES[line.style.face].name for line in layout.lines} == {name}
    for found, true in zip(layout.words, truth.words, strict=True):
        assert found.x == pytest.approx(true.x, abs=3)
        assert found.width == pytest.approx(true.width, abs=5)
    for found, true in zip(layout.lines, truth.lines, strict=True):
        assert found.baseline == true.baseline
        assert found.style.size == pytest.approx(true.style.size, abs=3)


@pytest.mark.parametrize("name", ["Liberation Sans", "DejaVu Sans", "Inter", "Open Sans"])
@pytest.mark.parametrize("kerned", [False, True])
def test_kerning_is_found_where_pairs_show_it(name, kerned):
    """Only some of the programs that draw text set pairs of letters closer."""
    plain = NAMES[name]
    face = KERNED[plain] if kerned else plain
    rows = ("Today Two Tests", "WAVE Avatar Type", "Yes Years VAT Terms")
    image, truth, words = page(face, rows=rows)
    layout = fit_layout(image, words)
    assert {line.style.face for line in layout.lines} == {face}
    assert [word.text for word in layout.words] == [word.text for word in truth.words]


def test_without_pairs_that_show_it_nothing_is_kerned():
    image, _, words = page(
        KERNED[NAMES["Open Sans"]], rows=("minimum summon", "noon minion", "him")
    )
    assert {line.style.face for line in fit_layout(image, words).lines} == {NAMES["Open Sans"]}


def test_an_underline_that_goes_on_between_words_does_not_move_them():
    """Short words of a link: their gaps are not ink, though the underline crosses them."""
    image, truth, words = page(
        NAMES["DejaVu Sans Mono Bold"], 52, rows=("it is in a file of code",)
    )
    last = truth.words[-1]
    row = truth.lines[0].baseline // UNITS_PER_PIXEL + 1
    image[row, truth.words[0].x // UNITS_PER_PIXEL : (last.x + last.width) // UNITS_PER_PIXEL] = 0
    (run,) = typography._fitted(image, words)
    found = np.array([(word.x + run.x * UNITS_PER_PIXEL, word.width) for word in run.placed])
    assert np.abs(found - [(word.x, word.width) for word in truth.words]).max() <= 4


def test_jittered_boxes_and_noise_do_not_matter():
    image, truth, words = page(NAMES["Open Sans"], noise=6, jitter=2)
    layout = fit_layout(image, words)
    assert [word.text for word in layout.words] == [word.text for word in truth.words]
    found = np.array([word.x for word in layout.words])
    assert np.abs(found - [word.x for word in truth.words]).max() <= 4


@pytest.mark.parametrize(
    "ink,ground",
    [
        ((255, 255, 255), (33, 33, 41)),
        ((0, 99, 214), (255, 255, 255)),
        ((197, 41, 33), (239, 230, 206)),
    ],
)
def test_colours_are_found_and_quantised(ink, ground):
    image, _, words = page(NAMES["Liberation Sans Bold"], 72, ink, ground)
    for line in fit_layout(image, words).lines:
        assert set(line.style.ink + line.style.ground) <= set(LEVEL)
        assert np.abs(np.subtract(line.style.ink, ink)).max() <= 40
        assert np.abs(np.subtract(line.style.ground, ground)).max() <= 9


def test_words_on_a_coloured_row_keep_their_ink_and_their_place():
    """The engine's boxes reach into the next row, which is of a colour far from the row's own."""
    white, red, green = (255, 255, 255), (214, 24, 8), (0, 132, 99)
    image, truth, words = page(NAMES["Open Sans"], 48, white, red)
    for line in truth.lines:
        row = line.baseline // UNITS_PER_PIXEL
        image[row + 4 : row + 24] = green
        image[row - 20 : row - 13] = green
    words = [
        Word(word.text, (x, y - 3, width, 22), word.confidence, word.line)
        for word in words
        for x, y, width, _ in [word.box]
    ]
    layout = fit_layout(image, words)
    assert [word.text for word in layout.words] == [word.text for word in truth.words]
    for found, true in zip(layout.lines, truth.lines, strict=True):
        assert abs(found.baseline - true.baseline) <= UNITS_PER_PIXEL
        assert np.abs(np.subtract(found.style.ink, white)).max() <= 40


def test_the_page_agrees_on_one_style():
    image, _, words = page(NAMES["Roboto"])
    assert len({line.style for line in fit_layout(image, words).lines}) == 1


def test_a_change_of_colour_splits_the_line():
    image, truth, words = page(NAMES["Open Sans"], 72)
    cut = int(words[2].box[0]) - 3
    red = image[:, cut:].copy()
    red[..., 0] = 255
    image[:, cut:] = red
    first_row = [line for line in fit_layout(image, words).lines if line.baseline == 160]
    assert [len(line.words) for line in first_row] == [2, 3]
    assert first_row[1].style.ink[0] > 150 > first_row[0].style.ink[0]


def test_columns_become_lines_of_their_own():
    image, _, words = page(NAMES["Open Sans"])
    row = [words[0], words[4]]
    lines = fit_layout(image, row).lines
    assert [[word.text for word in line.words] for line in lines] == [["The"], ["jumps"]]


def test_what_does_not_look_like_its_text_is_left_to_the_picture():
    image, _, words = page(NAMES["Open Sans"])
    rng = np.random.default_rng(1)
    image[20:50, 200:300] = rng.integers(0, 256, (30, 100, 3))
    junk = Word("photograph", (200, 20, 100, 30), 1.0, 9)
    unsure = Word("perhaps", words[0].box, 0.2, 10)
    found = {word.text for word in fit_layout(image, [*words[5:], junk, unsure]).words}
    assert "photograph" not in found and "perhaps" not in found and "lazy" in found


def test_an_icon_read_at_a_word_is_left_to_the_picture():
    image, truth, words = page(NAMES["Open Sans"])
    first = words[1]
    x, y, width, height = first.box
    pitch = width / len(first.text)
    words[1] = Word("品" + first.text, (x - pitch, y, width + pitch, height), 1.0, 0)
    found = fit_layout(image, words).words[1]
    assert found.text == first.text
    assert found.x == pytest.approx(truth.words[1].x, abs=4)


def test_a_frame_drawn_round_words_is_no_ink_of_theirs():
    """Annotated screenshots have them; this one ends in the middle of a word."""
    image, truth, words = page(NAMES["DejaVu Sans Mono"], 44)
    (word,) = [word for word in words if word.text == "wizards"]
    x, _, width, _ = word.box
    row = truth.lines[2].baseline // UNITS_PER_PIXEL
    image[row - 16 : row - 11, : int(x + 0.7 * width)] = 60
    (line,) = fit_layout(image, [replace(word, box=(x, row - 18, width, 26))]).lines
    assert line.baseline == truth.lines[2].baseline
    assert line.words[0].x == pytest.approx(4 * x, abs=3)


def test_dots_for_spaces_are_no_ink_of_words():
    """As editors show them: faint, in the middle between two words."""
    image, truth, words = page(NAMES["DejaVu Sans Mono"], ink=(206, 145, 120), ground=(30, 30, 30))
    for line in truth.lines:
        for before, after in itertools.pairwise(line.words):
            x = (before.x + before.width + after.x) // 8
            y = line.baseline // 4 - 4
            image[y : y + 2, x - 1 : x + 1] = (84, 84, 84)
    layout = fit_layout(image, words)
    for found, true in zip(layout.words, truth.words, strict=True):
        assert found.x == pytest.approx(true.x, abs=4)
        assert found.width == pytest.approx(true.width, abs=6)


def test_a_dash_that_the_page_draws_a_row_higher_is_set():
    image, truth, words = page(NAMES["Open Sans"], 60)
    baseline, x = truth.lines[0].baseline // UNITS_PER_PIXEL, words[4].box[0] + words[4].box[2]
    image[baseline - 7 : baseline - 5, int(x) + 5 : int(x) + 10] = 0
    dash = Word("-", (x + 4, words[4].box[1], 7, words[4].box[3]), 1.0, 0)
    layout = fit_layout(image, [*words[:5], dash, *words[5:]])
    assert [word.text for word in layout.lines[0].words][-1] == "-"


def test_a_short_word_in_a_fixed_width_face_gets_the_size_of_the_others():
    """Its letters are so far apart that by its width alone it would be far larger."""
    face, size, row = NAMES["DejaVu Sans Mono"], 48, 60
    placed = PlacedWord("if", 100, word_extent(face, size, "if")[1])
    line = TextLine(TextStyle(face, size, (0, 0, 0), (255, 255, 255)), 4 * row, (placed,))
    glyphs = render_glyphs(TextLayout(120, 90, (line,)))
    image = typeset(np.full((90, 120, 3), 255, np.uint8), glyphs)
    box = (placed.x / UNITS_PER_PIXEL, row - 12, placed.width / UNITS_PER_PIXEL, 16)
    (found,) = fit_layout(image, [Word("if", box, 1.0, 0)]).lines
    assert found.style.size == pytest.approx(size, abs=6)
    assert found.baseline == line.baseline


def test_a_run_settles_on_the_row_where_its_size_fits():
    image, truth, words = page(NAMES["Open Sans"], 60)
    (run,) = runs_of(image, words[:5])
    true = truth.lines[0].baseline - 4 * run.y
    for baseline in (true - 4, true, true + 4):
        run.face, run.size, run.baseline = NAMES["Open Sans"], 60, baseline
        typography._settle([run])
        assert run.baseline == true


def with_other_words(other):
    """:func:`page` in Open Sans, its first two words in another face: (picture, words)."""
    regular = NAMES["Open Sans"]
    _, truth, _ = page(regular)
    lines, x, cuts = [], 60, ((other, 2), (regular, 3))
    texts = iter(TEXT[0].split())
    for face, count in cuts:
        placed = []
        for text in (next(texts) for _ in range(count)):
            advance, width = word_extent(face, 60, text)
            placed.append(PlacedWord(text, x, width))
            x += advance + 15
        style = replace(truth.lines[0].style, face=face)
        lines.append(TextLine(style, truth.lines[0].baseline, tuple(placed)))
    layout = TextLayout(480, 150, (*lines, *truth.lines[1:]))
    image = typeset(np.full((150, 480, 3), 255, np.uint8), render_glyphs(layout))
    words = [
        Word(word.text, (word.x / 4, line.baseline / 4 - 15, word.width / 4, 20), 1.0, row)
        for row, part in enumerate((lines, truth.lines[1:2], truth.lines[2:]))
        for line in part
        for word in line.words
    ]
    return image, words


@pytest.mark.parametrize("name", ["Open Sans Bold", "DejaVu Sans Mono", "Liberation Mono"])
def test_bold_words_and_code_within_a_line_are_cut_out(name):
    image, words = with_other_words(NAMES[name])
    found = {w.text: FACES[line.style.face] for line in fit_layout(image, words).lines
             for w in line.words}  # fmt: skip
    others = {text for text, face in found.items() if face.name != "Open Sans"}
    assert others == {"The", "quick"}
    for text in others:
        assert (found[text].family, found[text].bold) == (
            FACES[NAMES[name]].family, FACES[NAMES[name]].bold
        )  # fmt: skip
    assert len(found) == sum(len(text.split()) for text in TEXT)


@pytest.mark.parametrize("name", ["Open Sans", "Open Sans Bold"])
def test_a_short_run_is_bold_only_where_it_has_more_ink_than_others(name):
    image, words = with_other_words(NAMES[name])
    short = [replace(word, line=3) for word in words[:2]]
    runs = [run for row in range(3) for run in typography._fitted(image, words_of(words, row))]
    (run,) = typography._fitted(image, short)
    for other in runs[1:]:
        other.face, other.size = NAMES["Open Sans"], 60
    run.face, run.size = NAMES["Open Sans Bold"], 60
    agree_on_weight([run, *runs[1:]])
    assert FACES[run.face].name == name


@pytest.mark.parametrize("name", ["Open Sans", "Open Sans Bold"])
def test_a_line_that_is_bold_as_a_whole_is_seen_beside_the_others_of_the_page(name):
    """A keyword of another colour is a line of its own, and none of its words is bolder."""
    image, words = with_other_words(NAMES[name])
    runs = [run for row in range(3) for run in typography._fitted(image, words_of(words, row))]
    (run,) = typography._fitted(image, [replace(word, line=3) for word in words[:2]])
    for each in (run, *runs[1:]):
        each.face, each.size = NAMES["Open Sans"], 60
    parts = by_weight([run, *runs[1:]])[: -len(runs[1:])]
    assert {FACES[part.face].name for part in parts} == {name}
    assert {FACES[part.face].name for part in by_weight([run])} == {"Open Sans"}


def test_tops_of_letters_that_a_size_does_not_reach_count_against_it():
    name = NAMES["DejaVu Sans Mono"]
    image, _, words = page(name, rows=["illicit little hill bill"])
    (run,) = typography._fitted(image, words)
    run.face = name

    def fit(size, largest=None):
        scale = style_scale(name, size, run.placed)
        return standing_at(run, run.baseline, run.placed, size, scale, largest)

    assert fit(60, 60) == fit(60) > 0.95
    assert fit(46, 60) < fit(46) - 0.03


def test_a_ground_of_two_tones_makes_no_word_bold():
    image, words = with_other_words(NAMES["Open Sans"])
    runs = [run for row in range(3) for run in typography._fitted(image, words_of(words, row))]
    (run,) = typography._fitted(image, [replace(word, line=3) for word in words[:2]])
    lower = run.alpha[len(run.alpha) // 2 :]
    lower[:] = np.maximum(lower, 0.15)  # as on a tab
    for other in runs[1:]:
        other.face, other.size = NAMES["Open Sans"], 60
    run.face, run.size = NAMES["Open Sans Bold"], 60
    agree_on_weight([run, *runs[1:]])
    assert FACES[run.face].name == "Open Sans"


@pytest.mark.parametrize(("thicker", "name"), [(1.22, "Open Sans"), (1.6, "Open Sans Bold")])
def test_light_words_on_dark_are_bold_only_where_they_are_much_thicker(thicker, name):
    image, words = with_other_words(NAMES["Open Sans"])
    runs = [run for row in range(3) for run in typography._fitted(image, words_of(words, row))]
    (run,) = typography._fitted(image, [replace(word, line=3) for word in words[:2]])
    run.ink, run.ground, run.alpha = run.ground, run.ink, run.alpha * thicker
    for other in runs[1:]:
        other.face, other.size = NAMES["Open Sans"], 60
    run.face, run.size = NAMES["Open Sans Bold"], 60
    agree_on_weight([run, *runs[1:]])
    assert FACES[run.face].name == name


def test_a_run_that_fits_badly_takes_another_face_of_the_page():
    names = ("Open Sans", "DejaVu Sans Mono")
    runs = []
    for name in names:
        image, _, words = page(NAMES[name])
        runs += [run for row in range(3) for run in typography._fitted(image, words_of(words, row))]
    for run, name in zip(runs, 3 * names[:1] + 3 * names[1:], strict=True):
        run.face, run.size = NAMES[name], 60
    runs[1].face, runs[4].face = runs[4].face, runs[1].face
    reconsider(runs)
    assert [FACES[run.face].name for run in runs] == [*3 * names[:1], *3 * names[1:]]
    assert runs[4].size == pytest.approx(60, abs=2)


def test_a_regular_run_takes_a_regular_face_though_the_page_has_it_bold_alone():
    image, _, words = page(NAMES["Open Sans"])
    (run,) = typography._fitted(image, words_of(words, 0))
    run.face, run.size = NAMES["Noto Serif"], 60
    assert standing(run) > BADLY
    image, _, words = page(NAMES["Open Sans Bold"])
    (title,) = typography._fitted(image, words_of(words, 0))
    title.face, title.size = NAMES["Open Sans Bold"], 60
    reconsider([run, title])
    assert [FACES[each.face].name for each in (run, title)] == ["Open Sans", "Open Sans Bold"]


def test_a_regular_run_does_not_become_bold_for_want_of_another_face():
    """The bold face of the page resembles it more than any regular one, but has more ink."""
    image, _, words = page(NAMES["Roboto"])
    (run,) = typography._fitted(image, words_of(words, 1))
    run.face, run.size = NAMES["DejaVu Sans Mono"], 60
    assert standing(run) < BADLY
    image, _, words = page(NAMES["Liberation Sans Bold"])
    (title,) = typography._fitted(image, words_of(words, 1))
    title.face, title.size = NAMES["Liberation Sans Bold"], 60
    reconsider([run, title])
    assert not FACES[run.face].bold
    assert FACES[title.face].bold


@pytest.mark.parametrize("word", ["The", "dog"])
def test_a_short_word_keeps_a_face_that_fits_beside_a_page_in_another(word):
    image, _, words = page(NAMES["Open Sans"])
    (short,) = typography._fitted(image, [each for each in words if each.text == word])
    short.face, short.size = NAMES["Open Sans"], 60
    image, _, words = page(NAMES["Noto Serif"])
    runs = [run for row in range(3) for run in typography._fitted(image, words_of(words, row))]
    for run in runs:
        run.face, run.size = NAMES["Noto Serif"], 60
    typography._agree_on_sizes([short, *runs])
    assert FACES[short.face].name == "Open Sans"


def test_a_size_is_tried_on_the_row_that_suits_it():
    """Lower letters a row higher look much like taller ones that stand where they should."""
    image, truth, words = page(NAMES["Open Sans"], 56)
    (run,) = typography._fitted(image, words[:5])
    true = truth.lines[0].baseline - 4 * run.y
    run.face, run.baseline = NAMES["Open Sans"], true - 4
    run.em *= 13 / 14
    typography._refine([run])
    assert run.size == pytest.approx(56, abs=2)
    assert run.baseline == true


def test_a_run_goes_over_to_another_size_of_the_page():
    face = NAMES["Open Sans"]
    runs = []
    for size in (60, 52):
        image, _, words = page(face, size)
        runs += [run for row in range(3) for run in typography._fitted(image, words_of(words, row))]
    for run, size in zip(runs, (60, 60, 60, 52, 52, 60), strict=True):
        run.face, run.size = face, size
    typography._settle(runs)
    assert [run.size for run in runs] == [60, 60, 60, 52, 52, 52]


def words_of(words, row):
    return [word for word in words if word.line == row]


def test_words_of_a_line_that_leans_stand_on_rows_of_their_own():
    image, truth, words = page(NAMES["Open Sans"])
    line, words = truth.lines[0], words[:5]
    leaning = [
        replace(line, baseline=line.baseline + 4 * 3 * place, words=(word,))
        for place, word in enumerate(line.words)
    ]
    white = np.full((150, 480, 3), 255, np.uint8)
    image = typeset(white, render_glyphs(TextLayout(480, 150, tuple(leaning))))
    boxes = [np.add(word.box, (0, 0, 0, 12)) for word in words]  # the engine's is the line's
    found = fit_layout(
        image, [replace(word, box=tuple(box)) for word, box in zip(words, boxes, strict=True)]
    )
    baselines = {word.text: line.baseline for line in found.lines for word in line.words}
    assert set(baselines) == {word.text for word in words}
    for line in (leaning[0], leaning[-1]):
        assert baselines[line.words[0].text] == line.baseline


def test_a_title_that_leans_too_much_for_one_row_is_set_word_by_word():
    """On a photographed sign, with the boxes of an engine."""
    image = load_image(EXAMPLES / "sign.png")
    boxes = {
        "Silver": (287, 180, 154, 88),
        "Lake": (464, 180, 129, 88),
        "Trail": (617, 180, 134, 88),
    }
    found = fit_layout(image, [Word(text, box, 1.0, 0) for text, box in boxes.items()])
    baselines = {word.text: line.baseline for line in found.lines for word in line.words}
    assert baselines["Silver"] > baselines["Lake"] > baselines["Trail"]


def test_a_doubtful_word_stays_beside_others_if_the_engine_is_sure():
    """The picture shows another word in its place, which it resembles a little."""
    image, _, words = page(NAMES["Open Sans"], 60)
    for confidence, kept in ((1.0, True), (0.9, False)):
        said = [*words[:3], replace(words[3], text="set", confidence=confidence), *words[4:]]
        found = [word.text for word in fit_layout(image, said).words]
        assert ("set" in found) == kept
        assert words[2].text in found


def test_a_letter_read_twice_is_set_once():
    image, truth, words = page(NAMES["DejaVu Sans Mono"])
    x, y, width, height = words[1].box
    again = Word("k", (x + 0.8 * width, y - 2, 0.2 * width, height + 4), 1.0, 7)
    layout = fit_layout(image, [*words, again])
    assert [word.text for word in layout.words] == [word.text for word in truth.words]


def test_full_width_signs_are_set_in_our_faces():
    image, _, words = page(NAMES["Open Sans"])
    words[0] = Word("Th\uff45", words[0].box, 1.0, 0)
    assert fit_layout(image, words).words[0].text == "The"


def test_scripts_that_no_face_has_are_left_to_the_picture():
    image, _, words = page(NAMES["Open Sans"])
    assert not fit_layout(image, [Word("漢字", words[0].box, 1.0, 0)]).words


@pytest.mark.parametrize("words", [
    [], [Word("a", (0, 0, 0, 0))], [Word("edge", (-5, -5, 30, 20))],
    [Word("out", (900, 900, 30, 20))], [Word(" ", (1, 1, 9, 9))], [Word("x" * 300, (0, 0, 480, 9))],
])  # fmt: skip
def test_odd_boxes_do_no_harm(words):
    image, *_ = page(NAMES["Open Sans"])
    layout = fit_layout(image, words)
    assert (layout.width, layout.height) == (480, 150)
    assert all(word.x >= 0 and word.width > 0 for word in layout.words)


def test_fitting_is_deterministic():
    image, _, words = page(NAMES["Open Sans"], noise=4, jitter=2)
    assert fit_layout(image, words) == fit_layout(image, words)


def test_another_family_costs_more_than_another_face():
    """Small letters look a little like serif and like sans; a whole page of them does not."""

    def chosen(letters: int) -> str:
        sans, serif = NAMES["Open Sans"], NAMES["Liberation Serif"]
        runs = []
        for length, gain in ((200, -0.2), (letters, 0.06)):
            scores = np.zeros(len(PLAIN_FACES), np.float32)
            scores[sans], scores[serif] = 0.7, 0.7 + gain
            runs.append(SimpleNamespace(scores=scores, letters=length, inked=0.0, face=-1))
        choose_faces([[run] for run in runs])
        return FACES[runs[1].face].family

    assert chosen(100) == "sans"
    assert chosen(400) == "serif"
