"""Train where the layout coder's adaptation starts: ``layout_prior.json``.

    python -m picd.training.layout_prior PAGES --pages 60 --screens A B --count 15 \\
        -o models/compact/layout_prior.json && python -m export --priors

PAGES holds pages of the screen generator (``.png`` beside ``.json``), with boxes of words jittered
as an OCR engine's; A and B hold real screenshots, read by an engine (none that is held back). The
words are typeset by :func:`picd.typography.fit_layout`; the coder runs over the layouts and keeps
what its contexts learned.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from picd.adaptive import AdaptiveBits, LayoutPrior
from picd.arithmetic import Encoder
from picd.layout import TextLayout, Word
from picd.layout_coder import LayoutModel
from picd.ocr import load_engine
from picd.skeleton_coder import code_skeleton
from picd.training.prepare import HELD_BACK, dressed
from picd.training.typeset_trial import read_words
from picd.typography import fit_layout

JITTER = 1.5
"""Uniform error of the boxes, in pixels."""
SCREEN_PIXELS = range(200_000, 2_000_001)
KEPT_COUNT = 12
"""A learned context adapts as if it had seen this many bits: pages differ."""
PASSES = 2


def page_layouts(folder: Path, pages: int) -> Iterator[TextLayout]:
    """Typeset layouts of the first ``pages`` pages in ``folder``."""
    for path in tqdm(sorted(folder.glob("*.json"))[:pages], unit="page"):
        chooser = random.Random(path.name)
        with Image.open(path.with_suffix(".png")) as picture:
            image = np.asarray(picture.convert("RGB"))
        words = [
            Word(
                word["text"],
                tuple(edge + chooser.uniform(-JITTER, JITTER) for edge in word["box"]),
                line=word["line"],
            )
            for word in json.loads(path.read_text("utf-8"))["words"]
        ]
        yield dressed(image, fit_layout(image, words))


def screen_layouts(folders: Sequence[Path], count: int, cache: Path) -> Iterator[TextLayout]:
    """Typeset layouts of ``count`` screenshots, from every project (the name before ``_``) in
    turn; what the engine reads is kept in ``cache``."""
    held_back = set(HELD_BACK.read_text().split())
    cache.mkdir(parents=True, exist_ok=True)
    projects: dict[str, list[Path]] = defaultdict(list)
    for path in sorted((f for folder in folders for f in folder.iterdir()), key=lambda f: f.name):
        with Image.open(path) as picture:
            if path.name not in held_back and picture.width * picture.height in SCREEN_PIXELS:
                projects[path.name.split("_")[0]].append(path)
    turns = itertools.zip_longest(*(projects[name] for name in sorted(projects)))
    chosen = [path for turn in turns for path in turn if path][:count]
    engine = load_engine() if chosen else None
    for path in tqdm(chosen, unit="screen"):
        image = np.asarray(Image.open(path).convert("RGB"))
        yield dressed(image, fit_layout(image, read_words(path, image, engine, cache)))


def learn(layouts: Iterable[TextLayout], prior: LayoutPrior) -> LayoutPrior:
    """``prior`` after coding ``layouts`` one after the other."""
    for layout in layouts:
        model = LayoutModel(Encoder(), prior)
        for line in layout.lines:
            model.line(tuple(word.text for word in line.words), line)
        model.letters(layout, layout.letters)
        skeleton = AdaptiveBits(Encoder(), prior)
        size = layout.width, layout.height
        code_skeleton(skeleton, layout.rules, layout.marks, *size)
        learned = {
            name: (probability, min(count, KEPT_COUNT))
            for name, (probability, count) in {**model.bits.states, **skeleton.states}.items()
            if not name.startswith("@")
        }
        prior = LayoutPrior(
            {**prior.states, **learned}, tuple(tuple(row) for row in model.bits.weights)
        )
    return prior


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m picd.training.layout_prior")
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--pages", type=int, default=60)
    parser.add_argument("--screens", type=Path, nargs="*", default=[])
    parser.add_argument("--count", type=int, default=15)
    parser.add_argument("--cache", type=Path, default=Path("runs/typeset_trial"))
    options = parser.parse_args()
    layouts = [
        *page_layouts(options.folder, options.pages),
        *screen_layouts(options.screens, options.count, options.cache),
    ]
    random.Random(0).shuffle(layouts)
    prior = LayoutPrior()
    for _ in range(PASSES):
        prior = learn(layouts, prior)
    content = {"weights": prior.weights, "states": dict(sorted(prior.states.items()))}
    options.output.write_text(json.dumps(content, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
