"""``python -m picd.training evaluate``: what the shipped models do on pictures outside training.

Every picture is encoded to each budget; draft, typeset page (no network after the draft), render
and, where guidance is asked for, guided render are compared with the original, beside AVIF at half
its size, AVIF and WebP at our bytes (AVIF's container not counted), or at their floors with their
own bytes where they cannot go so low. Tesseract reads the text; the encoder used another engine.
How far its reading can be trusted tell the text in the file against it (``sent_text``), and what it
reads in originals that are hardly changed. So beside the text accuracy stands what part of those
words that it reads alike in the original at both sizes can be read (``sure``). Generated pages know
their words: what part of them is in the file (``sent_right``) or can be read (``original_right``,
``render_right``), each letter by letter.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from picd.bulk import mapped, shared_codec
from picd.errors import PicdError
from picd.glyphs import render_glyphs
from picd.images import load_image
from picd.layout_coder import encode_layout
from picd.metrics import ENLARGED, character_error_rate, compare, jaccard, read_text, words
from picd.peers import Peer
from picd.pictured import with_pictured
from picd.training.prepare import HELD_BACK, SUFFIXES, true_words

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
    """The budgets of a file, one of the first two, and the renderer's own options: ``steps`` by
    turns, the first for the render, or those of the model; ``guidance`` with the first."""

    max_bytes: tuple[int, ...] = ()
    bpps: tuple[float, ...] = ()
    steps: tuple[int, ...] = ()
    guidance: float | None = None

    @property
    def budgets(self) -> list[dict[str, float]]:
        """What :meth:`Codec.encode` is asked for, by turns."""
        return [{"max_bytes": n} for n in self.max_bytes] + [{"bpp": b} for b in self.bpps]


def evaluate(samples: list[Sample], out: Path, settings: Settings, jobs: int = 1) -> str:
    """Write rows.csv, table.md and sheet.png to ``out``; returns the table."""
    out.mkdir(parents=True, exist_ok=True)
    rows: dict[int, list[dict]] = {}
    sheet: dict[int, np.ndarray] = {}
    results = mapped(partial(measure, settings=settings), enumerate(samples), jobs=jobs)
    for key, result in tqdm(results, total=len(samples)):
        if isinstance(result, PicdError):
            tqdm.write(f"{samples[key].path.name} left out: {result}")
            continue
        rows[key], sheet[key] = result
        _write_rows(out / "rows.csv", _in_order(rows))
        Image.fromarray(np.concatenate([sheet[k] for k in sorted(sheet)])).save(out / "sheet.png")
    table = _table(_in_order(rows))
    (out / "table.md").write_text(table)
    return table


def _in_order(rows: dict[int, list[dict]]) -> list[dict]:
    return [row for key in sorted(rows) for row in rows[key]]


def measure(sample: Sample, settings: Settings) -> tuple[list[dict], np.ndarray]:
    """The figures of one picture, a row a budget, and its strips of the contact sheet."""
    original = load_image(sample.path)
    text, true = None, _true_words(sample.path)
    doubt: dict[str, float] = {}
    if sample.group != "photos":
        text = _texts(original)
        doubt = {f"original_{figure}": value for figure, value in _right(text, true).items()}
        for name, picture in hardly_changed(original).items():
            read = _texts(picture)
            figures = _likeness(read, text) | _right(read, true)
            doubt |= {f"{name}_{figure}": value for figure, value in figures.items()}
    floors = {"half": Peer("avif", original, half=True)}
    floors |= {name: Peer(name, original) for name in ("avif", "webp")}
    results = [
        _measured(sample, original, text, true, floors, budget, settings)
        for budget in settings.budgets
    ]
    return [row | doubt for row, _ in results], np.concatenate([strip for _, strip in results])


def hardly_changed(original: np.ndarray) -> dict[str, np.ndarray]:
    """Pictures that the eye does not tell from the original, uint8 (H, W, 3): with noise of one
    level, and as JPEG of quality 95. What is read otherwise in them is the reader's doubt."""
    noise = np.random.default_rng(0).integers(-1, 2, original.shape)
    jpeg = io.BytesIO()
    Image.fromarray(original).save(jpeg, "JPEG", quality=95)
    with Image.open(jpeg) as decoded:
        return {
            "noise": np.clip(original + noise, 0, 255).astype(np.uint8),
            "jpeg_95": np.array(decoded),
        }


