"""Marks: what is small and of few colours on a page, found in the picture and painted back.

Icons, arrows, ticks, dots of charts, words that no engine read: hard edges within a few pixels,
which are dear in a transform codec and blurred at these rates. Each is a bitmap with a palette of
its own, painted over rules and words, and sent once however often it occurs: the symbols of JBIG2,
in colour. The codec then sends the difference to that, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picd.distances import level_distance, squared_distance
from picd.layout import Mark, Rule
from picd.mark_coder import HIGHEST, MAX_MARKS, MAX_PIXELS, WIDEST, grid_colour, see_around
from picd.prices import scarcity
from picd.rules import false_share, falsest_apart

APART = 20
"""Levels from what is below from which on a pixel may belong to a mark."""
GAP = 5
"""Pixels less than that apart belong to one mark."""
SMALLEST = 6
"""Pixels of the smallest mark."""
COLOURS = (1, 2, 3, 4, 6, 8, 12)
"""Sizes of palette that are tried."""
COLOURFUL, MOTLEY = 48, 96
"""With more colours, to 16 levels, it may be a piece of a photograph; with still more it is one.
Icons have up to 46, most of them 25 at most, pieces of photographs 60 and more, and of their edges
a mark of few colours brings less than half."""
LOOKS = 32
"""A spot is compared with so many looks of its size, those that are worth the most: pages of specks
have thousands."""
NEAR = 6
"""Levels within which a colour that was sent before will do."""
AGAIN_BITS, ONCE_BITS, LEAST_BITS = 10.0, 28.0, 0.12
"""About what a mark costs that was sent before, and one that was not beside its colours and
pixels; and what a pixel costs at the least."""
KNOWN_BITS, WRITTEN_BITS = 4.0, 14.0
"""About what a colour costs that was sent before, and one that was not."""
IN_WORDS = np.float32(0.5)
"""What an error counts in the boxes of words, which can be read as they are."""
LIKE, OFF = 0.6, 40
"""The part of the error at another place that a mark has to mend to be sent again for it, and
levels by which half of it may be off."""
FAR = 60
"""Levels from which on pixels are not of one symbol, where a square of two by two of them is."""
SHARP = 0.75
"""How like the picture's the edges under a mark must be where there are words or many colours."""
SHADE = 8
"""Pixels within which a shadow has changed so much that pieces of it may end there, and a sky has
not."""
HARD, MOST = 30.0, 0.9
"""Detail (root mean square) of a piece with hard edges, where skies have up to 26 and frames 42 and
more; and so much of a flat one has the colours of the picture."""
RANK_BITS = np.array(
    [
        [0.8, 1.6, 4.2, 5.3, 4.8],
        [0.8, 5.6, 2.0, 3.0, 4.7],
        [0.3, 2.9, 9.9, 7.3, 5.0],
        [0.1, 7.1, 7.1, 4.9, 4.3],
        [2.9, 0.3, 4.9, 8.4, 5.8],
        [0.2, 9.1, 3.0, 9.1, 6.2],
        [2.1, 0.4, 9.0, 9.0, 5.7],
        [0.04, 12.0, 12.0, 12.0, 6.6],
    ],
    np.float32,
)
"""About what a pixel costs that is as the one to its left, above, above to the right or left, or as
none of them (beside saying which colour), by which of those are alike (see
:func:`picd.mark_coder.see_around`)."""

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]
Palettes = dict[tuple[bytes, int], NDArray[np.int32]]
"""Colours (at most n, 3) of a spot, by a digest of what it shows and their number n."""


