"""Lossless coding of rules (docs/FORMAT.md, section layout): rectangles in painting order.

Edges of rectangles on a page line up, colours recur, and rows of a table follow each other at one
pitch. Each edge is one of a few guesses made from the rectangles before it, or written out.
"""

from __future__ import annotations

from collections.abc import Sequence

from picd.adaptive import AdaptiveBits
from picd.colours import Colour, KnownColours, written_colour
from picd.errors import BitstreamError
from picd.layout import Rule
from picd.rules import RADII

MAX_RULES = 255
COORDINATE_BITS = 15
GUESSES = 14
"""Guesses for one edge before it is written out."""


def code_rules(
    bits: AdaptiveBits,
    colours: KnownColours,
    rules: Sequence[Rule] | None,
    width: int,
    height: int,
) -> tuple[Rule, ...]:
    """Code at most 255 ``rules`` (None in a decoder) of a picture of ``width`` x ``height`` pixels.

    Raises:
        BitstreamError: a rule is empty or not inside the picture.
        ValueError: there are more.
    """
    if rules and len(rules) > MAX_RULES:
        raise ValueError(f"at most {MAX_RULES} rules can be sent, got {len(rules)}")
    model, coded = _RuleModel(bits, colours), []
    for index in range(bits.tree("rules", bits=8, value=len(rules or ()))):
        rule = model.rule(rules[index] if rules else None)
        if not (rule.x0 < rule.x1 <= width and rule.y0 < rule.y1 <= height):
            raise BitstreamError("layout section is malformed: a rule is not inside the picture")
        coded.append(rule)
    return tuple(coded)


class _RuleModel:
    """Codes rules one by one (None in a decoder) and holds what the guesses come from."""

    def __init__(self, bits: AdaptiveBits, colours: KnownColours) -> None:
        self.bits, self.colours = bits, colours
        self._rules: list[Rule] = []  # most recent first, as are the edges
        self._edges: dict[str, list[int]] = {"x": [0], "y": [0]}

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
        result = self.bits.one_of(name, candidates, value)
        if result is None:
            written = 0 if value is None else value
            result = self.bits.tree(f"{axis} written", bits=COORDINATE_BITS, value=written)
        if result in known:
            known.remove(result)
        known.insert(0, result)
        return result

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
        result = self.colours.code(self.bits, f"colour {thin > 0}", colour)
        if result is None:
            result = written_colour(self.bits, "rule", colour, depth=8)
        self.colours.remember(result)
        return result


def _shape(width: int, height: int) -> int:
    """0 an area, 1 a horizontal line, 2 a vertical line: at most four pixels thick."""
    if height <= 4:
        return 1
    return 2 if width <= 4 else 0
