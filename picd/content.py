"""Screen or photograph: which of the two a picture is coded as.

Screens are flat between hard edges. A JPEG of a screen is neither quite flat nor quite hard, and
between the two kinds stand posters and signs: there the words that are read decide.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from picd.distances import level_distance

PHOTOGRAPH, SCREEN = 0.45, 0.85
"""What is less like a screen is a photograph, and what is more like one is a screen, whatever the
words. Of 234 screens none was below the first; above the second were 231, and 220 of the same as
JPEG of quality 70. Of 196 photographs 154 were below the first, and 10 above the second, drawings
mostly."""
TEXTUAL = 8
"""Words that make a picture between the two a screen. All such screens but one had them, and of 37
photographs three: posters."""
FLAT = 1
"""Levels between neighbours in flat areas."""
STEP, HARD = 8, 60
"""Levels of luma between neighbours at an edge, and at a hard one."""
HARDNESS = 1.5
"""What the share of hard edges among all is worth, beside the share of flat pixels."""


def screen_likeness(picture: NDArray[np.uint8]) -> float:
    """How much of a picture (H, W, 3) is flat, 0..1, and how many of its edges are hard."""
    flat = [
        level_distance(one, other) <= FLAT
        for one, other in ((picture[1:], picture[:-1]), (picture[:, 1:], picture[:, :-1]))
    ]
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    steps = cv2.absdiff(luma[:, 1:], luma[:, :-1])
    edges, hard = (int((steps > least).sum()) for least in (STEP, HARD))
    return float((flat[0][:, 1:] & flat[1][1:]).mean()) + HARDNESS * hard / max(edges, 1)


def is_screen(likeness: float, words: int) -> bool:
    """Whether a picture of this :func:`screen_likeness`, with so many words, is a screen."""
    return likeness >= SCREEN or (likeness >= PHOTOGRAPH and words >= TEXTUAL)