def fit_marks(
    picture: Picture,
    below: Picture,
    rules: Iterable[Rule],
    words: NDArray[np.bool_],
    price: float,
    page: Picture | None = None,
    bits: Floats | None = None,
    room: float | None = None,
    sent: Iterable[Mark] = (),
    palettes: Palettes | None = None,
) -> tuple[Mark, ...]:
    """The marks that are worth sending where a bit has to mend ``price`` of squared error (of RGB
    levels) in ``picture``, uint8 (H, W, 3): what differs from ``below``, the rules with the
    ``words`` (H, W) set over them.

    ``page`` is what the picture decodes to so far, and ``bits`` (H'/16, W'/16) what its
    stream takes for that: what it does well is not worth a mark. Both or none of them are given.
    ``room`` are the bits that stream and marks share: the fewer are left to the stream, the more a
    bit has to mend. Marks that are ``sent`` anyway, and ``below`` already, are kept. ``palettes``
    are those found before in this picture, to which are added those found now.
    """
    known = np.array([rule.colour for rule in rules], np.int64).reshape(-1, 3)
    found = {} if palettes is None else palettes
    search = _Search(picture, below, known, words, price, page, bits, found)
    sent = tuple(sent)
    for mark in sent:
        search.know(mark)
    for spots in search.groups():
        search.take(spots)
    return _in_order([*sent, *search.without_false_edges(search.worth_it(room))])


def paint_marks(picture: Picture, marks: Iterable[Mark]) -> NDArray[np.bool_]:
    """Paint the marks over a picture (H, W, 3), in their order; where they are, (H, W)."""
    where = np.zeros(picture.shape[:2], bool)
    for mark in marks:
        indices = np.array(mark.indices).reshape(-1, mark.width)
        place = np.s_[mark.y : mark.y + len(indices), mark.x : mark.x + mark.width]
        painted = indices > 0
        picture[place][painted] = np.array(((0, 0, 0), *mark.palette), np.uint8)[indices[painted]]
        where[place] |= painted
    return where


@dataclass(frozen=True)
class _Spot:
    """A part of the picture that may be a mark: what of it is ``inked`` or beside that (h, w), and
    what its error and bits are ``worth``, at most. It is ``cut`` if it goes on in others."""

    x: int
    y: int
    inked: NDArray[np.bool_]
    worth: float
    cut: bool

    @property
    def area(self) -> tuple[slice, slice]:
        h, w = self.inked.shape
        return slice(self.y, self.y + h), slice(self.x, self.x + w)


@dataclass
class _Symbol:
    """Marks that are one bitmap, what squared error they mend, and about what bits they take."""

    marks: list[Mark] = field(default_factory=list)
    mended: float = 0.0
    bits: float = 0.0


