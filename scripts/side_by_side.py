"""``python scripts/side_by_side.py``: the README's picture and the model card's.

docs/side-by-side.png: six examples at 1:1, from left to right the original, the draft and the
rendered picture. docs/failures.png: where it goes wrong, twice as large, original and render.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from picd import Codec
from picd.images import load_image

ROOT = Path(__file__).parent.parent
EXAMPLES = {"web": 0.03, "terminal": 0.03, "dashboard": 0.03, "chat": 0.03, "chart": 0.03,
            "landscape": 0.07}  # fmt: skip
"""Bits per pixel, at most."""
WIDTH, HEIGHT = 640, 380
FAILURES = {
    "chart": ((0, 130), (690, 420)),
    "dashboard": ((960, 530), (920, 280)),
    "landscape": ((820, 120),),
    "sign": ((270, 180),),
}
"""Upper left corners; at 0.03 bits per pixel."""
CROP, ZOOM, ACROSS = (300, 150), 2, 2


def main() -> None:
    codec, strips = Codec.load(), []
    for name, bpp in EXAMPLES.items():
        original = load_image(ROOT / "demo" / "examples" / f"{name}.png")
        encoded = codec.encode(original, bpp=bpp)
        decoded = codec.decode(encoded.data)
        print(f"{name}: {encoded.bytes} bytes, {encoded.bpp:.4f} bits per pixel")
        pictures = original, decoded.draft, decoded.image
        strips.append(np.concatenate([p[:HEIGHT, :WIDTH] for p in pictures], 1))
    save(np.concatenate(strips), "side-by-side")
    crops = [crop for name, corners in FAILURES.items() for crop in failures(codec, name, corners)]
    crops += [np.full_like(crops[0], 255)] * (-len(crops) % ACROSS)
    rows = [np.concatenate(crops[i : i + ACROSS], 1) for i in range(0, len(crops), ACROSS)]
    save(np.concatenate(rows), "failures")


def failures(codec: Codec, name: str, corners: tuple[tuple[int, int], ...]) -> list[np.ndarray]:
    """Crops of an example, original beside render."""
    original = load_image(ROOT / "demo" / "examples" / f"{name}.png")
    pictures = original, codec.decode(codec.encode(original, bpp=0.03).data).image
    width, height = CROP
    return [
        np.concatenate([p[y : y + height, x : x + width] for p in pictures], 1)
        .repeat(ZOOM, 0)
        .repeat(ZOOM, 1)
        for x, y in corners
    ]


def save(picture: np.ndarray, name: str) -> None:
    Image.fromarray(picture).save(ROOT / "docs" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
