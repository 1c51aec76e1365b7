"""The glyph image: a :class:`TextLayout` set in bundled fonts, and painted over a draft.

Rendering may differ in a last bit between rasteriser versions, so it only feeds pictures; what is
coded is predicted from :mod:`picd.font_metrics`.
"""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from ctypes import byref
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from types import MappingProxyType

import cv2
import freetype
import numpy as np
from numpy.typing import NDArray

from picd.columns import on_one_row
from picd.distances import level_distance
from picd.font_metrics import (
    FACES,
    FONT_FOLDER,
    SCALE_STEPS,
    UNITS_PER_EM,
    GlyphMetrics,
    advances,
    glyph_metrics,
    layout_scales,
    natural_extent,
    plain_face,
)
from picd.layout import UNITS_PER_PIXEL, OwnLetter, PlacedWord, TextLayout, TextLine
from picd.marks import paint_marks
from picd.outlines import outline
from picd.rules import GREY, paint_rules

OwnLetters = Mapping[str, OwnLetter]
NO_LETTERS: OwnLetters = MappingProxyType({})
LEVELS = 4
"""Levels of an own letter's difference that are all of the coverage."""
SAME_GROUND, MOSTLY_TOLD = 8, 0.6
"""Levels by which a line's ground and the skeleton may differ and still be the same, and the share
of the box of words where they have to be for all of its ground to be the skeleton's."""
BESIDE, SOFT = 64, 2.0
"""Pixels about words that their ground is shaded from, and over which shades are smoothed."""
SMEARED = 7
"""Pixels of a square about each of a letter that a draft smears it over."""
ALIKE = 24
"""Levels from the ground of words, beyond which what is beside them is something else."""


LARGEST_KEPT = 64 * UNITS_PER_PIXEL
"""Masks of larger letters are not kept: hostile files would fill the memory with them."""


@dataclass(frozen=True)
class GlyphImage:
    """The typeset page. ``coverage`` (H, W) is the share of a pixel that is ink, 0..255; ``box``
    (H, W) is 1 where a word's ground is painted; ``ink`` and ``ground`` (H, W, 3) are the RGB
    colours there, 0 elsewhere; ``clear`` (H, W) is 1 where a word stands on the picture instead;
    ``skeleton`` (H, W, 3) is what rules paint, and marks beside words.
    All uint8. ``over`` is where marks are on words, as indices of pixels (n,), and their colours
    (n, 3)."""

    coverage: NDArray[np.uint8]
    ink: NDArray[np.uint8]
    ground: NDArray[np.uint8]
    box: NDArray[np.uint8]
    clear: NDArray[np.uint8]
    skeleton: NDArray[np.uint8]
    over: tuple[NDArray[np.intp], NDArray[np.uint8]]


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
    return draw(plain_face(face), size, scale, character, phase_x, phase_y)


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


@lru_cache(maxsize=4096)
def own_mask(
    letter: OwnLetter, scale: int, phase_x: int, phase_y: int
) -> tuple[NDArray[np.uint8], int, int]:
    """:func:`glyph_mask` of a letter that is the page's own."""
    face, size, character = letter.face, letter.size, letter.character
    mask, dx, dy = glyph_mask(face, size, scale, character, phase_x, phase_y)
    window = outline(face, size, scale, character)
    left, top = min(dx, window.x), min(dy, window.y)
    (h, w), (rows, columns) = mask.shape, window.coverage.shape
    shape = max(dy + h, window.y + rows) - top, max(dx + w, window.x + columns) - left
    result = np.zeros(shape, np.int16)
    result[dy - top :, dx - left :][:h, :w] = mask
    levels = np.array(letter.levels, np.int16).reshape(rows, columns)
    result[window.y - top :, window.x - left :][:rows, :columns] += levels * 255 // LEVELS
    return np.clip(result, 0, 255).astype(np.uint8), left, top


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
    for character, natural in zip(word.text, advances(face, word.text), strict=True):
        advance = natural * unit + tracking
        yield character, pen, advance
        pen += advance


