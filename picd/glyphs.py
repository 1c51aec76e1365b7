"""The glyph image: a :class:`TextLayout` set in bundled fonts, and painted over a draft.

Two halves that must not be mixed up. :func:`word_extent` works in font units and integers only:
the layout coder predicts with it, so it gives the same numbers on every machine. The rendering
half may differ in a last bit between rasteriser versions and only feeds pictures.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from ctypes import byref
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import cv2
import freetype
import numpy as np
from fontTools.ttLib import TTFont
from numpy.typing import NDArray

from picd.layout import UNITS_PER_PIXEL, PlacedWord, TextLayout, TextLine
from picd.rules import paint_rules

FONT_FOLDER = Path(__file__).parent / "fonts"


SAME_GROUND = 8
"""Levels by which a line's ground and the skeleton may differ and still be the same."""
BESIDE, SOFT = 64, 2.0
"""Pixels about words that their ground is shaded from, and over which shades are smoothed."""
ALIKE = 24
"""Levels from the ground of words, beyond which what is beside them is something else."""


@dataclass(frozen=True)
class Face:
    """A bundled font: ``family`` is sans, serif or mono; ``file`` lies in ``picd/fonts``."""

    name: str
    family: str
    bold: bool
    italic: bool
    file: str


FACES = (
    Face("Open Sans", "sans", False, False, "OpenSans-Regular.ttf"),
    Face("Open Sans Semibold", "sans", True, False, "OpenSans-Semibold.ttf"),
    Face("Open Sans Bold", "sans", True, False, "OpenSans-Bold.ttf"),
    Face("Liberation Sans", "sans", False, False, "LiberationSans-Regular.ttf"),
    Face("Liberation Sans Bold", "sans", True, False, "LiberationSans-Bold.ttf"),
    Face("Roboto", "sans", False, False, "Roboto-Regular.ttf"),
    Face("Roboto Medium", "sans", True, False, "Roboto-Medium.ttf"),
    Face("DejaVu Sans", "sans", False, False, "DejaVuSans.ttf"),
    Face("DejaVu Sans Bold", "sans", True, False, "DejaVuSans-Bold.ttf"),
    Face("Carlito", "sans", False, False, "Carlito-Regular.ttf"),
    Face("Liberation Serif", "serif", False, False, "LiberationSerif-Regular.ttf"),
    Face("Liberation Serif Bold", "serif", True, False, "LiberationSerif-Bold.ttf"),
    Face("DejaVu Sans Mono", "mono", False, False, "DejaVuSansMono.ttf"),
    Face("DejaVu Sans Mono Bold", "mono", True, False, "DejaVuSansMono-Bold.ttf"),
    Face("Liberation Mono", "mono", False, False, "LiberationMono-Regular.ttf"),
    Face("Inconsolata", "mono", False, False, "Inconsolata.ttf"),
    Face("Liberation Sans Italic", "sans", False, True, "LiberationSans-Italic.ttf"),
    Face("Liberation Serif Italic", "serif", False, True, "LiberationSerif-Italic.ttf"),
    Face("Noto Serif", "serif", False, False, "NotoSerif-Regular.ttf"),
    Face("Noto Serif Bold", "serif", True, False, "NotoSerif-Bold.ttf"),
    Face("Carlito Bold", "sans", True, False, "Carlito-Bold.ttf"),
    Face("Liberation Mono Bold", "mono", True, False, "LiberationMono-Bold.ttf"),
    Face("Inter", "sans", False, False, "Inter-Regular.ttf"),
    Face("Inter Semibold", "sans", True, False, "Inter-SemiBold.ttf"),
)
"""Every face a :class:`TextStyle` can name, by index. The order is part of the bitstream."""

FALLBACK = next(i for i, face in enumerate(FACES) if face.file == "DejaVuSans.ttf")
"""The face with the most characters stands in for those that another face lacks."""

UNITS_PER_EM = 2048
"""All metrics below are scaled to this em, whatever the font's own."""


