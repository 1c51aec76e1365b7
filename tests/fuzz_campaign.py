"""Hostile bytes for everything that reads bytes: the targets, and a campaign of any length.

``PYTHONPATH=. python tests/fuzz_campaign.py --runs 100000 [--target NAME] [--guided]`` mutates a
corpus of good inputs, guided by coverage with atheris (``pip install -e .[fuzz]``). An input fails
when reading it raises anything but the reader's own error, takes over :data:`SECONDS` of the
processor, or :data:`MEGABYTES` of memory. ``tests/test_fuzz.py`` runs a few inputs of each target.
"""

from __future__ import annotations

import argparse
import io
import random
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

GUIDED = __name__ == "__main__" and "--guided" in sys.argv
if GUIDED:
    import atheris
with atheris.instrument_imports(include=["picd"]) if GUIDED else nullcontext():
    from picd import BitstreamError, Codec, ImageError
    from picd.bitstream import Container
    from picd.glyphs import render_glyphs
    from picd.images import load_image
    from picd.layout_coder import decode_layout
    from picd.limits import check_typesetting, text_limit
    from picd.text_coder import decode_text

SECONDS, MEGABYTES = 2.0, 600
SIZE = (96, 64)
"""Of the pictures whose sections are read, in pixels."""
READ_PIXELS = 128 * 128
"""A whole file that declares more is only parsed: its size is legal, and it takes its time."""


@cache
def codec() -> Codec:
    return Codec.load()


def _sealed(body: bytes) -> bytes:
    """A file with a right checksum, without which nothing behind it would be reached."""
    return body + zlib.crc32(body).to_bytes(4, "little")


def read_container(data: bytes) -> None:
    """Any file that parses says the same bytes again."""
    try:
        container = Container.unpack(_sealed(data), model_id=None)
    except BitstreamError:
        return
    assert container.pack() == _sealed(data)


def read_text(data: bytes) -> None:
    try:
        lines = decode_text(data, text_limit(*SIZE))
    except BitstreamError:
        return
    assert all(isinstance(word, str) for line in lines for word in line)


STRINGS = (("Weather", "report"), ("a",), (), ("Ünïcode", "東京", "\U0001f600"), ("x" * 40,)) * 3


def read_layout(data: bytes) -> None:
    try:
        layout = decode_layout(data, STRINGS, *SIZE)
        check_typesetting(layout)
    except BitstreamError:
        return
    render_glyphs(layout)


def read_image(data: bytes) -> None:
    try:
        latents = codec().image_codec.decode(data, *SIZE)
    except BitstreamError:
        return
    assert np.isfinite(latents).all()


def read_file(data: bytes) -> None:
    """A whole file, to the typeset page."""
    data = _sealed(data[:5] + codec().models.id + data[9:])
    try:
        info = codec().info(data)
        if info.width * info.height <= READ_PIXELS:
            picture = codec().decode(data, stage="typeset").image
            assert picture.shape == (info.height, info.width, 3)
    except BitstreamError:
        return


def read_picture(data: bytes) -> None:
    try:
        picture = load_image(data)
    except ImageError:
        return
    assert picture.dtype == np.uint8 and picture.ndim == 3


@cache
def _files() -> tuple[bytes, ...]:
    """Golden files, small ones first."""
    files = (Path(__file__).parent / "golden").glob("*.picd")
    return tuple(sorted((file.read_bytes() for file in files), key=len))


def _section(name: str) -> list[bytes]:
    found = (getattr(Container.unpack(data, model_id=None), name) for data in _files())
    return [section for section in found if section]


def _pictures() -> list[bytes]:
    random_ = np.random.default_rng(0)
    noise = Image.fromarray(random_.integers(0, 256, (24, 20, 3), np.uint8))
    plain = Image.new("P", (40, 33), 3)
    wide = Image.fromarray(random_.integers(0, 65536, (17, 19)).astype(np.uint16))
    forms = "PNG JPEG WEBP AVIF GIF BMP TIFF PPM TGA JPEG2000 ICO".split()
    saves = [*((noise, form) for form in forms), (plain, "PNG"), (plain, "GIF"), (wide, "PNG")]
    result = []
    for picture, form in saves:
        buffer = io.BytesIO()
        picture.save(buffer, form)
        result.append(buffer.getvalue())
    return result


@dataclass(frozen=True)
class Target:
    """``read`` must bear any bytes; ``seeds`` are good ones; ``share`` of a campaign's inputs."""

    read: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    share: float


