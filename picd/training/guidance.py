"""``python -m picd.training guidance``: what guidance does at which strength, and what it costs.

Held-back pages are encoded once and decoded without guidance and at each pair of strengths; a film
strip shows the estimates of X0 step by step, without guidance above and with it below.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from picd.codec import Codec
from picd.errors import PicdError
from picd.images import load_image
from picd.metrics import jaccard, psnr, read_text, ssimulacra2, words

STRIP_CELL = (160, 320)
"""Height and width in pixels of what the film strip shows of a step."""


def sweep(
    pages: list[Path],
    out: Path,
    *,
    texts: list[float],
    recompressions: list[float],
    max_bytes: int,
    steps: int | None,
) -> str:
    """Write table.md and strip.png to ``out``; returns the table, a row for each pair.

    Raises:
        PicdError: there are no pages.
    """
    if not pages:
        raise PicdError("no pages (*.png) to measure guidance on: generate some with a new seed")
    out.mkdir(parents=True, exist_ok=True)
    codec = Codec.load()
    default = codec.models.manifest["guidance"]
    pairs = [(0.0, 0.0), *(pair for pair in product(texts, recompressions) if any(pair))]
    figures: dict[tuple[float, float], list[list[float]]] = {pair: [] for pair in pairs}
    for number, page in enumerate(tqdm(pages)):
        original = load_image(page)
        data = codec.encode(original, max_bytes=max_bytes).data
        truth = words(read_text(original))
        for text, recompression in pairs:
            strengths = {"text": text, "recompression": recompression}
            codec.models.manifest["guidance"] = default | strengths
            decoded = codec.decode(data, steps=steps, guidance=float(text + recompression > 0))
            accuracy = jaccard(words(read_text(decoded.image)), truth)
            share = decoded.blended_words / max(len(decoded.layout.words), 1)
            likeness = psnr(original, decoded.image), ssimulacra2(original, decoded.image)
            figures[text, recompression].append([accuracy, *likeness, share])
            (out / "table.md").write_text(_table(figures))
        codec.models.manifest["guidance"] = default
        if number == 0:
            Image.fromarray(film_strip(codec, data)).save(out / "strip.png")
    cost = cost_ratio(codec, data)
    table = _table(figures) + f"\nGuidance costs {cost:.2f} of a UNet step.\n"
    (out / "table.md").write_text(table)
    return table


def _table(figures: dict[tuple[float, float], list[list[float]]]) -> str:
    lines = [
        "| text | recompression | pages | text accuracy | PSNR | SSIMULACRA2 | words blended in |",
        "|---" * 7 + "|",
    ]
    for (text, recompression), rows in figures.items():
        if rows:
            accuracy, decibel, likeness, share = np.mean(rows, 0)
            lines.append(
                f"| {text:g} | {recompression:g} | {len(rows)} | {accuracy:.4f} | {decibel:.3f} "
                f"| {likeness:.2f} | {share:.4f} |"
            )
    return "\n".join(lines) + "\n"


def film_strip(codec: Codec, data: bytes, steps: int = 4) -> np.ndarray:
    """uint8 picture: the estimates of X0 round the first words, a column for each step, without
    guidance in the first row and with the model's in the second."""
    rows = []
    for strength in (0.0, 1.0):
        seen: list[np.ndarray] = []
        decoded = codec.decode(
            data,
            steps=steps,
            guidance=strength,
            on_step=lambda step, total, picture, seen=seen: seen.append(picture),
        )
        height, width = STRIP_CELL
        box = decoded.glyphs.box > 0
        top = min(int(np.argmax(box.any(1))), box.shape[0] - height)
        left = min(int(np.argmax(box.any(0))), box.shape[1] - width)
        cells = [picture[top : top + height, left : left + width] for picture in seen]
        rows.append(np.concatenate(cells, 1))
    return np.concatenate(rows)


def cost_ratio(codec: Codec, data: bytes, more: int = 4) -> float:
    """Seconds that a step of guidance takes, for one of the UNet: what ``more`` steps add to each
    (work done once a picture cancels out)."""
    few, many = (codec.decode(data, steps=n, guidance=1.0).seconds for n in (1, 1 + more))
    return (many["guidance"] - few["guidance"]) / (many["render"] - few["render"])
