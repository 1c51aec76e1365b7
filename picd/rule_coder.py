"""Lossless coding of rules (docs/FORMAT.md, section layout): rectangles in painting order.

Edges of rectangles on a page line up, colours recur, and rows of a table follow each other at one
pitch. Each edge is one of a few guesses made from the rectangles before it, or written out.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

from picd.adaptive import AdaptiveBits, LayoutPrior
from picd.arithmetic import Coder, Decoder, Encoder
from picd.errors import BitstreamError
from picd.layout import Rule
from picd.rules import RADII

MAX_RULES = 255
COORDINATE_BITS = 15
GUESSES = 14
"""Guesses for one edge before it is written out."""
_PALETTE = 64

Colour = tuple[int, int, int]
T = TypeVar("T", int, Colour)


@lru_cache(maxsize=4)  # a page is coded several times while its budget is shared out
def encode_rules(rules: tuple[Rule, ...]) -> bytes:
    """The bytes of at most 255 rules; none for none."""
    if not rules:
        return b""
    if len(rules) > MAX_RULES:
        raise ValueError(f"at most {MAX_RULES} rules can be sent, got {len(rules)}")
    coder = Encoder()
    model = _RuleModel(coder)
    model.bits.tree("count", bits=8, value=len(rules))
    for rule in rules:
        model.rule(rule)
    return coder.finish()


def decode_rules(data: bytes, width: int, height: int) -> tuple[Rule, ...]:
    """The rules of a picture of ``width`` x ``height`` pixels.

    Raises:
        BitstreamError: a rule is empty or not inside the picture.
    """
    if not data:
        return ()
    model = _RuleModel(Decoder(data))
    rules = tuple(model.rule(None) for _ in range(model.bits.tree("count", bits=8)))
    for rule in rules:
        if not (rule.x0 < rule.x1 <= width and rule.y0 < rule.y1 <= height):
            raise BitstreamError("layout section is malformed: a rule is not inside the picture")
    return rules


class _RuleModel:
    """Codes rules one by one (None in a decoder) and holds what the guesses come from."""

    def __init__(self, coder: Coder) -> None:
        self.bits = AdaptiveBits(coder, LayoutPrior())
        self._rules: list[Rule] = []  # most recent first, as are the next two
        self._edges: dict[str, list[int]] = {"x": [0], "y": [0]}
        self._colours: list[Colour] = []

    def rule(self, rule: Rule | None) -> Rule:
        # a line is known by its thickness, which is all there is to say of that side
        sides = (rule.x1 - rule.x0, rule.y1 - rule.y0) if rule else (0, 0)
        thin = self.bits.tree(f"shape {self._shape()}", bits=2, value=_shape(*sides))
        colour = self._colour(thin, rule and rule.colour)
        x0 = self._start("x", thin, rule and rule.x0)
        y0 = self._start("y", thin, rule and rule.y0)
        x1 = self._end("x", x0, thin == 2, rule and rule.x1)
        y1 = self._end("y", y0, thin == 1, rule and rule.y1)
        radius = 0 if thin else self._radius(rule and rule.radius)
        result = Rule(x0, y0, x1, y1, colour, radius)
        self._rules.insert(0, result)
        return result

    def _shape(self) -> int:
        if not self._rules:
            return 3
        last = self._rules[0]
        return _shape(last.x1 - last.x0, last.y1 - last.y0)

    def _start(self, axis: str, thin: int, value: int | None) -> int:
        before = [getattr(rule, f"{axis}0") for rule in self._rules[:3]]
        guesses = before[:1]
        if len(before) > 1:
            guesses.append(2 * before[0] - before[1])  # the next row at the same pitch
        ends = [getattr(rule, f"{axis}1") for rule in self._rules[:1]]
        return self._edge(f"{axis} {thin}", axis, [*guesses, *ends], value)

    def _end(self, axis: str, start: int, thin: bool, value: int | None) -> int:
        if thin:
            size = self.bits.tree(f"thickness {axis}", bits=2, value=0 if value is None else
                                  value - start - 1)  # fmt: skip
            return start + size + 1
        sizes = [getattr(r, f"{axis}1") - getattr(r, f"{axis}0") for r in self._rules[:2]]
        last = [getattr(rule, f"{axis}1") for rule in self._rules[:1]]
        guesses = [*(start + size for size in sizes), *last]
        return self._edge(f"{axis} end", axis, guesses, value, beyond=start)

    def _edge(
        self, name: str, axis: str, guesses: list[int], value: int | None, beyond: int = -1
    ) -> int:
        """One of the guesses, of the edges of this axis, or any number."""
        known = self._edges[axis]
        candidates = [g for g in dict.fromkeys([*guesses, *known]) if g > beyond][:GUESSES]
        result = self._known(name, candidates, value)
        if result is None:
            written = 0 if value is None else value
            result = self.bits.tree(f"{axis} written", bits=COORDINATE_BITS, value=written)
        if result in known:
            known.remove(result)
        known.insert(0, result)
        return result

    def _known(self, name: str, candidates: list[T], value: T | None) -> T | None:
        """Which of the candidates it is, in unary; None for none of them."""
        rank = candidates.index(value) if value in candidates else len(candidates)
        for place, candidate in enumerate(candidates):
            if self.bits.bit(f"{name} {min(place, 5)}", value=place == rank):
                return candidate
        return None

    def _radius(self, radius: int | None) -> int:
        before = self._rules[0].radius if self._rules else 0
        if not self.bits.bit(f"round {before > 0}", value=bool(radius)):
            return 0
        index = RADII.index(radius) if radius else 0
        index = self.bits.tree("radius", bits=4, value=index)
        if not 0 < index < len(RADII):
            raise BitstreamError("layout section is malformed: no such radius")
        return RADII[index]

    def _colour(self, thin: int, colour: Colour | None) -> Colour:
        known = self._colours
        result = self._known(f"colour {thin > 0}", known, colour)
        if result is None:
            # most are greys: red and blue are near green
            green = self.bits.tree("green", bits=8, value=colour[1] if colour else 0)
            red, blue = (
                green + self.bits.signed(name, value=colour[i] - green if colour else 0)
                for i, name in ((0, "red"), (2, "blue"))
            )
            if not (0 <= red <= 255 and 0 <= blue <= 255):
                raise BitstreamError("layout section is malformed: colour out of range")
            result = red, green, blue
        if result in known:
            known.remove(result)
        known.insert(0, result)
        del known[_PALETTE:]
        return result


def _shape(width: int, height: int) -> int:
    """0 an area, 1 a horizontal line, 2 a vertical line: at most four pixels thick."""
    if height <= 4:
        return 1
    return 2 if width <= 4 else 0