TARGETS = {
    "container": Target(read_container, lambda: [data[:-4] for data in _files()], 0.8),
    "picture": Target(read_picture, _pictures, 0.168),
    "layout": Target(read_layout, lambda: _section("layout"), 0.02),
    "image": Target(read_image, lambda: _section("image"), 0.01),
    "text": Target(read_text, lambda: _section("text"), 0.001),
    "file": Target(read_file, lambda: [data[:-4] for data in _files()], 0.001),
}


def mutated(seeds: list[bytes], random_: random.Random) -> bytes:
    """One of the seeds after one to eight small accidents."""
    data = bytearray(random_.choice(seeds))
    for _ in range(random_.randint(1, 8)):
        at = random_.randrange(len(data) + 1)
        match random_.randrange(7):
            case 0 if data:
                data[at % len(data)] ^= 1 << random_.randrange(8)
            case 1 if data:
                data[at % len(data)] = random_.choice((0, 1, 127, 128, 255))
            case 2:
                data[at:at] = random_.randbytes(random_.randint(1, 8))
            case 3:
                del data[at : at + random_.randint(1, 16)]
            case 4:
                del data[at:]
            case 5:
                other = random_.choice(seeds)
                data[at : at + 16] = other[random_.randrange(len(other) + 1) :][:16]
            case _ if len(data) >= 4:
                place = at % (len(data) - 3)
                number = random_.choice((0, 2**31 - 1, 2**31, 2**32 - 1, 16384, 65536))
                order = random_.choice(("little", "big"))
                data[place : place + 4] = number.to_bytes(4, order)
    return bytes(data)


def checked(target: Target, data: bytes) -> float:
    """Seconds of the processor that reading took.

    Raises:
        AssertionError: too many seconds or megabytes; whatever else the target raises is its own.
    """
    memory, start = _peak_megabytes(), time.process_time()
    target.read(data)
    seconds = time.process_time() - start
    assert seconds <= SECONDS, f"{seconds:.1f} s for {len(data)} bytes"
    grown = _peak_megabytes() - memory
    assert grown <= MEGABYTES, f"{grown:.0f} MB for {len(data)} bytes"
    return seconds


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def campaign(name: str, runs: int, seed: int, failures: Path) -> Counter[str]:
    """Mutate for ``runs`` inputs; keeps each input that fails. Returns counts."""
    target, random_ = TARGETS[name], random.Random(seed)
    seeds, counts, slowest = target.seeds(), Counter[str](), 0.0
    target.read(seeds[0])  # what loads on first use is no input's fault
    for _ in range(runs):
        data = mutated(seeds, random_)
        counts["inputs"] += 1
        try:
            slowest = max(slowest, checked(target, data))
        except Exception as error:
            counts[f"{type(error).__name__}: {str(error)[:80]}"] += 1
            failures.mkdir(parents=True, exist_ok=True)
            (failures / f"{name}-{zlib.crc32(data):08x}").write_bytes(data)
    counts["slowest ms"] = round(slowest * 1000)
    return counts


def guided(name: str, runs: int, seed: int) -> None:
    """The same by atheris, which ends the process, with an error when an input fails."""
    target = TARGETS[name]
    target.read(target.seeds()[0])
    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(target.seeds()):
            (Path(corpus) / str(number)).write_bytes(data)
        arguments = [f"-runs={runs}", f"-seed={seed}", "-max_len=4096", "-timeout=120"]
        atheris.Setup([sys.argv[0], *arguments, corpus], lambda data: checked(target, data))
        atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, required=True, help="inputs, shared among the targets")
    parser.add_argument("--target", choices=TARGETS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guided", action="store_true", help="by coverage, with atheris")
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"))
    options = parser.parse_args()
    if options.target and options.guided:
        guided(options.target, options.runs, options.seed)
    if options.target:
        counts = campaign(options.target, options.runs, options.seed, options.failures)
        print(options.target, dict(counts), flush=True)
        return int(len(counts) > 2)
    status = 0
    for name, target in TARGETS.items():
        runs = ["--target", name, "--runs", str(int(options.runs * target.share))]
        rest = ["--seed", str(options.seed), "--failures", str(options.failures)]
        command = [sys.executable, __file__, *runs, *rest, *["--guided"] * options.guided]
        status |= subprocess.run(command, check=False).returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
