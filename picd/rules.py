"""Rules and fills: what a page is ruled with, found in the picture and painted back exactly.

A screen is mostly flat: a ground, panels, buttons, table grids, one-pixel borders. Each is a
rectangle of one colour, a handful of bytes in the layout, and exact where a transform codec at
these rates gives blotches and loses the line. The codec then sends the difference to this
skeleton, which is nothing over most of the page.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from picd.distances import level_distance, squared_distance
from picd.layout import Rule, TextLayout
from picd.prices import scarcity

GREY = 128
"""The skeleton of a picture without rules: the middle of the range, zero to the codec."""
COLOURS = 40
"""At most so many colours are looked for."""
TOLERANCE = 2
"""Levels within which a pixel has a colour: pictures that were JPEG once are not quite flat."""
CAP = 40
"""An error of more levels is not worse: what is not flat stays with the codec."""
MIN_AREA = 40
"""Pixels of the smallest area that may become a rule."""
GAPS, LARGE = (7, 17), 3000
"""Large areas of one colour, of at least so many pixels, are also tried as one where lines or words
less than so many pixels wide cut them: a panel that is left in pieces shows what is between them.
Fifteen held-back screens: SSIMULACRA2 17.7 to 22.2."""
BARS = -1
"""Where bars are kept among the areas by their gaps."""
SHORTEST_BAR, HOLE = 49, 4096
"""Length of the shortest bar that is found in a frame, in pixels, and pixels of the largest hole in
it: an icon or a field."""
RUN, THICKNESS = 23, 4
"""A line is at least so long and at most so thick, in pixels. Odd: OpenCV opens with an even length
to lines that are moved by a pixel."""
LEAST_THICK = 16
"""A colour with fewer squares of 2 x 2 pixels has lines at most: the pixels around letters have
many colours that fill nothing, and looking for areas of each takes a tenth of a second a page."""
SPARSE = 16
"""A mask of which less than one pixel in so many is set."""
MIN_FILL, FILLED = 0.25, 0.7
"""Share of its bounding box that an area of one colour has to cover, and that of a rectangle with
something on it."""
SIDE_FILL = 0.3
"""Share of each of its sides that an area has to reach: the rest is a tip, and cut off."""
HELD = 0.2
"""Share of each of its sides at which the colour of an area has to end: inside a curved band it
does not, and a staircase of rectangles is no band. (Example chart: SSIMULACRA2 -11.9 to -6.7; with
0.35, panels are lost.)"""
RING, FLAT_RING, LEAST_FLAT = 8, 0.12, 0.3
"""Share of the pixels within so many of an area that have to equal their neighbours, and share of
those of the area itself or of both together."""
MAX_SPOILT, SPOILT_BY_CORNERS = 0.1, 0.35
"""A rule may spoil so much of what it mends: more, and the area is no rectangle; and so much before
its corners are round: those of a disc are 0.27 of it."""
ROUND_ENDS, LARGEST_ROUND = 255, 512
LARGEST_RADIUS = 64
RADII = (0, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, LARGEST_RADIUS, ROUND_ENDS)
"""Radii of corners, in pixels: part of the bitstream. The last is half the shorter side,
whatever it is, of at most 512: pills and discs."""
ROUND_FILL, CORNER = 0.6, 10
"""Share of its bounding box that an area of one colour has to cover to be tried with round ends: a
disc covers 0.79 of it, and there may be letters on it; and the part of the shorter side by which
its corners are missing."""
ROUND_PRICE = 60
"""Levels times pixels that rounder corners have to mend."""
MAX_FITTED = 160
"""At most so many rules are fitted."""
RULE_BITS = 24.0
"""About what a rule costs."""
FALSE, FAINT = 0.4, 8
"""Share of a rule's sides at which the picture may have less than half of its edge, and levels that
are no edge."""
PRICE = 3000
"""Levels times pixels that a rule has to mend to be worth its bytes in a file of 4.6 KB, the
default for 1280x720."""

Picture = NDArray[np.uint8]


def fit_rules(
    picture: Picture,
    price: float = PRICE,
    limit: int = MAX_FITTED,
    words: NDArray[np.bool_] | None = None,
) -> tuple[Rule, ...]:
    """The rules of a screen (H, W, 3), as :meth:`Ruler.fit` finds them."""
    return Ruler(picture, words).fit(price, limit)


class Ruler:
    """What a screen (H, W, 3) may be ruled with. What is under ``words`` (H, W) does not matter:
    stems of letters are no lines."""

    def __init__(self, picture: Picture, words: NDArray[np.bool_] | None = None) -> None:
        self.picture, self.words = picture, words
        self.colours = _colours(picture)
        self.errors = [_error(picture, colour) for colour in self.colours]
        if words is not None:
            for error in self.errors:
                error[words] = 0
        flat = _flatness(picture)
        self.found: dict[int, set[tuple[int, ...]]] = {gap: set() for gap in (0, BARS, *GAPS)}
        for i, colour in enumerate(self.colours):
            for gap, *area in _areas(picture, colour):
                if _is_flat(flat, *area[:4]):
                    self.found[gap].add((*area, i))

    def fit(self, price: float = PRICE, limit: int = MAX_FITTED) -> tuple[Rule, ...]:
        """The rules, in the order in which they are painted.

        The first is the ground of the whole picture; then from large to small, each that mends more
        error (levels x pixels, up to ``CAP`` a pixel) than ``price`` and spoils little. Of more
        than ``limit`` those that mend most. Areas are tried as they are, with bars and joined over
        ``GAPS``; what leaves least, counting ``price`` a rule, is taken. Empty where nothing is
        flat.
        """
        if not self.colours:
            return ()
        grounds = sorted({0, _commonest_at_the_border(self.errors)})
        trials = []
        for more in self.found.values():
            areas = sorted(self.found[0] | more, key=lambda c: (-(c[2] - c[0]) * (c[3] - c[1]), c))
            own = _areas_of_their_own(areas, self.errors)
            search = _Search(
                self.picture, self.colours, self.errors, areas, own, self.words, price, limit
            )
            trials += [search.painted_from(ground) for ground in grounds]
        rules = min(trials, key=lambda trial: trial[0] + price * len(trial[1]))[1]
        return _without_false_edges(rules, self.picture, self.words)

    def more(
        self,
        rules: tuple[Rule, ...],
        worth: NDArray[np.float32],
        price: float,
        room: float | None,
        boxes: NDArray[np.bool_] | None = None,
    ) -> tuple[Rule, ...]:
        """``rules`` and those that are worth it besides, where the picture as it is coded with
        ``rules`` leaves ``worth`` (H, W) of squared error, its bits counted too, and a bit has to
        mend ``price``. ``room`` are the bits that they share with the picture stream. ``boxes``
        (H, W) of words may hide the edge of what is beside them."""
        worth = worth.copy()
        if self.words is not None:
            worth[self.words] = 0
        top = np.zeros(worth.shape, np.int64)  # the size of the rule that is seen
        for rule in rules:
            top[rule.y0 : rule.y1, rule.x0 : rule.x1] = _size(rule)
        have = {(r.x0, r.y0, r.x1, r.y1) for r in rules}
        sums = cv2.integral(worth, sdepth=cv2.CV_64F)
        least = price * RULE_BITS
        areas = {a[:4] + a[5:] for areas in self.found.values() for a in areas}
        areas = [a for a in areas if a[:4] not in have and _sum(sums, *a[:4]) > least]
        areas.sort(key=lambda a: (-_sum(sums, *a[:4]), a))
        tried = [Rule(*area, self.colours[i]) for *area, i in areas]
        kept, taken = list(rules), 0.0
        for rule in (*self._hidden(worth, boxes), *tried):
            x0, y0, x1, y1 = rule.x0, rule.y0, rule.x1, rule.y1
            place = np.s_[y0:y1, x0:x1]
            painted = np.empty_like(self.picture[place])
            _paint(painted, Rule(0, 0, x1 - x0, y1 - y0, rule.colour))
            error = squared_distance(self.picture[place], painted)
            seen = top[place] > _size(rule)
            if self.words is not None:
                error[self.words[place]] = 0
            gain = float((worth[place] - error)[seen].sum())
            if gain <= least * scarcity(taken, room) or len(kept) >= MAX_FITTED:
                continue
            position = next((k for k, r in enumerate(kept) if _size(r) < _size(rule)), len(kept))
            kept.insert(max(position, 1), rule)
            worth[place][seen] = error[seen]
            top[place][seen] = _size(rule)
            taken += RULE_BITS
        return _without_false_edges(tuple(kept), self.picture, self.words, boxes)

    def _hidden(
        self, worth: NDArray[np.float32], boxes: NDArray[np.bool_] | None
    ) -> Iterator[Rule]:
        """The rows and columns of a picture or panel that boxes of words hide, which show the
        ground of their line: thin, long, and wrong throughout."""
        if boxes is None:
            return
        wrong = ((worth > CAP**2) & boxes).astype(np.uint8)
        for x0, y0, x1, y1 in _lines(wrong):
            seen = self.picture[y0:y1, x0:x1].reshape(-1, 3)
            yield Rule(x0, y0, x1, y1, tuple(int(v) for v in np.median(seen, 0)))


def _size(rule: Rule) -> int:
    return (rule.x1 - rule.x0) * (rule.y1 - rule.y0)


def _without_false_edges(
    rules: tuple[Rule, ...],
    picture: Picture,
    words: NDArray[np.bool_] | None,
    boxes: NDArray[np.bool_] | None = None,
) -> tuple[Rule, ...]:
    """The rules but for those that end where the picture does not: within a gradient, a sky or a
    curved band. The worst first, and at a time only such as do not touch: what is beside a rule may
    be another that goes. What the ``boxes`` of words hide goes on beside them."""
    rules = list(rules)
    while True:
        skeleton = np.full_like(picture, GREY)
        top = np.zeros(picture.shape[:2], np.int16)
        for number, rule in enumerate(rules):
            _paint(skeleton, rule)
            top[rule.y0 : rule.y1, rule.x0 : rule.x1] = number
        if words is not None:
            top[words] = -1
        shares = [
            false_share(rule, number, top, skeleton, picture)
            if number and not _is_hidden(rule, boxes)
            else 0.0
            for number, rule in enumerate(rules)
        ]
        gone = falsest_apart(shares, rules)
        if not gone:
            return tuple(rules)
        rules = [rule for number, rule in enumerate(rules) if number not in gone]


def _is_hidden(rule: Rule, boxes: NDArray[np.bool_] | None) -> bool:
    thin = min(rule.x1 - rule.x0, rule.y1 - rule.y0) <= THICKNESS
    return thin and boxes is not None and bool(boxes[rule.y0 : rule.y1, rule.x0 : rule.x1].all())


def falsest_apart(shares: Sequence[float], areas: Sequence[Rule]) -> list[int]:
    """The numbers of the areas of which more than :data:`FALSE` is false, the worst first, but for
    those that touch a worse one: what is beside them may be about to go."""
    gone: list[int] = []
    for number in np.argsort(-np.array(shares), kind="stable").tolist():
        apart = not any(_touch(areas[number], areas[other]) for other in gone)
        if shares[number] > FALSE and apart:
            gone.append(number)
    return gone


def _touch(a: Rule, b: Rule) -> bool:
    return a.x0 <= b.x1 and b.x0 <= a.x1 and a.y0 <= b.y1 and b.y0 <= a.y1


def false_share(
    rule: Rule,
    number: int,
    top: NDArray[np.int16],
    skeleton: Picture,
    picture: Picture,
    reach: int = 2,
) -> float:
    """Of the sides of a rule where it is on ``top`` (H, W), the share at which the skeleton has an
    edge and the picture, within ``reach`` pixels, has less than half of it."""
    along = (rule.x0, rule.x1, rule.y0, rule.y1), (rule.y0, rule.y1, rule.x0, rule.x1)
    false = sides = 0
    for axis, (start, stop, first, last) in enumerate(along):
        ours, theirs, seen = (v.swapaxes(0, axis) for v in (skeleton, picture, top))
        for inside, step in ((first, -1), (last - 1, 1)):
            outside = inside + step
            if not 0 <= outside < len(ours):
                continue
            here = seen[inside, start:stop] == number
            edge = cv2.absdiff(ours[inside, start:stop], ours[outside, start:stop]).max(-1)
            near = slice(max(min(inside, outside) - reach + 1, 0), max(inside, outside) + reach)
            real = np.ptp(theirs[near, start:stop], axis=0).max(-1)
            sides += int(here.sum())
            false += int((here & (edge > FAINT) & (real < edge / 2)).sum())
    return false / max(sides, 1)


@dataclass(frozen=True)
class _Search:
    """What rules may be made of: ``areas`` (x0, y0, x1, y1, filled, colour) by size, the
    ``errors`` (H, W) of painting everything in each colour, and ``own`` of
    :func:`_areas_of_their_own`."""

    picture: Picture
    colours: list[tuple[int, int, int]]
    errors: list[NDArray[np.uint8]]
    areas: list[tuple[int, ...]]
    own: NDArray[np.int32]
    words: NDArray[np.bool_] | None
    price: float
    limit: int

    def painted_from(self, ground: int) -> tuple[int, tuple[Rule, ...]]:
        """Rules over a ground, and the error that they leave."""
        height, width = self.picture.shape[:2]
        rules = [Rule(0, 0, width, height, self.colours[ground])]
        gains = [float("inf")]
        skeleton = np.empty_like(self.picture)
        _paint(skeleton, Rule(0, 0, width, height, self.colours[ground]))
        error = self.errors[ground].copy()
        for x0, y0, x1, y1, _, i in self.areas:
            place = np.s_[y0:y1, x0:x1]
            spoilt, mended = self._balance(place, error[place], self.errors[i][place])
            if mended - spoilt <= self.price or spoilt > SPOILT_BY_CORNERS * mended:
                continue
            rule = _rounded(Rule(x0, y0, x1, y1, self.colours[i]), self.picture, skeleton)
            place = np.s_[rule.y0 : rule.y1, rule.x0 : rule.x1]
            before = skeleton[place].copy()
            _paint(skeleton, rule)
            after = _error(self.picture[place], skeleton[place])
            if self.words is not None:
                after[self.words[place]] = 0
            if spoilt > MAX_SPOILT * mended:  # before its corners were round
                spoilt, mended = self._balance(place, error[place], after)
            if spoilt > MAX_SPOILT * mended:
                skeleton[place] = before
                continue
            error[place] = after
            rules.append(rule)
            gains.append(mended - spoilt)
        return int(error.sum(dtype=np.int64)), self._worth(rules, gains)

    def _balance(
        self, place: tuple[slice, slice], before: NDArray[np.uint8], after: NDArray[np.uint8]
    ) -> tuple[int, int]:
        """What a rule at ``place`` spoils that no smaller area mends again, and what it mends."""
        change = before.astype(np.int16) - after
        spoilt = (change < 0) & (self.own[place] >= change.size)
        return -int(change[spoilt].sum()), int(change[change > 0].sum())

    def _worth(self, rules: list[Rule], gains: list[float]) -> tuple[Rule, ...]:
        """Without those that later rules have covered (what is left of each must still pay), and at
        most ``limit`` of them."""
        shape = self.picture.shape
        whole = max(i for i, r in enumerate(rules) if (r.x1 - r.x0, r.y1 - r.y0) == shape[1::-1])
        rules, gains = rules[whole:], gains[:1] + gains[whole + 1 :]
        index = {colour: i for i, colour in enumerate(self.colours)}
        top = np.zeros(shape[:2], np.int32)
        for number, rule in enumerate(rules):
            top[rule.y0 : rule.y1, rule.x0 : rule.x1] = number
        kept, worth = [rules[0]], [gains[0]]
        for number, rule in enumerate(rules[1:], 1):
            area = np.s_[rule.y0 : rule.y1, rule.x0 : rule.x1]
            seen = top[area] == number
            below = next(
                r for r in reversed(kept)
                if r.x0 <= rule.x0 and r.y0 <= rule.y0 and r.x1 >= rule.x1 and r.y1 >= rule.y1
            )  # fmt: skip
            before, after = (self.errors[index[r.colour]][area][seen] for r in (below, rule))
            gain = int(before.sum(dtype=np.int64)) - int(after.sum(dtype=np.int64))
            if gain > self.price:
                kept.append(rule)
                worth.append(gain)
        least = sorted(worth, reverse=True)[: self.limit][-1]
        pairs = zip(kept, worth, strict=True)
        return tuple(rule for rule, gain in pairs if gain >= least)[: self.limit]


def paint_rules(layout: TextLayout) -> Picture:
    """The skeleton, uint8 (H, W, 3): the rules in their order, grey where there are none."""
    skeleton = np.full((layout.height, layout.width, 3), GREY, np.uint8)
    for rule in layout.rules:
        _paint(skeleton, rule)
    return skeleton


def _paint(skeleton: Picture, rule: Rule) -> None:
    area = skeleton[rule.y0 : rule.y1, rule.x0 : rule.x1]
    shorter = min(area.shape[:2])
    diameter = 2 * rule.radius
    if rule.radius == ROUND_ENDS:
        diameter = min(shorter, LARGEST_ROUND)
    side = min(-(-diameter // 2), shorter)
    kept = [area[corner].copy() for corner in _corners(side)] if side else []
    cv2.rectangle(skeleton, (rule.x0, rule.y0), (rule.x1 - 1, rule.y1 - 1), rule.colour, cv2.FILLED)
    for corner, before in zip(_corners(side), kept, strict=False):
        # integers only: the same pixels on every machine
        cover = _corner_cover(diameter)[:side, :side, None].astype(np.int64)
        mixed = cover * np.array(rule.colour) + (255 - cover) * before.astype(np.int64)
        area[corner] = (mixed + 127) // 255


def _corners(side: int) -> list[tuple[slice, slice]]:
    """The four corner squares of an area, each seen from its corner."""
    first, last = slice(None, side), slice(-1, -side - 1, -1)
    return [(rows, columns) for rows in (first, last) for columns in (first, last)]


@lru_cache(maxsize=64)
def _corner_cover(diameter: int) -> NDArray[np.uint8]:
    """Coverage 0..255 (n, n) of the top left corner of a rounded rectangle, n half the diameter
    rounded up, by counting 4 x 4 points a pixel."""
    side = -(-diameter // 2)
    points = 2 * np.arange(4 * side) + 1 - 4 * diameter  # eighths of a pixel from the centre
    inside = points[:, None] ** 2 + points[None] ** 2 <= (4 * diameter) ** 2
    return (inside.reshape(side, 4, side, 4).sum((1, 3)) * 255 // 16).astype(np.uint8)


def _rounded(rule: Rule, picture: Picture, skeleton: Picture) -> Rule:
    """``rule`` with the radius whose corners look most like the picture's."""
    shorter = min(rule.x1 - rule.x0, rule.y1 - rule.y0)
    place = np.s_[rule.y0 : rule.y1, rule.x0 : rule.x1]
    most = min(LARGEST_RADIUS, shorter // 2)
    if most < RADII[1]:
        return rule
    found, below = (_four_corners(image[place], most) for image in (picture, skeleton))
    best, least = rule, None
    for radius in RADII[:-1]:
        if radius > most or (least is not None and least <= ROUND_PRICE):
            break
        painted = below.copy()
        _paint(painted, Rule(0, 0, 2 * most, 2 * most, rule.colour, radius))
        wrong = int(_error(found, painted).sum(dtype=np.int64))
        if least is None or wrong < least - ROUND_PRICE:
            best, least = replace(rule, radius=radius), wrong
    nearly_round = 4 * best.radius >= shorter or best.radius == LARGEST_RADIUS
    if nearly_round and shorter <= LARGEST_ROUND:
        return _with_round_ends(best, picture, skeleton)
    return best


def _with_round_ends(rule: Rule, picture: Picture, skeleton: Picture) -> Rule:
    """``rule`` with round ends if that looks more like the picture, and then with a pixel more on
    any side: the outermost of a disc are not quite of its colour."""
    height, width = picture.shape[:2]
    left, top = max(rule.x0 - 1, 0), max(rule.y0 - 1, 0)
    place = np.s_[top : rule.y1 + 1, left : rule.x1 + 1]
    # All that differs is at the ends, as long as the shorter side: what is between is left out.
    longest = min(rule.x1 - rule.x0, rule.y1 - rule.y0) + 4
    cut = tuple(max(n - 2 * longest, 0) for n in picture[place].shape[:2])
    found, below = (_ends(image[place], longest) for image in (picture, skeleton))

    def wrong(trial: Rule) -> int:
        painted = below.copy()
        x0, y0 = trial.x0 - left, trial.y0 - top
        x1, y1 = trial.x1 - left - cut[1], trial.y1 - top - cut[0]
        _paint(painted, replace(trial, x0=x0, y0=y0, x1=x1, y1=y1))
        return int(_error(found, painted).sum(dtype=np.int64))

    trials = {
        Rule(
            max(rule.x0 - a, 0), max(rule.y0 - b, 0), min(rule.x1 + c, width),
            min(rule.y1 + d, height), rule.colour, ROUND_ENDS,
        )
        for a, b, c, d in itertools.product((0, 1), repeat=4)
    }  # fmt: skip
    best = min(sorted(trials, key=astuple), key=wrong)
    return best if wrong(best) < wrong(rule) - ROUND_PRICE else rule


def _ends(area: Picture, longest: int) -> Picture:
    """An area without what is further than ``longest`` from two of its ends."""
    for axis, length in enumerate(area.shape[:2]):
        if length > 2 * longest:
            ends = np.s_[:longest], np.s_[length - longest :]
            area = np.concatenate([area.swapaxes(0, axis)[end] for end in ends]).swapaxes(0, axis)
    return area


def _four_corners(area: Picture, side: int) -> Picture:
    """The corner squares of an area, put together."""
    rows = np.concatenate([area[:side], area[-side:]])
    return np.concatenate([rows[:, :side], rows[:, -side:]], 1)


def _colours(picture: Picture) -> list[tuple[int, int, int]]:
    """The colours of flat places, most frequent first."""
    code = picture.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    flat = np.zeros(code.shape, bool)
    flat[:, 1:] |= code[:, 1:] == code[:, :-1]
    flat[1:] |= code[1:] == code[:-1]
    values, counts = np.unique(code[flat], return_counts=True)
    colours: list[tuple[int, int, int]] = []
    for k in np.argsort(-counts, kind="stable"):
        if counts[k] < MIN_AREA or len(colours) == COLOURS:
            break
        value = int(values[k])
        colour = value >> 16, value >> 8 & 255, value & 255
        if all(_distance(colour, other) > TOLERANCE for other in colours):
            colours.append(colour)
    return colours


def _flatness(picture: Picture) -> NDArray[np.float64]:
    """Integral image (H + 1, W + 1) of the pixels that equal those right of and below them: in a
    sky or a gradient most are near their neighbours, but few equal to them."""
    like = np.zeros(picture.shape[:2], np.uint8)
    steps = [
        level_distance(picture[1:, :-1], other) for other in (picture[:-1, :-1], picture[1:, 1:])
    ]
    like[1:, :-1] = cv2.max(*steps) == 0
    return cv2.integral(like, sdepth=cv2.CV_64F)


def _is_flat(flat: NDArray[np.float64], x0: int, y0: int, x1: int, y1: int) -> bool:
    """Whether a rectangle and the place it is in are flat: in a photograph they are not."""
    height, width = flat.shape[0] - 1, flat.shape[1] - 1
    a, b = max(x0 - RING, 0), max(y0 - RING, 0)
    c, d = min(x1 + RING, width), min(y1 + RING, height)
    inside, both = _sum(flat, x0, y0, x1, y1), _sum(flat, a, b, c, d)
    area, whole = (x1 - x0) * (y1 - y0), (c - a) * (d - b)
    if both - inside < FLAT_RING * (whole - area):
        return False
    thin = min(x1 - x0, y1 - y0) <= RING
    return both >= LEAST_FLAT * whole or (not thin and inside >= LEAST_FLAT * area)


def _sum(integral: NDArray[np.float64], x0: int, y0: int, x1: int, y1: int) -> float:
    return integral[y1, x1] - integral[y0, x1] - integral[y1, x0] + integral[y0, x0]


def _commonest_at_the_border(errors: list[NDArray[np.uint8]]) -> int:
    sides = ((e[0], e[-1], e[:, 0], e[:, -1]) for e in errors)
    return int(np.argmax([np.mean([(s <= TOLERANCE).mean() for s in four]) for four in sides]))


def _distance(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    return max(abs(p - q) for p, q in zip(a, b, strict=True))


def _error(picture: Picture, colour: tuple[int, int, int] | Picture) -> NDArray[np.uint8]:
    """Levels, at most ``CAP``, by which pixels are not of ``colour`` (or of a picture's)."""
    other = (*colour, 0) if isinstance(colour, tuple) else np.ascontiguousarray(colour)
    channels = cv2.split(cv2.absdiff(np.ascontiguousarray(picture), other))
    return np.minimum(cv2.max(cv2.max(channels[0], channels[1]), channels[2]), CAP)


def _areas(
    picture: Picture, colour: tuple[int, int, int]
) -> Iterator[tuple[int, int, int, int, int, bool]]:
    """(gap, x0, y0, x1, y1, filled) around areas of one colour, and long thin runs of it, gap 0;
    and around the large ones that there are with gaps of less than ``gap`` pixels closed."""
    low, high = (tuple(value + d for value in colour) for d in (-TOLERANCE, TOLERANCE))
    mask = cv2.inRange(picture, low, high)
    left, top, width, height = cv2.boundingRect(mask)
    mask = mask[top : top + height, left : left + width]
    thick = cv2.countNonZero(cv2.erode(mask, np.ones((2, 2), np.uint8))) >= LEAST_THICK
    large = cv2.countNonZero(mask) >= LARGE
    gaps = (0, *GAPS) if large else (0,) * thick
    for gap in gaps:
        joined, least = mask, MIN_AREA
        if gap:
            kernel = np.ones((gap, gap), np.uint8)
            joined, least = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel), LARGE
        for x, y, w, h, area in _components(joined, least):
            place = joined[y : y + h, x : x + w]
            areas = []
            if area >= MIN_FILL * w * h:
                x0, y0, x1, y1 = _without_tips(place)
                held = _least_held(joined, x + x0, y + y0, x + x1, y + y1) >= HELD
                if held or min(x1 - x0, y1 - y0) <= THICKNESS:
                    areas.append((gap, x0, y0, x1, y1))
                whole = gap, 0, 0, w, h
                if area >= ROUND_FILL * w * h and whole not in areas and _is_round(place):
                    areas.append(whole)
            if not gap and LARGE <= area < FILLED * w * h:
                areas += ((BARS, *bar) for bar in _bars(place))
            for kind, x0, y0, x1, y1 in areas:
                x0, y0, x1, y1 = x + x0, y + y0, x + x1, y + y1
                filled = cv2.countNonZero(mask[y0:y1, x0:x1]) >= FILLED * (x1 - x0) * (y1 - y0)
                yield kind, left + x0, top + y0, left + x1, top + y1, filled
    for x0, y0, x1, y1 in _lines(mask):
        yield 0, left + x0, top + y0, left + x1, top + y1, True


def _lines(mask: NDArray[np.uint8]) -> Iterator[tuple[int, int, int, int]]:
    """The long thin runs (x0, y0, x1, y1) of a mask, across and down."""
    for kernel in (np.ones((1, RUN), np.uint8), np.ones((RUN, 1), np.uint8)):
        runs = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel)
        for x, y, w, h, area in _components(runs):
            if min(w, h) <= THICKNESS and area > 0.9 * w * h:
                yield x, y, x + w, y + h


