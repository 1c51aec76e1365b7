"""What typesetting alone does for legibility: ``python -m picd.training.typeset_trial PICTURE``.

For every picture (or folder): a crude draft (AVIF at half size), its words (read by the engine,
or true ones from the page generator's JSON beside it), the fitted layout, and the page typeset
over the draft and over the original. Prints Tesseract's word-level Jaccard similarity to its
reading of the original, and the bytes; writes original | typeset | draft side by side.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picd import metrics
from picd.glyphs import render_glyphs, typeset
from picd.layout import Word
from picd.layout_coder import encode_layout
from picd.ocr import Engine, load_engine
from picd.text_coder import encode_text
from picd.typography import fit_layout

SUFFIXES = {".png", ".webp", ".avif", ".jpg"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--engine", default="auto", help="an OCR engine, or 'true' for true words")
    parser.add_argument("--quality", type=int, default=15, help="AVIF quality of the draft")
    parser.add_argument("--limit", type=int, default=0, help="take every n-th, so many at most")
    parser.add_argument("--cache", type=Path, default=Path("runs/typeset_trial"))
    parser.add_argument("--out", type=Path, help="folder for the side-by-side pictures")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    engine = None if arguments.engine == "true" else load_engine(arguments.engine)
    rows = []
    for path in _pictures(arguments.pictures, arguments.limit):
        row = trial(path, engine, arguments.quality, arguments.cache, arguments.out)
        rows.append(row)
        print(
            "  ".join(f"{name} {value:.3g}" for name, value in row.items()), path.name, flush=True
        )
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    print("MEAN", "  ".join(f"{name} {value:.4g}" for name, value in means.items()))


def trial(
    path: Path, engine: Engine | None, quality: int, cache: Path, out: Path | None
) -> dict[str, float]:
    """One picture's figures, by name."""
    image = np.asarray(Image.open(path).convert("RGB"))
    words = read_words(path, image, engine, cache)
    draft, draft_bytes = crude_draft(image, quality)
    start = time.process_time()
    layout = fit_layout(image, words)
    fitted = time.process_time()
    glyphs = render_glyphs(layout)
    page, over = typeset(draft, glyphs), typeset(image, glyphs)
    ended = time.process_time()
    text_bytes = len(encode_text(layout))
    layout_bytes = len(encode_layout(layout))
    read = [reading(picture, cache) for picture in (image, draft, page, over)]
    accuracy = [metrics.jaccard(read[0], other) for other in read[1:]]
    if out:
        out.mkdir(parents=True, exist_ok=True)
        sheet = Image.fromarray(np.concatenate([image, page, draft], axis=1))
        sheet.save(out / f"{path.stem}.png")
    pixels = image.shape[0] * image.shape[1]
    return {
        "draft": accuracy[0], "typeset": accuracy[1], "over": accuracy[2],
        "words": len(words), "set": len(layout.words), "lines": len(layout.lines),
        "styles": len({line.style for line in layout.lines}),
        "draft_bpp": 8 * draft_bytes / pixels, "text_bpp": 8 * (text_bytes + layout_bytes) / pixels,
        "bits_word": 8 * layout_bytes / max(len(layout.words), 1),
        "fit_s": fitted - start, "set_s": ended - fitted,
    }  # fmt: skip


def crude_draft(image: NDArray[np.uint8], quality: int) -> tuple[NDArray[np.uint8], int]:
    """AVIF at half size, scaled back, and its bytes."""
    picture = Image.fromarray(image)
    buffer = io.BytesIO()
    half = tuple(max(side // 2, 1) for side in picture.size)
    picture.resize(half, Image.Resampling.LANCZOS).save(buffer, "AVIF", quality=quality, speed=6)
    small = Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")
    return np.asarray(small.resize(picture.size, Image.Resampling.BICUBIC)), buffer.tell()


def read_words(
    path: Path, image: NDArray[np.uint8], engine: Engine | None, cache: Path
) -> list[Word]:
    """True words of a generated page, or the engine's reading (kept in ``cache``)."""
    if engine is None:
        page = json.loads(path.with_suffix(".json").read_text())
        return [Word(w["text"], tuple(w["box"]), 1.0, w["line"]) for w in page["words"]]
    kept = cache / f"{_digest(image)}.{engine.name}.json"
    if not kept.exists():
        words = [[w.text, w.box, w.confidence, w.line] for w in engine.read(image)]
        kept.write_text(json.dumps(words))
    return [Word(t, tuple(box), c, line) for t, box, c, line in json.loads(kept.read_text())]


def reading(image: NDArray[np.uint8], cache: Path) -> list[str]:
    """Words that Tesseract reads in a picture (kept in ``cache``)."""
    kept = cache / f"{_digest(image)}.tesseract.json"
    if not kept.exists():
        kept.write_text(json.dumps(metrics.words(metrics.read_text(image))))
    return json.loads(kept.read_text())


def _digest(image: NDArray[np.uint8]) -> str:
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()[:24]


def _pictures(paths: list[Path], limit: int) -> list[Path]:
    found = [
        file
        for path in paths
        for file in (sorted(path.iterdir()) if path.is_dir() else [path])
        if file.suffix in SUFFIXES
    ]
    return found[:: max(len(found) // limit, 1)][:limit] if limit else found


if __name__ == "__main__":
    main()
