"""The colours of runs: ink and ground, as few of either as describe the page shortest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from picd.glyphs import word_coverage
from picd.layout import UNITS_PER_PIXEL, TextStyle
from picd.runs import Floats, Run

INK_SCALE, GROUND_SCALE, COLOUR_BITS = 20.0, 10.0, 10.0
"""RGB distances that are worth a bit or so a letter, and what a further colour costs."""
READING_SIZE = 16 * UNITS_PER_PIXEL
"""Letters that are larger have more to lose of their colour."""
STRENGTH = 0.25
"""Weight of an ink's distance in strength, which thin letters hardly tell, beside that in hue."""
AFAR = 1.0
"""Pixels over which picture and rendering are blurred to compare their colours."""
Colour = tuple[int, int, int]


def run_styles(
    image: NDArray[np.uint8], runs: Sequence[Run], scales: dict[tuple[int, int], int]
) -> list[TextStyle]:
    """Styles of the runs; close colours of a page become one."""
    weights = [run.letters * max(run.size / READING_SIZE, 1) ** 2 for run in runs]
    grounds = _shared([run.ground for run in runs], weights, GROUND_SCALE)
    inks = [_ink(image, run, scales[run.face, run.size]) for run in runs]
    axes = [ink - run.ground for run, ink in zip(runs, inks, strict=True)]
    inks = _shared(inks, weights, INK_SCALE, axes)
    return [
        TextStyle(run.face, run.size, ink, ground)
        for run, ink, ground in zip(runs, inks, grounds, strict=True)
    ]


def _ink(image: NDArray[np.uint8], run: Run, scale: int) -> Floats:
    """Ink colour that best explains the window, by least squares over the coverage."""
    height, width = run.alpha.shape
    canvas = np.zeros((height, width), np.uint8)
    for word in run.placed:
        word_coverage(word, run.face, run.size, scale, run.baseline, canvas)
    window = image[run.y : run.y + height, run.x : run.x + width].astype(np.float32)
    if run.uneven:
        window = run.ground + run.alpha[..., None] * (run.ink - run.ground)
    cover = canvas.astype(np.float32) / 255
    # Seen from afar, so that letters of another shape, or a little aside, do not wash it out.
    cover = cv2.GaussianBlur(cover, (0, 0), AFAR)
    power = float((cover * cover).sum())
    if power <= 0:
        return run.ink
    seen = cv2.GaussianBlur(window - run.ground, (0, 0), AFAR)
    ink = run.ground + np.tensordot(cover, seen, 2) / power
    return np.clip(ink, 0, 255)


def _shared(
    colours: Sequence[Floats],
    weights: Sequence[float],
    scale: float,
    axes: Sequence[Floats] | None = None,
) -> list[Colour]:
    """Quantised colours, as few as describe the page shortest: a colour becomes a heavier one when
    what is lost, weight x (distance / scale)^2 / 2, is less than COLOUR_BITS. Distances along
    the ``axes`` count ``STRENGTH``."""
    members: dict[Colour, list[int]] = defaultdict(list)
    for index, colour in enumerate(colours):
        members[_quantised(colour)].append(index)
    total = {colour: sum(weights[i] for i in group) for colour, group in members.items()}
    leaders: list[Colour] = []
    chosen: dict[Colour, Colour] = {}
    for colour in sorted(total, key=lambda c: (-total[c], c)):
        mean_axis = sum(axes[i] for i in members[colour]) if axes else None

        def loss(leader: Colour, colour: Colour = colour, axis: Floats | None = mean_axis) -> float:
            away = np.subtract(leader, colour).astype(np.float64)
            if axis is not None and (power := float(axis @ axis)) > 0:
                away -= (1 - STRENGTH) * (away @ axis) / power * axis
            return total[colour] * float(away @ away) / scale**2 / 2

        best = min(leaders, key=loss, default=None)
        if best is None or loss(best) > COLOUR_BITS:
            best = colour
            leaders.append(colour)
        chosen[colour] = best
    return [chosen[_quantised(colour)] for colour in colours]


def _quantised(colour: Floats) -> Colour:
    """RGB on the 32 levels per channel that the stream can say."""
    levels = np.clip(np.round(np.asarray(colour) * 31 / 255), 0, 31)
    return tuple(round(int(level) * 255 / 31) for level in levels)
