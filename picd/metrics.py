"""How near a picture is to the original. Pictures are uint8 arrays (H, W, 3) of one size.

Each metric imports what it needs when it is called: the ``metrics`` extra brings the packages,
``tesseract`` is a system program.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable

import cv2
import numpy as np

from picd.errors import PicdError
from picd.images import png_bytes

ENLARGED = 2
"""Tesseract is made for print of 300 dots an inch: at twice its size it reads a screen's small
type, of which it makes nonsense otherwise, in the original as well."""
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def text_accuracy(a: np.ndarray, b: np.ndarray) -> float:
    """Word-level Jaccard similarity of the texts that Tesseract reads in both pictures, 0..1.

    The paper's text accuracy: |A ∩ B| / |A ∪ B| over *multisets* of words, so that a word that
    occurs twice has to be read twice. Words are as :func:`words` normalises them; two pictures
    without words agree (1.0).
    """
    return jaccard(words(read_text(a)), words(read_text(b)))


def read_text(image: np.ndarray, page_segmentation: int = 3, scale: int = 1) -> str:
    """What the ``tesseract`` program reads in a picture ``scale`` times as large (bicubic; see
    :data:`ENLARGED`). Raises :class:`PicdError` without it."""
    if shutil.which("tesseract") is None:
        raise PicdError("tesseract is not installed: install the package tesseract-ocr")
    if scale > 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    result = subprocess.run(
        ["tesseract", "stdin", "stdout", "--psm", str(page_segmentation)],
        input=png_bytes(image),
        capture_output=True,
        # One thread: Tesseract's own threads slow it down, and results do not depend on it.
        env=os.environ | {"OMP_THREAD_LIMIT": "1"},
        check=False,
    )
    if result.returncode:
        raise PicdError(f"tesseract failed: {result.stderr.decode(errors='replace').strip()[:200]}")
    return result.stdout.decode(errors="replace")


def words(text: str) -> list[str]:
    """Lower-case runs of letters and digits; punctuation separates, single signs do not count."""
    return re.findall(r"[^\W_]+", text.lower())


def jaccard(a: list[str], b: list[str]) -> float:
    """Size of the intersection over size of the union, as multisets; 1.0 for two empty ones."""
    left, right = Counter(a), Counter(b)
    union = (left | right).total()
    return (left & right).total() / union if union else 1.0


def character_error_rate(text: str, expected: str) -> float:
    """Least insertions, deletions and substitutions that make ``expected`` of ``text``, over the
    length of ``expected``; runs of white space count as one space. 0 is equal."""
    from rapidfuzz.distance import Levenshtein

    text, expected = (" ".join(part.split()) for part in (text, expected))
    return Levenshtein.distance(text, expected) / max(len(expected), 1)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio over all channels, dB; infinite for equal pictures."""
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Multi-scale structural similarity, mean of the three channels, 0..1 (1 is equal).

    Wang, Simoncelli, Bovik (2003): five scales, Gaussian window of 11 pixels and sigma 1.5,
    borders without padding. Both sides must be at least 176 pixels; smaller ones raise
    :class:`PicdError`.
    """
    if min(a.shape[:2]) < 176:
        raise PicdError("MS-SSIM needs pictures of at least 176x176 pixels")
    x, y = a.astype(np.float64), b.astype(np.float64)
    values = []
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        luminance, contrast = _ssim_terms(x, y)
        last = scale == len(MS_SSIM_WEIGHTS) - 1
        term = (luminance * contrast if last else contrast).mean(axis=(0, 1))
        values.append(np.maximum(term, 0) ** weight)
        x, y = _halved(x), _halved(y)
    return float(np.prod(values, axis=0).mean())


def _ssim_terms(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The luminance and the contrast-structure map of SSIM."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_x, mean_y = _blurred(x), _blurred(y)
    variance_x = _blurred(x * x) - mean_x**2
    variance_y = _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance, (2 * covariance + c2) / (variance_x + variance_y + c2)


def _blurred(x: np.ndarray) -> np.ndarray:
    """Gaussian window of 11 pixels, sigma 1.5, valid part only."""
    from scipy.ndimage import correlate1d

    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    taps /= taps.sum()
    return correlate1d(correlate1d(x, taps, axis=0), taps, axis=1)[5:-5, 5:-5]


def _halved(x: np.ndarray) -> np.ndarray:
    """Mean of 2 x 2 pixels; an odd last row or column is left out."""
    height, width = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    return x[:height, :width].reshape(height // 2, 2, width // 2, 2, -1).mean(axis=(1, 3))


def ssimulacra2(original: np.ndarray, distorted: np.ndarray) -> float:
    """SSIMULACRA 2 (Sneyers, 2023), up to 100; 90 is visually lossless, 30 low, below 0 bad."""
    from ssimulacra2 import compute_ssimulacra2

    files = (io.BytesIO(png_bytes(image)) for image in (original, distorted))
    return float(compute_ssimulacra2(*files))


def flip(original: np.ndarray, distorted: np.ndarray) -> float:
    """Mean LDR-ꟻLIP error (Andersson et al., 2020) at 67 pixels per degree, 0..1; 0 is equal."""
    from flip_evaluator import evaluate

    reference, test = (x.astype(np.float32) / 255 for x in (original, distorted))
    _, mean, _ = evaluate(reference, test, "LDR")
    return float(mean)


FIGURES = {"psnr": psnr, "ms_ssim": ms_ssim, "ssimulacra2": ssimulacra2, "flip": flip}
"""Metrics of (original, distorted) by the names that tables use; all but FLIP: more is better."""


def compare(
    original: np.ndarray,
    distorted: np.ndarray,
    text: list[str] | None = None,
    names: Iterable[str] = tuple(FIGURES),
) -> dict[str, float]:
    """The :data:`FIGURES` named, and "text", the text accuracy, where the words of the original
    are given as ``text``. MS-SSIM is left out of pictures that are too small for it."""
    result = {} if text is None else {"text": jaccard(words(read_text(distorted)), text)}
    for name in names:
        if name != "ms_ssim" or min(original.shape[:2]) >= 176:
            result[name] = FIGURES[name](original, distorted)
    return result
