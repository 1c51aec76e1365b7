"""PICD: pictures in a few kilobytes, with the text still readable.

>>> from picd import Codec
>>> codec = Codec.load()                       # doctest: +SKIP
>>> encoded = codec.encode(image, quality=40)  # doctest: +SKIP
>>> decoded = codec.decode(encoded.data)       # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from picd.errors import BitstreamError, ImageError, ModelError, PicdError

if TYPE_CHECKING:
    from picd.codec import Codec, Decoded, Encoded, Info

__version__ = "0.1.0"
__all__ = [
    "BitstreamError",
    "Codec",
    "Decoded",
    "Encoded",
    "ImageError",
    "Info",
    "ModelError",
    "PicdError",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Import the codec on first use: ``picd --help`` must not wait for onnxruntime."""
    if name in {"Codec", "Decoded", "Encoded", "Info"}:
        from picd import codec

        return getattr(codec, name)
    raise AttributeError(f"module 'picd' has no attribute {name!r}")
