"""``python scripts/side_by_side.py``: the README's picture, docs/side-by-side.png.

Six examples at 1:1, from left to right the original, the draft and the rendered picture.
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


def main() -> None:
    codec, strips = Codec.load(), []
    for name, bpp in EXAMPLES.items():
        original = load_image(ROOT / "demo" / "examples" / f"{name}.png")
        encoded = codec.encode(original, bpp=bpp)
        decoded = codec.decode(encoded.data)
        print(f"{name}: {encoded.bytes} bytes, {encoded.bpp:.4f} bits per pixel")
        pictures = original, decoded.draft, decoded.image
        strips.append(np.concatenate([p[:HEIGHT, :WIDTH] for p in pictures], 1))
    Image.fromarray(np.concatenate(strips)).save(ROOT / "docs" / "side-by-side.png", optimize=True)


if __name__ == "__main__":
    main()
