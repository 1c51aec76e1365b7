"""English interface and technical text for the text coder's prior, from documentation packages.

Reads folders of HTML and XML documentation, message catalogues (``.mo``: the English msgids),
Fluent and ``.properties`` strings inside ``omni.ja`` archives, plain text, and pages of the screen
generator (``.json``). Text is laid out as on screens: paragraphs wrapped at a width that changes
from document to document, or short lines as they stand.
"""

from __future__ import annotations

import json
import random
import re
import struct
import textwrap
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

_MARKUP = {".html", ".htm", ".xhtml", ".page", ".xml"}
_PLAIN = {".txt", ".rst", ".md"}
_BLOCKS = frozenset(
    "p div li td th tr h1 h2 h3 h4 h5 h6 dt dd pre title br table ul ol body section para"
    " paragraph item note caption option label button".split()
)
_HIDDEN = frozenset(("script", "style", "head", "svg", "info"))
_COMMON = frozenset(("the", "to", "of", "and", "for"))
_MAX_FILE_BYTES = 4_000_000
MAX_FOLDER_BYTES = 1_000_000
"""Of one folder, so that the longest manuals do not outweigh all others."""


class _Lines(HTMLParser):
    """Collects the text of block elements, one line each."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = []
        self._parts: list[str] = []
        self._hidden = 0

    def _flush(self) -> None:
        self.lines += "".join(self._parts).split("\n") if self._parts else []
        self._parts = []

    def handle_starttag(self, tag, attrs):
        if tag in _BLOCKS:
            self._flush()
        self._hidden += tag in _HIDDEN

    def handle_endtag(self, tag):
        if tag in _BLOCKS:
            self._flush()
        self._hidden = max(0, self._hidden - (tag in _HIDDEN))

    def handle_data(self, data):
        if not self._hidden:
            self._parts.append(re.sub(r"\s+", " ", data))

    def finish(self) -> list[str]:
        self.close()
        self._flush()
        return self.lines


def documents(folder: Path) -> Iterator[list[str]]:
    """The documents below ``folder``, each a list of paragraphs or short lines, in an order that is
    random, but always the same."""
    paths = sorted(folder.rglob("*"))
    random.Random(0).shuffle(paths)
    for path in paths:
        if path.is_symlink() or not path.is_file():
            continue
        if path.suffix == ".mo":
            yield _catalogue(path)
        elif path.suffix == ".ja":
            yield from _archive(path)
        elif path.stat().st_size > _MAX_FILE_BYTES and path.suffix != ".json":
            continue
        elif path.suffix in _MARKUP:
            parser = _Lines()
            parser.feed(path.read_text("utf-8", "ignore"))
            yield _unless_foreign(parser.finish())
        elif path.suffix in _PLAIN:
            text = path.read_text("utf-8", "ignore")
            yield _unless_foreign(re.split(r"\n\s*\n|\n(?=\s*[-*+#=])", text))
        elif path.suffix == ".json":
            yield _page(path)


def _catalogue(path: Path) -> list[str]:
    """The msgids of a GNU gettext catalogue, without contexts and accelerator marks."""
    data = path.read_bytes()
    if len(data) < 20 or struct.unpack_from("<I", data)[0] != 0x950412DE:
        return []
    count, table = struct.unpack_from("<II", data, 8)
    places = [struct.unpack_from("<II", data, table + 8 * i) for i in range(count)]
    ids = (data[start : start + size].split(b"\0")[0] for size, start in places)
    ids = (key.rpartition(b"\4")[2].decode("utf-8", "ignore") for key in ids)
    return [re.sub(r"[_~&](?=\w)", "", line) for key in ids for line in key.split("\n")]


def _archive(path: Path) -> Iterator[list[str]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith((".ftl", ".properties")):
                text = archive.read(name).decode("utf-8", "ignore")
                text = re.sub(r"(?m)^\s*#.*$", "", text)
                text = re.sub(r"\{[^{}]*\}", "Firefox", text)
                yield [re.sub(r"^\s*[\w.-]*\s*=\s*", "", line) for line in text.split("\n")]


def _page(path: Path) -> list[str]:
    lines: dict[int, list[str]] = {}
    try:
        page = json.loads(path.read_text("utf-8"))
    except ValueError:
        return []
    for word in page.get("words", ()) if isinstance(page, dict) else ():
        lines.setdefault(word["line"], []).append(word["text"])
    return [" ".join(words) for words in lines.values()]


def screen_texts(folders: list[Path], seed: int = 0) -> Iterator[str]:
    """The documents as text with one line a row, repeated paragraphs dropped, in random order; of
    each folder no more than about :data:`MAX_FOLDER_BYTES`."""
    chooser = random.Random(seed)
    seen: set[str] = set()
    texts = []
    for folder in folders:
        size = 0
        for paragraphs in documents(folder):
            rows: list[str] = []
            width = chooser.choice((24, 40, 60, 80, 100, 120))
            for paragraph in paragraphs:
                paragraph = " ".join(paragraph.split())
                if not paragraph or paragraph in seen or not _is_english(paragraph):
                    continue
                seen.add(paragraph)
                rows += textwrap.wrap(paragraph, width, break_long_words=False)
            if rows:
                texts.append("\n".join(rows) + "\n")
                size += len(texts[-1])
            if size > MAX_FOLDER_BYTES:
                break
    chooser.shuffle(texts)
    return iter(texts)


def _unless_foreign(paragraphs: list[str]) -> list[str]:
    """A document, or nothing where it is too long to have so few of the commonest English words."""
    words = " ".join(paragraphs).lower().split()
    common = sum(word in _COMMON for word in words)
    return [] if len(words) >= 100 and common < 0.01 * len(words) else paragraphs


def _is_english(paragraph: str) -> bool:
    return sum(char.isascii() for char in paragraph) > 0.97 * len(paragraph)
