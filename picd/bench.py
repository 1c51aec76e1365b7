"""``picd bench``: what the codec and its peers do to pictures at the same bytes.

Each picture is measured by itself, in any process (:mod:`picd.bulk`), and its figures are kept, so
that an interrupted run goes on where it was. :mod:`picd.bench_report` makes tables of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from picd.bulk import PICTURE_SUFFIXES, files_below, mapped, shared_codec
from picd.content import PHOTOGRAPH, is_screen, screen_likeness
from picd.errors import PicdError
from picd.images import load_image, make_folder, write_atomically
from picd.metrics import compare, read_text, words
from picd.peers import Peer

FORMAT = 1
"""Of the figures kept for the next run."""
STAGES = ("draft", "typeset", "render")
GUIDED = "guided"
HALF = "avif-half"
"""AVIF of the picture at half its size: what one would do below AVIF's floor."""
CELL, COLUMNS, CAPTION = (400, 260), 5, 22
"""Contact sheets: pixels of a cell, cells in a row, pixels of the line of text under it."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What is measured: ``rates`` in bits per pixel, ``peers`` (:data:`picd.peers.ALL_PEERS`) and
    the renderer's ``steps`` (None: the model's own)."""

    rates: tuple[float, ...] = (0.02, 0.04, 0.08)
    peers: tuple[str, ...] = ("jpeg", "webp", "avif", "jxl")
    steps: int | None = None


@dataclass(frozen=True)
class Measured:
    """A row of figures for each method and rate, and a contact sheet (JPEG)."""

    rows: list[Row]
    sheet: bytes


@dataclass(frozen=True)
class _Shown:
    """A method's picture at one rate."""

    method: str
    image: np.ndarray
    row: Row


@dataclass(frozen=True)
class Subject:
    """A picture to measure, and where its figures are kept; ``key`` says what they depend on."""

    group: str
    name: str
    path: Path
    record: Path
    key: str


def bench(
    folder: Path,
    out: Path,
    settings: Settings,
    *,
    anchor: str = HALF,
    engine: str = "local",
    jobs: int = 1,
) -> list[str]:
    """Measure every picture below ``folder``; the folders in it are groups of the report.

    Writes rows.csv, report.md, plots/ and sheets/ to ``out``, and figures/ to go on from. Returns
    a line for each picture that could not be measured. ``anchor`` is the method that the
    Bjøntegaard deltas are against.

    Raises:
        PicdError: nothing can be measured, a package or program that measures is missing, or an
            output cannot be written.
    """
    from picd.bench_report import write_report

    _check_tools(settings)
    model = shared_codec().models.id.hex()
    subjects = [
        _subject(folder, out, file, model, settings)
        for file in files_below(folder, PICTURE_SUFFIXES)
    ]
    for name in ("figures", "sheets", "plots"):
        make_folder(out / name)
    rows = {subject: known for subject in subjects if (known := _known(subject)) is not None}
    wanted = [(subject, subject.path) for subject in subjects if subject not in rows]
    payloads = ((subject, path.read_bytes()) for subject, path in wanted)
    failed = []
    results = mapped(partial(measure, settings=settings), payloads, engine=engine, jobs=jobs)
    for subject, result in tqdm(
        results, total=len(subjects), initial=len(rows), unit="picture", desc="picd", disable=None
    ):
        if isinstance(result, PicdError):
            failed.append(f"{subject.path}: {result}")
            continue
        rows[subject] = result.rows
        write_atomically(out / "sheets" / f"{subject.record.stem}.jpg", result.sheet)
        content = json.dumps({"key": subject.key, "rows": result.rows})
        write_atomically(subject.record, content.encode())
    if not rows:
        raise PicdError(failed[0])
    named = [
        {"group": subject.group, "name": subject.name} | row
        for subject in subjects
        for row in rows.get(subject, [])
    ]
    write_report(out, named, settings, anchor=anchor, model=model, failed=failed)
    return failed


def _subject(folder: Path, out: Path, file: Path, model: str, settings: Settings) -> Subject:
    place = file.relative_to(folder).with_suffix("")
    digest = hashlib.sha256(file.read_bytes() + repr((FORMAT, model, settings)).encode())
    return Subject(
        group=place.parts[0] if len(place.parts) > 1 else folder.resolve().name,
        name="/".join(place.parts[1:] or place.parts),
        path=file,
        record=out / "figures" / f"{'.'.join(place.parts)}.json",
        key=digest.hexdigest(),
    )


def _known(subject: Subject) -> list[Row] | None:
    """The figures of an earlier run of the same picture, model and settings."""
    try:
        content = json.loads(subject.record.read_bytes())
    except (OSError, ValueError):
        return None
    return content["rows"] if content["key"] == subject.key else None


def _check_tools(settings: Settings) -> None:
    """Refuse what cannot work before hours are spent on it."""
    pixel = np.zeros((16, 16, 3), np.uint8)
    for name in settings.peers:
        Peer(name, pixel)
    try:
        import flip_evaluator  # noqa: F401
        import matplotlib  # noqa: F401
        import scipy  # noqa: F401
        import ssimulacra2  # noqa: F401
    except ImportError as error:
        raise PicdError(
            f"the benchmark needs the package {error.name}: pip install 'picd[metrics]'"
        ) from None
    read_text(pixel)


# one picture ------------------------------------------------------------------------------


