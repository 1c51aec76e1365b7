"""Lossless coding of the strings of a text layout (docs/FORMAT.md, section text).

The words become one UTF-8 string, which :mod:`picd.text_model` predicts bit by bit and an
arithmetic coder codes. All of it is integer arithmetic, so that every machine computes the same
probabilities.
"""

from __future__ import annotations

from math import log2

from picd.arithmetic import Decoder, Encoder
from picd.errors import BitstreamError
from picd.layout import TextLayout
from picd.text_model import code, load_prior

MAX_TEXT_BYTES = 1 << 18
"""Longest UTF-8 text, with its separators, that can be sent."""

_FREE_BYTES, _BYTES_PER_CODED_BYTE = 1024, 16
_END, _SPACE, _NEWLINE, _ESCAPE = b"\0", b" ", b"\n", b"\x1a"
_ESCAPED = {"\x1a": "e", "\0": "z", " ": "s", "\n": "n"}
_EMPTY_WORD, _EMPTY_LINE = "\x1aw", "\x1al"


def encode_text(layout: TextLayout) -> bytes:
    """The bytes of the words of ``layout``, any Unicode text; empty for a layout without lines.

    Raises:
        ValueError: the text has more than :data:`MAX_TEXT_BYTES` bytes of UTF-8.
    """
    if not layout.lines:
        return b""
    text = _serialise(tuple(tuple(word.text for word in line.words) for line in layout.lines))
    if len(text) > MAX_TEXT_BYTES:
        raise ValueError(f"text has {len(text)} bytes, at most {MAX_TEXT_BYTES} can be sent")
    coder, prior = Encoder(), load_prior()
    code(coder, len(text), text, prior, prior.fresh_weights())
    data = coder.finish()
    shortest = -(-(len(text) - _FREE_BYTES) // _BYTES_PER_CODED_BYTE)
    return data.ljust(shortest, b"\0")


class _Meter:
    """Counts the bits that an encoder would write."""

    bits = 0.0

    def bit(self, probability: int, bit: int) -> int:
        self.bits -= log2(probability if bit else 65536 - probability) - 16
        return bit


def bits_alone(word: str) -> float:
    """Bits that ``word`` would take if it were all of the text: how unlikely it is."""
    meter, prior = _Meter(), load_prior()
    data = word.encode("utf-8", "surrogatepass").replace(_END, b"") + _END
    code(meter, len(data), data, prior, prior.fresh_weights())
    return meter.bits


def text_size(layout: TextLayout) -> int:
    """Bytes of the text of ``layout`` before it is coded: UTF-8, separators included."""
    if not layout.lines:
        return 0
    return len(_serialise(tuple(tuple(word.text for word in line.words) for line in layout.lines)))


def decode_text(data: bytes, most: int = MAX_TEXT_BYTES) -> tuple[tuple[str, ...], ...]:
    """The lines of words that :func:`encode_text` was given.

    The length of the text is bounded by ``most`` (:func:`picd.limits.text_limit`) and by that of
    ``data``, so that few bytes cannot keep the decoder busy.

    Raises:
        BitstreamError: the bytes are not a coded text.
    """
    if not data:
        return ()
    limit = min(most, _FREE_BYTES + _BYTES_PER_CODED_BYTE * len(data))
    prior = load_prior()
    return _parse(code(Decoder(data), limit, None, prior, prior.fresh_weights()))


def _serialise(lines: tuple[tuple[str, ...], ...]) -> bytes:
    """Words joined by spaces, lines by newlines, closed by a zero byte."""
    table = str.maketrans({char: "\x1a" + code for char, code in _ESCAPED.items()})

    def line_text(words: tuple[str, ...]) -> str:
        return " ".join(word.translate(table) or _EMPTY_WORD for word in words) or _EMPTY_LINE

    return "\n".join(map(line_text, lines)).encode("utf-8", "surrogatepass") + _END


def _parse(text: bytes) -> tuple[tuple[str, ...], ...]:
    try:
        decoded = text.removesuffix(_END).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise BitstreamError("text section is malformed: not UTF-8") from None
    lines = decoded.split("\n")
    return tuple(
        () if line == _EMPTY_LINE else tuple(_unescape(word) for word in line.split(" "))
        for line in lines
    )


def _unescape(word: str) -> str:
    if "\x1a" not in word:
        return word
    if word == _EMPTY_WORD:
        return ""
    head, *parts = word.split("\x1a")
    meaning = {code: char for char, code in _ESCAPED.items()}
    if not all(part[:1] in meaning for part in parts):
        raise BitstreamError("text section is malformed: unknown escape")
    return head + "".join(meaning[part[0]] + part[1:] for part in parts)
