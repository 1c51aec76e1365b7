"""The page's small pictures and HTML figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SECTION_COLOURS = {
    "header": "#94a3b8",
    "text": "#0d9488",
    "layout": "#6366f1",
    "image": "#f59e0b",
}
ACCENT = (13, 148, 136)

LOGO = Path(__file__).with_name("logo.svg")

EMPTY = """<div class="picd-empty"><div><b>{title}</b>{text}</div></div>"""


def header(state: str = "loading") -> str:
    names = {"loading": "loading the model", "ready": "ready", "failed": "model not loaded"}
    return (
        f'<div class="picd-head">{LOGO.read_text()}<div><h1>PICD</h1>'
        "<p>Pictures in a few kilobytes, with the text still readable</p></div>"
        f'<span class="picd-state {state}">{names[state]}</span></div>'
    )


def empty(title: str, text: str) -> str:
    return EMPTY.format(title=escape(title), text=escape(text))


def stage(number: int, title: str, text: str) -> str:
    """The heading of one stage of the road."""
    return f"<h3><span>{number}</span>{escape(title)}</h3><p>{escape(text)}</p>"


def note(text: str) -> str:
    return f'<p class="picd-note">{escape(text)}</p>'


def alert(text: str) -> str:
    """What went wrong, as one line that stays on the page."""
    return f'<div class="picd-alert" role="alert">{escape(text)}</div>'


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column names the row."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for first, *cells in rows
    )
    return f'<div class="picd-table"><table><thead><tr>{head}</tr></thead>{body}</table></div>'


def cards(figures: Mapping[str, str]) -> str:
    """Large figures with a small caption each: caption -> figure."""
    boxes = (f"<div><b>{escape(v)}</b><i>{escape(k)}</i></div>" for k, v in figures.items())
    return f'<div class="picd-figures">{"".join(boxes)}</div>'


def section_bar(sections: Mapping[str, int]) -> str:
    """Bytes by section as one stacked bar with its legend."""
    parts = [(name, size, SECTION_COLOURS.get(name, "#64748b")) for name, size in sections.items()]
    track = "".join(
        f'<div style="flex:{size};background:{colour}" title="{escape(name)}: {size} bytes"></div>'
        for name, size, colour in parts
        if size
    )
    legend = "".join(
        f'<li style="--c:{colour}">{escape(name)}<b>{size:,} B</b></li>'
        for name, size, colour in parts
    )
    return f'<div class="picd-bar"><div class="track">{track}</div><ul>{legend}</ul></div>'


def size_text(count: int) -> str:
    return f"{count / 1000:.1f} KB" if count >= 1000 else f"{count} B"


def boxes(image: np.ndarray, words: Iterable[dict]) -> np.ndarray:
    """The picture, dimmed, with a frame round each word (``layout_words`` gives them)."""
    dimmed = (image.astype(np.uint16) * 3 // 4 + 63).astype(np.uint8)
    picture = Image.fromarray(dimmed)
    draw = ImageDraw.Draw(picture)
    width = max(1, round(max(picture.size) / 900))
    for word in words:
        x, y, w, h = word["box"]
        if w > 0 and h > 0:
            left, top, right, bottom = (round(v) for v in (x, y, x + w, y + h))
            shown = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
            if shown.size:
                picture.paste(Image.fromarray(shown), (max(left, 0), max(top, 0)))
            draw.rectangle((left - 1, top - 1, right, bottom), outline=ACCENT, width=width)
    return np.array(picture)
