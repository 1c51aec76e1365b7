"""Lossless coding of where and how the text is set (docs/FORMAT.md, section layout).

The strings are known already (:mod:`picd.text_coder`); what is left of a
:class:`~picd.layout.TextLayout` are styles, baselines and the place of each word. Every number is
predicted from what came before (a palette of styles and colours, the pitch of the lines, the left
edges of earlier lines, the width of the word in its face and what it was elsewhere) and the
residual is coded with adaptive bits. Encoder and decoder run the same code over an encoder or a
decoder of :mod:`picd.arithmetic`.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from picd.adaptive import AdaptiveBits, LayoutPrior, load_layout_prior
from picd.arithmetic import Coder, Decoder, Encoder
from picd.colours import level_of, value_of
from picd.errors import BitstreamError
from picd.font_metrics import FACES, UNITS_PER_EM, layout_scales, natural_extent
from picd.layout import OwnLetter, PlacedWord, TextLayout, TextLine, TextStyle
from picd.letter_coder import code_letters
from picd.skeleton_coder import decode_skeleton, encode_skeleton

MAX_POSITION = 1 << 17
"""Largest magnitude, in units, of a coordinate or a width."""
MAX_SIZE = 1 << 14
"""Largest em size in units."""

_NEAR = 10
_PALETTE = 48
_ROWS, _STEPS = 256, 8
_LETTER_LIMIT = 64
_PITCH, _SAME, _NEXT, _KNOWN, _OTHER = range(5)
"""Where a baseline is: below the last line's by a step seen lately, beside it, at the next
baseline that any earlier line has, at another such baseline, or elsewhere."""
_FIRST_STYLE = TextStyle(0, 52, (0, 0, 0), (255, 255, 255))


class LayoutModel:
    """Codes one layout line by line, and holds all state that predictions come from.

    ``bits`` (:class:`picd.adaptive.AdaptiveBits`) is what it learned about residuals.
    """

    def __init__(self, coder: Coder, prior: LayoutPrior) -> None:
        self.bits = AdaptiveBits(coder, prior)
        self._styles: list[TextStyle] = []  # most recent first, as are the next two
        self._colours: list[tuple[int, int, int]] = []
        self._edges: list[int] = []
        self._edge_after: dict[int, int] = {}
        self._rows: list[int] = []  # baselines seen, ascending
        self._top = 0  # the last of them that was jumped to
        self._pitches: dict[int, int] = {}
        self._steps: list[int] = []  # most recent first
        self._apart = 0  # of the last two pieces of text on one row
        self._widths: dict[tuple[int, int, str], int] = {}
        self._stretch: dict[tuple[int, int], tuple[int, int]] = {}
        self._letters: dict[tuple[int, int], dict[str, int]] = {}  # wider by, in 1/64 units
        self._spaces: dict[tuple[int, int], int] = {}
        self._previous: TextLine | None = None
        self._place = _OTHER
        self._pictured = self._clear = self._joined = False

    def line(self, strings: tuple[str, ...], line: TextLine | None) -> TextLine:
        """Code ``line`` (None in a decoder), whose words have the texts ``strings``."""
        pictured = bool(line and line.pictured)
        self._pictured = bool(self.bits.bit(f"pictured {self._pictured}", value=pictured))
        clear = bool(line and line.clear)
        self._clear = bool(self.bits.bit(f"clear {self._clear}", value=clear))
        baseline = self._baseline(line)
        self._joined = False
        if strings and self._beside():
            self._joined = bool(self.bits.bit("joined", value=bool(line and line.joined)))
        style = self._style(line and line.style)
        words: list[PlacedWord] = []
        for index, text in enumerate(strings):
            words.append(self._word(style, text, words, line and line.words[index]))
        kind = self._pictured, self._joined, self._clear
        self._previous = TextLine(style, baseline, tuple(words), *kind)
        return self._previous

    def letters(
        self, layout: TextLayout, letters: Iterable[OwnLetter] | None
    ) -> tuple[OwnLetter, ...]:
        """Code the own ``letters`` (None in a decoder) of a layout whose lines are coded."""
        return code_letters(self.bits, layout.lines, layout_scales(layout), letters)

    def _beside(self) -> TextLine | None:
        """The line before, if this one is on its row and it has words."""
        same = self._place == _SAME and self._previous and self._previous.words
        return self._previous if same else None

    def _baseline(self, line: TextLine | None) -> int:
        previous, rows, baseline = self._previous, self._rows, line and line.baseline
        before = previous.baseline if previous else 0
        size = previous.style.size if previous else 0
        known = self._pitches.get(size)
        pitch = size * 2 if known is None else known
        steps = [pitch, *(step for step in self._steps if step != pitch)]
        following = bisect_right(rows, before)
        nearest = _nearest(rows, baseline) if baseline is not None else 0
        place = _OTHER
        if baseline is not None and previous:
            if baseline - before in steps and not line.joined:
                place = _PITCH
            elif abs(baseline - before) < _NEAR:
                place = _SAME
            elif following < len(rows) and baseline == rows[following]:
                place = _NEXT
            elif abs(rows[nearest] - baseline) < _NEAR:
                place = _KNOWN
        actual = 0 if baseline is None else baseline
        place = self._rank(f"row {self._place}", _OTHER, place) if previous else _OTHER
        if place == _PITCH:
            rank = 0 if baseline is None else steps.index(baseline - before)
            rank = self._rank("step", len(steps) - 1, rank)
            result = before + steps[rank]
        elif place == _SAME:
            result = before + self.bits.signed("same row", value=actual - before)
        elif place == _NEXT:
            if following == len(rows):
                raise BitstreamError("layout section is malformed: no line below")
            result = rows[following]
        elif place == _KNOWN:
            start = bisect_left(rows, self._top)
            index = start + self.bits.signed("known row", value=nearest - start)
            if not 0 <= index < len(rows):
                raise BitstreamError("layout section is malformed: no such baseline")
            self._top = rows[index]
            result = self._top + self.bits.signed("row offset", value=actual - self._top)
        else:
            grid = 1 if before % 4 else 4
            name = f"pitch {known is not None}"
            result = before + pitch + self._scaled(name, grid, actual - before - pitch)
        if place in (_PITCH, _NEXT, _OTHER) and result > before:
            step = self._pitches[size] = result - before
            self._steps = [step, *(other for other in self._steps if other != step)][:_STEPS]
        self._place = place
        at = bisect_left(rows, _checked(result))
        if rows[at : at + 1] != [result]:
            rows.insert(at, result)
            del rows[_ROWS:]
        return result

    def _scaled(self, name: str, grid: int, value: int, *pages: str) -> int:
        """A signed number that is mostly a multiple of ``grid``; ``pages`` are more contexts."""
        bits = self.bits
        offset = 0
        if grid > 1 and bits.bit(f"off grid {name}", value=value % grid != 0):
            offset = bits.tree(f"grid {name}", bits=grid.bit_length(), value=value % grid)
        return bits.signed(name, *pages, value=(value - offset) // grid) * grid + offset

    def _style(self, style: TextStyle | None) -> TextStyle:
        known = self._styles
        rank = known.index(style) if style in known else len(known)
        where = "joined" if self._joined else self._place
        chosen = self._rank(f"style {where}", len(known), rank)
        if chosen < len(known):
            result = known.pop(chosen)
        else:
            result = self._new_style(style, known[0] if known else _FIRST_STYLE)
        known.insert(0, result)
        del known[_PALETTE:]
        return result

    def _rank(self, name: str, count: int, rank: int) -> int:
        """An index 0..count; the last means none of them."""
        chosen = 0
        while chosen < count:
            step, left = min(chosen, 6), min(count - chosen, 3)
            names = f"{name} {step}", f"{name} {step} {left}"
            if not self.bits.bit(*names, value=chosen < rank):
                break
            chosen += 1
        return chosen

    def _new_style(self, style: TextStyle | None, like: TextStyle) -> TextStyle:
        bits = self.bits
        faces: list[int] = []
        for seen in self._styles:
            if seen.face not in faces:
                faces.append(seen.face)
        rank = faces.index(style.face) if style and style.face in faces else len(faces)
        chosen = self._rank("face", len(faces), rank)
        if chosen < len(faces):
            face = faces[chosen]
        else:
            face = bits.tree("new face", bits=6, value=style.face if style else 0)
        close = next((seen for seen in self._styles if seen.face == face), like)
        grid = 1 if close.size % 2 else 2
        size = close.size + self._scaled("size", grid, style.size - close.size if style else 0)
        ground = self._colour("ground", like.ground, style and style.ground)
        near = next((seen for seen in self._styles if seen.ground == ground), like)
        ink = self._colour("ink", near.ink, style and style.ink)
        if not (1 <= size <= MAX_SIZE and face < len(FACES)):
            raise BitstreamError(f"layout section is malformed: face {face}, size {size}")
        return TextStyle(face, size, ink, ground)

    def _colour(
        self, role: str, like: tuple[int, int, int], colour: tuple[int, int, int] | None
    ) -> tuple[int, int, int]:
        bits = self.bits
        if not bits.bit(f"{role} differs", value=colour != like):
            return like
        known = [seen for seen in self._colours if seen != like]
        rank = known.index(colour) if colour in known else len(known)
        chosen = self._rank(role, len(known), rank)
        if chosen < len(known):
            result = known[chosen]
            self._colours.remove(result)
        else:
            result = self._new_colour(role, like, colour)
        self._colours.insert(0, result)
        del self._colours[_PALETTE:]
        return result

    def _new_colour(
        self, role: str, like: tuple[int, int, int], colour: tuple[int, int, int] | None
    ) -> tuple[int, int, int]:
        bits = self.bits
        levels = [level_of(value) for value in colour] if colour else [0, 0, 0]
        if bits.bit("off palette", value=None in levels):
            red, green, blue = (bits.tree("byte", bits=8, value=v) for v in colour or (0, 0, 0))
            return red, green, blue
        reference = [level_of(value) or 0 for value in like]
        green = reference[1] + bits.signed(f"{role} green", value=levels[1] - reference[1])
        result = []
        for name, index in (("red", 0), ("blue", 2)):
            expected = green + reference[index] - reference[1]
            size = min(abs(result[-1]) if result else 3, 3)
            residual = bits.signed(f"{role} {name} {size}", value=levels[index] - expected)
            result.append(residual)
        red, blue = (
            green + reference[i] - reference[1] + r for i, r in zip((0, 2), result, strict=True)
        )
        if not all(0 <= level <= 31 for level in (red, green, blue)):
            raise BitstreamError("layout section is malformed: colour out of range")
        return value_of(red), value_of(green), value_of(blue)

    def _word(
        self, style: TextStyle, text: str, before: list[PlacedWord], word: PlacedWord | None
    ) -> PlacedWord:
        advance, left, right = _extent(style, text)
        if before:
            x = self._next_x(style, before[-1], left, word and word.x)
        else:
            x = self._first_x(style, left, word and word.x)
        width = self._width(style, text, max(right - left, 0), word and word.width)
        return PlacedWord(text, _checked(x), width)

    def _first_x(self, style: TextStyle, left: int, x: int | None) -> int:
        """On the row of the line before, mostly where its next word would be; else left edges
        recur: mostly the one that followed the last one before, or a recent one."""
        bits, edges, previous = self.bits, self._edges, self._beside()
        if self._joined:
            return self._joined_x(previous.style, previous.words[-1], left, x)
        if previous:
            expected = self._expected_x(previous.style, previous.words[-1], left)
            goes_on = x is not None and abs(x - expected) < 2 * style.size // 3
            if bits.bit("goes on", value=goes_on):
                return self._next_x(previous.style, previous.words[-1], left, x)
        last = edges[0] if edges else 0
        guess = self._edge_after.get(last)
        candidates = [edge for edge in edges if edge != guess]
        if guess is not None:
            candidates.insert(0, guess)
        start = last
        if previous:
            start = previous.words[-1].x + previous.words[-1].width
            candidates = [edge for edge in candidates if edge > start]
        actual = 0 if x is None else x - left
        near = (i for i, edge in enumerate(candidates) if abs(actual - edge) < _NEAR)
        rank = next(near, len(candidates))
        chosen = self._rank(f"edge {self._place} {guess == last}", len(candidates), rank)
        if chosen < len(candidates):
            edge = candidates[chosen]
            origin = edge + self.bits.signed("edge offset", value=actual - edge)
        else:
            start += self._apart if self._place == _SAME else 0
            start -= start % 4
            residual = self._scaled(f"new edge {self._place}", 4, actual - start)
            origin = edge = start + residual
            if self._place == _SAME:
                self._apart += residual
        if edge in edges:
            edges.remove(edge)
        edges.insert(0, edge)
        del edges[_PALETTE:]
        self._edge_after[last] = edge
        return origin + left

    def _expected_x(self, style: TextStyle, last: PlacedWord, left: int) -> int:
        """Where the ink of a word begins whose left bearing is ``left``, after ``last``."""
        space = natural_extent(style.face, " ")[0] * style.size // UNITS_PER_EM
        start = _pen_after(style, last) + left + space
        return start + (self._spaces.get((style.face, style.size), 0) >> 4)

    def _joined_x(self, style: TextStyle, last: PlacedWord, left: int, x: int | None) -> int:
        expected = _pen_after(style, last) + left
        return expected + self.bits.signed("joint", value=0 if x is None else x - expected)

    def _next_x(self, style: TextStyle, last: PlacedWord, left: int, x: int | None) -> int:
        key = (style.face, style.size)
        expected = self._expected_x(style, last, left)
        names = f"gap {min(style.size // 24, 3)}", f"@gap {key}"
        residual = self.bits.signed(*names, value=0 if x is None else x - expected)
        drift = self._spaces.get(key, 0)
        self._spaces[key] = drift + (max(-64, min(64, residual)) * 16 >> 2)
        return expected + residual

    def _width(self, style: TextStyle, text: str, ink: int, width: int | None) -> int:
        key = (style.face, style.size)
        seen = self._widths.get((*key, text))
        actual, natural = self._stretch.get(key, (0, 0))
        trust = style.size * 2
        letters = self._letters.setdefault(key, {})
        expected = ink * (actual + trust) // (natural + trust)
        expected += sum(letters.get(letter, 0) for letter in text) >> 6
        if seen is not None:
            expected = seen
        length, known = min(len(text).bit_length(), 4), seen is not None
        names = f"width {length} {known}", f"@width {key} {known}"
        residual = self.bits.signed(*names, value=0 if width is None else width - expected)
        result = expected + residual
        if not 0 <= result <= MAX_POSITION:
            raise BitstreamError(f"layout section is malformed: word width {result}")
        self._widths[(*key, text)] = result
        self._stretch[key] = (actual * 7 // 8 + result, natural * 7 // 8 + ink)
        if text:
            share = max(-_LETTER_LIMIT, min(_LETTER_LIMIT, (residual << 5) // len(text)))
            for letter in text:
                letters[letter] = letters.get(letter, 0) + share
        return result


def encode_layout(layout: TextLayout) -> bytes:
    """The bytes of ``layout`` but for its strings and the picture's size: the skeleton, then
    lines.

    Raises:
        ValueError: a number is outside what the format carries (see the constants here).
    """
    size = layout.width, layout.height
    skeleton = encode_skeleton(layout.rules, layout.marks, *size)
    lines = _encode_lines(replace(layout, rules=(), marks=()))
    return len(skeleton).to_bytes(2, "little") + skeleton + lines if skeleton or lines else b""


def decode_layout(
    data: bytes, strings: tuple[tuple[str, ...], ...], width: int, height: int
) -> TextLayout:
    """The layout whose words are ``strings`` on a picture of ``width`` x ``height`` pixels.

    Raises:
        BitstreamError: the bytes say something impossible.
    """
    size = int.from_bytes(data[:2], "little")
    if size > max(len(data) - 2, 0):
        raise BitstreamError("layout section is malformed: its skeleton is cut off")
    rules, marks = decode_skeleton(data[2 : 2 + size], width, height)
    rest = data[2 + size :]
    if not strings and rest:
        raise BitstreamError("layout section is malformed: it has lines but there is no text")
    model = LayoutModel(Decoder(rest), load_layout_prior())
    lines = tuple(model.line(words, None) for words in strings)
    layout = TextLayout(width, height, lines, rules, marks)
    return replace(layout, letters=model.letters(layout, None)) if strings else layout


@lru_cache(maxsize=8)  # as the skeleton, which changes while lines stay
def _encode_lines(layout: TextLayout) -> bytes:
    if not layout.lines:
        return b""
    for before, line in itertools.pairwise((None, *layout.lines)):
        _check_line(before, line)
    coder = Encoder()
    model = LayoutModel(coder, load_layout_prior())
    for line in layout.lines:
        model.line(tuple(word.text for word in line.words), line)
    model.letters(layout, layout.letters)
    return coder.finish()


def _nearest(rows: list[int], baseline: int) -> int:
    """Index of the row nearest to ``baseline``, 0 if there is none."""
    at = bisect_left(rows, baseline)
    return min(range(max(at - 1, 0), min(at + 1, len(rows))), default=0,
               key=lambda index: abs(rows[index] - baseline))  # fmt: skip


def _extent(style: TextStyle, text: str) -> tuple[int, int, int]:
    """(advance, left edge, right edge) of the ink of ``text``, in units."""
    advance, left, right = natural_extent(style.face, text)
    return (
        advance * style.size // UNITS_PER_EM,
        left * style.size // UNITS_PER_EM,
        right * style.size // UNITS_PER_EM,
    )


def _pen_after(style: TextStyle, word: PlacedWord) -> int:
    """Where the pen is after a word."""
    advance, _, right = _extent(style, word.text)
    return word.x + word.width + max(advance - right, 0)


def _checked(position: int) -> int:
    if abs(position) > MAX_POSITION:
        raise BitstreamError(f"layout section is malformed: position {position} out of range")
    return position


def _on_one_row(before: TextLine, line: TextLine) -> bool:
    return abs(line.baseline - before.baseline) < _NEAR


def _check_line(before: TextLine | None, line: TextLine) -> None:
    style = line.style
    if line.joined and not (line.words and before and before.words and _on_one_row(before, line)):
        raise ValueError("a line is joined to no word of its row")
    if not (0 <= style.face < len(FACES) and 1 <= style.size <= MAX_SIZE):
        raise ValueError(f"face {style.face} or size {style.size} cannot be sent")
    if not all(0 <= value <= 255 for value in (*style.ink, *style.ground)):
        raise ValueError(f"colours must be 0..255, got {style.ink} and {style.ground}")
    positions = [line.baseline, *(word.x for word in line.words)]
    if any(abs(position) > MAX_POSITION for position in positions):
        raise ValueError(f"position beyond {MAX_POSITION} units cannot be sent")
    if not all(0 <= word.width <= MAX_POSITION for word in line.words):
        raise ValueError(f"word width must be 0..{MAX_POSITION} units")
