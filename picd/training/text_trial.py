"""What the text and layout coders need: ``python -m picd.training.text_trial PICTURE...``.

For pictures that an engine reads: bits a character of their text (words joined by spaces, lines
by newlines) beside brotli 11, xz without container, PPMd and zstd with a dictionary trained on
other texts, and bits a word of the layout. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import lzma
from collections.abc import Callable, Iterable
from pathlib import Path

import brotli
import numpy as np
import pyppmd
import zstandard
from PIL import Image

from picd.columns import layout_text
from picd.layout import TextLayout
from picd.layout_coder import encode_layout
from picd.ocr import load_engine
from picd.text_coder import encode_text
from picd.training.corpus import screen_texts
from picd.training.prepare import HELD_BACK
from picd.training.typeset_trial import _pictures, read_words
from picd.typography import fit_layout

DICTIONARY_BYTES = 65536
Coder = Callable[[bytes], bytes]


def rivals(dictionary_texts: Iterable[str]) -> dict[str, Coder]:
    """Coders by name; ``dictionary_texts`` train the dictionary of zstd."""
    samples = [text.encode() for text in dictionary_texts]
    coders: dict[str, Coder] = {
        "brotli": lambda text: brotli.compress(text, quality=11),
        "xz": lambda text: lzma.compress(
            text, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 9}]
        ),
        "PPMd": lambda text: pyppmd.compress(text, max_order=5, mem_size=1 << 24),
    }
    if samples:
        trained = zstandard.train_dictionary(DICTIONARY_BYTES, samples)
        packer = zstandard.ZstdCompressor(
            22, dict_data=trained, write_content_size=False, write_dict_id=False
        )
        coders["zstd with a dictionary"] = packer.compress
    return coders


def table(layouts: list[TextLayout], coders: dict[str, Coder]) -> str:
    """Markdown: bits a character by coder, and bits a word of the layout."""
    texts = [layout_text(layout).encode() for layout in layouts]
    characters, words = sum(map(len, texts)), sum(len(layout.words) for layout in layouts)
    sizes = {"picd": sum(len(encode_text(layout)) for layout in layouts)}
    sizes |= {name: sum(len(pack(text)) for text in texts) for name, pack in coders.items()}
    rows = [f"{len(layouts)} pages, {characters} bytes of text, {words} words", ""]
    rows += ["| coder | bits a character | picd's share of it |", "|---|---|---|"]
    rows += [
        f"| {name} | {8 * size / characters:.3f} | {sizes['picd'] / size:.3f} |"
        for name, size in sizes.items()
    ]
    layout_bits = 8 * sum(len(encode_layout(layout)) for layout in layouts)
    return "\n".join([*rows, "", f"layout: {layout_bits / words:.2f} bits a word"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--engine", default="auto", help="an OCR engine, or 'true' for true words")
    parser.add_argument("--limit", type=int, default=0, help="take every n-th, so many at most")
    parser.add_argument("--held-back", action="store_true", help="only what is never trained on")
    parser.add_argument("--cache", type=Path, default=Path("runs/typeset_trial"))
    parser.add_argument("--dictionary", type=Path, nargs="*", default=[], help="see corpus.py")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    engine = None if options.engine == "true" else load_engine(options.engine)
    held_back = set(HELD_BACK.read_text().split())
    layouts = []
    for path in _pictures(options.pictures, options.limit):
        if options.held_back and path.name not in held_back:
            continue
        image = np.asarray(Image.open(path).convert("RGB"))
        words = read_words(path, image, engine, options.cache)
        layouts.append(fit_layout(image, words))
    layouts = [layout for layout in layouts if layout.words]
    print(table(layouts, rivals(screen_texts(options.dictionary))))


if __name__ == "__main__":
    main()