def _bars(mask: NDArray[np.uint8]) -> Iterator[tuple[int, int, int, int]]:
    """The bars (x0, y0, x1, y1) in an area that is no rectangle: those of tools and tabs hang
    together by the frame of their window, and have holes where icons are."""
    holes = 255 - mask
    _, labels, stats, _ = cv2.connectedComponentsWithStats(holes, connectivity=4)
    small = stats[:, 4] < HOLE
    small[0] = False
    whole = np.where(small[labels], np.uint8(255), mask)
    for axis, side in enumerate(mask.shape):
        length = max(side // 4, SHORTEST_BAR)
        kernel = np.ones((length, 1) if axis == 0 else (1, length), np.uint8)
        for x, y, w, h, area in _components(cv2.morphologyEx(whole, cv2.MORPH_OPEN, kernel)):
            if min(w, h) > THICKNESS and area >= FILLED * w * h:
                yield x, y, x + w, y + h


def _without_tips(mask: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """The part (x0, y0, x1, y1) of a mask whose sides it fills well enough: an area that runs on
    past a corner, or into a neighbour of its colour, is a rectangle all the same."""
    x0, y0, x1, y1 = 0, 0, mask.shape[1], mask.shape[0]
    for _ in range(3):
        part = mask[y0:y1, x0:x1]
        fills = (cv2.reduce(part, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32F) for axis in (1, 0))
        rows, columns = (
            np.flatnonzero(fill >= SIDE_FILL * 255 * (part.size // fill.size)) for fill in fills
        )
        if not len(rows) or not len(columns):
            return 0, 0, mask.shape[1], mask.shape[0]
        cut = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        if cut == (0, 0, x1 - x0, y1 - y0):
            break
        x0, y0, x1, y1 = (int(v) for v in (x0 + cut[0], y0 + cut[1], x0 + cut[2], y0 + cut[3]))
    return x0, y0, x1, y1


def _is_round(mask: NDArray[np.uint8]) -> bool:
    """Whether a mask reaches the middles of its four sides, but one of its corners at most: what is
    said in a chat may hang together with who says it."""
    height, width = mask.shape
    side = min(height, width) // CORNER
    if not side:
        return False
    ends = (slice(None, side), slice(-side, None))
    middles = (slice((n - side) // 2, (n + side) // 2) for n in mask.shape)
    rows, columns = middles
    reached = (mask[0, columns], mask[-1, columns], mask[rows, 0], mask[rows, -1])
    filled = sum(bool(mask[top, left].any()) for top in ends for left in ends)
    return filled <= 1 and all(side.any() for side in reached)


def _least_held(mask: NDArray[np.uint8], x0: int, y0: int, x1: int, y1: int) -> float:
    """Of the sides of a rectangle, the least share along which the mask ends there."""

    def ends(lines: NDArray[np.uint8], last: int, beyond: int) -> float:
        held = lines[last] > 0
        if 0 <= beyond < len(lines):
            held &= lines[beyond] == 0
        return float(held.mean())

    rows, columns = mask[:, x0:x1], mask[y0:y1].T
    sides = (rows, y0, y0 - 1), (rows, y1 - 1, y1), (columns, x0, x0 - 1), (columns, x1 - 1, x1)
    return min(ends(*side) for side in sides)


def _areas_of_their_own(areas: list, errors: list[NDArray[np.uint8]]) -> NDArray[np.int32]:
    """For each pixel the size of the smallest filled area of its own colour that holds it: what a
    larger rule spoils there, that area's own rule mends. Large where there is none."""
    own = np.full(errors[0].shape, np.iinfo(np.int32).max, np.int32)
    for x0, y0, x1, y1, filled, i in areas:
        if filled:
            place = np.s_[y0:y1, x0:x1]
            own[place][errors[i][place] <= TOLERANCE] = (x1 - x0) * (y1 - y0)
    return own


def _components(mask: NDArray[np.uint8], least: int = 1) -> list[list[int]]:
    """[x, y, width, height, area] of the 4-connected components of at least ``least`` pixels."""
    left, top, width, height = cv2.boundingRect(mask)
    if not width:
        return []
    part = mask[top : top + height, left : left + width]
    if SPARSE * cv2.countNonZero(part) > part.size:
        stats = cv2.connectedComponentsWithStats(part, connectivity=4)[2][1:]
    else:  # OpenCV takes statistics of the empty pixels too, which takes most of its time
        x, y = cv2.findNonZero(part).reshape(-1, 2).T
        labels = cv2.connectedComponents(part, connectivity=4)[1][y, x]
        order = np.argsort(labels, kind="stable")
        x, y, starts = x[order], y[order], np.flatnonzero(np.diff(labels[order], prepend=0))
        x0, y0 = (np.minimum.reduceat(v, starts) for v in (x, y))
        x1, y1 = (np.maximum.reduceat(v, starts) + 1 for v in (x, y))
        areas = np.diff(starts, append=len(labels))
        stats = np.stack([x0, y0, x1 - x0, y1 - y0, areas], 1)
    return (stats[stats[:, 4] >= least] + (left, top, 0, 0, 0)).tolist()
