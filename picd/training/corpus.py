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
_MAX_FILE_BYTES = 4_000_000


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
    """The documents below ``folder``, each a list of paragraphs or short lines, in fixed order."""
    for path in sorted(folder.rglob("*")):
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
            yield parser.finish()
        elif path.suffix in _PLAIN:
            yield re.split(r"\n\s*\n|\n(?=\s*[-*+#=])", path.read_text("utf-8", "ignore"))
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
    page = json.loads(path.read_text("utf-8"))
    for word in page.get("words", ()) if isinstance(page, dict) else ():
        lines.setdefault(word["line"], []).append(word["text"])
    return [" ".join(words) for words in lines.values()]


def screen_texts(folders: list[Path], seed: int = 0) -> Iterator[str]:
    """The documents as text with one line a row, repeated paragraphs dropped, in random order."""
    chooser = random.Random(seed)
    seen: set[str] = set()
    texts = []
    for folder in folders:
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
    chooser.shuffle(texts)
    return iter(texts)


def _is_english(paragraph: str) -> bool:
    return sum(char.isascii() for char in paragraph) > 0.97 * len(paragraph)