def measure(data: bytes, settings: Settings) -> Measured:
    """Encode an image file at every rate, by us and by the peers, and compare what comes back.

    Raises:
        PicdError: the picture cannot be read, or none of our files is small enough.
    """
    original = load_image(data)
    likeness = screen_likeness(original)
    found = words(read_text(original)) if likeness >= PHOTOGRAPH else []
    if not is_screen(likeness, len(found)):
        found = []
    text = found or None  # without words there is no accuracy
    peers = {name: Peer(name, original) for name in settings.peers}
    if "avif" in peers:
        peers[HALF] = Peer("avif", original, half=True)
    shown: list[_Shown] = []
    floors: dict[str, Row] = {}
    for rate in settings.rates:
        common = {"rate": rate, "words": len(found), "pixels": original[..., 0].size}
        shown += [
            _Shown(method, image, common | row | compare(original, image, text))
            for method, image, row in _ours(original, rate, settings)
        ]
        for name, peer in peers.items():
            made = peer.within(int(rate * common["pixels"] / 8))
            row = {
                "bytes": len(made.data),
                "quality": made.quality,
                "floor": not made.fits,
                "encode_seconds": made.encode_seconds,
                "decode_seconds": made.decode_seconds,
            }
            if made.fits or name not in floors:
                row |= compare(original, made.image, text)
            else:  # the very picture of a lower rate
                row = floors[name]
            if not made.fits:
                floors[name] = row
            shown.append(_Shown(name, made.image, common | row))
    rows = [
        {"method": each.method, "bpp": 8 * each.row["bytes"] / each.row["pixels"]} | each.row
        for each in shown
    ]
    return Measured(rows, contact_sheet(original, shown))


def _ours(
    original: np.ndarray, rate: float, settings: Settings
) -> Iterator[tuple[str, np.ndarray, Row]]:
    """(method, picture, figures) for the stages of our decoder; nothing below our own floor."""
    codec = shared_codec()
    try:
        with PeakMemory() as encoding:
            encoded = codec.encode(original, bpp=rate)
    except PicdError:
        return
    guided = any(name.startswith("guidance") for name in codec.models.manifest["networks"])
    common = {
        "bytes": encoded.bytes,
        "quality": encoded.quality,
        "floor": False,
        "encode_seconds": encoded.seconds["total"],
        "encode_memory": encoding.bytes,
    }
    for method in (*STAGES, GUIDED) if guided else STAGES:
        stage = "render" if method == GUIDED else method
        guidance = float(method == GUIDED)
        with PeakMemory() as decoding:
            decoded = codec.decode(
                encoded.data, stage=stage, steps=settings.steps, guidance=guidance
            )
        yield (
            method,
            decoded.image,
            common | {"decode_seconds": decoded.seconds["total"], "decode_memory": decoding.bytes},
        )


class PeakMemory:
    """The most memory (resident, bytes) this process had inside the ``with``."""

    bytes: int | None = None

    def __enter__(self) -> PeakMemory:
        with contextlib.suppress(OSError):  # Linux only; elsewhere the peak since the start
            Path("/proc/self/clear_refs").write_text("5")
        return self

    def __exit__(self, *_: object) -> None:
        try:
            status = Path("/proc/self/status").read_text()
            self.bytes = int(re.search(r"VmHWM:\s*(\d+)", status).group(1)) * 1024
        except OSError:
            import resource  # not on Windows, which has no figure then

            self.bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def contact_sheet(original: np.ndarray, shown: list[_Shown]) -> bytes:
    """A JPEG: for each rate the busiest part of the original and of every method, at 1:1."""
    part = _busiest(original)
    lines = []
    for rate in dict.fromkeys(each.row["rate"] for each in shown):
        cells = [_cell(original[part], f"original, for {rate:g} bpp")]
        for each in shown:
            if each.row["rate"] == rate:
                cells.append(_cell(each.image[part], _caption(each)))
        blank = np.full_like(cells[0], 255)
        cells += [blank] * (-len(cells) % COLUMNS)
        lines += [np.concatenate(cells[i : i + COLUMNS], 1) for i in range(0, len(cells), COLUMNS)]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(lines)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _caption(shown: _Shown) -> str:
    row = shown.row
    caption = f"{shown.method} {8 * row['bytes'] / row['pixels']:.3f} bpp"
    caption += ", its floor" if row["floor"] else ""
    return caption + (f", text {row['text']:.2f}" if "text" in row else "")


def _cell(picture: np.ndarray, caption: str) -> np.ndarray:
    cell = Image.new("RGB", (CELL[0] + 4, CELL[1] + CAPTION), "white")
    cell.paste(Image.fromarray(picture))
    draw = ImageDraw.Draw(cell)
    draw.text((2, CELL[1] + 3), caption, fill="black", font=ImageFont.load_default(14))
    return np.asarray(cell)


def _busiest(picture: np.ndarray) -> tuple[slice, slice]:
    """The place of a cell where the picture changes most."""
    steps = np.abs(np.diff(picture.astype(np.int16).sum(2), axis=1))
    sums = np.pad(steps.clip(max=96).cumsum(0).cumsum(1), ((1, 0), (1, 1)), mode="constant")
    width, height = CELL
    places = [
        (top, left)
        for top in range(0, max(picture.shape[0] - height, 0) + 1, 32)
        for left in range(0, max(picture.shape[1] - width, 0) + 1, 32)
    ]

    def changes(place: tuple[int, int]) -> int:
        (y0, x0), (rows, columns) = place, (picture.shape[0], picture.shape[1] - 1)
        y1, x1 = min(y0 + height, rows), min(x0 + width, columns)
        return int(sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0])

    top, left = max(places, key=changes)
    return np.s_[top : top + height, left : left + width]
