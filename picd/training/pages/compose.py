"""One page from one seed: viewport, kind, theme, and the kind's template filled in."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from random import Random

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from picd.training.pages.parts import PhotoSource, Studio
from picd.training.pages.text import Writer
from picd.training.pages.theme import Theme, hsl

KINDS = {
    "article": 9, "table": 7, "dashboard": 8, "form": 6, "code": 9, "terminal": 6, "chat": 6,
    "mail": 6, "settings": 6, "dialog": 7, "files": 5, "docs": 9, "sheet": 5, "menus": 7,
    "cards": 5, "slide": 4, "plot": 4, "banner": 0, "phone": 0,
}  # fmt: skip
"""Kinds of pages (templates/KIND.html) and how often each comes: banners and phones only where they
are asked for, so that the pages of a seed stay those that earlier figures are from."""

VIEWPORTS = (
    (1024, 768), (1280, 720), (1280, 800), (1366, 768), (1440, 900), (960, 640), (800, 600),
)  # fmt: skip
PHONES = (360, 740), (375, 812), (390, 844), (412, 915)
CELLS = (
    "word", "title", "name", "number", "price", "percent", "date", "time", "email", "file", "size",
    "country", "count", "hash", "code", "version", "label", "job", "phone", "company", "place",
    "identifier", "number", "number", "title",
)  # fmt: skip


@dataclass(frozen=True)
class Page:
    """HTML for a viewport of ``width`` x ``height`` CSS pixels, ``scale`` device pixels each."""

    html: str
    width: int
    height: int
    scale: int
    kind: str


def page_html(
    seed: int,
    index: int,
    *,
    width: int | None = None,
    height: int | None = None,
    photo_url: PhotoSource | None = None,
    awesome: bool = False,
    kind: str | None = None,
) -> Page:
    """Page number ``index`` of the batch ``seed``; the same arguments give the same HTML.

    ``width`` and ``height`` fix the viewport (CSS pixels), else it is drawn around the usual
    screen sizes; ``kind`` fixes that. ``photo_url`` supplies image URLs (default: gradients);
    ``awesome`` says that the FontAwesome face is installed.
    """
    rng = Random(f"page {seed} {index}")
    scale = 2 if rng.random() < 0.2 else 1
    drawn_width, drawn_height = _viewport(rng, scale)
    drawn_kind = rng.choices(list(KINDS), KINDS.values())[0]
    kind = kind or drawn_kind
    if kind == "phone":
        (drawn_width, drawn_height), scale = rng.choice(PHONES), rng.choice((2, 3))
    width, height = width or drawn_width, height or drawn_height
    theme, writer = Theme.random(rng), Writer(rng)
    html = (
        _environment()
        .get_template("page.html")
        .render(
            kind=kind,
            width=width,
            height=height,
            rng=rng,
            t=theme,
            w=writer,
            s=Studio(rng, writer, theme, photo_url or gradient_url, awesome),
            hsl=hsl,
            chance=lambda probability: rng.random() < probability,
            pick=lambda *options: rng.choice(options),
            times=lambda low, high: range(rng.randint(low, high)),
            cell=lambda: rng.choice(CELLS),
            cells=lambda low, high: rng.sample(CELLS, rng.randint(low, high)),
        )
    )
    return Page(html, width, height, scale, kind)


@functools.cache
def _environment() -> Environment:
    """Templates see: s (Studio), w (Writer), t (Theme), rng, chance, pick, times, cell(s), hsl."""
    loader = FileSystemLoader(Path(__file__).with_name("templates"))
    return Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _viewport(rng: Random, scale: int) -> tuple[int, int]:
    width, height = rng.choice(VIEWPORTS)
    if rng.random() < 0.5:
        width, height = max(640, width + rng.randint(-40, 60)), height + rng.randint(-40, 40)
    # A window on a dense screen shows about as many device pixels, not four times as many.
    share = 0.62 if scale == 2 else 1
    return round(width * share), round(min(900, height) * share)


def gradient_url(rng: Random, width: int, height: int) -> str:
    """A stand-in for a photograph: a sky, a sun and three hills, as an SVG data URL."""
    hue, out = rng.random(), []
    for k in range(3):
        crest = f"M0 {70 + 10 * k}Q{rng.randint(10, 40)} {rng.randint(20, 60) + 15 * k}"
        ends = f"50 {65 + 12 * k}T100 {rng.randint(45, 75) + 10 * k}V100H0z"
        out.append(f"<path d='{crest} {ends}' fill='{hsl(hue + 0.1 * k, 0.4, 0.45 - 0.12 * k)}'/>")
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' "
        "viewBox='0 0 100 100' preserveAspectRatio='none'>"
        f"<linearGradient id='g' gradientTransform='rotate({rng.randint(0, 90)})'>"
        f"<stop stop-color='{hsl(hue, 0.6, 0.75)}'/>"
        f"<stop offset='1' stop-color='{hsl(hue + 0.15, 0.7, 0.55)}'/></linearGradient>"
        "<rect width='100' height='100' fill='url(#g)'/>"
        f"<circle cx='{rng.randint(15, 85)}' cy='{rng.randint(12, 40)}' "
        f"r='{rng.randint(4, 12)}' fill='#fffbe0'/>{''.join(out)}</svg>"
    )
    return "data:image/svg+xml," + svg.replace("%", "%25").replace("#", "%23")
