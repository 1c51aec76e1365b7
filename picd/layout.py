"""What the text stream says: words with boxes from the OCR, and the typeset page made of them.

Data flows ``ocr`` -> tuple of :class:`Word` -> ``typography.fit_layout`` -> :class:`TextLayout`
-> ``text_coder`` -> bytes, and back from the bytes to the same :class:`TextLayout`. The layout
holds integers only, so that what the encoder typeset is exactly what the decoder typesets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

UNITS_PER_PIXEL = 4
"""Positions and sizes in a :class:`TextLayout` are integers in quarter pixels."""


@dataclass(frozen=True)
class Doubt:
    """That the characters ``start``..``stop`` of a word or a line may be ``text`` instead, ``odds``
    times as likely as what was read."""

    start: int
    stop: int
    text: str
    odds: float

    def moved(self, by: int) -> Doubt:
        return replace(self, start=self.start + by, stop=self.stop + by)


@dataclass(frozen=True)
class Word:
    """A word as an OCR engine (or the page generator) reports it.

    ``box`` is (x, y, width, height) in pixels, floats allowed. ``confidence`` is in 0..1.
    ``line`` groups the words of one line of text; words of a line are in reading order. A piece
    that is ``joined`` goes on with the one before, without a space. ``doubts`` are what else the
    engine thought of.
    """

    text: str
    box: tuple[float, float, float, float]
    confidence: float = 1.0
    line: int = 0
    joined: bool = False
    doubts: tuple[Doubt, ...] = ()

    def part(self, start: int, stop: int, box: tuple[float, float, float, float]) -> Word:
        """The characters ``start``..``stop`` of the word, in a box of their own."""
        within = (each for each in self.doubts if start <= each.start and each.stop <= stop)
        doubts = tuple(each.moved(-start) for each in within)
        return replace(self, text=self.text[start:stop], box=box, doubts=doubts)

    def followed_by(self, other: Word) -> Word:
        """The word with ``other``, to its right, as its end."""
        (x, y, _, height), (end, _, width, _) = self.box, other.box
        text = self.text + other.text
        sure = self.confidence * len(self.text) + other.confidence * len(other.text)
        return replace(
            self,
            text=text,
            box=(x, y, end + width - x, height),
            confidence=sure / max(len(text), 1),
            doubts=self.doubts + tuple(each.moved(len(self.text)) for each in other.doubts),
        )


@dataclass(frozen=True)
class TextStyle:
    """How a line is set: ``face`` indexes :data:`picd.font_metrics.FACES`; ``size`` is the em in
    units; ``ink`` and ``ground`` are RGB, 0..255, as sent (already quantised)."""

    face: int
    size: int
    ink: tuple[int, int, int]
    ground: tuple[int, int, int]


@dataclass(frozen=True)
class PlacedWord:
    """A word on its line: ``x`` is the left edge of its ink, ``width`` the ink's, in units."""

    text: str
    x: int
    width: int


@dataclass(frozen=True)
class TextLine:
    """One line: a style, a baseline (units from the top of the picture) and words left to right.
    A ``pictured`` line is not typeset: it can be read and found, and the picture shows it. Where a
    word changes its style, the rest is a line that is ``joined`` to the one before. A ``clear``
    line is set on what the picture shows there, such as a photograph, instead of on its ground."""

    style: TextStyle
    baseline: int
    words: tuple[PlacedWord, ...]
    pictured: bool = False
    joined: bool = False
    clear: bool = False


@dataclass(frozen=True)
class Rule:
    """A rectangle of one RGB colour, in pixels: x0 <= x < x1, y0 <= y < y1; its corners may be
    round."""

    x0: int
    y0: int
    x1: int
    y1: int
    colour: tuple[int, int, int]
    radius: int = 0


@dataclass(frozen=True)
class Mark:
    """A small bitmap, ``width`` pixels wide, with its corner at (x, y): ``indices`` row by row, 0
    where what is below shows, otherwise the number of a colour of its ``palette`` from 1, which
    are numbered as they come."""

    x: int
    y: int
    width: int
    indices: tuple[int, ...]
    palette: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class OwnLetter:
    """How a letter of the page differs from that of ``face`` at ``size`` (the em in units): its
    coverage by ``levels`` of a quarter, -4..4, row by row over the window of
    :func:`picd.outlines.outline`."""

    face: int
    size: int
    character: str
    levels: tuple[int, ...]


@dataclass(frozen=True)
class TextLayout:
    """The typeset page Z on a picture of ``width`` x ``height`` pixels: lines of text in reading
    order, over rules and marks, which are painted in their order; and letters of its own."""

    width: int
    height: int
    lines: tuple[TextLine, ...] = ()
    rules: tuple[Rule, ...] = ()
    marks: tuple[Mark, ...] = ()
    letters: tuple[OwnLetter, ...] = ()

    @property
    def words(self) -> tuple[PlacedWord, ...]:
        return tuple(word for line in self.lines for word in line.words)
