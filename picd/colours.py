"""Colours in the layout section: those of before, and a grid of 32 levels a channel."""

from __future__ import annotations

from picd.adaptive import AdaptiveBits
from picd.errors import BitstreamError

Colour = tuple[int, int, int]

PALETTE = 64
"""So many colours are remembered."""


def value_of(level: int) -> int:
    """The colour value of a level 0..31."""
    return (level * 510 + 31) // 62


def level_of(value: int) -> int | None:
    """The level of a colour value, None when it is not on the grid."""
    level = (value * 62 + 255) // 510
    return level if value_of(level) == value else None


def written_colour(bits: AdaptiveBits, name: str, colour: Colour | None, depth: int) -> Colour:
    """Code three numbers (None in a decoder) of ``depth`` bits; most are greys: red and blue are
    near green.

    Raises:
        BitstreamError: one of them is out of range.
    """
    given = colour or (0, 0, 0)
    green = bits.tree(f"{name} green", bits=depth, value=given[1])
    red = green + bits.signed(f"{name} red", value=given[0] - given[1])
    blue = green + bits.signed(f"{name} blue", value=given[2] - given[1])
    if not (0 <= red < 1 << depth and 0 <= blue < 1 << depth):
        raise BitstreamError("layout section is malformed: colour out of range")
    return red, green, blue


class KnownColours:
    """The colours that came, the most recent first."""

    def __init__(self) -> None:
        self._known: list[Colour] = []

    def code(self, bits: AdaptiveBits, name: str, colour: Colour | None) -> Colour | None:
        """Code which of them a colour is (None in a decoder); None for none of them."""
        return bits.one_of(name, self._known, colour)

    def remember(self, colour: Colour) -> None:
        if colour in self._known:
            self._known.remove(colour)
        self._known.insert(0, colour)
        del self._known[PALETTE:]
