"""What a page is sent with beside its words: rules, letters of its own and marks.

Each has to be worth its bytes. Before the picture is coded that can only be guessed from the
budget; from a sketch at half the size it is known what the picture stream takes and leaves at each
place, so rules and marks are added where a bit of theirs mends more than one of the stream's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from picd.bitstream import MAX_QUALITY
from picd.columns import with_joints
from picd.glyphs import ink_mask, typeset_skeleton, word_mask
from picd.layout import OwnLetter, TextLayout
from picd.layout_coder import encode_layout
from picd.letters import about_bits, fit_letters
from picd.limits import allowed
from picd.marks import Palettes, fit_marks, left_by
from picd.prices import price_at_quality, price_at_rate
from picd.rules import PRICE, Ruler
from picd.text_coder import encode_text
from picd.trials import Trial

TEXT_SHARE = 0.6
"""Text and layout may take this share of a byte budget; beyond it the smallest lines go."""
THRIFTY, PLENTY = 0.6, 16
"""Letters are chosen anew where they have to mend less than this part of what was expected, and at
the best quality so small a part of it."""
MARK_PRICE = 0.2
"""What a bit of a rule or mark has to mend, over what one of an own letter has to."""
LEAST_PRICE, MOST_PRICE = 800, 20_000
"""See :data:`picd.rules.PRICE`."""


@dataclass(frozen=True)
class Dresser:
    """Dresses the words ``fitted`` to a picture, uint8 (H, W, 3), for a file of ``budget`` bytes
    or, without one, for a ``quality``. A ``natural`` picture has no rules and no marks."""

    picture: NDArray[np.uint8]
    fitted: TextLayout
    natural: bool
    budget: int | None
    quality: float
    _palettes: Palettes = field(default_factory=dict)

    @cached_property
    def _ruler(self) -> Ruler:
        return Ruler(self.picture, ink_mask(self.fitted))

    @cached_property
    def ruled(self) -> TextLayout:
        """The words with rules: the fewer bytes there are, the more a rule has to mend."""
        if self.natural:
            return self.fitted
        price = PRICE * 4600 / self.budget if self.budget else PRICE
        return replace(self.fitted, rules=self._ruler.fit(min(max(price, LEAST_PRICE), MOST_PRICE)))

    @property
    def _share(self) -> int | None:
        return self.budget and int(TEXT_SHARE * self.budget)

    def first(self) -> tuple[TextLayout, bytes, bytes]:
        """The layout before anything is known of the picture stream, as much of it as has room, and
        its two sections."""
        layout, text, coded = coded_text(self.ruled, self._share)
        if len(layout.words) == len(self.fitted.words):  # or there are no bytes to spare
            layout = self._lettered(layout, len(text), 1.0)
            coded = encode_layout(layout)
        return layout, text, coded

    def richer(self, layout: TextLayout, text: bytes, trial: Trial, room: int | None) -> TextLayout:
        """The layout with what is worth it now that it was coded as ``trial``: ``room`` bits are
        left for that and the picture stream."""
        thrift, complete = self._thrift(trial.quality), len(layout.words) == len(self.fitted.words)
        if thrift < THRIFTY and complete and not layout.marks:
            layout = self._lettered(layout, len(text), thrift)
        price = MARK_PRICE * price_at_quality(trial.quality)
        bits, words = trial.bits(trial.image.quality), word_mask(layout)
        below = typeset_skeleton(layout)
        worth = left_by(self.picture, below, trial.page, bits, price)
        rules = self._ruler.more(layout.rules, worth, price, room, words)
        if rules != layout.rules:
            layout = replace(layout, rules=rules)
            below = typeset_skeleton(layout)
        seen, before = (trial.page, bits, room), (layout.marks, self._palettes)
        marks = fit_marks(self.picture, below, rules, words, price, *seen, *before)
        return replace(layout, marks=marks)

    def _lettered(self, layout: TextLayout, text: int, thrift: float) -> TextLayout:
        """With letters of its own that are worth ``thrift`` times the price that they have at the
        budget or quality, as many as have room beside ``text`` bytes."""
        pixels = layout.width * layout.height
        price = price_at_quality(self.quality)
        if self.budget:
            price = price_at_rate(8 * self.budget / pixels)
        plain = replace(layout, letters=())
        letters = fit_letters(self.picture, plain, thrift * price)
        if letters and self._share is not None:
            letters = _as_many(letters, plain, self._share - text - len(encode_layout(plain)))
        return replace(layout, letters=letters)

    def _thrift(self, quality: float) -> float:
        """What letters have to mend at the quality that a page has at a budget, over what was
        expected of it: a page with little on it has bytes to spare."""
        if not self.budget:
            return 1.0
        if quality == MAX_QUALITY:
            return 1 / PLENTY
        pixels = self.fitted.width * self.fitted.height
        return price_at_quality(quality) / price_at_rate(8 * self.budget / pixels)


def _as_many(letters: tuple[OwnLetter, ...], plain: TextLayout, room: int) -> tuple[OwnLetter, ...]:
    """The first of the letters, which are the best, as many as ``room`` bytes are enough for beside
    a layout without any."""
    least = len(encode_layout(plain))
    costs = np.cumsum([about_bits(letter) / 8 for letter in letters])
    kept, rate = len(letters) + 1, 1.0
    while letters:
        kept = min(kept - 1, int(np.searchsorted(rate * costs, room, "right")))
        letters = letters[:kept]
        taken = len(encode_layout(replace(plain, letters=letters))) - least
        if taken <= room:
            break
        rate = taken / costs[kept - 1]
    return letters


def coded_text(layout: TextLayout, room: int | None) -> tuple[TextLayout, bytes, bytes]:
    """What of the layout fits into ``room`` bytes (None: all), and its two sections. The smallest
    lines go first, of one size the shortest."""
    worth = [(line.style.size, sum(len(w.text) for w in line.words)) for line in layout.lines]
    order = sorted(range(len(worth)), key=lambda i: worth[i], reverse=True)
    keep = len(order)
    while keep >= 0:
        kept = with_joints(layout.lines[i] for i in sorted(order[:keep]))
        trimmed = replace(layout, lines=kept)
        if not allowed(trimmed):
            keep -= 1
            continue
        text, coded = encode_text(trimmed) if kept else b"", encode_layout(trimmed)
        size = len(text) + len(coded)
        if room is None or size <= room:
            return trimmed, text, coded
        # cost is about proportional to lines; always at least one line less
        keep = min(keep - 1, int(keep * room / size))
    return TextLayout(layout.width, layout.height), b"", b""
