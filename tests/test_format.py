"""A second reader, written from docs/FORMAT.md alone, finds in the golden files what ours finds."""

from __future__ import annotations

import bisect
import json
import zlib
from pathlib import Path

import numpy as np
import onnxruntime

from picd import Codec
from picd.bitstream import Container

GOLDEN = Path(__file__).parent / "golden"
M64 = 2**64 - 1


class Fields:
    """The header's fields, one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]

    def varint(self) -> int:
        value = shift = 0
        while (byte := self.take(1)[0]) > 127:
            value, shift = value + (byte - 128 << shift), shift + 7
        return value + (byte << shift)


def read_container(data: bytes) -> tuple[int, int, bool, bytes]:
    """(width, height, whether at half that size, image section)."""
    assert zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")
    fields = Fields(data[:-4])
    assert fields.take(5) == b"PICD\x01"
    fields.take(4)
    flags = fields.take(1)[0]
    width, height = fields.varint(), fields.varint()
    fields.take(1)
    fields.varint()
    if flags & 2:
        text, layout = fields.varint(), fields.varint()
        fields.take(text + layout)
    return width, height, bool(flags & 4), data[fields.at : -4]


class RangeDecoder:
    """Section image, steps 1 and 2 of docs/FORMAT.md."""

    def __init__(self, data: bytes) -> None:
        padded = data + bytes(-len(data) % 4 + 8)
        self.words = [int(word) for word in np.frombuffer(padded, "<u4")]
        self.low, self.range, self.next = 0, M64, 2
        self.point = self.words[0] << 32 | self.words[1]

    def symbol(self, bounds: list[int]) -> int:
        unit = self.range >> 24
        place = (self.point - self.low & M64) // unit
        found = bisect.bisect_right(bounds, place) - 1
        self.low = self.low + unit * bounds[found] & M64
        self.range = unit * (bounds[found + 1] - bounds[found])
        if self.range < 2**32:
            word = self.words[self.next] if self.next < len(self.words) else 0
            self.next += 1
            self.low, self.range = self.low << 32 & M64, self.range << 32
            self.point = self.point << 32 & M64 | word
        return found


def bounds(counts: np.ndarray) -> list[int]:
    size, below = len(counts), 0
    result = []
    for number, count in enumerate(counts.tolist()):
        result.append((below * (2**24 - size) >> 24) + number)
        below += count
    return [*result, 2**24]


def read_latents(folder: Path, image: bytes, width: int, height: int) -> np.ndarray:
    """Section image, steps 2 to 4."""
    tables = np.load(folder / "tables.npz")
    slices = json.loads((folder / "manifest.json").read_text())["codec"]["latent_slices"]
    reader = RangeDecoder(image)

    def run(name: str, *inputs: np.ndarray) -> list[np.ndarray]:
        session = onnxruntime.InferenceSession(folder / f"{name}.onnx")
        names = [value.name for value in session.get_inputs()]
        return session.run(None, dict(zip(names, inputs, strict=True)))

    hyper = [bounds(row) for row in tables["hyper_counts"]]
    rows, columns = -(-height // 64), -(-width // 64)  # of the picture as it is coded
    z = [[reader.symbol(row) for _ in range(rows * columns)] for row in hyper]
    limit = (tables["hyper_counts"].shape[1] - 1) // 2
    z = np.array(z, np.float32).reshape(1, -1, rows, columns) - limit
    (features,) = run("hyper_synthesis", z)

    scale_bounds = [bounds(row) for row in tables["latent_counts"]]
    limit = (tables["latent_counts"].shape[1] - 1) // 2
    y = np.zeros((sum(slices), 4 * rows, 4 * columns), np.float32)
    start = 0
    for index, size in enumerate(slices):
        coded = np.zeros(y.shape[1:])
        for row, column in ((0, 0), (1, 1), (0, 1), (1, 0)):
            known = np.clip(np.floor(4 * y[: start + size] + 0.5), -127, 127)
            known = np.concatenate([known, 127 * coded[None]])
            inputs = (
                np.pad(a, ((0, 0), (1, 1), (1, 1)))[
                    None, :, row : row + 4 * rows + 1, column : column + 4 * columns + 1
                ].astype(np.float32)
                for a in (features[0], known)
            )
            means, scales = run(f"context_{index}", *inputs)
            places = list(np.ndindex(scales.shape[1:]))
            for c, i, j in sorted(places, key=lambda place: scales[0][place]):
                symbol = reader.symbol(scale_bounds[int(scales[0, c, i, j])])
                y[start + c, row + 2 * i, column + 2 * j] = means[0, c, i, j] / 8 + symbol - limit
            coded[row::2, column::2] = 1
        start += size
    return y


def test_latents(codec: Codec) -> None:
    files = sorted(GOLDEN.glob("*.picd"), key=lambda file: file.stat().st_size)
    halved = [file for file in files if codec.info(file.read_bytes()).halved]
    assert halved
    for file in {*files[:4], halved[0]}:
        data = file.read_bytes()
        width, height, halved, image = read_container(data)
        container = Container.unpack(data, model_id=None)
        header = container.header
        assert (width, height, image) == (header.width, header.height, container.image)
        image_codec = codec.half_codec if header.halved else codec.image_codec
        ours = image_codec.decode(image, width, height)[0]
        s = 1 + halved
        theirs = read_latents(codec.models.folder, image, -(-width // s), -(-height // s))
        assert np.array_equal(theirs, ours), file.name
