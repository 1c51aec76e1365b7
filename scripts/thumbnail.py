"""Draw ``docs/thumbnail.png``, what a link to the Space shows: an example before and after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from picd import Codec
from picd.font_metrics import FONT_FOLDER
from picd.images import load_image

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "demo/examples/slide.png"
OUT = ROOT / "docs/thumbnail.png"
SIZE, BAND, MARGIN = (1200, 630), 150, 12
MAX_BYTES = 3000


def thumbnail(original: np.ndarray, render: np.ndarray, captions: tuple[str, str]) -> Image.Image:
    """Two pictures, uint8 (H, W, 3), side by side under a title and over their captions."""
    image = Image.new("RGB", SIZE, "#171c2b")
    draw = ImageDraw.Draw(image)
    draw.text((2 * MARGIN, 32), "PICD", "white", _font("OpenSans-Bold.ttf", 62))
    draw.text((220, 54), "screenshots in 3 KB that can still be read", "#c9d2ea",
              _font("OpenSans-Regular.ttf", 38))  # fmt: skip
    width = (SIZE[0] - 3 * MARGIN) // 2
    height = round(width * original.shape[0] / original.shape[1])
    for index, (array, caption) in enumerate(zip((original, render), captions, strict=True)):
        left = MARGIN + index * (width + MARGIN)
        picture = Image.fromarray(array).resize((width, height), Image.Resampling.LANCZOS)
        image.paste(picture, (left, BAND))
        font = _font("OpenSans-Semibold.ttf", 38)
        place = (left + width // 2, (BAND + height + SIZE[1]) // 2)
        draw.text(place, caption, "white", font, anchor="mm")
    return image


def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONT_FOLDER / name), size)


def main() -> None:
    codec, original = Codec.load(), load_image(EXAMPLE)
    encoded = codec.encode(original, max_bytes=MAX_BYTES)
    render = codec.decode(encoded.data).image
    captions = (f"PNG {EXAMPLE.stat().st_size / 1e3:.0f} KB", f"PICD {encoded.bytes / 1e3:.1f} KB")
    thumbnail(original, render, captions).save(OUT, optimize=True)


if __name__ == "__main__":
    main()
