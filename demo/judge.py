"""How near a decoded picture is to its original, by the measures that this machine has."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec

import numpy as np

from picd.metrics import ENLARGED, jaccard, psnr, read_text, ssimulacra2, words

TEXT, SSIMULACRA2, PSNR = "text accuracy", "SSIMULACRA 2", "PSNR, dB"
MEANINGS = {
    TEXT: "how many of its words Tesseract reads again, 1 being all",
    SSIMULACRA2: "how alike the two look, 100 being the same and below 0 very poor",
    PSNR: "how near the pixels are, from 40 on hard to tell apart",
}


def measures() -> list[str]:
    """Text accuracy needs the program tesseract, SSIMULACRA 2 its package."""
    return [
        *([TEXT] if shutil.which("tesseract") else []),
        *([SSIMULACRA2] if find_spec("ssimulacra2") else []),
        PSNR,
    ]


MOST_ENLARGED = 4_000_000
"""Pixels: a larger picture has larger type, and Tesseract would take minutes."""


@dataclass(frozen=True)
class Judge:
    """Compares pictures with ``original``, uint8 (H, W, 3)."""

    original: np.ndarray

    @cached_property
    def _words(self) -> list[str]:
        return self._read(self.original)

    def _read(self, picture: np.ndarray) -> list[str]:
        scale = ENLARGED if picture[..., 0].size <= MOST_ENLARGED else 1
        return words(read_text(picture, scale=scale))

    def judge(self, picture: np.ndarray) -> dict[str, float]:
        """Measure -> value; no text accuracy for an original in which no words are found."""
        values = {}
        for measure in measures():
            if measure == PSNR:
                values[measure] = psnr(self.original, picture)
            elif measure == SSIMULACRA2:
                values[measure] = ssimulacra2(self.original, picture)
            elif self._words:
                values[measure] = jaccard(self._words, self._read(picture))
        return values
