"""How much work a file may ask of a decoder, in proportion to the picture it declares.

A few kilobytes can spell out long texts and enormous letters. Both bounds are several times what
a page full of small print needs; encoders leave out lines, the smallest first, to keep them.
"""

from __future__ import annotations

from picd.errors import BitstreamError
from picd.layout import UNITS_PER_PIXEL, TextLayout
from picd.text_coder import MAX_TEXT_BYTES, text_size

FREE_TEXT_BYTES, PIXELS_PER_TEXT_BYTE = 1024, 64
FREE_PIXELS, TIMES_PAINTED = 1 << 16, 16
"""Rules, marks, boxes and letters of a layout may together cover this many times the picture."""


def text_limit(width: int, height: int) -> int:
    """The most bytes of text, as the text section counts them, for a picture of that size."""
    return min(MAX_TEXT_BYTES, FREE_TEXT_BYTES + width * height // PIXELS_PER_TEXT_BYTE)


def typesetting_work(layout: TextLayout) -> int:
    """Pixels that setting the layout touches: its rules and marks, the part of each word's box that
    lies in the picture, and a square em for each letter."""
    pixels = sum((rule.x1 - rule.x0) * (rule.y1 - rule.y0) for rule in layout.rules)
    pixels += sum(len(mark.indices) for mark in layout.marks)
    for line in layout.lines:
        em = -(-line.style.size // UNITS_PER_PIXEL)
        height = min(2 * em + 3, layout.height)
        for word in line.words:
            width = min(word.width // UNITS_PER_PIXEL + em + 4, layout.width)
            pixels += height * width + len(word.text) * em * em
    return pixels


def allowed(layout: TextLayout) -> bool:
    """Whether a file may carry ``layout``."""
    return text_size(layout) <= text_limit(layout.width, layout.height) and _is_setting_allowed(
        layout
    )


def check_typesetting(layout: TextLayout) -> TextLayout:
    """``layout``, which was read from a file.

    Raises:
        BitstreamError: it asks for too much work.
    """
    if not _is_setting_allowed(layout):
        raise BitstreamError("layout section is malformed: it covers the picture too often")
    return layout


def _is_setting_allowed(layout: TextLayout) -> bool:
    return typesetting_work(layout) <= FREE_PIXELS + TIMES_PAINTED * layout.width * layout.height