def _measured(
    sample: Sample,
    original: np.ndarray,
    text: tuple[str, str] | None,
    true: list[str],
    peers: dict[str, Peer],
    budget: dict[str, float],
    settings: Settings,
) -> tuple[dict, np.ndarray]:
    codec = shared_codec()
    encoded = codec.encode(original, **budget)
    steps, *others = settings.steps or (None,)
    decoded = codec.decode(encoded.data, steps=steps)
    ours = {"draft": decoded.draft, "typeset": decoded.typeset, "render": decoded.image}
    if settings.guidance:
        guided = codec.decode(encoded.data, steps=steps, guidance=settings.guidance)
        ours["guided"] = guided.image
    for other in others:
        ours[f"render_{other}_steps"] = codec.decode(encoded.data, steps=other).image
    theirs = {
        name: peer.within(encoded.bytes + (CONTAINER if peer.name == "avif" else 0))
        for name, peer in peers.items()
    }
    unruled = replace(encoded.layout, rules=(), marks=())
    bare = encode_layout(replace(unruled, letters=()))
    count = max(len(encoded.layout.words), 1)
    letters = max(sum(len(word.text) + 1 for word in encoded.layout.words), 1)
    (rate,) = budget.values()
    row = {
        "group": f"{sample.group} {rate:g}",
        "name": sample.path.stem,
        "bytes": encoded.bytes,
        "bpp": encoded.bpp,
        "quality": encoded.quality,
        **{f"bytes_{name}": size for name, size in encoded.sections.items()},
        "words": len(encoded.layout.words),
        "dropped_words": encoded.dropped_words,
        "rules": len(encoded.layout.rules),
        "marks": len(encoded.layout.marks),
        "bytes_rules_and_marks": encoded.sections["layout"] - len(encode_layout(unruled)),
        "bits_per_character": 8 * encoded.sections["text"] / letters,
        "bits_per_word": 8 * len(bare) / count,
        "own_letters": len(encoded.layout.letters),
        "bytes_own_letters": len(encode_layout(unruled)) - len(bare),
    }
    for name, peer in theirs.items():
        container = CONTAINER if peers[name].name == "avif" else 0
        row[f"{name}_bpp"] = 8 * max(len(peer.data) - container, 0) / original[..., 0].size
    pictures = ours | {name: peer.image for name, peer in theirs.items()}
    elsewhere = render_glyphs(with_pictured(decoded.layout, ())).box == 0
    # a render may be the typeset page, and beside the text draft and page are one: measure once
    compared = cache(
        lambda pixels, names: compare(original, _picture(pixels, original), None, names)
    )
    read = cache(lambda pixels: _texts(_picture(pixels, original)))
    if text is not None:
        sent = _likeness((decoded.text, decoded.text), text) | _right((decoded.text,), true)
        row |= {f"sent_{figure}": value for figure, value in sent.items()}
    for name, picture in pictures.items():
        figures = dict(compared(picture.tobytes(), FIGURES))
        if text is not None:
            texts = read(picture.tobytes())
            figures |= _likeness(texts, text) | _right(texts, true)
            beside = np.where(elsewhere[..., None], picture, original).tobytes()
            figures |= {
                f"{figure}_beside_text": value
                for figure, value in compared(beside, FIGURES[:2]).items()
            }
        row |= {f"{name}_{figure}": value for figure, value in figures.items()}
    row["seconds_encode"] = encoded.seconds["total"]
    row["seconds_decode"] = decoded.seconds["total"]
    return row, _strip([original, *ours.values()])


def _picture(pixels: bytes, like: np.ndarray) -> np.ndarray:
    return np.frombuffer(pixels, np.uint8).reshape(like.shape)


def _texts(picture: np.ndarray) -> tuple[str, str]:
    """What Tesseract reads in a picture as it is, and enlarged."""
    return read_text(picture), read_text(picture, scale=ENLARGED)


def _likeness(read: tuple[str, str], wanted: tuple[str, str]) -> dict[str, float]:
    """What was read in a picture as it is and enlarged, against what was read in the original: the
    text accuracy of both, the character error rate, and the part of the words that were read alike
    in both originals that was read in either picture."""
    accuracy, enlarged = (jaccard(words(a), words(b)) for a, b in zip(read, wanted, strict=True))
    figures = {
        "text": accuracy,
        "text_enlarged": enlarged,
        "cer": character_error_rate(read[0], wanted[0]),
    }
    sure = _sure_words(wanted)
    if sure:
        either = Counter(words(read[0])) | Counter(words(read[1]))
        figures["sure"] = (sure & either).total() / sure.total()
    return figures


def _sure_words(read: tuple[str, str]) -> Counter[str]:
    """The words of two letters and more that two readings have in common."""
    both = Counter(words(read[0])) & Counter(words(read[1]))
    return Counter({word: n for word, n in both.items() if sum(map(str.isalnum, word)) > 1})


def _true_words(picture: Path) -> list[str]:
    """The words of a generated page, from the record beside it; of other pictures none."""
    record = picture.with_suffix(".json")
    return [word.text for word in true_words(record)] if record.exists() else []


def _right(read: tuple[str, ...], true: list[str]) -> dict[str, float]:
    """The part of the true words that was read letter by letter, in a picture as it is and
    enlarged; nothing where they are not known."""
    if not true:
        return {}
    found = (Counter(text.split()) & Counter(true) for text in read)
    shares = [words.total() / len(true) for words in found]
    return dict(zip(("right", "right_enlarged"), shares, strict=False))


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
    """The top of each picture at 1:1, side by side: original, draft, typeset, render, guided."""
    cells = [np.full((CELL * 3 // 4, CELL, 3), 128, np.uint8) for _ in pictures]
    for cell, picture in zip(cells, pictures, strict=True):
        part = picture[: cell.shape[0], : cell.shape[1]]
        cell[: part.shape[0], : part.shape[1]] = part
    return np.concatenate(cells, 1)