def word_coverage(
    word: PlacedWord,
    face: int,
    size: int,
    scale: int,
    baseline: int,
    canvas: NDArray[np.uint8],
    own: OwnLetters = NO_LETTERS,
) -> None:
    """Set ``word`` into ``canvas`` (H, W), each glyph at its pen of :func:`character_pens`, those
    of ``own`` as they are on the page."""
    row, phase_y = divmod(baseline, UNITS_PER_PIXEL)
    height, width = canvas.shape
    for character, pen, _ in character_pens(word, face, size, scale):
        column, phase_x = divmod(int(np.floor(pen + 0.5)), UNITS_PER_PIXEL)
        if character in own:
            mask, dx, dy = own_mask(own[character], scale, phase_x, phase_y)
        else:
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
        np.zeros(shape, np.uint8),
        paint_rules(layout),
        (np.zeros(0, np.intp), np.zeros((0, 3), np.uint8)),
    )
    scales, own = layout_scales(layout), own_letters(layout)
    for before, line in itertools.pairwise((None, *layout.lines)):
        if line.pictured:
            continue
        face, size = line.style.face, line.style.size
        least = _end_of(before, line) if before else 0
        for x0, y0, x1, y1 in word_boxes(line, *shape):
            x0 = max(x0, least)
            if x0 >= x1 or y0 >= y1:
                continue
            image.box[y0:y1, x0:x1] = 1
            image.clear[y0:y1, x0:x1] = line.clear
            image.ground[y0:y1, x0:x1] = _ground(image.skeleton[y0:y1, x0:x1], line.style.ground)
            image.ink[y0:y1, x0:x1] = line.style.ink
        style = face, size, scales[face, size]
        letters = own.get((face, size), {})
        for word in line.words:
            word_coverage(word, *style, line.baseline, image.coverage, letters)
    image.coverage[image.box == 0] = 0
    if not layout.marks:
        return image
    marked = image.skeleton.copy()
    painted = paint_marks(marked, layout.marks)
    over = np.flatnonzero(painted & (image.box > 0))
    beside = painted & (image.box == 0)
    image.skeleton[beside] = marked[beside]
    return replace(image, over=(over, marked.reshape(-1, 3)[over]))


def _ground(skeleton: NDArray[np.uint8], ground: tuple[int, int, int]) -> NDArray[np.uint8]:
    """What words stand on, of what rules paint in their box (h, w, 3) and of the ground of their
    line: where rules tell most of that, also the frame or underline close by."""
    plain = np.full_like(skeleton, ground)
    told = level_distance(skeleton, plain) <= SAME_GROUND
    return skeleton if told.mean() >= MOSTLY_TOLD else plain


