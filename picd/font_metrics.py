"""Sizes of letters in the bundled fonts, in font units and integers only.

The layout coder predicts with these, so they are the same numbers on every machine; what draws
(:mod:`picd.glyphs`) may differ in a last bit between rasteriser versions.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

from fontTools.ttLib import TTFont

from picd.layout import PlacedWord, TextLayout

FONT_FOLDER = Path(__file__).parent / "fonts"


@dataclass(frozen=True)
class Face:
    """A bundled font: ``family`` is sans, serif or mono; ``file`` lies in ``picd/fonts``. Where it
    is ``kerned``, pairs of letters are set as close as the font's table says."""

    name: str
    family: str
    bold: bool
    italic: bool
    file: str
    kerned: bool = False


PLAIN_FACES = (
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
KERNED = {
    plain: len(PLAIN_FACES) + index
    for index, plain in enumerate(
        plain for plain, face in enumerate(PLAIN_FACES) if face.family != "mono"
    )
}
"""The kerned face of each face that has one. Some programs kern, others do not, and few readers
could tell; but letters a pixel aside are as dear as wrong ones."""
FACES = (
    *PLAIN_FACES,
    *(
        replace(PLAIN_FACES[plain], name=f"{PLAIN_FACES[plain].name}, kerned", kerned=True)
        for plain in KERNED
    ),
)
"""Every face a :class:`TextStyle` can name, by index. The order is part of the bitstream."""
_PLAIN = [*range(len(PLAIN_FACES)), *KERNED]

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
def font_tables(face: int) -> tuple[TTFont, dict[int, str]]:
    font = TTFont(FONT_FOLDER / FACES[face].file, lazy=True)
    return font, font.getBestCmap()


def plain_face(face: int) -> int:
    """The face with the same letters that is not kerned."""
    return _PLAIN[face]


@lru_cache(maxsize=16384)
def glyph_metrics(face: int, character: str) -> GlyphMetrics:
    """Metrics of one character in ``face``, or in the fallback, or those of a hollow box."""
    for candidate in (plain_face(face), FALLBACK):
        font, names = font_tables(candidate)
        name = names.get(ord(character))
        if name is None:
            continue
        glyph, em = font["glyf"][name], font["head"].unitsPerEm
        edges = (glyph.xMin, glyph.xMax) if glyph.numberOfContours else (0, 0)
        scaled = (value * UNITS_PER_EM // em for value in (font["hmtx"][name][0], *edges))
        return GlyphMetrics(candidate, *scaled)
    return GlyphMetrics(-1, 1229, 123, 1106)


@cache
def _pairs(face: int) -> dict[tuple[str, str], int]:
    """What pairs of characters are set closer (or, above 0, wider) in ``face``, in 1/2048 em."""
    if not FACES[face].kerned:
        return {}
    font, names = font_tables(plain_face(face))
    characters = {name: chr(code) for code, name in names.items()}
    em, table = font["head"].unitsPerEm, font["kern"].kernTables[0].kernTable
    return {
        (characters[left], characters[right]): value * UNITS_PER_EM // em
        for (left, right), value in table.items()
    }


def advances(face: int, text: str) -> list[int]:
    """How far the pen goes at each character of ``text``, in 1/2048 em: its advance, and what the
    pair that it begins is set closer."""
    pairs = _pairs(face)
    result = [glyph_metrics(face, character).advance for character in text]
    if pairs:
        for index, pair in enumerate(itertools.pairwise(text)):
            result[index] += pairs.get(pair, 0)
    return result


def word_extent(face: int, size: int, text: str) -> tuple[int, int]:
    """Natural (advance width, ink width) of ``text``, both in the units of ``size``.

    Integer arithmetic on font tables: identical everywhere. ``size`` is the em in layout units. A
    word without ink (spaces) has an ink width of 0; text may be any Unicode.
    """
    advance, left, right = natural_extent(face, text)
    half = UNITS_PER_EM // 2
    ink = max(right - left, 0)
    return (advance * size + half) // UNITS_PER_EM, (ink * size + half) // UNITS_PER_EM


@lru_cache(maxsize=65536)
def natural_extent(face: int, text: str) -> tuple[int, int, int]:
    """(advance, left edge, right edge) of the ink of ``text`` in 1/2048 em from its origin."""
    advance, left, right = 0, None, None
    for character, step in zip(text, advances(face, text), strict=True):
        metrics = glyph_metrics(face, character)
        if metrics.right > metrics.left:
            left = advance + metrics.left if left is None else min(left, advance + metrics.left)
            right = (
                advance + metrics.right if right is None else max(right, advance + metrics.right)
            )
        advance += step
    return advance, left or 0, right or 0


SCALE_STEPS = 64
"""Horizontal scales are quantised to 1/64, so that glyph masks are shared between words."""


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


def layout_scales(layout: TextLayout) -> dict[tuple[int, int], int]:
    """:func:`style_scale` of each (face, size) that ``layout`` uses."""
    words: dict[tuple[int, int], list[PlacedWord]] = {}
    for line in layout.lines:
        words.setdefault((line.style.face, line.style.size), []).extend(line.words)
    return {key: style_scale(*key, group) for key, group in words.items()}
