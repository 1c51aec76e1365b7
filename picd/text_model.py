"""The probability model of the text coder: context mixing over bytes, in integers.

Each bit of each byte is predicted by several models, and a logistic mixer adds their opinions,
each weighted by what kind of model it is and how much it has seen (after the PAQ family by
Mahoney). Three sorts of model: *static* ones know which bytes follow which contexts in English
interface text (the shipped prior, ``picd.training.text_prior``), *adaptive* ones count what
followed the same contexts in this text, and a *match* model expects what followed the last
occurrence of the last few bytes.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from picd.arithmetic import Coder
from picd.errors import BitstreamError, ModelError
from picd.mixing import RATE, SQUASH, STRETCH, STRETCH_LIMIT

HASH = 0x9E3779B97F4A7C15
WORD_HASH = 0x2F0B4C47
ORDERS, RAW_ORDERS = 6, 2
"""Static contexts of 1..6 bytes; the first two exact, the others folded by :data:`FOLD`."""
STATIC_KINDS = ORDERS + 2
"""... and two more: the word so far, alone and with the word before."""
MAX_MASS_STEP = 12
KEPT = 1024
"""Contexts of a kind whose masses are kept, for the next text: most are those of all texts."""

FOLD = bytes(
    ord("0") if 48 <= b <= 57 else b + 32 if 65 <= b <= 90 else 32 if b == 10 else b
    for b in range(256)
)
"""What contexts make of a byte: lower case, digits alike, newlines as spaces."""

_MASS = [round(65536 * 2 ** (-step / 2)) for step in range(MAX_MASS_STEP + 1)]
_ADAPTIVE_KINDS = 10
_SLOT_BITS = 22
_COUNT_LIMIT = 30
_MIN_MATCH = 3
_MATCH_LIMIT = 31
_M32, _M64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF

_MATCH = STATIC_KINDS + _ADAPTIVE_KINDS
INPUTS = _MATCH + 1
"""Inputs of the mixer: the static models, the adaptive ones and the match."""
CONFIDENCES, STATES, NODES = 32, 64, 256
"""An input's weight is the sum of three, looked up by its own confidence, by which orders have
an opinion at all, and by the bits of the byte so far."""
MIXER_SHIFT = 16

Weights = tuple[list[list[int]], list[list[int]], list[list[int]]]
"""(INPUTS x CONFIDENCES, STATES x INPUTS, NODES x INPUTS), 65536 = 1; changed by coding."""


def is_letter(folded: int) -> bool:
    """Whether a folded byte belongs to a word (letters and everything beyond ASCII)."""
    return 97 <= folded <= 122 or folded >= 128


@dataclass(frozen=True)
class _Followers:
    """For one kind of context: sorted fingerprints and what follows each."""

    shift: int
    fingerprints: array
    starts: array
    confidence: bytes
    byte: bytes
    step: bytes
    kept: dict[int, tuple[dict[int, int], int]] = field(default_factory=dict)

    def masses(self, context: int) -> tuple[dict[int, int], int] | None:
        """Mass of every node of the tree of next bytes, and the confidence 0..15."""
        fingerprint = context >> self.shift
        kept = self.kept.get(fingerprint)
        if kept:
            return kept
        index = bisect_left(self.fingerprints, fingerprint)
        if index == len(self.fingerprints) or self.fingerprints[index] != fingerprint:
            return None
        if len(self.kept) >= KEPT:
            self.kept.clear()
        nodes: dict[int, int] = {}
        for place in range(self.starts[index], self.starts[index + 1]):
            node, mass = self.byte[place] | 256, _MASS[self.step[place]]
            while node:
                nodes[node] = nodes.get(node, 0) + mass
                node >>= 1
        masses = self.kept[fingerprint] = nodes, self.confidence[index]
        return masses


@dataclass(frozen=True)
class Prior:
    """What the coder knows before it starts; see :mod:`picd.training.text_prior`."""

    kinds: tuple[_Followers, ...]
    weights: Weights

    def fresh_weights(self) -> Weights:
        """A copy to start coding with."""
        return tuple([list(row) for row in table] for table in self.weights)

    @staticmethod
    def of(arrays: Mapping[str, np.ndarray]) -> Prior:
        kinds = []
        for kind in range(STATIC_KINDS):
            fingerprints = np.cumsum(arrays[f"gap{kind}"], dtype=np.uint64).astype(np.uint32)
            stops = np.cumsum(arrays[f"kept{kind}"], dtype=np.uint32)
            kinds.append(
                _Followers(
                    32 - int(arrays[f"bits{kind}"]),
                    array("I", fingerprints.tobytes()),
                    array("I", bytes(4) + stops.tobytes()),
                    arrays[f"confidence{kind}"].tobytes(),
                    arrays[f"byte{kind}"].tobytes(),
                    arrays[f"step{kind}"].tobytes(),
                )
            )
        return Prior(tuple(kinds), tuple(arrays[f"weights{i}"].tolist() for i in range(3)))


def model_file(name: str) -> Path:
    """Where a file of the embedded model lies, in an installed package or beside the sources."""
    here = Path(__file__).parent
    folder = next((f for f in (here / "models", here.parent / "models") if f.is_dir()), here)
    return folder / "compact" / name


@lru_cache(maxsize=1)
def load_prior() -> Prior:
    """The shipped prior.

    Raises:
        ModelError: its file is missing or unreadable.
    """
    path = model_file("text_prior.npz")
    try:
        with np.load(path) as arrays:
            return Prior.of(arrays)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"cannot read the text prior {path}: {error}") from None


def code(
    coder: Coder,
    limit: int,
    text: bytes | None,
    prior: Prior,
    weights: Weights,
    mixer_shift: int = MIXER_SHIFT,
) -> bytes:
    """Code ``text`` (None in a decoder), which ends with its only zero byte; returns it.

    ``weights`` starts as ``prior.fresh_weights()`` and learns, the faster the smaller
    ``mixer_shift`` (training only).

    Raises:
        BitstreamError: no end within ``limit`` bytes.
    """
    by_confidence, by_state, by_node = weights
    half = 1 << mixer_shift - 1
    slot_shift = 32 - _SLOT_BITS
    probabilities = array("H", bytes(2)) * (1 << _SLOT_BITS)
    counts = bytearray(1 << _SLOT_BITS)
    match_states = [[40000, 0] for _ in range(_MATCH_LIMIT + 1)]
    done = bytearray()
    last_seen: dict[bytes, int] = {}
    match = match_length = 0
    word = previous_word = 0
    raw = folded = 0
    line_start = previous_length = 0
    while True:
        if len(done) >= limit:
            raise BitstreamError("text section is malformed: no end of text")
        hashes = [
            ((folded if order > RAW_ORDERS else raw) & (1 << 8 * order) - 1) * HASH >> 32 & _M32
            for order in range(1, ORDERS + 1)
        ]
        both = word + previous_word * 31 & _M32
        static = []
        for kind, context in enumerate((*hashes, word, both)):
            found = prior.kinds[kind].masses(context)
            if found:
                nodes, confidence = found
                static.append((kind, nodes, max(65536 - nodes[1], 300), confidence))
        line_length = len(done) - line_start
        column = (min(line_length, 255) << 8 | min(previous_length, 255)) * 2 + (raw & 255 == 32)
        bases = [
            (context + (kind + 1) * 0x3C6EF372) * HASH >> 32 & _M32
            for kind, context in enumerate(
                (0, raw & 0xFF, raw & 0xFFFF, raw & 0xFFFFFF, *hashes[3:], word, both, column)
            )
        ]
        expected = done[match] | 256 if match_length else 0
        node = 1
        actual = text[len(done)] if text is not None else 0
        for position in range(7, -1, -1):
            offset = node * 0x9E3779B1
            inputs = []  # (input, its weights by confidence, confidence, opinion)
            static_order = adaptive_order = 0
            for kind, nodes, rest, confidence in static:
                ones, zeros = nodes.get(2 * node + 1, 0), nodes.get(2 * node, 0)
                if ones or zeros:
                    share = (rest << position >> 8) + 1
                    logit = STRETCH[(ones + share << 12) // (ones + zeros + 2 * share)]
                    sure = 0 if ones and zeros else 16
                    inputs.append((kind, by_confidence[kind], confidence + sure, logit))
                    if kind < ORDERS:
                        static_order = kind + 1
            slots = []
            for kind, base in enumerate(bases):
                slot = (base + offset & _M32) >> slot_shift
                slots.append(slot)
                count = counts[slot]
                if count:
                    which = STATIC_KINDS + kind
                    logit = STRETCH[probabilities[slot] >> 4]
                    inputs.append((which, by_confidence[which], count, logit))
                    if kind <= 6:
                        adaptive_order = kind
            matching = expected and expected >> position + 1 == node
            if matching:
                length = min(match_length, _MATCH_LIMIT)
                state = match_states[length]
                expected_bit = expected >> position & 1
                logit = STRETCH[state[0] >> 4]
                opinion = logit if expected_bit else -logit
                inputs.append((_MATCH, by_confidence[_MATCH], length, opinion))
            reach = (static_order * 4 + adaptive_order // 2) * 2 + (1 if matching else 0)
            state_weights, node_weights = by_state[reach], by_node[node]
            total = 0
            for which, row, confidence, logit in inputs:
                total += (row[confidence] + state_weights[which] + node_weights[which]) * logit
            total = max(-STRETCH_LIMIT, min(STRETCH_LIMIT, total >> 16))
            probability = SQUASH[total + STRETCH_LIMIT]
            bit = coder.bit(probability, actual >> position & 1)
            target = bit << 16
            error = target - probability
            for which, row, confidence, logit in inputs:
                step = error * logit + half >> mixer_shift
                row[confidence] += step
                state_weights[which] += step
                node_weights[which] += step
            for slot in slots:
                count = counts[slot]
                if count:
                    value = probabilities[slot]
                    probabilities[slot] = value + ((target - bit - value) * RATE[count] >> 16)
                    if count < _COUNT_LIMIT:
                        counts[slot] = count + 1
                else:
                    counts[slot] = 1
                    probabilities[slot] = 54000 if bit else 11536
            if matching:
                hit = 65535 if bit == expected_bit else 0
                state[0] += (hit - state[0]) * RATE[state[1]] >> 16
                state[1] = min(state[1] + 1, 100)
            node = node * 2 + bit
        byte = node & 0xFF
        done.append(byte)
        if not byte:
            return bytes(done)
        if match_length and done[match] == byte:
            match += 1
            match_length += 1
        else:
            match_length = 0
        tail = bytes(done[-_MIN_MATCH:])
        if not match_length and tail in last_seen:
            match = last_seen[tail]
            match_length = 1
        last_seen[tail] = len(done)
        if byte == 10:
            previous_length, line_start = line_length, len(done)
        raw = (raw << 8 | byte) & _M64
        byte = FOLD[byte]
        folded = (folded << 8 | byte) & _M64
        if is_letter(byte):
            word = (word + byte + 1) * WORD_HASH & _M32
        elif word:
            previous_word, word = word, 0
