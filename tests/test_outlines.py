"""Letters drawn in exact integers: near a rasteriser's, and the same everywhere."""

import zlib

import freetype
import numpy as np
import pytest

from picd.font_metrics import FACES, FONT_FOLDER, KERNED, PLAIN_FACES, SCALE_STEPS
from picd.outlines import MARGIN, SAMPLES, has_outline, outline

LETTERS = "aegiklmnrstAQW039,&@éß"


def rasterised(face: int, size: int, character: str) -> tuple[np.ndarray, int, int]:
    """Unhinted coverage 0..1 with the column and row of its corner."""
    font = freetype.Face(str(FONT_FOLDER / FACES[face].file))
    font.set_char_size(size * 16, size * 16, 72, 72)
    font.load_char(character, freetype.FT_LOAD_NO_HINTING | freetype.FT_LOAD_RENDER)
    slot = font.glyph
    rows = np.array(slot.bitmap.buffer, np.float32).reshape(slot.bitmap.rows, slot.bitmap.pitch)
    return rows[:, : slot.bitmap.width] / 255, slot.bitmap_left, -slot.bitmap_top


@pytest.mark.parametrize("face", range(len(PLAIN_FACES)))
@pytest.mark.parametrize("size", [44, 120])
def test_outlines_are_what_a_rasteriser_draws(face: int, size: int) -> None:
    for character in filter(lambda c: has_outline(face, c), LETTERS):
        drawn = outline(face, size, SCALE_STEPS, character)
        expected, x, y = rasterised(face, size, character)
        ours = drawn.coverage / SAMPLES**2
        window = np.zeros(ours.shape)
        window[y - drawn.y :, x - drawn.x :][: expected.shape[0], : expected.shape[1]] = expected
        assert np.abs(window - ours).mean() < 0.05, character
        assert np.abs(window - ours).max() < 0.5, character


def test_letters_have_a_margin() -> None:
    drawn = outline(3, 56, SCALE_STEPS, "g")
    rows, columns = np.nonzero(drawn.coverage)
    height, width = drawn.coverage.shape
    assert rows.min() >= MARGIN and rows.max() < height - MARGIN
    assert columns.min() >= MARGIN and columns.max() < width - MARGIN


def test_outlines_widen_with_the_scale() -> None:
    widths = [outline(3, 200, scale, "m").coverage.shape[1] for scale in (48, 64, 80)]
    assert widths[0] < widths[1] < widths[2]


def test_spaces_and_what_no_font_has_have_none() -> None:
    assert has_outline(0, "x")
    assert not has_outline(0, " ")
    assert not has_outline(0, "\U000e0041")


def test_kerned_faces_have_the_outlines_of_plain_ones() -> None:
    for plain, kerned in KERNED.items():
        one, other = (outline(face, 52, 61, "R") for face in (plain, kerned))
        assert (one.x, one.y) == (other.x, other.y)
        assert np.array_equal(one.coverage, other.coverage)


def test_outlines_are_the_same_everywhere() -> None:
    """Own letters are coded in contexts of these: one sample that differs and they are garbled."""
    faces = range(len(PLAIN_FACES))
    windows = (outline(face, 52, 61, c) for face in faces for c in "agR8%ö")
    facts = b"".join(
        bytes([w.x & 255, w.y & 255, *w.coverage.shape]) + w.coverage.tobytes() for w in windows
    )
    assert zlib.crc32(facts) == GOLDEN


GOLDEN = 2737473219