@dataclass
class _Search:
    picture: Picture
    below: Picture
    known: NDArray
    """Colours (n, 3) that are sent already."""
    words: NDArray[np.bool_]
    price: float
    page: Picture | None
    bits: Floats | None
    palettes: Palettes
    symbols: dict[Mark, _Symbol] = field(default_factory=dict)
    """By the first mark that each was found as."""
    count: int = 0

    def __post_init__(self) -> None:
        self.weight = np.where(self.words, IN_WORDS, np.float32(1))
        self.plain = squared_distance(self.picture, self.below) * self.weight
        self.coded = self.plain
        if self.page is not None:
            seen = self.picture, self.below, self.page, self.bits
            self.coded = left_by(*seen, self.price, self.weight)
        self.colours = {tuple(colour) for colour in self.known.tolist()}
        self.sent: dict[tuple[int, ...], list[Mark]] = {}
        self.pixels = 0
        self.cut: set[tuple[int, int]] = set()

    def spots(self) -> Iterator[_Spot]:
        """Where the picture is not as what is below, in pieces that hang together."""
        inked = (level_distance(self.picture, self.below) > APART).astype(np.uint8)
        for own in self._icons_and_letters(inked):
            yield from self._joined(own)

    def _icons_and_letters(self, inked: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
        """What is inked apart from words, and what is left of these: what hangs together is of
        either, as most of it, although a word's box may cover the edge of an icon."""
        count, labels = cv2.connectedComponents(inked, connectivity=8)
        inside = np.bincount(labels.ravel(), self.words.ravel(), minlength=count)
        letters = inside > 0.5 * np.bincount(labels.ravel(), minlength=count)
        return inked * ~letters[labels], inked * letters[labels]

    def _joined(self, inked: NDArray[np.uint8]) -> Iterator[_Spot]:
        """The pieces of what is inked that are less than GAP apart."""
        near = _wider(inked, GAP)
        count, labels, boxes, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
        worth = np.bincount(labels.ravel(), self.coded.ravel(), minlength=count)
        for label in np.flatnonzero(worth > self.price * AGAIN_BITS):
            left, top, width, height, _ = (int(v) for v in boxes[label])
            cut = height > HIGHEST or width > WIDEST
            for y in range(top, top + height if label else 0, HIGHEST):
                rows, columns = np.s_[y : min(y + HIGHEST, top + height), left : left + width]
                own = inked[rows, columns] * (labels[rows, columns] == label)
                start = 0
                while start < width:
                    end = _end(own, start)
                    if cv2.countNonZero(own[:, start:end]) >= SMALLEST:
                        yield self._spot(own[:, start:end], left + start, y, cut)
                    start = end

    def _spot(self, own: NDArray[np.uint8], x: int, y: int, cut: bool) -> _Spot:
        left, top, width, height = cv2.boundingRect(own)
        own = own[top : top + height, left : left + width]
        inked = cv2.dilate(own, np.ones((3, 3), np.uint8)) > 0
        spot = _Spot(x + left, y + top, inked, 0.0, cut)
        return replace(spot, worth=float(self.coded[spot.area][inked].sum()))

    def know(self, mark: Mark) -> None:
        """That a mark is sent already, which can be sent again."""
        alike = replace(mark, x=0, y=0)
        self.count += 1
        if alike in self.symbols:
            return
        self.symbols[alike] = _Symbol()
        self.sent.setdefault((len(mark.indices) // mark.width, mark.width), []).append(alike)
        self.pixels += len(mark.indices)
        self._learn(mark)

    def _learn(self, mark: Mark) -> None:
        self.known = np.concatenate([self.known, np.array(mark.palette).reshape(-1, 3)])
        self.colours.update(mark.palette)

    def groups(self) -> list[list[_Spot]]:
        """Spots that look the same together, what is worth the most first."""
        shapes: dict[tuple[int, ...], list[list[_Spot]]] = {}
        for spot in sorted(self.spots(), key=lambda spot: -spot.worth):
            groups = shapes.setdefault(spot.inked.shape, [])
            for group in groups[:LOOKS]:
                apart = level_distance(self.picture[spot.area], self.picture[group[0].area])
                inked = spot.inked | group[0].inked
                if apart[inked].mean() <= NEAR and not _another(apart, inked):
                    group.append(spot)
                    break
            else:
                groups.append([spot])
        found = [group for groups in shapes.values() for group in groups]
        return sorted(found, key=lambda group: -sum(spot.worth for spot in group))

    def take(self, spots: list[_Spot]) -> None:
        """Add the mark that spots of one look are best sent as, if one is worth it."""
        first, best, most, cost = spots[0], None, 0.0, AGAIN_BITS
        more = AGAIN_BITS * (len(spots) - 1)
        worth = sum(spot.worth for spot in spots)

        def gain(mark: Mark, bits: float) -> float:
            return sum(self._gain(s, mark) for s in spots) - self.price * (bits + more)

        for mark in self.sent.get(first.inked.shape, ()):
            now = gain(mark, AGAIN_BITS)
            if now > most and self._like(first, mark) and self._sharp(first, mark):
                best, most = mark, now
        room = self.pixels + first.inked.size <= MAX_PIXELS
        if room and worth > self.price * (more + ONCE_BITS + LEAST_BITS * first.inked.size):
            before = -np.inf
            for mark in self._tries(first):
                bits = self._cost(mark)
                now = gain(mark, bits)
                if now > most and self._sharp(first, mark):
                    best, most, cost = mark, now, bits
                if now < before:
                    break  # more colours are not worth it
                before = now
        if best is None or self.count == MAX_MARKS:
            return
        if best not in self.symbols:
            self.sent.setdefault(first.inked.shape, []).append(best)
            self.symbols[best] = _Symbol()
            self.pixels += first.inked.size
            self._learn(best)
        symbol = self.symbols[best]
        spots = spots[: MAX_MARKS - self.count]
        self.count += len(spots)
        self.cut.update((spot.x, spot.y) for spot in spots if spot.cut)
        symbol.marks += [replace(best, x=spot.x, y=spot.y) for spot in spots]
        symbol.mended += most + self.price * (cost + more)
        symbol.bits += cost + more

    def worth_it(self, room: float | None) -> list[Mark]:
        """All marks or, of ``room`` bits, those that mend most for theirs, as long as they mend
        what a bit has to by then."""
        taken, marks = 0.0, []
        for symbol in sorted(self.symbols.values(), key=lambda s: -s.mended / max(s.bits, 1)):
            taken += symbol.bits
            if symbol.mended < self.price * scarcity(taken, room) * symbol.bits:
                break
            marks += symbol.marks
        return marks

    def without_false_edges(self, marks: list[Mark]) -> list[Mark]:
        """The marks but for those pieces of something larger that end where the picture does not,
        because their neighbours are no marks. The worst first, and at a time only such as do not
        touch."""
        while True:
            painted = self.below.copy()
            paint_marks(painted, marks)
            shares = [
                self._false_share(mark, painted) if (mark.x, mark.y) in self.cut else 0.0
                for mark in marks
            ]
            gone = falsest_apart(shares, [_area(mark) for mark in marks])
            if not gone:
                return marks
            marks = [mark for number, mark in enumerate(marks) if number not in gone]

    def _false_share(self, mark: Mark, painted: Picture) -> float:
        area, around = _area(mark), SHADE + 1
        x, y = max(area.x0 - around, 0), max(area.y0 - around, 0)
        place = np.s_[y : area.y1 + around, x : area.x1 + around]
        near = replace(area, x0=area.x0 - x, y0=area.y0 - y, x1=area.x1 - x, y1=area.y1 - y)
        top = np.zeros(painted[place].shape[:2], np.int16)
        where = np.array(mark.indices).reshape(-1, mark.width) > 0
        top[near.y0 : near.y1, near.x0 : near.x1] = where
        return false_share(near, 1, top, painted[place], self.picture[place], SHADE)

    def _tries(self, spot: _Spot) -> Iterator[Mark]:
        """The spot in more and more colours."""
        seen, plain = self.picture[spot.area].astype(np.int32), self.plain[spot.area]
        pixels, below = self.picture[spot.area][spot.inked], self.below[spot.area][spot.inked]
        if self._colours(spot) > MOTLEY:
            return
        shown = blake2b(pixels.tobytes() + below.tobytes(), digest_size=16).digest()
        for count in COLOURS:
            if (shown, count) not in self.palettes:
                self.palettes[shown, count] = _typical(pixels, below, count)
            palette = np.unique(self._sendable(self.palettes[shown, count]), axis=0)
            errors = ((seen[..., None, :] - palette) ** 2).sum(-1, dtype=np.float32)
            errors *= self.weight[spot.area][..., None]
            errors = np.concatenate([plain[..., None], errors], -1)
            errors[~spot.inked, 1:] = np.inf
            yield _mark(spot, errors.argmin(-1), palette)
            if len(palette) < count:
                return

    def _sendable(self, palette: NDArray) -> NDArray:
        """For each colour that which was sent before and is near, or the nearest of the grid."""
        grid = np.array([grid_colour(colour) for colour in palette])
        if not len(self.known):
            return grid
        apart = np.abs(palette[:, None] - self.known).max(2)
        near = apart.min(1) <= NEAR
        return np.where(near[:, None], self.known[apart.argmin(1)], grid)

    def _gain(self, spot: _Spot, mark: Mark) -> float:
        """What squared error the spot as ``mark`` mends. What the picture stream takes and leaves
        is thought to be in proportion to what there is to send."""
        return self._mended(spot, mark) * spot.worth

    def _mended(self, spot: _Spot, mark: Mark) -> float:
        """The part of the error there, without the picture stream, that a mark mends."""
        indices = np.array(mark.indices).reshape(spot.inked.shape)
        palette = np.array(((0, 0, 0), *mark.palette), np.float32)
        painted = indices > 0
        left = ((self.picture[spot.area] - palette[indices]) ** 2).sum(-1) * self.weight[spot.area]
        before = self.plain[spot.area]
        changed = (before - left)[painted].sum()
        whole = before[spot.inked].sum()
        return float(changed / max(whole, 1.0))

    def _like(self, spot: _Spot, mark: Mark) -> bool:
        """Whether a mark that was sent for another spot has about the shape and colours of this
        one: else it has edges that the picture stream has to undo, or shows through, or says
        something else."""
        painted = self.below[spot.area].copy()
        where = paint_marks(painted, [replace(mark, x=0, y=0)])
        off = level_distance(painted, self.picture[spot.area])
        if self._mended(spot, mark) < LIKE or np.median(off[where]) > OFF:
            return False
        return not _another(off, spot.inked)

    def _colours(self, spot: _Spot) -> int:
        """How many colours a spot has, to 16 levels."""
        pixels = self.picture[spot.area][spot.inked]
        return len(np.unique((pixels >> 4) @ np.array([256, 16, 1], np.uint16)))

    def _sharp(self, spot: _Spot, mark: Mark) -> bool:
        """Whether the picture's edges are in a mark, and no worse than without it, where that
        matters: a crude one that mends the ground between letters can spoil them, and one of a
        photograph has specks. A piece of something larger has hard edges, or the picture's colours:
        a sky has neither, and its pieces would show."""
        plain = not self.words[spot.area][spot.inked].any()
        few = plain and self._colours(spot) <= COLOURFUL
        if few and not spot.cut:
            return True
        painted, picture = self.below[spot.area].copy(), self.picture[spot.area]
        where = paint_marks(painted, [replace(mark, x=0, y=0)])
        wanted, before, after = map(_detail, (picture, self.below[spot.area], painted))
        if few:
            off = level_distance(painted, picture)[where]
            return bool((wanted**2).mean() >= HARD**2 or np.quantile(off, MOST) <= NEAR)
        return _alike(wanted, after) >= max(_alike(wanted, before), SHARP)

    def _cost(self, mark: Mark) -> float:
        indices = np.array(mark.indices, np.int64).reshape(-1, mark.width)
        alike, rank = see_around(indices)
        cost = ONCE_BITS + float(RANK_BITS[alike, rank].sum())
        cost += float((rank == 4).sum() * np.log2(len(mark.palette) + 1))
        return cost + sum(KNOWN_BITS if c in self.colours else WRITTEN_BITS for c in mark.palette)


def _area(mark: Mark) -> Rule:
    """Where a mark is, as a rule of no colour."""
    height = len(mark.indices) // mark.width
    return Rule(mark.x, mark.y, mark.x + mark.width, mark.y + height, (0, 0, 0))


def _typical(pixels: Picture, below: Picture, count: int) -> NDArray[np.int32]:
    """The ``count`` colours of some pixels (n, 3), or fewer. They are the medians of what each is
    painted in: means are mixed with what is around."""
    image = Image.fromarray(pixels[None])
    found = image.quantize(count, Image.Quantize.MAXCOVERAGE, kmeans=4)
    palette = np.array(found.getpalette()).reshape(-1, 3)[: len(found.getcolors())]
    pixels = pixels.astype(np.int32)
    plain = ((pixels - below) ** 2).sum(-1)
    for _ in range(2):
        errors = ((pixels[:, None] - palette) ** 2).sum(-1)
        nearest = np.where(plain <= errors.min(1), -1, errors.argmin(1))
        painted = [pixels[nearest == i] for i in range(len(palette))]
        palette = np.array(
            [
                _median(part) if len(part) else colour
                for part, colour in zip(painted, palette, strict=True)
            ]
        ).astype(np.int32)
    return palette


def _median(pixels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Of some pixels (n, 3), rounded down; numpy's takes ten times as long for so few."""
    middle = [(len(pixels) - 1) // 2, len(pixels) // 2]
    return np.partition(pixels, middle, axis=0)[middle].sum(0) // 2


def _wider(mask: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    return cv2.dilate(mask, np.ones((side, side), np.uint8))


def _another(off: NDArray[np.uint8], where: NDArray[np.bool_]) -> bool:
    """Whether levels (h, w) by which two spots differ are such that one is not the other, a 4 in a
    ring for a 2: large ones beside and below each other."""
    far = ((off > FAR) & where).astype(np.uint8)
    return cv2.countNonZero(cv2.erode(far, np.ones((2, 2), np.uint8), borderValue=0)) > 0


def _end(inked: NDArray[np.uint8], start: int) -> int:
    """Where a part that begins at a column is cut: between letters or icons, if that can be."""
    width = inked.shape[1]
    if width - start <= WIDEST:
        return width
    columns = inked[:, start + WIDEST // 2 : start + WIDEST].sum(0)
    return start + WIDEST - int(columns[::-1].argmin()) - 1


def _mark(spot: _Spot, indices: NDArray[np.intp], palette: NDArray) -> Mark:
    """A mark whose colours are numbered as they come; those that no pixel has are left out."""
    used, first = np.unique(indices, return_index=True)
    used = [int(i) for i in used[np.argsort(first)] if i > 0]
    numbers = np.zeros(len(palette) + 1, np.intp)
    numbers[used] = np.arange(1, len(used) + 1)
    colours = tuple(tuple(int(v) for v in palette[i - 1]) for i in used)
    return Mark(spot.x, spot.y, indices.shape[1], tuple(numbers[indices].ravel().tolist()), colours)


def _in_order(marks: list[Mark]) -> tuple[Mark, ...]:
    """As they are sent: the same ones together, each column downwards."""
    groups: dict[tuple, list[Mark]] = {}
    for mark in sorted(marks, key=lambda mark: (mark.x, mark.y)):
        groups.setdefault((mark.width, mark.indices, mark.palette), []).append(mark)
    ordered = sorted(groups.values(), key=lambda group: (group[0].y, group[0].x))
    return tuple(mark for group in ordered for mark in group)


def _detail(area: Picture) -> Floats:
    """The edges of an area (h, w, 3)."""
    return cv2.Laplacian(cv2.cvtColor(area, cv2.COLOR_RGB2GRAY), cv2.CV_32F)


def _alike(a: Floats, b: Floats) -> float:
    """Correlation of two areas, whatever their contrast."""
    return float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1))


def left_by(
    picture: Picture,
    below: Picture,
    page: Picture,
    bits: Floats,
    price: float,
    weight: Floats | float = 1.0,
) -> Floats:
    """Squared error (H, W) that a page leaves, and its bits at their price, as far as there is
    anything to send."""
    plain, error = (
        squared_distance(picture, other) * np.float32(weight) for other in (below, page)
    )
    return np.minimum(error + price * _spread(plain, bits), plain)


def _spread(plain: Floats, bits: Floats) -> Floats:
    """The bits (H'/16, W'/16) of the picture stream by pixel, of each square by squared error."""
    side, (h, w) = 16, bits.shape
    rows, columns = plain.shape
    plain = np.pad(plain, ((0, h * side - rows), (0, w * side - columns)))
    squares = plain.reshape(h, side, w, side)
    spread = squares * (bits / (squares.sum((1, 3)) + 1))[:, None, :, None]
    return spread.reshape(plain.shape)[:rows, :columns]
