"""Small pieces that the page templates are made of: icons, photographs, controls, tables, code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.styles import get_style_by_name

from picd.training.pages.charts import chart
from picd.training.pages.text import Writer
from picd.training.pages.theme import Theme, hsl

# Paths on a 24 x 24 grid, drawn with strokes.
ICONS = (
    "M3 11L12 4l9 7v9h-6v-6H9v6H3z", "M4 6h16M4 12h16M4 18h16", "M12 5v14M5 12h14",
    "M5 5l14 14M19 5L5 19", "M4 12l5 5L20 6", "M9 5l7 7-7 7", "M5 9l7 7 7-7",
    "M3 6h6l2 3h10v10H3z", "M6 3h9l4 4v14H6zM14 3v5h5", "M3 6h18v12H3zM3 6l9 7 9-7",
    "M12 3l3 6 6 1-4.5 4 1 6-5.5-3-5.5 3 1-6L3 10l6-1z", "M4 20V10M10 20V4M16 20v-8M21 20H3",
    "M12 21s-8-5-8-11a4 4 0 018-2 4 4 0 018 2c0 6-8 11-8 11z", "M7 4v16l13-8z",
    "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z", "M12 3v12M7 10l5 5 5-5M4 20h16",
    "M5 9h14v11H5zM8 9V6a4 4 0 018 0v3", "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13",
    "M15 5l4 4L8 20H4v-4z", "M6 6a8 8 0 1011 0M12 3v8",
)  # fmt: skip
ROUND_ICONS = (
    "<circle cx='11' cy='11' r='6'/><path d='M15.5 15.5L21 21'/>",
    "<circle cx='12' cy='12' r='9'/><path d='M12 7v5l4 2'/>",
    "<circle cx='12' cy='8' r='4'/><path d='M4 21c0-9 16-9 16 0'/>",
    "<circle cx='12' cy='12' r='3'/><circle cx='12' cy='12' r='8' stroke-dasharray='4 2.3'/>",
    "<circle cx='12' cy='12' r='9'/><path d='M12 11v6M12 7v1'/>",
)
FONT_AWESOME = tuple(chr(0xF000 + k) for k in range(0x1E0) if k & 15 != 15)
LIGHT_CODE = ("default", "friendly", "tango", "vs", "xcode", "solarized-light", "manni", "pastie",
              "autumn", "gruvbox-light", "sas")  # fmt: skip
DARK_CODE = ("monokai", "native", "dracula", "one-dark", "nord", "gruvbox-dark", "solarized-dark",
             "material", "github-dark", "zenburn", "fruity", "vim", "coffee")  # fmt: skip
NUMERIC = ("number", "price", "percent", "size", "count")

PhotoSource = Callable[[Random, int, int], str]


@dataclass(frozen=True)
class Source:
    """Coloured source code: its HTML, its background colour, its number of lines."""

    language: str
    html: Markup
    ground: str
    lines: int


@dataclass(frozen=True)
class Studio:
    """What a template calls to draw; ``photo_url(rng, w, h)`` gives an image URL of that size."""

    rng: Random
    write: Writer
    theme: Theme
    photo_url: PhotoSource
    awesome: bool

    def icon(self, size: float = 1.2, color: str = "currentColor") -> Markup:
        """An icon ``size`` em wide; never text that counts as a word."""
        rng = self.rng
        if self.awesome and rng.random() < 0.4:
            return Markup(
                '<i class="fa fixed" data-glyph="{}" style="color:{};width:{}em;'
                'font-size:{:.2f}em;line-height:1"></i>'
            ).format(rng.choice(FONT_AWESOME), color, size, size * 0.85)
        path = f"<path d='{rng.choice(ICONS)}'/>"
        shape = rng.choice(ROUND_ICONS) if rng.random() < 0.3 else path
        fill = color if rng.random() < 0.2 else "none"
        return Markup(
            '<svg viewBox="0 0 24 24" style="width:{0}em;height:{0}em" fill="{1}" stroke="{2}" '
            'stroke-width="{3}">{4}</svg>'
        ).format(size, fill, color, rng.choice((1.5, 2, 2, 2.5)), Markup(shape))

    def photo(self, width: int, height: int, radius: str = "") -> Markup:
        """A photograph, cut to ``width`` x ``height`` CSS pixels."""
        return Markup(
            '<img src="{}" style="width:{}px;height:{}px;object-fit:cover;max-width:100%;'
            'border-radius:{}">'
        ).format(
            Markup(self.photo_url(self.rng, width, height)),
            width,
            height,
            radius or f"{self.theme.radius}px",
        )

    def avatar(self, size: int = 36) -> Markup:
        """A round picture or initials on a coloured disc."""
        if self.rng.random() < 0.45:
            return self.photo(size, size, "50%")
        initials = "".join(part[0] for part in self.write.name().split())
        return Markup(
            '<div class="fixed center" style="width:{0}px;height:{0}px;line-height:{0}px;'
            'border-radius:50%;background:{1};color:#fff;font-size:{2:.0f}px">{3}</div>'
        ).format(
            size,
            hsl(self.rng.random(), 0.5, 0.42),
            size * 0.4,
            initials if self.rng.random() < 0.7 else "",
        )

    def button(self, text: object = None, primary: bool = False) -> Markup:
        return Markup(
            '<span class="button fixed {}"><span class="row">{}<span>{}</span></span></span>'
        ).format(
            "primary" if primary else "",
            self.icon(1.0) if self.rng.random() < 0.2 else "",
            self.write.label() if text is None else text,
        )

    def badge(self, text: object) -> Markup:
        color = self.rng.choice(self.theme.series)
        filled, outlined = f"background:{color};color:#fff", f"border:1px solid {color}"
        style = self.rng.choice(("", filled, f"{outlined};background:none"))
        return Markup('<span class="badge" style="{}">{}</span>').format(style, text)

    def toggle(self) -> Markup:
        side, color = self.rng.choice((("right", self.theme.accent), ("left", self.theme.muted)))
        return Markup(
            '<span class="fixed" style="width:2.4em;height:1.3em;border-radius:1em;padding:.15em;'
            'background:{}"><span style="float:{};width:1em;height:1em;border-radius:50%;'
            'background:#fff"></span></span>'
        ).format(color, side)

    def tick(self, round: bool = False) -> Markup:
        """A check box or, when ``round``, a radio button; half of them are set."""
        dot = f"box-shadow:inset 0 0 0 3px {self.theme.ground};background:{self.theme.accent}"
        return Markup(
            '<span class="fixed" style="width:1.1em;height:1.1em;border:1px solid {};'
            'border-radius:{};{}"></span>'
        ).format(
            self.theme.muted,
            "50%" if round else "2px",
            dot if self.rng.random() < 0.5 else "",
        )

    def meter(self, width: str = "100%") -> Markup:
        """A progress bar."""
        return Markup(
            '<div class="raised" style="width:{};height:.6em;border-radius:1em"><div style="'
            'width:{}%;height:100%;border-radius:1em;background:{}"></div></div>'
        ).format(width, self.rng.randint(3, 98), self.rng.choice(self.theme.series))

    def chart(self, width: int, height: int) -> Markup:
        """A chart as SVG; its labels count as words."""
        return Markup(chart(self.rng, self.write, self.theme, width, height))

    def emphasis(self, word: str) -> Markup:
        """A word set bold, italic, as a link or as code."""
        tags = (("b", "b"), ("i", "i"), ("a", "a"), ("u class=link", "u"), ("code", "code"))
        first, last = self.rng.choice(tags)
        return Markup("<{}>{}</{}>").format(Markup(first), word, Markup(last))

    def table(self, kinds: list[str], rows: int) -> Markup:
        """A table whose columns hold the given kinds of cells (see ``Writer.cell``)."""
        rng, theme = self.rng, self.theme
        zebra, ruled = rng.random() < 0.4, rng.random() < 0.7
        edge = f"border:1px solid {theme.border}" if rng.random() < 0.25 else ""
        chosen = rng.randrange(3 * rows)
        inverse = f"background:{theme.accent};color:{theme.on_accent}"
        aligned = ["right" if kind in NUMERIC else "" for kind in kinds]
        cell = Markup('<{0} class="{1}" style="{2}">{3}</{0}>')

        head = Markup("").join(cell.format("th", a, edge, self._heading()) for a in aligned)
        body = []
        for index in range(rows):
            ground = f"background:{theme.raised}" if zebra and index % 2 else ""
            cells = Markup("").join(
                cell.format("td", a, edge, self._cell(kind))
                for a, kind in zip(aligned, kinds, strict=True)
            )
            style = inverse if index == chosen else ground
            row = Markup('<tr class="{}" style="{}">{}</tr>')
            body.append(row.format("line" if ruled else "", style, cells))
        return Markup('<table><tr class="line" style="{}">{}</tr>{}</table>').format(
            rng.choice(("", f"background:{theme.raised}", inverse)), head, Markup("").join(body)
        )

    def _heading(self) -> str:
        return self.write.title(1, 3) if self.rng.random() < 0.4 else self.write.label()

    def _cell(self, kind: str) -> str | Markup:
        text = self.write.cell(kind)
        badge = kind in ("word", "label") and self.rng.random() < 0.15
        return self.badge(text) if badge else text

    def source(self, lines: int) -> Source:
        """About ``lines`` lines of code in a colour scheme that suits the theme."""
        language, text = self.write.code(lines)
        style = self.rng.choice(DARK_CODE if self.theme.dark else LIGHT_CODE)
        formatter = HtmlFormatter(style=style, noclasses=True, nowrap=True)
        lexer = get_lexer_by_name(language, stripnl=False)
        html = Markup(highlight(text, lexer, formatter).rstrip("\n"))
        ground = get_style_by_name(style).background_color
        return Source(language, html, ground, text.count("\n") + 1)

    def shell_output(self, count: int) -> list[Markup]:
        """What one command prints: a listing, a log, a build, prose."""
        rng, w = self.rng, self.write
        user = w.fake.user_name()
        level = rng.choice(("INFO", "WARN", "DEBUG", "ERROR"))
        step = rng.choice(("Building", "Linking", "Compiling", "Copying"))
        kinds: tuple[Callable[[], str], ...] = (
            lambda: f"-rw-r--r--  1 {user:8} {rng.randint(1, 10**6):>8} {w.time():>11} {w.file()}",
            lambda: f"{w.moment():%Y-%m-%d %H:%M:%S} {level} {w.identifier()}: {w.words(2, 8)}",
            lambda: f"[{rng.randint(1, 100):3d}%] {step} {w.path()}",
            lambda: f"{rng.getrandbits(28):07x} {w.words(2, 8)}",
            lambda: f"{w.file()}:{rng.randint(1, 900)}: {w.sentence()[:90]}",
            lambda: w.sentence()[:110],
            lambda: "  ".join(f"{w.stem():<18}" for _ in range(3)).rstrip(),
            lambda: f"{rng.randint(1, 65535):>6} {user:<9} {rng.uniform(0, 99):5.1f} {w.path()}",
        )
        make = rng.choice(kinds)
        return [escape(make()) for _ in range(count)]

    def outline(self) -> list[tuple[int, bool]]:
        """A tree of files: (depth, whether it is a folder) from top to bottom."""
        depth, rows = 0, []
        for _ in range(self.rng.randint(14, 34)):
            folder = self.rng.random() < 0.25
            rows.append((depth, folder))
            if folder:
                depth = min(4, depth + 1)
            elif self.rng.random() < 0.15:
                depth = max(0, depth - 1)
        return rows
