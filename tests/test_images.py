"""Every ordinary kind of picture arrives as the same uint8 RGB; everything else is one line."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from picd import ImageError, PicdError
from picd.images import (
    MAX_PIXELS,
    MIN_SIDE,
    check_size,
    load_image,
    png_bytes,
    save_png,
    write_atomically,
)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds hardly any data."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))]
    chunks += [(b"IDAT", zlib.compress(bytes(64))), (b"IEND", b"")]
    out = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        out += struct.pack(">I", len(body)) + name + body
        out += struct.pack(">I", zlib.crc32(name + body))
    return out


@pytest.fixture
def gray() -> np.ndarray:
    return np.tile(np.arange(32, dtype=np.uint8) * 8, (24, 1))


def test_source_may_be_path_bytes_image_or_array(tmp_path: Path, page: np.ndarray) -> None:
    path = tmp_path / "page.png"
    path.write_bytes(png_bytes(page))
    for source in (path, str(path), path.read_bytes(), Image.fromarray(page), page):
        loaded = load_image(source)
        assert loaded.dtype == np.uint8
        np.testing.assert_array_equal(loaded, page)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM"])
def test_formats(kind: str, page: np.ndarray) -> None:
    options = {"quality": 95} if kind in ("JPEG", "WEBP", "AVIF") else {}
    loaded = load_image(encoded(Image.fromarray(page), kind, **options))
    assert loaded.shape == page.shape
    assert np.abs(loaded.astype(int) - page).mean() < 4


def test_grayscale(gray: np.ndarray) -> None:
    loaded = load_image(encoded(Image.fromarray(gray)))
    np.testing.assert_array_equal(loaded, np.stack([gray] * 3, axis=-1))
    np.testing.assert_array_equal(load_image(gray), loaded)
    np.testing.assert_array_equal(load_image(gray[:, :, None]), loaded)


def test_one_bit(gray: np.ndarray) -> None:
    loaded = load_image(encoded(Image.fromarray(gray).convert("1")))
    assert set(np.unique(loaded)) <= {0, 255}


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind: str, gray: np.ndarray) -> None:
    wide = gray.astype(np.uint16) * 257
    loaded = load_image(encoded(Image.fromarray(wide), kind))
    np.testing.assert_array_equal(loaded[:, :, 0], gray)
    np.testing.assert_array_equal(load_image(wide)[:, :, 0], gray)


def test_float_arrays_and_images(gray: np.ndarray) -> None:
    np.testing.assert_array_equal(load_image(gray / 255.0)[:, :, 0], gray)
    image = Image.fromarray((gray / 255.0).astype(np.float32))
    np.testing.assert_array_equal(load_image(image)[:, :, 0], gray)


def test_transparency_is_laid_over_white() -> None:
    image = Image.new("RGBA", (20, 20), (200, 0, 0, 0))
    image.paste((0, 0, 200, 255), (0, 0, 10, 20))
    loaded = load_image(encoded(image))
    assert tuple(loaded[5, 5]) == (0, 0, 200)
    assert tuple(loaded[5, 15]) == (255, 255, 255)
    half = Image.new("RGBA", (20, 20), (0, 0, 0, 128))
    assert abs(int(load_image(encoded(half))[0, 0, 0]) - 127) <= 1
    np.testing.assert_array_equal(load_image(np.array(image)), loaded)


def test_gray_with_alpha() -> None:
    loaded = load_image(encoded(Image.new("LA", (20, 20), (0, 0))))
    assert (loaded == 255).all()


def test_palette_with_and_without_transparency() -> None:
    image = Image.new("P", (20, 20), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.paste(1, (10, 0, 20, 20))
    loaded = load_image(encoded(image))
    assert tuple(loaded[0, 0]) == (10, 20, 30)
    assert tuple(loaded[0, 15]) == (40, 50, 60)
    transparent = load_image(encoded(image, transparency=1))
    assert tuple(transparent[0, 15]) == (255, 255, 255)


def test_cmyk() -> None:
    image = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    for kind in ("JPEG", "TIFF"):
        red, green, blue = load_image(encoded(image, kind))[16, 16]
        assert red > 200 and green < 60 and blue < 60


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = Image.new("RGB", (40, 24), "black")
    upright.paste("red", (0, 0, 10, 24))
    inverse = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(inverse[orientation]) if orientation in inverse else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    loaded = load_image(encoded(stored, "PNG", exif=exif))
    np.testing.assert_array_equal(loaded, np.array(upright))


def test_embedded_profile_is_converted(page: np.ndarray) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(page)
    same = load_image(encoded(image, icc_profile=srgb)).astype(int)
    assert np.abs(same - page).max() <= 1
    np.testing.assert_array_equal(load_image(encoded(image, icc_profile=b"no profile")), page)


def test_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        data = encoded(
            frames[0], kind, save_all=True, append_images=frames[1:],
            **({"lossless": True} if kind == "WEBP" else {}),
        )  # fmt: skip
        assert tuple(load_image(data)[0, 0]) == (255, 0, 0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"hello, I am no picture", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n", "not a picture"),
        (b"PICD" + bytes(60), "not a picture"),
        (png_header(1, 1), "each side"),
        (png_header(15, 400), "each side"),
        (png_header(20000, 20), "each side"),
        (png_header(14000, 14286), "megapixels"),
        (png_header(60000, 60000), "far more"),
        (png_header(64, 64), "damaged or truncated"),
    ],
)
def test_bad_pictures_are_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=message) as caught:
        load_image(path)
    assert "\n" not in str(caught.value)


def test_oversize_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Image.Image, "load", lambda self: pytest.fail("decoded a picture over the limit")
    )
    with pytest.raises(ImageError, match="megapixels"):
        load_image(png_header(8000, 8000))


def test_png_with_a_text_bomb() -> None:
    body = b"Comment\0\0" + zlib.compress(bytes(80_000_000), 9)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body
    chunk += struct.pack(">I", zlib.crc32(b"zTXt" + body))
    data = png_bytes(np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(ImageError):
        load_image(data[:33] + chunk + data[33:])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF"])
def test_truncated_at_any_place(kind: str, page: np.ndarray) -> None:
    data = encoded(Image.fromarray(page), kind)
    for length in range(1, len(data) - 8, max(len(data) // 12, 1)):
        try:
            load_image(data[:length])
        except ImageError as error:
            assert "\n" not in str(error)


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"BM"]))
def test_no_bytes_raise_anything_else(data: bytes, magic: bytes) -> None:
    try:
        load_image(magic + data)
    except ImageError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((20,), np.uint8),
        np.zeros((20, 20, 2), np.uint8),
        np.zeros((20, 20, 3), np.int64),
        np.full((20, 20, 3), 2.0),
        np.full((20, 20, 3), np.nan),
        np.zeros((0, 20, 3), np.uint8),
        np.zeros((15, 20, 3), np.uint8),
    ],
)
def test_bad_arrays(array: np.ndarray) -> None:
    with pytest.raises(ImageError):
        load_image(array)


def test_truncated_image_object(page: np.ndarray) -> None:
    data = encoded(Image.fromarray(page), "JPEG")
    with pytest.raises(ImageError, match="truncated"):
        load_image(Image.open(io.BytesIO(data[: len(data) // 2])))


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file"):
        load_image(tmp_path / "none.png")
    with pytest.raises(ImageError, match="directory"):
        load_image(tmp_path)


def test_size_limits() -> None:
    check_size(MIN_SIDE, MIN_SIDE)
    check_size(4096, MAX_PIXELS // 4096)
    with pytest.raises(ImageError):
        check_size(4096, MAX_PIXELS // 4096 + 1)


def test_writing_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.bin"
    write_atomically(path, b"old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(PicdError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_written_files_have_ordinary_permissions(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    ordinary = tmp_path / "ordinary.bin"
    write_atomically(path, b"data")
    ordinary.write_bytes(b"data")
    assert path.stat().st_mode == ordinary.stat().st_mode


def test_writing_through_a_link_and_to_a_device(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"
    write_atomically(os.devnull, b"gone")
    assert not Path(os.devnull).is_file()


def test_unwritable_targets(tmp_path: Path) -> None:
    for target in (tmp_path, tmp_path / "missing" / "x.png"):
        with pytest.raises(PicdError, match="cannot write"):
            write_atomically(target, b"data")


def test_png_round_trip(tmp_path: Path, page: np.ndarray) -> None:
    save_png(tmp_path / "page.png", page)
    np.testing.assert_array_equal(load_image(tmp_path / "page.png"), page)
