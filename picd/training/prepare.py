"""Write the cache of prepared pictures that training crops come from.

Generated pages bring the true box of every word; the boxes are then made as imperfect as OCR's
(jitter of up to 2 px, words missed or misread) before the typography is fitted, so that the glyph
images seen in training have the errors of those seen in use. Real screens are read by an OCR engine
or, without one, prepared with an empty glyph image.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from picd.glyphs import GlyphImage, render_glyphs, typeset_skeleton, word_mask
from picd.layout import TextLayout, Word
from picd.letters import fit_letters
from picd.marks import fit_marks
from picd.ocr import load_engine
from picd.rules import fit_rules
from picd.typography import fit_layout

SUFFIXES = {".png", ".webp", ".avif", ".jpg", ".jpeg"}
HELD_BACK = Path(__file__).with_name("held_back.txt")
"""Names of pictures that are never trained on, one a line."""
MINIMUM_SIDE = 256
RULE_PRICES = (800, 15000)
LETTER_PRICES = (1500, 60000)
MARK_PRICES = (2000, 40000)
"""The prices of :func:`picd.rules.fit_rules`, :func:`picd.letters.fit_letters` and
:func:`picd.marks.fit_marks` are drawn from these ranges."""


def prepare(
    cache: Path,
    *,
    photos: Iterable[Path] = (),
    screens: Iterable[Path] = (),
    pages: Iterable[Path] = (),
    ocr: str = "none",
    limit: int | None = None,
) -> None:
    """Add the pictures of the given folders to ``cache``; those already there are skipped."""
    cache.mkdir(parents=True, exist_ok=True)
    held_back = set(HELD_BACK.read_text().split())
    engine = load_engine(ocr)
    for kind, folders in (("photo", photos), ("screen", screens), ("page", pages)):
        files = [f for folder in folders for f in sorted(folder.iterdir())]
        files = [f for f in files if f.suffix in SUFFIXES and f.name not in held_back]
        for file in tqdm(files[:limit], desc=kind):
            target = cache / f"{kind}-{file.parent.name}-{file.stem}.npy"
            if target.exists():
                continue
            picture = np.asarray(Image.open(file).convert("RGB"))
            if min(picture.shape[:2]) < MINIMUM_SIDE:
                continue
            if kind == "page":
                words = imperfect(true_words(file.with_suffix(".json")), seed=_seed(file))
            else:
                words = engine.read(picture) if kind == "screen" else ()
            if words:
                target.with_suffix(".txt").write_text(" ".join(word.text for word in words))
            _save(target, picture if kind == "photo" else with_glyphs(picture, words))


def true_words(record: Path) -> tuple[Word, ...]:
    """The words of a generated page, with the boxes the browser gave them."""
    words = json.loads(record.read_text())["words"]
    return tuple(Word(w["text"], tuple(w["box"]), 1.0, w["line"]) for w in words)


def imperfect(words: tuple[Word, ...], seed: int) -> tuple[Word, ...]:
    """The words as an OCR engine might report them: some missed, some misread, boxes jittered."""
    random = np.random.default_rng(seed)
    out = []
    for word in words:
        if random.random() < 0.04:
            continue
        jitter = random.uniform(-2, 2, 4) * random.random()
        x, y, w, h = np.asarray(word.box) + jitter
        text = word.text
        if random.random() < 0.02:
            place = int(random.integers(len(text)))
            text = text[:place] + chr(int(random.integers(97, 123))) + text[place + 1 :]
        out.append(Word(text, (x, y, max(w, 1.0), max(h, 1.0)), word.confidence, word.line))
    return tuple(out)


def with_glyphs(picture: np.ndarray, words: tuple[Word, ...]) -> np.ndarray:
    """uint8 (H, W, 14): the picture and the channels of its glyph image."""
    layout = dressed(picture, fit_layout(picture, words))
    return np.concatenate([picture, glyph_channels(render_glyphs(layout))], -1)


def dressed(picture: np.ndarray, layout: TextLayout) -> TextLayout:
    """``layout`` with as many rules, marks and letters of its own as some budget or other would pay
    for."""
    words = word_mask(layout)

    def price(kind: int, least: float, most: float) -> float:
        return float(
            np.exp(np.random.default_rng(picture.size + kind).uniform(*np.log([least, most])))
        )

    layout = replace(layout, rules=fit_rules(picture, price(0, *RULE_PRICES), words=words))
    layout = replace(layout, letters=fit_letters(picture, layout, price(1, *LETTER_PRICES)))
    below = typeset_skeleton(layout)
    marks = fit_marks(picture, below, layout.rules, words, price(2, *MARK_PRICES))
    return replace(layout, marks=marks)


def glyph_channels(glyphs: GlyphImage) -> np.ndarray:
    """uint8 (H, W, 11): coverage, coverage * ink RGB, word box (0 or 255), ground RGB, skeleton
    RGB."""
    coverage = glyphs.coverage[..., None]
    ink = (coverage.astype(np.uint16) * glyphs.ink + 127) // 255
    box = (glyphs.box[..., None] > 0) * np.uint8(255)
    planes = [coverage, ink.astype(np.uint8), box, glyphs.ground, glyphs.skeleton]
    return np.concatenate(planes, -1)


def _seed(file: Path) -> int:
    return zlib.crc32(file.name.encode())


def _save(target: Path, array: np.ndarray) -> None:
    partial = target.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, np.ascontiguousarray(array))
    partial.replace(target)
