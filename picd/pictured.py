"""Which lines of text the picture shows, when there are bytes to spare.

Typeset text is sharp for next to nothing, but it is set in our fonts, and more bytes for the
picture around it do not mend that. So once the quality is such that letters coded as a picture can
be read, lines go over to the picture, those first that our fonts fit worst, where they look better
for it. Their words are sent all the same, to be read and found.
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
"""The quality from which coded letters can be read: on seven screens at 0.04 to 0.15 bits per pixel
text accuracy was about the typeset page's above it, and fell fast below."""
HALVINGS = 3
"""All lines, half or a quarter of them are tried."""
ALLOWANCE = 0.03
"""A line may lose so much structural similarity: its face and colours are right then."""
BLUR = 1.5
LUMINANCE, CONTRAST = 0.01**2, 0.03**2


class Attempt(Protocol):
    """The picture coded for some layout: its quality, 0 where it did not fit, and the typeset page,
    uint8 (H, W, 3)."""

    @property
    def quality(self) -> float: ...

    @property
    def page(self) -> NDArray[np.uint8]: ...


T = TypeVar("T", bound=Attempt)


def spend(
    first: T,
    layout: TextLayout,
    picture: NDArray[np.uint8],
    attempt: Callable[[TextLayout], T],
) -> T:
    """The best of what ``attempt`` codes with some lines pictured, and ``first``, with none.

    As many lines as are legible go over, in halves; of these, those come back that were more like
    the original when typeset; and it must have been worth it in squared error."""
    if first.quality < LEGIBLE or not layout.lines:
        return first
    typeset_likeness = line_likeness(layout, picture, typeset(picture, render_glyphs(layout)))
    order = np.argsort(typeset_likeness, kind="stable")
    for halvings in range(HALVINGS):
        chosen = order[: -(-len(order) >> halvings)]
        trial = attempt(with_pictured(layout, chosen))
        if trial.quality >= LEGIBLE:
            break
    else:
        return first
    coded_likeness = line_likeness(layout, picture, trial.page)
    better = [i for i in chosen if coded_likeness[i] + ALLOWANCE >= typeset_likeness[i]]
    if not better:
        return first
    if len(better) < len(chosen):
        trial = attempt(with_pictured(layout, better))
    ours, plain = (cv2.norm(t.page, picture, cv2.NORM_L2SQR) for t in (trial, first))
    return trial if trial.quality >= LEGIBLE and ours < plain else first


def with_pictured(layout: TextLayout, chosen: Collection[int]) -> TextLayout:
    """``layout`` with the lines of these indices pictured, and no others."""
    lines = (replace(line, pictured=i in chosen) for i, line in enumerate(layout.lines))
    return replace(layout, lines=tuple(lines))


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
