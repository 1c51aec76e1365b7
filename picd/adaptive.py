"""Adaptive bits and integers for the layout coder, mixed from several contexts.

Every bit is coded in one or more named contexts. Each context keeps an adaptive probability and
how often it was used; the logistic mix of them is what the arithmetic coder sees. Names that begin
with ``@`` depend on the page; all others may start from what :mod:`picd.training.layout_prior`
learned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from picd.arithmetic import Coder
from picd.errors import ModelError
from picd.mixing import RATE, SQUASH, STRETCH, STRETCH_LIMIT
from picd.text_model import model_file

T = TypeVar("T")
COUNT_LIMIT = 40
SLOTS = 3
"""At most this many contexts for one bit."""

_MIXER_SHIFT = 15
_MAX_CLASS = 18
_FIRST_WEIGHT = 40000
_UNSEEN = 32768, 0


@dataclass(frozen=True)
class LayoutPrior:
    """Where adaptation starts: by context name (probability, count), and the mixing weights,
    65536 = 1, by place of the context in the call and its count."""

    states: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    weights: tuple[tuple[int, ...], ...] = ((_FIRST_WEIGHT,) * (COUNT_LIMIT + 1),) * SLOTS


@lru_cache(maxsize=1)
def load_layout_prior() -> LayoutPrior:
    """The shipped prior.

    Raises:
        ModelError: its file is missing or unreadable.
    """
    path = model_file("layout_prior.json")
    try:
        content = json.loads(path.read_text())
        states = {name: (p, n) for name, (p, n) in content["states"].items()}
        return LayoutPrior(states, tuple(map(tuple, content["weights"])))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"cannot read the layout prior {path}: {error}") from None


class AdaptiveBits:
    """Bits and integers over ``coder``; each call names its contexts, the most general first.

    ``value`` is what an encoder codes; the methods return what was coded or read.
    """

    def __init__(self, coder: Coder, prior: LayoutPrior) -> None:
        self._coder = coder
        self._prior = prior
        self.states: dict[str, list[int]] = {}
        self.weights = [list(row) for row in prior.weights]

    def bit(self, *names: str, value: int = 0) -> int:
        states, total, used = self.states, 0, []
        for name, weights in zip(names, self.weights):  # noqa: B905 (a check takes time)
            state = states.get(name)
            if state is None:
                state = states[name] = self._prior.states.get(name, _UNSEEN)
            seen, count = state
            logit = STRETCH[seen >> 4]
            total += weights[count] * logit
            used.append((name, weights, logit, seen, count))
        total >>= 16
        if not -STRETCH_LIMIT <= total <= STRETCH_LIMIT:
            total = STRETCH_LIMIT if total > 0 else -STRETCH_LIMIT
        probability = SQUASH[total + STRETCH_LIMIT]
        value = self._coder.bit(probability, int(value))
        error, aim = (value << 16) - probability, (value << 16) - value
        for name, weights, logit, seen, count in used:
            weights[count] += error * logit >> _MIXER_SHIFT
            seen += (aim - seen) * RATE[count] >> 16
            states[name] = seen, count + 1 if count < COUNT_LIMIT else count
        return value

    def tree(self, *names: str, bits: int, value: int = 0) -> int:
        """An integer of ``bits`` bits, most significant first."""
        node = 1
        for shift in range(bits - 1, -1, -1):
            places = (f"{name}/{node}" for name in names)
            node = node * 2 + self.bit(*places, value=value >> shift & 1)
        return node - (1 << bits)

    def one_of(self, name: str, candidates: Sequence[T], value: T | None = None) -> T | None:
        """Which of the candidates, in unary; None for none of them."""
        rank = candidates.index(value) if value in candidates else len(candidates)
        for place, candidate in enumerate(candidates):
            if self.bit(f"{name} {min(place, 5)}", value=place == rank):
                return candidate
        return None

    def signed(self, *names: str, value: int = 0) -> int:
        """An integer of magnitude below 2**19."""
        if not self.bit(*(f"{name}/n" for name in names), value=value != 0):
            return 0
        negative = self.bit(*(f"{name}/s" for name in names), value=value < 0)
        size, magnitude = 0, abs(value)
        while size < _MAX_CLASS:
            places = (f"{name}/{negative}.{size}" for name in names)
            if not self.bit(*places, value=size < magnitude.bit_length() - 1):
                break
            size += 1
        result = 1
        for shift in range(size - 1, -1, -1):
            name = f"{names[0]}/{size}:{result}" if result < 4 else f"low {size} {shift}"
            result = result * 2 + self.bit(name, value=magnitude >> shift & 1)
        return -result if negative else result
