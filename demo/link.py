"""What a visitor has set, and links that carry it: ``?example=web&bpp=0.04&steps=4``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from demo.model import default_steps, ocr_engines
from demo.picture_input import EXAMPLES


@dataclass(frozen=True)
class Settings:
    """The settings of the tab *Compress*; the names are those of the link's parameters."""

    example: str = ""
    bpp: float = 0.04
    content: str = "auto"
    text: bool = True
    ocr: str = "auto"
    steps: int = 1
    guidance: float = 0.0
    seed: int = 0

    def for_encoding(self) -> dict[str, Any]:
        """Keyword arguments of :meth:`picd.Codec.encode`."""
        ocr = self.ocr if self.text else "none"
        return {"bpp": self.bpp, "content": self.content, "ocr": ocr, "seed": int(self.seed)}

    def for_decoding(self) -> dict[str, Any]:
        """Keyword arguments of :meth:`picd.Codec.decode`."""
        return {"steps": int(self.steps), "guidance": self.guidance}


def usual() -> Settings:
    """The settings of a visitor who has set nothing."""
    return Settings(steps=default_steps())


def read_link(query: Mapping[str, str]) -> Settings:
    """The settings in a link's parameters; what is missing, unknown or out of range stays as it
    is without them."""
    known = {
        "example": lambda value: _one_of(value, EXAMPLES),
        "bpp": lambda value: _within(float(value), 0.01, 0.4),
        "content": lambda value: _one_of(value, ("auto", "screen", "natural")),
        "text": lambda value: _one_of(value, ("0", "1")) == "1",
        "ocr": lambda value: _one_of(value, ("auto", *ocr_engines())),
        "steps": lambda value: int(_within(int(value), 1, 8)),
        "guidance": lambda value: _within(float(value), 0, 4),
        "seed": lambda value: int(_within(int(value), 0, 2**32 - 1)),
    }
    given: dict[str, Any] = vars(usual()).copy()
    for name, parse in known.items():
        try:
            given[name] = parse(query[name])
        except (KeyError, ValueError):
            continue
    return Settings(**given)


def _one_of(value: str, allowed) -> str:
    if value not in allowed:
        raise ValueError(value)
    return value


def _within(value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise ValueError(value)
    return value


NAMES = ", ".join(field.name for field in fields(Settings))
COPY_LINK = f"""async ({NAMES}) => {{
  const set = {{{NAMES}}};
  set.text = text ? 1 : 0;
  if (!example) delete set.example;
  const link = new URL(window.location.pathname, window.location.origin);
  for (const [name, value] of Object.entries(set)) link.searchParams.set(name, value);
  window.history.replaceState(null, "", link);
  let copied = true;
  try {{ await navigator.clipboard.writeText(link.href); }} catch {{ copied = false; }}
  const said = copied ? "Copied: " : "To copy: ";
  const own = example ? "" : " It carries the settings; your own picture is not sent to anyone.";
  const href = link.href.replaceAll("&", "&amp;");
  const shown = `${{said}}<a href="${{href}}">${{href}}</a>${{own}}`;
  return `<p class="picd-note" role="status">${{shown}}</p>`;
}}"""
"""Runs in the browser: makes the link, puts it into the address bar and on the clipboard."""
