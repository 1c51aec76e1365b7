"""Train the text coder's prior: which bytes follow which contexts in interface and technical text.

    python -m picd.training.text_prior FOLDER... -o models/compact/text_prior.npz

The shipped prior was trained on the English text of the Debian packages of ``text_packages.txt``
(programs, for their messages, and manuals; ``apt-get download``, then ``dpkg -x`` of each into a
folder of its own; of message catalogues only the German ones, for their msgids, of manuals in
several languages only the English folders) and on the HTML of 4,000 pages of the screen generator
(seed 55001, 800 a folder): 65 million bytes, of each folder at most one.

Counts the followers of every context of :mod:`picd.text_model`, keeps the contexts that save the
most bits for their size in the file (over what the next shorter context says), and then lets the
coder run over held-back documents, cut to the size of pages, to learn its mixing weights.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from picd.arithmetic import Encoder
from picd.text_model import (
    CONFIDENCES,
    FOLD,
    HASH,
    INPUTS,
    MAX_MASS_STEP,
    NODES,
    ORDERS,
    RAW_ORDERS,
    STATES,
    WORD_HASH,
    Prior,
    Weights,
    code,
    is_letter,
)
from picd.training.corpus import screen_texts

MEGABITS = 40
"""Size of the prior to aim at, by the rough costs below; gives 5.6 MB. With a quarter of it, and
with half, forty screens need 2 and 1 % more."""
CONTEXT_BITS, FOLLOWER_BITS = 12.0, 8.0
MIN_COUNT = 3
MAX_FOLLOWERS = 16
MIN_GAIN_PER_BIT = 0.3
DISCOUNT = 0.75
HELD_BACK_EVERY = 40
"""Every so many documents one teaches the mixer and is not counted."""
PAGE_BYTES = (250, 500, 900, 1500, 2500)
MIXER_PAGES = 540
MIXER_SHIFTS = (15, 16, 18)
"""The mixer learns slower from pass to pass."""
_WORD_BACKOFF = 3


@dataclass
class _Counted:
    """Contexts of one kind, sorted by hash, each with ``kept`` followers in ``byte``/``step``."""

    hash: NDArray[np.uint32]
    total: NDArray[np.int64]
    kept: NDArray[np.int64]
    gain_per_bit: NDArray[np.float64]
    byte: NDArray[np.uint8]
    step: NDArray[np.int64]

    @property
    def cost(self) -> NDArray[np.float64]:
        return CONTEXT_BITS + FOLLOWER_BITS * self.kept


def context_hashes(text: NDArray[np.uint8]) -> list[NDArray[np.uint32]]:
    """For each kind of context, its 32-bit hash before every byte of ``text``."""
    folded = np.frombuffer(FOLD, np.uint8)[text]
    hashes = []
    for order in range(1, ORDERS + 1):
        source = text if order <= RAW_ORDERS else folded
        value = np.zeros(len(text), np.uint64)
        for back in range(1, order + 1):
            value[back:] |= source[:-back].astype(np.uint64) << np.uint64(8 * (back - 1))
        hashes.append((value * np.uint64(HASH) >> np.uint64(32)).astype(np.uint32))
    words = np.zeros((2, len(text)), np.uint32)
    word = previous = 0
    for i, byte in enumerate(folded.tolist()):
        words[0, i] = word
        words[1, i] = (word + previous * 31) & 0xFFFFFFFF
        if is_letter(byte):
            word = (word + byte + 1) * WORD_HASH & 0xFFFFFFFF
        elif word:
            previous, word = word, 0
    return [*hashes, words[0], words[1]]


def count(
    text: NDArray[np.uint8], hashes: NDArray[np.uint32], lower: NDArray[np.float32]
) -> tuple[_Counted, NDArray[np.float32]]:
    """The contexts of one kind worth a place, and the probability of each byte given its context.

    ``lower`` holds the probability of each byte under the next shorter context; the result backs
    off to it by absolute discounting.
    """
    keys = hashes.astype(np.uint64) << np.uint64(8) | text
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    new_pair = np.concatenate(([True], keys[1:] != keys[:-1]))
    pair_start = np.flatnonzero(new_pair)
    pairs = np.diff(np.append(pair_start, len(keys)))
    pair_hash = keys[pair_start] >> np.uint64(8)
    context_start = np.flatnonzero(np.concatenate(([True], pair_hash[1:] != pair_hash[:-1])))
    followers = np.diff(np.append(context_start, len(pair_hash)))
    total = np.add.reduceat(pairs, context_start)
    context_of_pair = np.repeat(np.arange(len(total)), followers)
    pair_lower = np.add.reduceat(lower[order], pair_start) / pairs
    share = np.maximum(pairs - DISCOUNT, 0.1) / total[context_of_pair]
    backoff = np.minimum(DISCOUNT * followers / total, 1)[context_of_pair]
    probability = np.minimum(share + backoff * pair_lower, 0.999)
    gain = np.add.reduceat(pairs * np.log2(probability / pair_lower), context_start)
    result = np.empty(len(text), np.float32)
    result[order] = probability[np.cumsum(new_pair) - 1]

    steps = np.floor(2 * np.log2(total[context_of_pair] / pairs) + 0.5).astype(np.int64)
    keep = (steps <= MAX_MASS_STEP) & (pairs >= 2)
    kept = np.add.reduceat(keep.astype(np.int64), context_start)
    gain_per_bit = gain / (CONTEXT_BITS + FOLLOWER_BITS * kept)
    good = (total >= MIN_COUNT) & (kept > 0) & (gain_per_bit > MIN_GAIN_PER_BIT)
    keep &= good[context_of_pair]
    counted = _Counted(
        pair_hash[context_start][good].astype(np.uint32),
        total[good],
        kept[good],
        gain_per_bit[good],
        (keys[pair_start] & np.uint64(255)).astype(np.uint8)[keep],
        steps[keep],
    )
    return counted, result


def build(text: NDArray[np.uint8]) -> dict[str, NDArray]:
    """The arrays of the prior, but for the weights, from ``text``."""
    probability = (np.bincount(text, minlength=256)[text] / len(text)).astype(np.float32)
    by_order, kinds = [], []
    for kind, hashes in enumerate(context_hashes(text)):
        lower = by_order[_WORD_BACKOFF] if kind == ORDERS else probability
        counted, probability = count(text, hashes, lower)
        by_order.append(probability if kind == _WORD_BACKOFF else None)
        kinds.append(counted)
    gains = np.concatenate([kind.gain_per_bit for kind in kinds])
    costs = np.concatenate([kind.cost for kind in kinds])
    order = np.argsort(-gains)
    fitting = np.searchsorted(np.cumsum(costs[order]), MEGABITS * 1e6)
    threshold = gains[order[min(fitting, len(order) - 1)]]
    arrays: dict[str, NDArray] = {}
    for number, kind in enumerate(kinds):
        arrays |= {f"{name}{number}": array for name, array in _pack(kind, threshold).items()}
    return arrays


def _pack(kind: _Counted, threshold: float) -> dict[str, NDArray]:
    chosen = kind.gain_per_bit >= threshold
    bits = max(8, int(np.ceil(np.log2(max(chosen.sum(), 1)))) + 4)
    fingerprint = kind.hash >> np.uint32(32 - bits)
    # of several contexts with one fingerprint the most useful stays
    rank = np.lexsort((-kind.gain_per_bit, fingerprint))
    rank = rank[chosen[rank]]
    first = np.concatenate(([True], fingerprint[rank][1:] != fingerprint[rank][:-1]))
    final = np.sort(rank[first])
    kept = kind.kept[final]
    owner = np.repeat(np.arange(len(final)), kept)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(kept) - kept, kept)
    pick = np.repeat((np.cumsum(kind.kept) - kind.kept)[final], kept) + within
    pick = pick[np.lexsort((kind.step[pick], owner))]  # most probable first
    pick = pick[within < MAX_FOLLOWERS]
    return {
        "bits": np.uint8(bits),
        "gap": np.diff(fingerprint[final].astype(np.int64), prepend=0).astype(np.uint16),
        "kept": np.minimum(kept, MAX_FOLLOWERS).astype(np.uint8),
        "confidence": np.minimum(np.log2(kind.total[final]), 15).astype(np.uint8),
        "byte": kind.byte[pick],
        "step": kind.step[pick].astype(np.uint8),
    }


def pages_of(documents: list[str], seed: int = 0) -> list[bytes]:
    """Pieces of the documents as long as the text of a page, whole lines, closed by a zero."""
    chooser = random.Random(seed)
    pages = []
    while documents and len(pages) < MIXER_PAGES:
        text = chooser.choice(documents)
        size = chooser.choice(PAGE_BYTES)
        start = text.find("\n", chooser.randrange(max(1, len(text) - size))) + 1
        pages.append(text[start : start + size].strip().encode() + b"\0")
    return pages


def learn_weights(prior: Prior, pages: list[bytes]) -> Weights:
    """The mixing weights after coding ``pages``."""
    weights = prior.fresh_weights()
    for shift in MIXER_SHIFTS:
        for page in tqdm(pages, unit="page", desc=f"mixer, step 2^-{shift}"):
            code(Encoder(), len(page), page, prior, weights, shift)
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m picd.training.text_prior")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    texts = list(screen_texts(options.folders))
    held_back = texts[::HELD_BACK_EVERY]
    counted = [text for i, text in enumerate(texts) if i % HELD_BACK_EVERY]
    arrays = build(np.frombuffer("".join(counted).encode(), np.uint8))
    weights = (
        np.full((INPUTS, CONFIDENCES), 20000, np.int32),
        np.zeros((STATES, INPUTS), np.int32),
        np.zeros((NODES, INPUTS), np.int32),
    )
    untrained = Prior.of(arrays | {f"weights{i}": table for i, table in enumerate(weights)})
    for i, table in enumerate(learn_weights(untrained, pages_of(held_back))):
        arrays[f"weights{i}"] = np.array(table, np.int32)
    np.savez_compressed(options.output, **arrays)


if __name__ == "__main__":
    main()
