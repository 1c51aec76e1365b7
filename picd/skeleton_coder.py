"""Lossless coding of the skeleton (docs/FORMAT.md, section layout): rules, then marks."""

from __future__ import annotations

from functools import lru_cache

from picd.adaptive import AdaptiveBits, load_layout_prior
from picd.arithmetic import Decoder, Encoder
from picd.colours import KnownColours
from picd.layout import Mark, Rule
from picd.mark_coder import code_marks
from picd.rule_coder import code_rules


@lru_cache(maxsize=4)  # a page is coded several times while its budget is shared out
def encode_skeleton(
    rules: tuple[Rule, ...], marks: tuple[Mark, ...], width: int, height: int
) -> bytes:
    """The bytes of the rules and marks of a picture; none for none.

    Raises:
        ValueError: they cannot be sent.
    """
    if not rules and not marks:
        return b""
    coder = Encoder()
    code_skeleton(AdaptiveBits(coder, load_layout_prior()), rules, marks, width, height)
    return coder.finish()


def decode_skeleton(
    data: bytes, width: int, height: int
) -> tuple[tuple[Rule, ...], tuple[Mark, ...]]:
    """The rules and marks of a picture of ``width`` x ``height`` pixels.

    Raises:
        BitstreamError: the bytes say something impossible.
    """
    if not data:
        return (), ()
    bits = AdaptiveBits(Decoder(data), load_layout_prior())
    return code_skeleton(bits, None, None, width, height)


def code_skeleton(
    bits: AdaptiveBits,
    rules: tuple[Rule, ...] | None,
    marks: tuple[Mark, ...] | None,
    width: int,
    height: int,
) -> tuple[tuple[Rule, ...], tuple[Mark, ...]]:
    """Code rules and marks (None in a decoder) with one set of contexts."""
    colours = KnownColours()
    rules = code_rules(bits, colours, rules, width, height)
    return rules, code_marks(bits, colours, marks, width, height)
