"""Pictures the tests share, and the rule for programs that a machine may lack."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from picd import Codec
from picd.font_metrics import FACES, word_extent
from picd.layout import UNITS_PER_PIXEL, PlacedWord, TextLayout, TextLine, TextStyle


def require_program(*names: str) -> str:
    """Path of the first program found; without any, a failure in CI and a skip elsewhere."""
    for name in names:
        if path := shutil.which(name):
            return path
    message = f"{' or '.join(names)} is not installed"
    if os.environ.get("CI"):
        pytest.fail(f"{message}, and CI is to test with it")
    pytest.skip(message)


@pytest.fixture
def tesseract() -> str:
    return require_program("tesseract")


@pytest.fixture(scope="module")
def batches_made_here() -> Iterator[None]:
    """Training makes its batches itself: to start a process for them takes longer than a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("picd.training.data.BESIDE", 0)
        yield


@pytest.fixture(scope="session")
def page() -> np.ndarray:
    """A small page with text, uint8 (400, 640, 3)."""
    image = Image.new("RGB", (640, 400), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 640, 64), fill="#1f4e8c")
    draw.text((20, 14), "Weather report", fill="white", font=ImageFont.load_default(30))
    font = ImageFont.load_default(24)
    for row, text in enumerate(("Morning fog, then sun", "Wind from the north", "High 21, low 9")):
        draw.text((20, 96 + 52 * row), text, fill="#222222", font=font)
    draw.ellipse((440, 240, 560, 360), fill="#f0b429")
    return np.array(image)


@pytest.fixture(scope="session")
def set_page() -> TextLayout:
    """Four rows of words in Open Sans of 24 pixels, dark on white, 384 x 256 pixels."""
    face = next(i for i, face in enumerate(FACES) if face.name == "Open Sans")
    size = 24 * UNITS_PER_PIXEL
    style = TextStyle(face, size, (20, 20, 30), (255, 255, 255))
    rows = ("morning fog then sun", "wind from the north", "high 21 low 9 today", "mist over hills")
    lines = []
    for row, text in enumerate(rows):
        x, words = 16 * UNITS_PER_PIXEL, []
        for word in text.split():
            advance, ink = word_extent(face, size, word)
            words.append(PlacedWord(word, x, ink))
            x += advance + size // 3
        lines.append(TextLine(style, (48 + 56 * row) * UNITS_PER_PIXEL, tuple(words)))
    return TextLayout(384, 256, tuple(lines))


@pytest.fixture(scope="session")
def codec() -> Codec:
    """The shipped codec."""
    return Codec.load()
