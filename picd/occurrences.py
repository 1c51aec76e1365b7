"""Where each letter of a typeset page occurs in the picture, and how well it fits there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from picd.font_metrics import layout_scales
from picd.glyphs import GlyphImage, character_pens, glyph_mask
from picd.layout import UNITS_PER_PIXEL, TextLayout
from picd.letter_coder import candidates
from picd.outlines import Outline, outline

MANY = 500
"""Beyond so many occurrences the asides are tried one after the other, for memory."""
Floats = NDArray[np.float32]
Key = tuple[int, int, str]


def inked(picture: NDArray[np.uint8], glyphs: GlyphImage) -> Floats:
    """The coverage, 0..1, that ink and ground of the lines say of a picture (H, W, 3); 0 outside
    their boxes."""
    inside = glyphs.box > 0
    ground = glyphs.ground[inside].astype(np.float32)
    axis = glyphs.ink[inside] - ground
    share = ((picture[inside] - ground) * axis).sum(1) / np.maximum((axis * axis).sum(1), 1)
    result = np.zeros(inside.shape, np.float32)
    result[inside] = np.clip(share, 0, 1)
    return result


@dataclass
class Letter:
    """A character of a face and size, and the ``places`` (n,) among all letters of the page where
    it occurs."""

    face: int
    size: int
    character: str
    scale: int
    places: list[int] = field(default_factory=list)
    masks: dict[tuple[int, int], Floats] = field(default_factory=dict)

    @cached_property
    def drawn(self) -> Outline:
        return outline(self.face, self.size, self.scale, self.character)

    def mask(self, phase: tuple[int, int]) -> Floats:
        """The face's letter in the window of its outline, 0..1, at a phase (x, y)."""
        if phase not in self.masks:
            mask, dx, dy = glyph_mask(self.face, self.size, self.scale, self.character, *phase)
            height, width = self.drawn.coverage.shape
            result = self.masks[phase] = np.zeros((height, width), np.float32)
            x, y = dx - self.drawn.x, dy - self.drawn.y
            x0, y0 = max(x, 0), max(y, 0)
            x1, y1 = min(x + mask.shape[1], width), min(y + mask.shape[0], height)
            if x0 < x1 and y0 < y1:
                result[y0:y1, x0:x1] = mask[y0 - y : y1 - y, x0 - x : x1 - x] / np.float32(255)
        return self.masks[phase]


class Occurrences:
    """The typeset letters of a page in order, as arrays (n,): ``pen`` and ``advance`` in units,
    ``word`` the index of its word among all that are typeset; ``letters`` are those that have ink
    and are of an ordinary size."""

    def __init__(self, layout: TextLayout) -> None:
        scales = layout_scales(layout)
        self.letters = {
            key[:3]: Letter(*key[:3], scales[key[:2]]) for key in candidates(layout.lines)
        }
        self.keys: list[Key] = []
        rows: list[tuple[float, float, int, float, int]] = []
        words = 0
        for line in layout.lines:
            if line.pictured:
                continue
            style = line.style.face, line.style.size
            axis = np.subtract(line.style.ink, line.style.ground, dtype=np.float32)
            contrast = float(axis @ axis)
            for word in line.words:
                for character, pen, advance in character_pens(word, *style, scales[style]):
                    self.keys.append((*style, character))
                    rows.append((pen, advance, line.baseline, contrast, words))
                words += 1
        table = np.array(rows).reshape(-1, 5)
        self.pen, self.advance = table[:, 0], table[:, 1]
        self.baseline, self.word = table[:, 2].astype(np.int64), table[:, 4].astype(np.int64)
        self.contrast = table[:, 3].astype(np.float32)
        steps = np.diff(self.word, prepend=-1, append=words) > 0
        self.first, self.last = steps[:-1], steps[1:]
        for place, key in enumerate(self.keys):
            if key in self.letters:
                self.letters[key].places.append(place)

    def windows(
        self, letter: Letter, picture: Floats, asides: Sequence[int] = (0,)
    ) -> tuple[Floats, Floats, Floats]:
        """What of ``picture`` (H, W) is in the windows of a letter's n occurrences, units
        ``asides`` of their pens, where in them it is and not its neighbours, and the face's letter
        there: (n for each of the asides, h, w) each."""
        places = np.tile(letter.places, len(asides))
        moved = self.pen[places] + np.repeat(asides, len(letter.places)) + 0.5
        pens = np.floor(moved).astype(np.int64)
        ends = np.floor(moved + self.advance[places]).astype(np.int64)
        columns, phases_x = np.divmod(pens, UNITS_PER_PIXEL)
        rows, phases_y = np.divmod(self.baseline[places], UNITS_PER_PIXEL)
        height, width = letter.drawn.coverage.shape
        y = (rows + letter.drawn.y)[:, None] + np.arange(height)
        x = (columns + letter.drawn.x)[:, None] + np.arange(width)
        begins = (columns - self.first[places])[:, None]
        stops = (ends // UNITS_PER_PIXEL + self.last[places])[:, None]
        across = (x >= np.maximum(begins, 0)) & (x < np.minimum(stops, picture.shape[1]))
        down = (y >= 0) & (y < picture.shape[0])
        x, y = np.clip(x, 0, picture.shape[1] - 1), np.clip(y, 0, picture.shape[0] - 1)
        cells = (down[:, :, None] & across[:, None, :]).astype(np.float32)
        phases, which = np.unique(phases_x + UNITS_PER_PIXEL * phases_y, return_inverse=True)
        masks = np.stack([letter.mask(divmod(p, UNITS_PER_PIXEL)[::-1]) for p in phases.tolist()])
        return picture[y[:, :, None], x[:, None, :]], cells, masks[which]

    def errors(self, letter: Letter, found: Floats, asides: Sequence[int] = (0,)) -> Floats:
        """Squared error of the face's letter at each aside of each occurrence, (asides, n)."""
        if len(letter.places) > MANY:
            parts = [self._errors(letter, found, [aside]) for aside in asides]
            return np.concatenate(parts).reshape(len(asides), -1)
        return self._errors(letter, found, asides).reshape(len(asides), -1)

    def _errors(self, letter: Letter, found: Floats, asides: Sequence[int]) -> Floats:
        seen, cells, masks = self.windows(letter, found, asides)
        return ((masks - seen) ** 2 * cells).sum((1, 2))
