"""Pictures in and out: any ordinary image file or array becomes uint8 RGB, files are written whole.

A picture is a uint8 array (H, W, 3) in sRGB. Sizes are checked from the header, before any pixel
is decoded, so that a small hostile file cannot ask for a large amount of memory.
"""

from __future__ import annotations

import contextlib
import glob
import io
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from picd.bitstream import MAX_PIXELS, MAX_SIDE
from picd.errors import ImageError, PicdError

MIN_SIDE = 16
"""Pixels; what is smaller has no patch of its own in the codec's lattice."""

# Named, because Pillow would otherwise also try formats that start other programs (EPS).
_FORMATS = (
    "PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "TGA", "ICO",
)  # fmt: skip

Source = str | os.PathLike[str] | bytes | Image.Image | np.ndarray


def load_image(source: Source) -> np.ndarray:
    """Read a picture as uint8 (H, W, 3), sRGB.

    ``source`` is a path, the bytes of a file, a PIL image, or an array: (H, W), (H, W, 1),
    (H, W, 3) or (H, W, 4) of uint8, uint16 (full range), bool, or float in 0..1.

    The EXIF orientation is applied, an embedded colour profile is converted to sRGB, sixteen bits
    are scaled to eight, transparency is laid over white, and of an animation the first frame is
    taken. Raises :class:`ImageError` for anything that is not such a picture, or that is outside
    16 x 16 pixels to 16 megapixels.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _from_pil(source, "the picture")
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _from_bytes(bytes(source), "the file")
    path = Path(source)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from None
    return _from_bytes(data, str(path))


def check_size(width: int, height: int) -> None:
    """Raise :class:`ImageError` unless the size (pixels) is one the codec takes."""
    if min(width, height) < MIN_SIDE or max(width, height) > MAX_SIDE:
        raise ImageError(
            f"the picture is {width}x{height} pixels: "
            f"each side must be between {MIN_SIDE} and {MAX_SIDE}"
        )
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"the picture is {width}x{height} pixels, {width * height / 1e6:.1f} megapixels: "
            f"the most is {MAX_PIXELS / 1e6:.1f} megapixels, scale it down first"
        )


def _from_bytes(data: bytes, name: str) -> np.ndarray:
    if not data:
        raise ImageError(f"{name} is empty (0 bytes)")
    with _decoder_errors(name), warnings.catch_warnings():
        # Our own limit is stricter than the one Pillow warns about.
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return _from_pil(image, name)


def _from_pil(image: Image.Image, name: str) -> np.ndarray:
    check_size(*image.size)
    with _decoder_errors(name):
        return _to_rgb(image)


@contextlib.contextmanager
def _decoder_errors(name: str) -> Iterator[None]:
    """Whatever Pillow raises, as an :class:`ImageError` of one line."""
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not a picture (PNG, JPEG, WebP, AVIF, GIF, ...)") from None
    except Image.DecompressionBombError:
        raise ImageError(
            f"{name} has far more than the {MAX_PIXELS / 1e6:.1f} megapixels allowed"
        ) from None
    except Exception as error:  # decoders meet hostile bytes with many types of exception
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{name} is damaged or truncated: {reason}") from None


def _from_array(array: np.ndarray) -> np.ndarray:
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise ImageError(f"an array of shape {array.shape} is no picture: (H, W, 3) is wanted")
    check_size(array.shape[1], array.shape[0])
    if array.dtype == np.uint16:
        array = _eight_bits(array)
    elif array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif np.issubdtype(array.dtype, np.floating):
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise ImageError("a float picture must be finite and within 0..1")
        array = np.floor(array * 255 + 0.5).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ImageError(f"an array of {array.dtype} is no picture: uint8 is wanted")
    if array.shape[2] == 4:
        return _to_rgb(Image.fromarray(np.ascontiguousarray(array)))
    return np.repeat(array, 3, axis=2) if array.shape[2] == 1 else np.ascontiguousarray(array)


def _to_rgb(image: Image.Image) -> np.ndarray:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        return _from_array(_wide_gray(image))
    profile = image.info.get("icc_profile")
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("RGB")
    image = _to_srgb(image, profile).convert("RGB")
    if alpha is not None:
        image = Image.composite(image, Image.new("RGB", image.size, "white"), alpha)
    return np.array(image)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert by the embedded profile; one that cannot be used is no reason to stop."""
    if not profile or image.mode not in ("RGB", "CMYK", "L"):
        return image
    with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
        converted = ImageCms.profileToProfile(
            image, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
        return converted or image
    return image


def _wide_gray(image: Image.Image) -> np.ndarray:
    """Gray of 16 bits (modes I;16*, I) or float (mode F), as uint16 or uint8 (H, W)."""
    pixels = np.asarray(image).astype(np.float64)
    if not np.isfinite(pixels).all():
        raise ImageError("the picture has samples that are not finite numbers")
    if image.mode == "F":
        scale = 255.0 if pixels.max() <= 1 else 1.0
        return np.clip(np.floor(pixels * scale + 0.5), 0, 255).astype(np.uint8)
    return np.clip(pixels, 0, 65535).astype(np.uint16)


def _eight_bits(array: np.ndarray) -> np.ndarray:
    """uint16, full range, to uint8, rounded: 65535 is 255 and 257 is 1."""
    return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)


def save_png(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Write a uint8 (H, W, 3) picture as a PNG, whole or not at all."""
    write_atomically(path, png_bytes(image))


def png_bytes(image: np.ndarray) -> bytes:
    """A uint8 (H, W, 3) picture as the bytes of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def make_folder(path: Path) -> None:
    """Make a folder and those above it; raises :class:`PicdError` where it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PicdError(f"cannot make the folder {path}: {error.strerror or error}") from None


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write ``data`` to a temporary name in the same folder, then rename it to ``path``.

    A reader sees the old file or the new one, never a part. A path that exists and is no ordinary
    file (``/dev/null``, a pipe) is written to directly. Raises :class:`PicdError`.
    """
    target = Path(path)
    try:
        target = target.resolve()  # so that a symbolic link keeps pointing where it points
        if target.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        if target.exists() and not target.is_file():
            target.write_bytes(data)
            return
        prefix, suffix = _temporary(target)
        descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=target.parent)
        temporary = Path(name)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
            temporary.chmod(0o666 & ~_umask())  # mkstemp makes files for the owner alone
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise PicdError(f"cannot write {path}: {error.strerror or error}") from None


def discard_partial(path: Path) -> None:
    """Remove what a process that was killed while it wrote ``path`` has left beside it."""
    path = path.resolve()
    prefix, suffix = _temporary(path)
    for file in path.parent.glob(f"{glob.escape(prefix)}*{suffix}"):
        file.unlink(missing_ok=True)


def _temporary(path: Path) -> tuple[str, str]:
    """How the names begin and end under which ``path`` is written."""
    return f".{path.name}.", ".tmp"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
