"""The ``.picd`` container: a header, three sections and a checksum (docs/FORMAT.md).

Everything is checked before anything is allocated for it; whatever is wrong with the bytes raises
one :class:`picd.errors.BitstreamError`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from picd.errors import BitstreamError

MAGIC = b"PICD"
VERSION = 1
MODEL_ID_BYTES = 4
MAX_SIDE = 16384
MAX_PIXELS = 16 * 1024 * 1024
MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_SEED = 2**64 - 1
MIN_QUALITY, MAX_QUALITY = 1.0, 100.0

_NATURAL, _HAS_TEXT, _HALVED = 1, 2, 4
_KNOWN_FLAGS = _NATURAL | _HAS_TEXT | _HALVED
_CHECKSUM_BYTES = 4
_SMALLEST = len(MAGIC) + 1 + MODEL_ID_BYTES + 1 + 1 + 1 + 1 + 1 + _CHECKSUM_BYTES


@dataclass(frozen=True)
class Header:
    """What the file says about its picture.

    ``width``, ``height`` in pixels (1..16384, product at most 16 Mi); ``quality`` 1..100 in half
    steps; ``natural`` picks the photograph prompt and weights; ``seed`` 0..2**64-1 starts the
    renderer's noise; ``model_id`` is the first 4 bytes of the SHA-256 of the model manifest;
    ``halved`` says that the image section holds the picture at half its width and height.
    """

    width: int
    height: int
    quality: float
    natural: bool
    seed: int
    model_id: bytes
    halved: bool = False


@dataclass(frozen=True)
class Container:
    """A whole file: the header and the bytes of its sections (``text`` and ``layout`` both empty
    when the picture has no text)."""

    header: Header
    text: bytes
    layout: bytes
    image: bytes

    def pack(self) -> bytes:
        """The bytes of the file.

        Raises:
            ValueError: a field is outside its documented range.
        """
        header = self.header
        half_steps = round(header.quality * 2)
        if half_steps != header.quality * 2:
            raise ValueError(f"quality must be a multiple of 0.5, got {header.quality}")
        if len(header.model_id) != MODEL_ID_BYTES:
            raise ValueError(f"model_id must be {MODEL_ID_BYTES} bytes")
        if problem := _range_problem(header.width, header.height, half_steps):
            raise ValueError(problem)
        if not 0 <= header.seed <= MAX_SEED:
            raise ValueError(f"seed must be in 0..{MAX_SEED}, got {header.seed}")
        has_text = bool(self.text or self.layout)
        flags = _NATURAL * header.natural | _HAS_TEXT * has_text | _HALVED * header.halved
        out = bytearray(MAGIC)
        out.append(VERSION)
        out += header.model_id
        out.append(flags)
        out += _varint(header.width) + _varint(header.height)
        out.append(half_steps)
        out += _varint(header.seed)
        if has_text:
            out += _varint(len(self.text)) + _varint(len(self.layout))
        out += self.text + self.layout + self.image
        out += zlib.crc32(out).to_bytes(_CHECKSUM_BYTES, "little")
        if len(out) > MAX_FILE_BYTES:
            raise ValueError(f"file would have {len(out)} bytes, the limit is {MAX_FILE_BYTES}")
        return bytes(out)

    @staticmethod
    def unpack(data: bytes, *, model_id: bytes | None) -> Container:
        """Read the bytes of a file, for a decoder whose model is ``model_id`` (None: any).

        Raises:
            BitstreamError: not a PICD file, of another version or model, damaged or too large.
        """
        if len(data) > MAX_FILE_BYTES:
            raise BitstreamError(
                f"file has {len(data)} bytes, more than the limit of {MAX_FILE_BYTES}"
            )
        if not data:
            raise BitstreamError("file is empty, expected a PICD file")
        if data[: len(MAGIC)] != MAGIC[: len(data)]:
            raise BitstreamError("not a PICD file: it does not start with 'PICD'")
        if len(data) > len(MAGIC) and data[len(MAGIC)] != VERSION:
            raise BitstreamError(
                f"file has PICD format version {data[len(MAGIC)]}, this program reads version"
                f" {VERSION}; use the program that made it"
            )
        if len(data) < _SMALLEST:
            raise BitstreamError(
                f"file is truncated: {len(data)} bytes, at least {_SMALLEST} needed"
            )
        body = bytes(data[:-_CHECKSUM_BYTES])
        if zlib.crc32(body) != int.from_bytes(data[-_CHECKSUM_BYTES:], "little"):
            raise BitstreamError("file is damaged or truncated: its checksum does not match")
        reader = _Reader(body, len(MAGIC) + 1)
        file_model = reader.take(MODEL_ID_BYTES)
        if model_id is not None and file_model != model_id:
            raise BitstreamError(
                f"file was made with model {file_model.hex()}, this is {model_id.hex()}; decode it"
                " with the model that made it"
            )
        flags = reader.take(1)[0]
        if flags & ~_KNOWN_FLAGS:
            raise BitstreamError(f"file uses unknown feature flags 0x{flags & ~_KNOWN_FLAGS:02x}")
        width, height = reader.varint(MAX_SIDE, "width"), reader.varint(MAX_SIDE, "height")
        half_steps = reader.take(1)[0]
        if problem := _range_problem(width, height, half_steps):
            raise BitstreamError(problem)
        seed = reader.varint(MAX_SEED, "seed")
        text = layout = b""
        if flags & _HAS_TEXT:
            text_length = reader.varint(MAX_FILE_BYTES, "text section length")
            layout_length = reader.varint(MAX_FILE_BYTES, "layout section length")
            if not text_length + layout_length:
                raise BitstreamError("file says it has text but its text sections are empty")
            text, layout = reader.take(text_length), reader.take(layout_length)
        natural, halved = bool(flags & _NATURAL), bool(flags & _HALVED)
        header = Header(width, height, half_steps / 2, natural, seed, file_model, halved)
        return Container(header, text, layout, reader.rest())


def _range_problem(width: int, height: int, half_steps: int) -> str | None:
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and width * height <= MAX_PIXELS):
        return (
            f"picture size {width}x{height} is outside the limits: sides 1..{MAX_SIDE}, at most"
            f" {MAX_PIXELS} pixels"
        )
    if not MIN_QUALITY * 2 <= half_steps <= MAX_QUALITY * 2:
        return f"quality {half_steps / 2:g} is outside 1..100"
    return None


def _varint(value: int) -> bytes:
    """Base 128, least significant group first, high bit set on all but the last byte."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class _Reader:
    """Takes fields from ``data`` one after the other and refuses to run past its end."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._position = data, position

    def take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise BitstreamError(
                f"file is malformed: {count} bytes expected at {self._position},"
                f" {len(self._data) - self._position} left"
            )
        field = self._data[self._position : end]
        self._position = end
        return field

    def varint(self, limit: int, name: str) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if value > limit or shift > limit.bit_length():
                raise BitstreamError(f"file is malformed: {name} is over the limit of {limit}")
            if byte < 0x80:
                break
            shift += 7
        if not byte and shift:
            raise BitstreamError(f"file is malformed: {name} is not in its shortest form")
        return value

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._position)
