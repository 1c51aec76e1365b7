"""Which lines of text the picture shows, when there are bytes to spare.

Typeset text is sharp for next to nothing, but it is set in our fonts, and more bytes for the
picture around it do not mend that. So once the quality is such that letters coded as a picture can
be read, lines go over to the picture, those first that our fonts fit worst, as long as the error
falls. Their words are sent all the same, to be read and found.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from picd.glyphs import render_glyphs, typeset, word_boxes
from picd.layout import TextLayout

LEGIBLE = 70.0
"""The quality from which coded letters are as legible as typeset ones: on seven screens at 0.04 to
0.15 bits per pixel, text accuracy was the typeset page's within 0.02 above it, and fell below."""
SHARES = 4
"""Lines go over in so many parts."""
BLUR = 1.5
LUMINANCE, CONTRAST = 0.01**2, 0.03**2


class Attempt(Protocol):
    """The picture coded for some layout: its quality, 0 where it did not fit, and the squared error
    of the typeset page."""

    @property
    def quality(self) -> float: ...

    @property
    def error(self) -> float: ...


T = TypeVar("T", bound=Attempt)


def spend(
    first: T,
    layout: TextLayout,
    picture: NDArray[np.uint8],
    attempt: Callable[[TextLayout], T],
) -> T:
    """The best of what ``attempt`` codes with some lines pictured, and ``first``, with none: that
    is legible and has the least error. Half of the lines are tried, then fewer or more."""
    if first.quality < LEGIBLE or not layout.lines:
        return first
    order = worst_first(layout, picture)

    def share(parts: int) -> T:
        return attempt(with_pictured(layout, order[: -(-parts * len(order) // SHARES)]))

    def better(one: T, other: T) -> bool:
        return one.quality >= LEGIBLE and one.error < other.error

    best = share(SHARES // 2)
    if not better(best, first):
        fewer = share(SHARES // 4)
        return fewer if better(fewer, first) else first
    for parts in range(SHARES // 2 + 1, SHARES + 1):
        more = share(parts)
        if not better(more, best):
            break
        best = more
    return best


def with_pictured(layout: TextLayout, chosen: Collection[int]) -> TextLayout:
    """``layout`` with the lines of these indices pictured, and no others."""
    lines = (replace(line, pictured=i in chosen) for i, line in enumerate(layout.lines))
    return replace(layout, lines=tuple(lines))


def worst_first(layout: TextLayout, picture: NDArray[np.uint8]) -> list[int]:
    """Indices of the lines, by rising likeness of the typeset line to ``picture`` (H, W, 3)."""
    likeness = _likeness(picture, typeset(picture, render_glyphs(layout)))
    scores = []
    for line in layout.lines:
        boxes = word_boxes(line, *likeness.shape)
        areas = [likeness[y0:y1, x0:x1] for x0, y0, x1, y1 in boxes]
        scores.append(np.mean([area.mean() for area in areas if area.size] or [1.0]))
    return np.argsort(scores, kind="stable").tolist()


def squared_error(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """The sum over two pictures."""
    return cv2.norm(a, b, cv2.NORM_L2SQR)


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
