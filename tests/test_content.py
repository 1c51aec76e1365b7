"""Screens and photographs are told apart, as they are and after JPEG."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picd.content import PHOTOGRAPH, SCREEN, TEXTUAL, is_screen, screen_likeness
from picd.images import load_image

EXAMPLES = Path(__file__).parent.parent / "demo" / "examples"
SCREENS = ("web", "terminal", "dashboard", "slide", "chat", "chart")


def as_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "jpeg", quality=quality)
    return load_image(file.getvalue())


@pytest.mark.parametrize("name", SCREENS)
def test_screens_are_screens_as_jpeg_too(name: str) -> None:
    picture = load_image(EXAMPLES / f"{name}.png")
    assert screen_likeness(picture) >= SCREEN
    worn = screen_likeness(as_jpeg(picture, 70))
    assert is_screen(worn, TEXTUAL), "if only by its words"


def test_photographs_are_not() -> None:
    assert not is_screen(screen_likeness(load_image(EXAMPLES / "landscape.png")), 0)
    noise = np.random.default_rng(0).normal(0, 20, (128, 160, 3)).cumsum(1)
    worst = np.clip(128 + noise, 0, 255).astype(np.uint8)
    assert screen_likeness(worst) < PHOTOGRAPH, "a photograph whatever is read in it"


def test_words_decide_in_doubt_only() -> None:
    between = (PHOTOGRAPH + SCREEN) / 2
    assert is_screen(between, TEXTUAL) and not is_screen(between, TEXTUAL - 1)
    assert is_screen(SCREEN, 0) and not is_screen(PHOTOGRAPH - 0.01, 1000)
