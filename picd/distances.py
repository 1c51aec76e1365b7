"""How far two pictures are apart, pixel by pixel: in OpenCV, because numpy takes ten times as long
to go over the last axis of a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def level_distance(a: NDArray, b: NDArray) -> NDArray:
    """Levels (H, W) by which two pictures (H, W, 3), both uint8 or both float32, differ in the
    channel that differs most; of their type."""
    red, green, blue = cv2.split(cv2.absdiff(a, b))
    return cv2.max(cv2.max(red, green), blue)


def squared_distance(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Squared error of two pictures (H, W, 3), summed over channels, (H, W)."""
    difference = cv2.absdiff(a, b).astype(np.float32)
    return cv2.transform(difference * difference, np.ones((1, 3), np.float32))
