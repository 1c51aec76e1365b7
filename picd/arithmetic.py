"""Adaptive binary arithmetic coding in pure integers, shared by the text and the layout coder.

A carry-less binary coder (32-bit interval, 16-bit probabilities), adaptive bits, and integers
built of them. An :class:`Encoder` and a :class:`Decoder` have the same methods, so that a model is
written once: ``bit = coder.bit(probability, bit)`` codes the bit given or, in a decoder, ignores
its argument and returns the bit read.
"""

from __future__ import annotations

from typing import Protocol

PROBABILITY_BITS = 16
PROBABILITY_ONE = 1 << PROBABILITY_BITS
_TOP = 0xFFFFFFFF


class Coder(Protocol):
    """What a model needs of an :class:`Encoder` or a :class:`Decoder`."""

    def bit(self, probability: int, bit: int = 0) -> int:
        """Code one bit whose probability of being 1 is ``probability`` / 65536 (1..65535)."""


class Encoder:
    """Collects coded bits; :meth:`finish` returns the bytes."""

    def __init__(self) -> None:
        self._low, self._high = 0, _TOP
        self._out = bytearray()

    def bit(self, probability: int, bit: int = 0) -> int:
        low, high = self._low, self._high
        middle = low + ((high - low) * probability >> PROBABILITY_BITS)
        if bit:
            high = middle
        else:
            low = middle + 1
        while not (low ^ high) & 0xFF000000:
            self._out.append(high >> 24)
            low = low << 8 & _TOP
            high = high << 8 & _TOP | 0xFF
        self._low, self._high = low, high
        return bit

    def finish(self) -> bytes:
        """The shortest bytes that, followed by any number of zeros, decode to what was coded."""
        out, low = self._out, self._low
        if low:
            for keep in range(1, 5):
                shift = 32 - 8 * keep
                value = (low + (1 << shift) - 1) >> shift << shift
                if value <= self._high:
                    out += value.to_bytes(4, "big")[:keep]
                    break
        return bytes(out).rstrip(b"\0")


class Decoder:
    """Reads what an :class:`Encoder` wrote, and zeros after its end: the caller bounds how much."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._low, self._high = 0, _TOP
        self._code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")
        self._next = 4

    def bit(self, probability: int, bit: int = 0) -> int:
        low, high = self._low, self._high
        middle = low + ((high - low) * probability >> PROBABILITY_BITS)
        if self._code <= middle:
            bit, high = 1, middle
        else:
            bit, low = 0, middle + 1
        while not (low ^ high) & 0xFF000000:
            low = low << 8 & _TOP
            high = high << 8 & _TOP | 0xFF
            position = self._next
            byte = self._data[position] if position < len(self._data) else 0
            self._code = self._code << 8 & _TOP | byte
            self._next = position + 1
        self._low, self._high = low, high
        return bit