@dataclass(frozen=True)
class GlyphMetrics:
    """``advance``, ``left`` and ``right`` edge of the ink in 1/2048 em (equal edges: no ink);
    ``face`` is the face that has the character, -1 for the hollow box."""

    face: int
    advance: int
    left: int
    right: int


@cache
def _font(face: int) -> tuple[TTFont, dict[int, str]]:
    font = TTFont(FONT_FOLDER / FACES[face].file, lazy=True)
    return font, font.getBestCmap()


@lru_cache(maxsize=16384)
def glyph_metrics(face: int, character: str) -> GlyphMetrics:
    """Metrics of one character in ``face``, or in the fallback, or those of a hollow box."""
    for candidate in (face, FALLBACK):
        font, names = _font(candidate)
        name = names.get(ord(character))
        if name is None:
            continue
        glyph, em = font["glyf"][name], font["head"].unitsPerEm
        edges = (glyph.xMin, glyph.xMax) if glyph.numberOfContours else (0, 0)
        scaled = (value * UNITS_PER_EM // em for value in (font["hmtx"][name][0], *edges))
        return GlyphMetrics(candidate, *scaled)
    return GlyphMetrics(-1, 1229, 123, 1106)


def word_extent(face: int, size: int, text: str) -> tuple[int, int]:
    """Natural (advance width, ink width) of ``text``, both in the units of ``size``.

    Integer arithmetic on font tables, no kerning: identical everywhere. ``size`` is the em in
    layout units. A word without ink (spaces) has an ink width of 0; text may be any Unicode.
    """
    advance, left, right = natural_extent(face, text)
    half = UNITS_PER_EM // 2
    ink = max(right - left, 0)
    return (advance * size + half) // UNITS_PER_EM, (ink * size + half) // UNITS_PER_EM


@lru_cache(maxsize=65536)
def natural_extent(face: int, text: str) -> tuple[int, int, int]:
    """(advance, left edge, right edge) of the ink of ``text`` in 1/2048 em from its origin."""
    advance, left, right = 0, None, None
    for character in text:
        metrics = glyph_metrics(face, character)
        if metrics.right > metrics.left:
            left = advance + metrics.left if left is None else min(left, advance + metrics.left)
            right = (
                advance + metrics.right if right is None else max(right, advance + metrics.right)
            )
        advance += metrics.advance
    return advance, left or 0, right or 0


SCALE_STEPS = 64
"""Horizontal scales are quantised to 1/64, so that glyph masks are shared between words."""

LARGEST_KEPT = 64 * UNITS_PER_PIXEL
"""Masks of larger letters are not kept: hostile files would fill the memory with them."""


@dataclass(frozen=True)
class GlyphImage:
    """The typeset page. ``coverage`` (H, W) is the share of a pixel that is ink, 0..255; ``box``
    (H, W) is 1 where a word's ground is painted; ``ink`` and ``ground`` (H, W, 3) are the RGB
    colours there, 0 elsewhere; ``skeleton`` (H, W, 3) is what the rules paint. All uint8."""

    coverage: NDArray[np.uint8]
    ink: NDArray[np.uint8]
    ground: NDArray[np.uint8]
    box: NDArray[np.uint8]
    skeleton: NDArray[np.uint8]


_rasteriser_lock = threading.Lock()  # FreeType faces keep state between calls


@cache
def _rasteriser(face: int) -> freetype.Face:
    return freetype.Face(str(FONT_FOLDER / FACES[face].file))


def glyph_mask(
    face: int, size: int, scale: int, character: str, phase_x: int, phase_y: int
) -> tuple[NDArray[np.uint8], int, int]:
    """Coverage (h, w) of a character and the offset (dx, dy) of its corner in pixels.

    ``size`` is the em in units, ``scale`` the horizontal scale in 1/64; the origin lies
    ``phase_x``, ``phase_y`` units right of and below a pixel corner. On a whole-pixel baseline
    the outline is hinted vertically, as browsers and desktops do: x-height and baseline are
    sharp. Elsewhere (a picture that was resized) it is not.
    """
    draw = _kept_mask if size <= LARGEST_KEPT else _draw_mask
    return draw(face, size, scale, character, phase_x, phase_y)


def _draw_mask(
    face: int, size: int, scale: int, character: str, phase_x: int, phase_y: int
) -> tuple[NDArray[np.uint8], int, int]:
    metrics = glyph_metrics(face, character)
    unit = 64 // UNITS_PER_PIXEL  # FreeType counts in 1/64 pixel
    if metrics.face < 0:
        return _hollow_box(metrics, size, scale)
    hinting = freetype.FT_LOAD_NO_HINTING
    if phase_y == 0:
        hinting = freetype.FT_LOAD_TARGET_LIGHT | freetype.FT_LOAD_FORCE_AUTOHINT
    with _rasteriser_lock:
        font = _rasteriser(metrics.face)
        font.set_char_size(max(size * scale * unit // SCALE_STEPS, 64), size * unit, 72, 72)
        font.load_char(character, hinting | freetype.FT_LOAD_NO_BITMAP)
        slot = font.glyph._FT_GlyphSlot
        outline = byref(slot.contents.outline)
        freetype.FT_Outline_Translate(outline, phase_x * unit, -phase_y * unit)
        freetype.FT_Render_Glyph(slot, freetype.FT_RENDER_MODE_NORMAL)
        glyph = slot.contents
        bitmap = glyph.bitmap
        if not bitmap.rows or not bitmap.width:
            return np.zeros((0, 0), np.uint8), 0, 0
        rows = np.ctypeslib.as_array(bitmap.buffer, (bitmap.rows, bitmap.pitch))
        return rows[:, : bitmap.width].copy(), glyph.bitmap_left, -glyph.bitmap_top


_kept_mask = lru_cache(maxsize=32768)(_draw_mask)


def _hollow_box(metrics: GlyphMetrics, size: int, scale: int) -> tuple[NDArray, int, int]:
    em = size / UNITS_PER_PIXEL
    left = round(metrics.left * em * scale / (SCALE_STEPS * UNITS_PER_EM))
    width = max(
        round((metrics.right - metrics.left) * em * scale / (SCALE_STEPS * UNITS_PER_EM)), 3
    )
    height, stroke = max(round(0.7 * em), 3), max(round(em / 14), 1)
    mask = np.full((height, width), 255, np.uint8)
    mask[stroke:-stroke, stroke:-stroke] = 0
    return mask, left, -height


def style_scale(face: int, size: int, words: list[PlacedWord]) -> int:
    """Horizontal scale in 1/64 that best explains the widths of the words set in one style."""
    natural = actual = 0
    for word in words:
        _, ink = word_extent(face, size, word.text)
        if len(word.text) > 1 and ink:
            natural, actual = natural + ink, actual + word.width
    if not natural:
        return SCALE_STEPS
    return min(
        max(round(SCALE_STEPS * actual / natural), SCALE_STEPS * 3 // 4), SCALE_STEPS * 4 // 3
    )


def character_pens(
    word: PlacedWord, face: int, size: int, scale: int
) -> Iterator[tuple[str, float, float]]:
    """(character, pen, advance) along a word, in units: its ink starts at ``word.x`` and is
    ``word.width`` wide, glyphs scaled by ``scale`` / 64, what is left over spread between them."""
    _, left, right = natural_extent(face, word.text)
    unit = size * scale / (SCALE_STEPS * UNITS_PER_EM)
    gaps = len(word.text) - 1
    tracking = (word.width - (right - left) * unit) / gaps if gaps else 0.0
    pen = word.x - left * unit
    if not gaps:
        pen += (word.width - (right - left) * unit) / 2
    for character in word.text:
        advance = glyph_metrics(face, character).advance * unit + tracking
        yield character, pen, advance
        pen += advance


def word_coverage(
    word: PlacedWord, face: int, size: int, scale: int, baseline: int, canvas: NDArray[np.uint8]
) -> None:
    """Set ``word`` into ``canvas`` (H, W), each glyph at its pen of :func:`character_pens`."""
    row, phase_y = divmod(baseline, UNITS_PER_PIXEL)
    height, width = canvas.shape
    for character, pen, _ in character_pens(word, face, size, scale):
        column, phase_x = divmod(int(np.floor(pen + 0.5)), UNITS_PER_PIXEL)
        mask, dx, dy = glyph_mask(face, size, scale, character, phase_x, phase_y)
        x, y = column + dx, row + dy
        x0, y0 = max(x, 0), max(y, 0)
        x1, y1 = min(x + mask.shape[1], width), min(y + mask.shape[0], height)
        if x0 < x1 and y0 < y1:
            area = canvas[y0:y1, x0:x1]
            np.maximum(area, mask[y0 - y : y1 - y, x0 - x : x1 - x], out=area)


def render_glyphs(layout: TextLayout) -> GlyphImage:
    """Set every word of ``layout`` that the picture does not show; see :class:`GlyphImage`. Never
    fails for a valid layout."""
    shape = (layout.height, layout.width)
    image = GlyphImage(
        np.zeros(shape, np.uint8),
        np.zeros((*shape, 3), np.uint8),
        np.zeros((*shape, 3), np.uint8),
        np.zeros(shape, np.uint8),
        paint_rules(layout),
    )
    scales = layout_scales(layout)
    for line in layout.lines:
        if line.pictured:
            continue
        face, size = line.style.face, line.style.size
        for x0, y0, x1, y1 in word_boxes(line, *shape):
            image.box[y0:y1, x0:x1] = 1
            image.ground[y0:y1, x0:x1] = line.style.ground
            image.ink[y0:y1, x0:x1] = line.style.ink
        for word in line.words:
            word_coverage(word, face, size, scales[face, size], line.baseline, image.coverage)
    image.coverage[image.box == 0] = 0
    return image


def layout_scales(layout: TextLayout) -> dict[tuple[int, int], int]:
    """:func:`style_scale` of each (face, size) that ``layout`` uses."""
    words: dict[tuple[int, int], list[PlacedWord]] = {}
    for line in layout.lines:
        words.setdefault((line.style.face, line.style.size), []).extend(line.words)
    return {key: style_scale(*key, group) for key, group in words.items()}


def word_boxes(line: TextLine, height: int, width: int) -> list[tuple[int, int, int, int]]:
    """Pixel rectangles (x0, y0, x1, y1) in which the ground of a line is painted: its words with
    padding, joined where the space between two words is an ordinary one."""
    size = line.style.size / UNITS_PER_PIXEL
    base = line.baseline / UNITS_PER_PIXEL
    pad = 1.5 + 0.12 * size  # as far as a crude draft smears the ink
    y0, y1 = base - 0.95 * size - 1, base + 0.3 * size + 1
    boxes: list[list[float]] = []
    for word in line.words:
        x0, x1 = word.x / UNITS_PER_PIXEL, (word.x + word.width) / UNITS_PER_PIXEL
        if boxes and 0 <= x0 - boxes[-1][1] <= 0.6 * size:
            boxes[-1][1] = x1
        else:
            boxes.append([x0, x1])
    return [
        (
            max(int(x0 - pad), 0),
            max(int(y0), 0),
            min(int(x1 + pad) + 1, width),
            min(int(y1) + 1, height),
        )
        for x0, x1 in boxes
    ]


def typeset(draft: NDArray[np.uint8], glyphs: GlyphImage) -> NDArray[np.uint8]:
    """Paint ``glyphs`` over ``draft``, both of one size; returns uint8 (H, W, 3).

    Ghosts of the text in the draft give way to the ground, which is shaded as the draft is beside
    it; where the draft is close to that it stays, so that no patch shows. Ink is blended by
    coverage in sRGB, as browsers do.
    """
    places = np.flatnonzero(glyphs.box)
    page, ground = _at(places, draft), _at(places, glyphs.ground)
    untold = (glyphs.box > 0) & ~told(glyphs)
    if untold.any():
        shaded = untold.ravel()[places]
        ground[:, shaded] += _at(places[shaded], _shade(draft, glyphs, untold))
        np.clip(ground, 0, 255, out=ground)
    away = np.abs(page - ground).max(axis=0)
    page += (ground - page) * np.clip((away - 4) / 10, 0, 1)
    coverage = glyphs.coverage.ravel()[places] / np.float32(255)
    page += (_at(places, glyphs.ink) - page) * coverage
    result = draft.copy()
    result.reshape(-1, 3)[places] = (page + 0.5).astype(np.uint8).T
    return result


def _at(places: NDArray[np.intp], picture: NDArray) -> NDArray[np.float32]:
    """The channels (3, n) of a picture (H, W, 3) at n places."""
    return np.stack([plane.ravel()[places] for plane in cv2.split(picture)], dtype=np.float32)


def told(glyphs: GlyphImage) -> NDArray[np.bool_]:
    """Where the layout has told everything: words on a ground that is the skeleton's, (H, W)."""
    return (glyphs.box > 0) & (level_distance(glyphs.ground, glyphs.skeleton) <= SAME_GROUND)


def _shade(
    draft: NDArray[np.uint8], glyphs: GlyphImage, untold: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """What to add to the ``untold`` ground of words (H, W, 3), one colour a line, that it be shaded
    as the draft is beside them: text on a gradient or a photograph would stand in a patch."""
    shade = np.zeros(draft.shape, np.float32)
    for area in _surroundings(untold):
        box = glyphs.box[area].astype(np.float32)
        ground, seen = (each[area].astype(np.float32) for each in (glyphs.ground, draft))
        expected = filled(ground, box)
        alike = level_distance(seen, expected) < ALIKE
        beside = ((box == 0) & alike).astype(np.float32)
        shade[area] = cv2.GaussianBlur(filled(seen - expected, beside), (0, 0), SOFT)
    return shade


def _surroundings(mask: NDArray[np.bool_]) -> Iterator[tuple[slice, slice]]:
    """Areas that hold what a mask (H, W) marks and at least :data:`BESIDE` pixels about it, those
    of marks that are far from each other apart; the largest first."""
    cells = np.zeros([-(-side // BESIDE) for side in mask.shape], np.uint8)
    rows, columns = np.nonzero(mask)
    cells[rows // BESIDE, columns // BESIDE] = 1
    near = cv2.dilate(cells, np.ones((3, 3), np.uint8))
    areas = cv2.connectedComponentsWithStats(near)[2][1:]
    for x, y, width, height, _ in BESIDE * areas[np.argsort(-areas[:, cv2.CC_STAT_AREA])]:
        yield slice(y, y + height), slice(x, x + width)


def filled(picture: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    """A picture (H, W, 3) with what is not ``known`` (H, W), 0..1, from what is known near it, the
    nearest most: by halving, and back (pull-push; Gortler et al. 1996). 0 if nothing is known."""
    return _pushed(picture * known[..., None], known)


def _pushed(weighted: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = known.shape
    if height == width == 1:
        return weighted
    size = -(-width // 2), -(-height // 2)
    edges = (0, 2 * size[1] - height, 0, 2 * size[0] - width, cv2.BORDER_REPLICATE)
    coarse, share = (
        cv2.resize(cv2.copyMakeBorder(x, *edges), size, interpolation=cv2.INTER_AREA)
        for x in (weighted, known)
    )
    # one known pixel in four is enough
    certain = np.minimum(4 * share, 1) / np.maximum(share, np.float32(1e-6))
    coarse = _pushed(coarse * certain[..., None], share * certain)
    fine = cv2.resize(coarse, (2 * size[0], 2 * size[1]), interpolation=cv2.INTER_LINEAR)
    return weighted + (1 - known)[..., None] * fine[:height, :width]


def level_distance(a: NDArray, b: NDArray) -> NDArray:
    """Levels (H, W) by which two pictures (H, W, 3), both uint8 or both float32, differ in the
    channel that differs most; of their type."""
    red, green, blue = cv2.split(cv2.absdiff(a, b))
    return cv2.max(cv2.max(red, green), blue)
