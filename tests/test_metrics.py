"""Metrics: known values, agreement with reference implementations, and the right direction."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from picd import PicdError
from picd.metrics import (
    ENLARGED,
    flip,
    jaccard,
    ms_ssim,
    psnr,
    read_text,
    ssimulacra2,
    text_accuracy,
    words,
)


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    y, x = np.mgrid[0:192, 0:208]
    smooth = np.stack([128 + 90 * np.sin(x / 9 + c) * np.cos(y / 14) for c in range(3)], axis=-1)
    noisy = smooth + generator.normal(0, 12, smooth.shape)
    return tuple(np.clip(v, 0, 255).astype(np.uint8) for v in (smooth, noisy))


def test_words_are_normalised() -> None:
    assert words("Hello, WORLD! It's 3.5 – ok_then") == "hello world it s 3 5 ok then".split()
    assert words("Grüße 東京") == ["grüße", "東京"]
    assert words(" -- ") == []


def test_jaccard_counts_repetitions() -> None:
    assert jaccard(["a", "b"], ["b", "a"]) == 1
    assert jaccard(["a", "a"], ["a"]) == 0.5
    assert jaccard(["a"], ["b"]) == 0
    assert jaccard([], []) == 1
    assert jaccard([], ["a"]) == 0


def test_text_accuracy(page: np.ndarray, tesseract: str) -> None:
    assert {"morning", "then", "north"} <= set(words(read_text(page)))
    assert text_accuracy(page, page) == 1
    blank = np.full_like(page, 255)
    assert text_accuracy(page, blank) == 0
    cut = page.copy()
    cut[140:] = 255
    assert 0.1 < text_accuracy(page, cut) < 0.9


def test_small_type_is_read_when_enlarged(tesseract: str) -> None:
    lines = ("copy the selected files to another folder", "open recent project or workspace")
    image = Image.new("RGB", (320, 80), "white")
    for row, line in enumerate(lines):
        font = ImageFont.load_default(10)
        ImageDraw.Draw(image).text((20, 20 + 20 * row), line, fill="#444444", font=font)
    wanted = words(" ".join(lines))
    as_it_is, enlarged = (
        jaccard(words(read_text(np.array(image), scale=scale)), wanted) for scale in (1, ENLARGED)
    )
    assert enlarged > as_it_is + 0.1


def test_tesseract_missing_is_one_line(page: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PicdError, match="tesseract-ocr"):
        read_text(page)


def test_psnr() -> None:
    a = np.zeros((16, 16, 3), np.uint8)
    assert psnr(a, a) == float("inf")
    assert psnr(a, a + 255) == 0
    assert psnr(a, a + 1) == pytest.approx(48.1308, abs=1e-3)


def test_ms_ssim_agrees_with_pytorch_msssim(pair: tuple[np.ndarray, np.ndarray]) -> None:
    torch = pytest.importorskip("torch")
    reference = pytest.importorskip("pytorch_msssim")
    tensors = [torch.from_numpy(x.transpose(2, 0, 1)[None].astype(np.float64)) for x in pair]
    expected = reference.ms_ssim(*tensors, data_range=255).item()
    assert ms_ssim(*pair) == pytest.approx(expected, abs=1e-4)
    assert ms_ssim(pair[0], pair[0]) == pytest.approx(1)


def test_ms_ssim_refuses_small_pictures() -> None:
    small = np.zeros((100, 300, 3), np.uint8)
    with pytest.raises(PicdError, match="176"):
        ms_ssim(small, small)


def test_ssimulacra2(pair: tuple[np.ndarray, np.ndarray]) -> None:
    assert ssimulacra2(pair[0], pair[0]) == pytest.approx(100, abs=0.1)
    assert ssimulacra2(*pair) < 60


def test_flip(pair: tuple[np.ndarray, np.ndarray]) -> None:
    assert flip(pair[0], pair[0]) == pytest.approx(0, abs=1e-6)
    assert 0.02 < flip(*pair) < 0.6