def _end_of(before: TextLine, line: TextLine) -> int:
    """Where what is of the line before ends, if this one goes on beside it, in pixels: else its
    last letters would be in the box, and in the ink, of this one."""
    if before.pictured or not (before.words and line.words) or not on_one_row(before, line):
        return 0
    end, start = before.words[-1].x + before.words[-1].width, line.words[0].x
    return max((end + start) // 2 // UNITS_PER_PIXEL, 0) if before.words[-1].x < start else 0


def own_letters(layout: TextLayout) -> dict[tuple[int, int], OwnLetters]:
    """The page's own letters of each (face, size), by character."""
    letters: dict[tuple[int, int], dict[str, OwnLetter]] = defaultdict(dict)
    for letter in layout.letters:
        letters[letter.face, letter.size][letter.character] = letter
    return letters


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


def word_mask(layout: TextLayout) -> NDArray[np.bool_]:
    """Where the boxes of words are, pictured or not, (H, W)."""
    words = np.zeros((layout.height, layout.width), bool)
    for line in layout.lines:
        for x0, y0, x1, y1 in word_boxes(line, *words.shape):
            words[y0:y1, x0:x1] = True
    return words


def ink_mask(layout: TextLayout) -> NDArray[np.bool_]:
    """Where the letters of words are or may be, a pixel or two aside, (H, W)."""
    inked = (render_glyphs(layout).coverage > 0).astype(np.uint8)
    return cv2.dilate(inked, np.ones((5, 5), np.uint8)) > 0


def typeset(draft: NDArray[np.uint8], glyphs: GlyphImage) -> NDArray[np.uint8]:
    """Paint ``glyphs`` over ``draft``, both of one size; returns uint8 (H, W, 3).

    Ghosts of the text in the draft give way to the ground, which is shaded as the draft is beside
    it; where the draft is close to that it stays, so that no patch shows. In clear lines they give
    way to what the draft is about the letters. Ink is blended by coverage in sRGB, as browsers do.
    """
    places = np.flatnonzero(glyphs.box)
    page, ground = _at(places, draft), _at(places, glyphs.ground)
    clear = glyphs.clear > 0
    untold = (glyphs.box > 0) & ~told(glyphs) & ~clear
    if untold.any():
        shaded = untold.ravel()[places]
        ground[:, shaded] += _at(places[shaded], _shade(draft, glyphs, untold))
        np.clip(ground, 0, 255, out=ground)
    if clear.any():
        ground[:, clear.ravel()[places]] = _at(np.flatnonzero(clear), _about_letters(draft, glyphs))
    away = np.abs(page - ground).max(axis=0)
    page += (ground - page) * np.clip((away - 4) / 10, 0, 1)
    coverage = glyphs.coverage.ravel()[places] / np.float32(255)
    page += (_at(places, glyphs.ink) - page) * coverage
    result = draft.copy()
    result.reshape(-1, 3)[places] = (page + 0.5).astype(np.uint8).T
    places, colours = glyphs.over
    result.reshape(-1, 3)[places] = colours
    return result


def typeset_skeleton(layout: TextLayout) -> NDArray[np.uint8]:
    """The words set over the rules, with nothing of the picture, (H, W, 3)."""
    glyphs = render_glyphs(layout)
    return typeset(glyphs.skeleton, glyphs)


def _at(places: NDArray[np.intp], picture: NDArray) -> NDArray[np.float32]:
    """The channels (3, n) of a picture (H, W, 3) at n places."""
    return np.stack([plane.ravel()[places] for plane in cv2.split(picture)], dtype=np.float32)


def told(glyphs: GlyphImage) -> NDArray[np.bool_]:
    """Where the layout has told everything: words on a ground that is the skeleton's, (H, W), and
    not on what the picture shows."""
    alike = level_distance(glyphs.ground, glyphs.skeleton) <= SAME_GROUND
    return (glyphs.box > 0) & (glyphs.clear == 0) & alike


def bare(page: NDArray[np.uint8], glyphs: GlyphImage) -> NDArray[np.bool_]:
    """Where a typeset page is the skeleton and nothing else, (H, W): no words, and no difference
    sent. A skeleton that is grey all over says nothing of its picture."""
    if (glyphs.skeleton == GREY).all():
        return np.zeros(page.shape[:2], bool)
    return (glyphs.box == 0) & (level_distance(page, glyphs.skeleton) == 0)


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


def _about_letters(draft: NDArray[np.uint8], glyphs: GlyphImage) -> NDArray[np.float32]:
    """The draft with what is about the letters of clear lines in their place, (H, W, 3); right
    there alone."""
    behind = draft.astype(np.float32)
    for area in _surroundings(glyphs.clear > 0):
        letters = (glyphs.coverage[area] > 0) & (glyphs.clear[area] > 0)
        smeared = cv2.dilate(letters.astype(np.uint8), np.ones((SMEARED, SMEARED), np.uint8))
        behind[area] = filled(behind[area], (1 - smeared).astype(np.float32))
    return behind


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
