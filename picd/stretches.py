"""Where something is, along one side of a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def stretches(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Where what a mask (n,) marks begins and ends, (m, 2)."""
    return np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
