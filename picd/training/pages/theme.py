"""The look of a page: faces that are installed, colours, sizes, corners, as one style sheet."""

from __future__ import annotations

import colorsys
import functools
import re
import subprocess
from dataclasses import dataclass
from random import Random

SERIF = re.compile(r"serif|roman|times|caladea|georgia|garamond|tinos|slab|gelasio|bookman", re.I)
MONO = re.compile(r"\bmono\b|mono$|code|consol|hack|courier|terminal|cousine", re.I)
NO_TEXT = re.compile(
    r"symbol|emoji|awesome|dingbat|music|math|icons?$|^d050|^noto (sans|serif|kufi|naskh|looped|"
    r"rashi|nastaliq|traditional)(?! (display|mono)$| ?$).*|barcode|standard symbols",
    re.I,
)
SIZES = {10: 3, 11: 8, 12: 16, 13: 20, 14: 20, 15: 11, 16: 13, 17: 3, 18: 4, 20: 2}
COMMON = ("DejaVu Sans", "Roboto", "Open Sans", "Inter", "Liberation Sans", "Noto Sans", "Lato")


@functools.cache
def installed_faces() -> dict[str, tuple[str, ...]]:
    """Installed text families by class (``sans``, ``serif``, ``mono``), as fontconfig lists them.

    Without fontconfig, or with nothing installed, the generic CSS families stand in.
    """
    try:
        command = ["fc-list", ":lang=en:scalable=true", "family"]
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        listing = ""
    families = {row.split(",")[0].replace("\\", "").strip() for row in listing.splitlines()}
    classes: dict[str, list[str]] = {"sans": [], "serif": [], "mono": []}
    for family in sorted(f for f in families if f and not NO_TEXT.search(f)):
        classes[face_class(family)].append(family)
    generic = {"sans": "sans-serif", "serif": "serif", "mono": "monospace"}
    return {name: tuple(found) or (generic[name],) for name, found in classes.items()}


def face_class(family: str) -> str:
    """``mono``, ``serif`` or ``sans``, by the family's name."""
    if MONO.search(family):
        return "mono"
    return "serif" if SERIF.search(re.sub(r"sans[ -]?serif", "", family, flags=re.I)) else "sans"


def hsl(hue: float, saturation: float, lightness: float) -> str:
    """CSS hex colour; all arguments in 0..1."""
    rgb = colorsys.hls_to_rgb(hue % 1, min(max(lightness, 0), 1), min(max(saturation, 0), 1))
    return "#" + "".join(f"{round(255 * c):02x}" for c in rgb)


@dataclass(frozen=True)
class Theme:
    """Everything a page kind needs to look like one design."""

    dark: bool
    size: int
    ui: str
    prose: str
    mono: str
    heading: str
    ground: str
    panel: str
    raised: str
    ink: str
    muted: str
    border: str
    accent: str
    on_accent: str
    tint: str
    series: tuple[str, ...]
    radius: int
    shadow: str
    leading: float

    @classmethod
    def random(cls, rng: Random, dark: bool | None = None) -> Theme:
        faces = installed_faces()
        dark = rng.random() < 0.36 if dark is None else dark
        hue, accent_hue = rng.random(), rng.random()
        tinted = rng.choice((0.0, 0.0, 0.08, 0.2, 0.35))
        if dark:
            base = rng.choice((0.04, 0.08, 0.11, 0.14, 0.18))
            ground, panel, raised = (hsl(hue, tinted, base + step) for step in (0, 0.04, 0.09))
            ink = hsl(hue, tinted / 3, rng.uniform(0.8, 1))
            muted, border = (
                hsl(hue, tinted / 2, rng.uniform(0.5, 0.68)),
                hsl(hue, tinted, base + 0.15),
            )
            accent = hsl(accent_hue, rng.uniform(0.5, 0.95), rng.uniform(0.5, 0.68))
            tint = hsl(accent_hue, 0.4, base + 0.12)
        else:
            base = rng.choice((1, 1, 0.985, 0.96, 0.93))
            ground, panel = hsl(hue, tinted, base), hsl(hue, tinted, rng.choice((1, base - 0.03)))
            raised = hsl(hue, tinted, base - rng.uniform(0.03, 0.08))
            ink = hsl(hue, tinted, rng.uniform(0, 0.22))
            muted, border = (
                hsl(hue, tinted / 2, rng.uniform(0.35, 0.55)),
                hsl(hue, tinted / 2, base - 0.13),
            )
            accent = hsl(accent_hue, rng.uniform(0.5, 1), rng.uniform(0.28, 0.46))
            tint = hsl(accent_hue, 0.7, 0.92)
        sans = rng.choice(faces["sans"])
        if rng.random() < 0.5:
            sans = rng.choice([f for f in COMMON if f in faces["sans"]] or [sans])
        serif, mono = rng.choice(faces["serif"]), rng.choice(faces["mono"])
        ui = rng.choices((sans, serif, mono), (90, 6, 4))[0]
        series = tuple(
            hsl(
                accent_hue + k * rng.uniform(0.12, 0.2),
                rng.uniform(0.45, 0.85),
                0.6 if dark else 0.48,
            )
            for k in range(6)
        )
        radius = rng.choice((0, 0, 2, 3, 4, 6, 8, 12))
        shadow = rng.choice(("none", "0 1px 3px #0003", "0 2px 8px #0002", "0 6px 20px #0003"))
        return cls(
            dark=dark,
            size=rng.choices(list(SIZES), SIZES.values())[0],
            ui=ui,
            prose=rng.choice((ui, sans, serif)),
            mono=mono,
            heading=rng.choice((ui, ui, sans, serif)),
            ground=ground,
            panel=panel,
            raised=raised,
            ink=ink,
            muted=muted,
            border=border,
            accent=accent,
            on_accent="#101010" if dark and rng.random() < 0.6 else "#ffffff",
            tint=tint,
            series=series,
            radius=radius,
            shadow=shadow,
            leading=rng.uniform(1.25, 1.65),
        )
