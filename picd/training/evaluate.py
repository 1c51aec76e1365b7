"""``python -m picd.training evaluate``: what the shipped models do on pictures outside training.

Every picture is encoded to a budget and decoded once; draft, typeset page (no network after the
draft) and render are compared with the original, beside AVIF at half its size at our bytes (its
container not counted) and AVIF and WebP at their floors with their own bytes. Tesseract reads the
text; the encoder used another engine.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from picd.bulk import mapped, shared_codec
from picd.errors import PicdError
from picd.images import load_image
from picd.layout_coder import encode_layout
from picd.metrics import compare, read_text, words
from picd.peers import Peer
from picd.training.prepare import HELD_BACK, SUFFIXES

STAGES = ("draft", "typeset", "render")
FIGURES = ("psnr", "ssimulacra2", "flip")
CELL = 480
"""Width in pixels of a picture on the contact sheet."""
CONTAINER = 280
"""Bytes of an AVIF file that are not the picture."""


@dataclass(frozen=True)
class Sample:
    group: str
    path: Path


def held_back(
    pages: Path | None, screens: Iterable[Path], photos: Iterable[Path], count: int
) -> list[Sample]:
    """The first ``count`` pictures of each group; screens and photos only from the list that is
    never trained on."""
    names = HELD_BACK.read_text().split()
    groups = {
        "pages": sorted(f for f in pages.iterdir() if f.suffix in SUFFIXES) if pages else [],
        "screens": [f for n in names for f in (d / n for d in screens) if f.exists()],
        "photos": [f for n in names for f in (d / n for d in photos) if f.exists()],
    }
    return [Sample(group, file) for group, files in groups.items() for file in files[:count]]


@dataclass(frozen=True)
class Settings:
    """The budget of a file, one of the first two, and the renderer's own options."""

    max_bytes: int | None = None
    bpp: float | None = None
    steps: int | None = None
    guidance: float | None = None


def evaluate(samples: list[Sample], out: Path, settings: Settings, jobs: int = 1) -> str:
    """Write rows.csv, table.md and sheet.png to ``out``; returns the table."""
    out.mkdir(parents=True, exist_ok=True)
    rows: dict[int, dict] = {}
    sheet: dict[int, np.ndarray] = {}
    results = mapped(partial(measure, settings=settings), enumerate(samples), jobs=jobs)
    for key, result in tqdm(results, total=len(samples)):
        if isinstance(result, PicdError):
            tqdm.write(f"{samples[key].path.name} left out: {result}")
            continue
        rows[key], sheet[key] = result
        _write_rows(out / "rows.csv", [rows[k] for k in sorted(rows)])
        Image.fromarray(np.concatenate([sheet[k] for k in sorted(sheet)])).save(out / "sheet.png")
    table = _table([rows[k] for k in sorted(rows)])
    (out / "table.md").write_text(table)
    return table


def measure(sample: Sample, settings: Settings) -> tuple[dict, np.ndarray]:
    """The figures of one picture, and its strip of the contact sheet."""
    codec = shared_codec()
    original = load_image(sample.path)
    encoded = codec.encode(original, max_bytes=settings.max_bytes, bpp=settings.bpp)
    decoded = codec.decode(encoded.data, steps=settings.steps, guidance=settings.guidance)
    ours = {stage: getattr(decoded, stage, decoded.image) for stage in STAGES}
    half = Peer("avif", original, half=True).within(encoded.bytes + CONTAINER)
    floors = {name: Peer(name, original).within(1) for name in ("avif", "webp")}
    unruled = replace(encoded.layout, rules=())
    count = max(len(encoded.layout.words), 1)
    letters = max(sum(len(word.text) + 1 for word in encoded.layout.words), 1)
    row = {
        "group": sample.group,
        "name": sample.path.stem,
        "bytes": encoded.bytes,
        "bpp": encoded.bpp,
        "quality": encoded.quality,
        **{f"bytes_{name}": size for name, size in encoded.sections.items()},
        "words": len(encoded.layout.words),
        "dropped_words": encoded.dropped_words,
        "rules": len(encoded.layout.rules),
        "bits_per_character": 8 * encoded.sections["text"] / letters,
        "bits_per_word": 8 * len(encode_layout(unruled)) / count,
        "half_bpp": 8 * max(len(half.data) - CONTAINER, 0) / original[..., 0].size,
        **{f"{n}_bpp": 8 * len(p.data) / original[..., 0].size for n, p in floors.items()},
    }
    text = words(read_text(original)) if sample.group != "photos" else None
    pictures = ours | {"half": half.image} | {name: p.image for name, p in floors.items()}
    for name, picture in pictures.items():
        figures = compare(original, picture, text, FIGURES)
        row |= {f"{name}_{figure}": value for figure, value in figures.items()}
    row["seconds_encode"] = encoded.seconds["total"]
    row["seconds_decode"] = decoded.seconds["total"]
    return row, _strip([original, *ours.values()])


def _table(rows: list[dict]) -> str:
    """Markdown: a line for each group, the mean of every figure it has."""
    sums: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for name, value in row.items():
            if isinstance(value, int | float):
                sums[row["group"]][name].append(value)
    names = list(dict.fromkeys(name for group in sums.values() for name in group))
    lines = ["| figure | " + " | ".join(sums) + " |", "|---" * (len(sums) + 1) + "|"]
    for name in names:
        means = (f"{np.mean(g[name]):.4g}" if name in g else "-" for g in sums.values())
        lines.append(f"| {name} | " + " | ".join(means) + " |")
    return "\n".join(lines) + "\n"


def _write_rows(path: Path, rows: list[dict]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def _strip(pictures: list[np.ndarray]) -> np.ndarray:
    """The top of each picture at 1:1, side by side: original, draft, typeset, render."""
    cells = [np.full((CELL * 3 // 4, CELL, 3), 128, np.uint8) for _ in pictures]
    for cell, picture in zip(cells, pictures, strict=True):
        part = picture[: cell.shape[0], : cell.shape[1]]
        cell[: part.shape[0], : part.shape[1]] = part
    return np.concatenate(cells, 1)
