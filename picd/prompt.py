"""The prompt of the renderer's domain level: what the picture shows, in words.

Built at decode time from the decoded text, so it costs no bytes; training builds it here as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PROMPT_BYTES = 192
"""Length of every prompt: longer ones are cut, shorter ones padded with zeros."""


def prompt_text(text: str, *, natural: bool) -> str:
    """The paper's prompt for a screen with ``text`` (words in reading order, may be empty);
    a natural picture brings no caption, so that its prompt is empty."""
    if natural:
        return ""
    words = " ".join(text.split())
    return f"a screenshot with text: {words}" if words else "a screenshot"


def prompt_bytes(prompt: str) -> NDArray[np.uint8]:
    """UTF-8 of a prompt, uint8 (192,); zeros pad, and occur in no other place."""
    codes = prompt.replace("\0", "").encode("utf-8", "replace")[:PROMPT_BYTES]
    padded = np.zeros(PROMPT_BYTES, np.uint8)
    padded[: len(codes)] = np.frombuffer(codes, np.uint8)
    return padded
