"""Words on photographs: they are found, set in their ink, and stand in no patch."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from test_typography import NAMES, page

from picd.font_metrics import FACES
from picd.glyphs import render_glyphs, typeset
from picd.grounds import with_clear_lines
from picd.layout import PlacedWord, TextLayout, TextLine, TextStyle
from picd.runs import runs_of
from picd.typography import fit_layout

WHITE, DARK = (255, 255, 255), (66, 58, 49)
HEIGHT, WIDTH = 150, 480


def photograph(seed: int = 3) -> np.ndarray:
    """Blurred noise of many colours, up to two thirds of white, uint8 (H, W, 3)."""
    noise = np.random.default_rng(seed).normal(0, 1, (HEIGHT, WIDTH, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 6)
    return np.clip(90 + 35 * smooth / smooth.std(), 10, 170).astype(np.uint8)


def painted_on(picture: np.ndarray, truth: TextLayout, ink: tuple[int, int, int]) -> np.ndarray:
    cover = render_glyphs(truth).coverage[..., None] / 255
    return np.round(picture + cover * (np.array(ink) - picture)).astype(np.uint8)


@pytest.mark.parametrize("name", ["Open Sans Bold", "Inter"])
def test_words_on_a_photograph_are_set_in_their_ink_on_what_is_there(name: str) -> None:
    _, truth, words = page(NAMES[name], size=96, rows=("Discover the", "mountains"))
    layout = fit_layout(painted_on(photograph(), truth, WHITE), words)
    assert [word.text for word in layout.words] == [word.text for word in truth.words]
    assert all(line.clear for line in layout.lines)
    for line in layout.lines:
        assert min(line.style.ink) > 230
        assert FACES[line.style.face].bold == FACES[NAMES[name]].bold
        assert line.style.size == pytest.approx(96, abs=4)


def test_lines_on_flat_grounds_are_not_clear() -> None:
    for ink, ground in ((WHITE, DARK), (DARK, WHITE)):
        image, _, words = page(NAMES["Open Sans"], ink=ink, ground=ground, noise=2.0)
        layout = fit_layout(image, words)
        assert layout.words
        assert not any(line.clear for line in layout.lines)


def test_white_letters_that_are_most_of_their_box_are_ink() -> None:
    """No colour of the photograph is as frequent."""
    _, truth, words = page(NAMES["Open Sans Bold"], size=96, rows=("mountains",))
    image = painted_on(photograph(), truth, WHITE)
    (run,) = runs_of(image, words)
    assert min(run.ink) > 240
    assert max(run.ground) < 170


def test_a_frame_beyond_the_capitals_is_no_ground() -> None:
    image, truth, _ = page(NAMES["Open Sans Bold"], size=60, rows=("MINIMUM WHEN FRAMED",))
    base = truth.lines[0].baseline // 4
    image[base - 20 : base - 11] = image[base + 1 : base + 10] = (200, 30, 30)
    assert not with_clear_lines(image, truth).lines[0].clear


def test_a_row_agrees() -> None:
    """Between few letters of a word that stands on an even part of the photograph."""
    style = TextStyle(NAMES["Open Sans"], 64, WHITE, DARK)
    places = ("mountains", 60, 330), ("of", 420, 40), ("mountains", 1500, 330)
    lines = [TextLine(style, 240, (PlacedWord(*place),)) for place in places]
    layout = TextLayout(WIDTH, HEIGHT, tuple(lines))
    picture = np.full((HEIGHT, WIDTH, 3), DARK, np.uint8)
    picture[:, :100] = photograph()[:, :100] + 60
    assert [line.clear for line in with_clear_lines(picture, layout).lines] == [True, True, False]


def test_clear_lines_are_set_on_the_draft_without_their_ghosts() -> None:
    _, truth, _ = page(NAMES["Open Sans Bold"], size=96, ground=DARK, rows=("ghosts",))
    clear = replace(truth, lines=tuple(replace(line, clear=True) for line in truth.lines))
    behind = photograph()
    ghost = cv2.dilate(render_glyphs(truth).coverage, np.ones((3, 3)))[..., None] / 255
    draft = np.round(behind + 0.5 * ghost * (np.array(WHITE) - behind)).astype(np.uint8)
    glyphs = render_glyphs(clear)
    found = typeset(draft, glyphs).astype(int)
    bare = (glyphs.box > 0) & (glyphs.coverage == 0)
    about = (cv2.dilate(glyphs.coverage, np.ones((9, 9))) == 0) & bare
    assert about.any()
    assert np.array_equal(found[about], draft[about])
    off = np.abs(found - behind)[bare].mean()
    assert off < 0.4 * np.abs(draft.astype(int) - behind)[bare & (ghost[..., 0] > 0)].mean()
    patched = typeset(draft, render_glyphs(truth)).astype(int)
    assert off < 0.4 * np.abs(patched - behind)[bare].mean()
