"""Which lines of text the picture shows, when there are bytes to spare.

Typeset text is sharp for next to nothing, but it is set in our fonts, and more bytes for the
picture around it do not mend that. So once the quality is such that letters coded as a picture can
be read, lines go over to the picture, those first that our fonts fit worst, where they look better
for it. Their words are sent all the same, to be read and found.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from picd.bitstream import MAX_QUALITY
from picd.glyphs import render_glyphs, typeset, word_boxes
from picd.image_codec import LATENT_SCALE
from picd.layout import TextLayout

LEGIBLE = 70.0
"""The quality from which coded letters can be read: on seven screens at 0.04 to 0.15 bits per pixel
text accuracy was about the typeset page's above it, and fell fast below."""
SPARE = 80.0
"""The quality from which a budget is thought to have bytes to spare: on eighteen screens at 0.06 to
0.25 bits per pixel hardly any line went over below it, and to find out takes a coding or two."""
ALLOWANCE = 0.03
"""A line may lose so much structural similarity: its face and colours are right then."""
SPENT = 0.97
"""So much of the room is given to lines, for what each takes is not known exactly."""
BLUR = 1.5
LUMINANCE, CONTRAST = 0.01**2, 0.03**2


class Attempt(Protocol):
    """The picture coded for some layout: its quality, 0 where it did not fit, and the typeset page,
    uint8 (H, W, 3)."""

    @property
    def quality(self) -> float: ...

    @property
    def page(self) -> NDArray[np.uint8]: ...

    def bits(self, quality: float) -> NDArray[np.float32]:
        """What its squares of :data:`LATENT_SCALE` pixels would take at a quality, (h, w)."""


T = TypeVar("T", bound=Attempt)


def spend(
    first: T,
    layout: TextLayout,
    picture: NDArray[np.uint8],
    room: float | None,
    at: Callable[[TextLayout, float], T],
    attempt: Callable[[TextLayout], T],
) -> T:
    """The better of ``first``, coded with no lines pictured, and what ``attempt`` codes with those
    pictured that gain most for their bits, as many as ``room`` bits (None: any) have at the lowest
    legible quality, or at the best if ``first`` has that. What a line gains and takes is seen with
    all of them pictured, coded ``at`` that quality: it gains squared error, and must not look less
    like the original than typeset."""
    if first.quality < (LEGIBLE if room is None else SPARE) or not layout.lines:
        return first
    level = MAX_QUALITY if first.quality == MAX_QUALITY else LEGIBLE
    everything = at(with_pictured(layout, range(len(layout.lines))), level)
    set_page = typeset(picture, render_glyphs(layout))  # right but for its letters
    gains = line_errors(layout, picture, set_page) - line_errors(layout, picture, everything.page)
    alike = line_likeness(layout, picture, set_page)
    alike -= line_likeness(layout, picture, everything.page) + ALLOWANCE
    plain = first.bits(level)
    costs = _costs(layout, plain, everything.bits(level))
    order = [i for i in np.argsort(-gains / costs) if gains[i] > 0 and alike[i] <= 0]
    while order:
        taken = np.cumsum(costs[order])
        fit = len(order) if room is None else int((taken <= SPENT * room - plain.sum()).sum())
        if not fit:
            break
        trial = attempt(with_pictured(layout, order[:fit]))
        if trial.quality >= LEGIBLE:
            ours, theirs = (cv2.norm(t.page, picture, cv2.NORM_L2SQR) for t in (trial, first))
            return trial if ours < theirs else first
        order = order[: fit // 2]
    return first


def _costs(
    layout: TextLayout, plain: NDArray[np.float32], pictured: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Bits that each line takes when pictured, of what all take together: the bits of squares
    of LATENT_SCALE pixels, with no lines pictured and with all, (h, w)."""
    h, w = plain.shape
    covers = [
        [_cover(box, h, w) for box in word_boxes(line, h * LATENT_SCALE, w * LATENT_SCALE)]
        for line in layout.lines
    ]
    covered = np.ones((h, w))
    for place, pixels in itertools.chain(*covers):
        covered[place] += pixels
    dearer = np.maximum(pictured - plain, 0) / covered
    costs = np.array([sum((dearer[at] * pixels).sum() for at, pixels in line) for line in covers])
    costs += 1
    return costs * max(pictured.sum() - plain.sum(), 1) / costs.sum()


def _cover(
    box: tuple[int, int, int, int], h: int, w: int
) -> tuple[tuple[slice, slice], NDArray[np.intp]]:
    """Where a box is among h x w squares, and how many pixels of each it covers."""
    x0, y0, x1, y1 = box
    rows, columns = (
        (slice(start // LATENT_SCALE, min(-(-stop // LATENT_SCALE), count)), start, stop)
        for start, stop, count in ((y0, y1, h), (x0, x1, w))
    )
    return (rows[0], columns[0]), np.outer(_overlaps(*rows), _overlaps(*columns))


def _overlaps(squares: slice, start: int, stop: int) -> NDArray[np.intp]:
    """Pixels from ``start`` to ``stop`` in each of the ``squares`` of a row."""
    edges = np.arange(squares.start, max(squares.stop, squares.start) + 1) * LATENT_SCALE
    return np.diff(np.clip(edges, start, max(stop, start)))


def with_pictured(layout: TextLayout, chosen: Collection[int]) -> TextLayout:
    """``layout`` with the lines of these indices pictured, and no others."""
    lines = (replace(line, pictured=i in chosen) for i, line in enumerate(layout.lines))
    return replace(layout, lines=tuple(lines))


def line_errors(
    layout: TextLayout, picture: NDArray[np.uint8], page: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Squared error of ``page`` against ``picture`` (H, W, 3) in the boxes of each line."""
    boxes = [word_boxes(line, *picture.shape[:2]) for line in layout.lines]
    return np.array(
        [
            sum(
                cv2.norm(page[y0:y1, x0:x1], picture[y0:y1, x0:x1], cv2.NORM_L2SQR)
                for x0, y0, x1, y1 in line
                if x1 > x0 and y1 > y0
            )
            for line in boxes
        ]
    )


def line_likeness(
    layout: TextLayout, picture: NDArray[np.uint8], page: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Mean structural similarity of ``page`` to ``picture`` (H, W, 3) in the boxes of each line."""
    likeness = _likeness(picture, page)
    scores = []
    for line in layout.lines:
        boxes = word_boxes(line, *likeness.shape)
        areas = [likeness[y0:y1, x0:x1] for x0, y0, x1, y1 in boxes]
        scores.append(np.mean([area.mean() for area in areas if area.size] or [1.0]))
    return np.array(scores)


def _likeness(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Structural similarity (Wang et al. 2004) of the luma of two pictures about each pixel."""
    a, b = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255 for x in (a, b))

    def mean(x: NDArray[np.float32]) -> NDArray[np.float32]:
        return cv2.GaussianBlur(x, (0, 0), BLUR)

    mean_a, mean_b = mean(a), mean(b)
    covariance = mean(a * b) - mean_a * mean_b
    variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    luminance = (2 * mean_a * mean_b + LUMINANCE) / (mean_a**2 + mean_b**2 + LUMINANCE)
    return luminance * (2 * covariance + CONTRAST) / (variances + CONTRAST)
