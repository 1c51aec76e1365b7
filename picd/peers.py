"""Ordinary codecs to compare with: JPEG, WebP, AVIF and JPEG XL, at no more than given bytes."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from picd.errors import PicdError

PEERS = ("avif", "webp", "jpeg")
"""The peers that Pillow writes by itself."""
ALL_PEERS = ("jpeg", "webp", "avif", "jxl")
OPTIONS: dict[str, dict[str, Any]] = {
    "jpeg": {"optimize": True},
    "webp": {"method": 6},
    # The tools for screen content; libaom uses them where it finds such content.
    "avif": {
        "codec": "aom",
        "speed": 6,
        "advanced": {"enable-palette": "1", "enable-intrabc": "1"},
    },
    "jxl": {"effort": 7},
}


@dataclass(frozen=True)
class PeerPicture:
    """A peer's picture: its bytes, the uint8 (H, W, 3) picture they decode to, its quality
    setting 0..100, whether it fits the bytes asked for (else it is at its floor), and the seconds
    to encode it once and to decode it."""

    data: bytes
    image: np.ndarray
    quality: int
    fits: bool
    encode_seconds: float = 0.0
    decode_seconds: float = 0.0


class Peer:
    """One peer on one picture, uint8 (H, W, 3). ``half`` codes it at half its size and scales it
    back (Lanczos both ways), as one would below the floor. Encodings are kept for other rates."""

    def __init__(self, name: str, image: np.ndarray, *, half: bool = False) -> None:
        """
        Raises:
            PicdError: an unknown peer, or its plugin for Pillow is not installed.
        """
        if name not in ALL_PEERS:
            raise PicdError(f"unknown peer {name!r}: use {', '.join(ALL_PEERS)}")
        if name == "jxl":
            _register_jxl()
        self.name, self.image, self.half = name, image, half
        self._encoded: dict[int, tuple[bytes, float]] = {}

    def within(self, max_bytes: int) -> PeerPicture:
        """The best quality within ``max_bytes``; its lowest quality where none fits."""
        low, high = 0, 100  # the answer lies in low..high, or is the floor
        if len(self._at(0)[0]) > max_bytes:
            high = 0
        while low < high:
            middle = (low + high + 1) // 2
            if len(self._at(middle)[0]) <= max_bytes:
                low = middle
            else:
                high = middle - 1
        data, seconds = self._at(low)
        start = time.perf_counter()
        with Image.open(io.BytesIO(data)) as decoded:
            picture = decoded.convert("RGB")
        if self.half:
            picture = picture.resize(self.image.shape[1::-1], Image.Resampling.LANCZOS)
        spent = time.perf_counter() - start
        return PeerPicture(data, np.array(picture), low, len(data) <= max_bytes, seconds, spent)

    @cached_property
    def _picture(self) -> Image.Image:
        picture = Image.fromarray(self.image)
        size = ((picture.width + 1) // 2, (picture.height + 1) // 2)
        return picture.resize(size, Image.Resampling.LANCZOS) if self.half else picture

    def _at(self, quality: int) -> tuple[bytes, float]:
        """The bytes at a quality and the seconds they took."""
        if quality not in self._encoded:
            buffer, start = io.BytesIO(), time.perf_counter()
            self._picture.save(buffer, self.name.upper(), quality=quality, **OPTIONS[self.name])
            self._encoded[quality] = buffer.getvalue(), time.perf_counter() - start
        return self._encoded[quality]


def encode_peer(image: np.ndarray, peer: str, max_bytes: int) -> PeerPicture:
    """The best quality of ``peer`` within ``max_bytes``; its lowest quality where none fits."""
    return Peer(peer, image).within(max_bytes)


def _register_jxl() -> None:
    try:
        import pillow_jxl  # noqa: F401  (registers itself with Pillow)
    except ImportError:
        raise PicdError(
            "JPEG XL needs the package pillow-jxl-plugin: pip install 'picd[metrics]'"
        ) from None
