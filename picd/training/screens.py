"""Training screens with ground truth: random pages rendered by Chromium, every word's box known.

    python -m picd.training.screens OUT --pages 1000 --seed 1 --photos DIR

writes ``OUT/NNNNNN.png`` and ``OUT/NNNNNN.json`` (see :func:`render`). Pages that exist are
skipped, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import base64
import functools
import io
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pillow_avif  # noqa: F401  (registers the AVIF reader)
from PIL import Image, ImageOps
from playwright.sync_api import CDPSession, sync_playwright
from playwright.sync_api import Page as Tab
from tqdm import tqdm

from picd.errors import PicdError
from picd.training.pages import KINDS, Page, page_html
from picd.training.pages.theme import face_class

BLOCK = 100
"""Pages per browser: each browser rasterises text in one way (antialiasing, hinting)."""

HELD_BACK = Path(__file__).with_name("held_back.txt")
"""Names of pictures that training must not see, one a line."""

VISIBLE_WORDS = Path(__file__).with_name("pages").joinpath("visible_words.js").read_text("utf-8")

FONT_CONFIG = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
<include ignore_missing="yes">{base}</include><match target="pattern">
<edit name="antialias" mode="assign"><bool>true</bool></edit>
<edit name="hinting" mode="assign"><bool>true</bool></edit>
<edit name="rgba" mode="assign"><const>{rgba}</const></edit>
<edit name="hintstyle" mode="assign"><const>hint{hinting}</const></edit>
<edit name="lcdfilter" mode="assign"><const>lcddefault</const></edit></match></fontconfig>"""


def render(tab: Tab, session: CDPSession, page: Page) -> tuple[bytes, dict]:
    """Render one page: a PNG (RGB) in device pixels and its ground truth.

    The truth holds ``width, height, scale, kind`` and ``words``: each with ``text``, ``box``
    (x, y, w, h in device pixels, floats: the browser's text box, so ascent to descent),
    ``line`` (words of one visual line share it), ``font`` (sans, serif, mono), ``family``,
    ``weight``, ``italic``, ``size`` (em in device pixels) and ``color`` (RGB). Only words that
    are wholly visible are listed.
    """
    metrics = {
        "width": page.width,
        "height": page.height,
        "deviceScaleFactor": page.scale,
        "mobile": False,
    }
    session.send("Emulation.setDeviceMetricsOverride", metrics)
    tab.set_content(page.html, wait_until="load")
    found = tab.evaluate(VISIBLE_WORDS)
    shot = session.send("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True})
    png = base64.b64decode(shot["data"])
    words = [
        {
            "text": word["text"],
            "box": [round(side * page.scale, 2) for side in word["box"]],
            "line": word["line"],
            "font": face_class(word["family"]),
            "family": word["family"],
            "weight": word["weight"],
            "italic": word["italic"],
            "size": round(word["size"] * page.scale, 2),
            "color": word["color"],
        }
        for word in found
    ]
    truth = {
        "width": page.width * page.scale,
        "height": page.height * page.scale,
        "scale": page.scale,
        "kind": page.kind,
        "words": words,
    }
    return png, truth


def generate(
    out: Path,
    pages: int,
    seed: int,
    *,
    width: int | None = None,
    height: int | None = None,
    photos: Path | None = None,
    kind: str | None = None,
) -> None:
    """Write pages 0 .. ``pages`` - 1 of batch ``seed`` to ``out``; those that exist are kept.

    Raises PicdError when Chromium is missing or ``photos`` holds no pictures.
    """
    find_chromium()
    out.mkdir(parents=True, exist_ok=True)
    photo_url = PhotoFolder(photos).url if photos else None
    wanted = [k for k in range(pages) if not (out / f"{k:06d}.json").exists()]
    progress = tqdm(total=pages, initial=pages - len(wanted), unit="page", mininterval=2)
    for block, indices in _by_block(wanted):
        coloured = (seed + block) % 3 == 0
        with browser_tab(Random(f"browser {seed} {block}"), coloured) as (tab, session):
            for index in indices:
                page = page_html(
                    seed,
                    index,
                    width=width,
                    height=height,
                    photo_url=photo_url,
                    awesome=font_awesome(),
                    kind=kind,
                )
                png, truth = worn(*render(tab, session, page), Random(f"wear {seed} {index}"))
                (out / f"{index:06d}.png").write_bytes(png)
                _write(out / f"{index:06d}.json", json.dumps({**truth, "seed": seed}))
                progress.update()
    progress.close()


@contextmanager
def browser_tab(
    rng: Random | None = None, coloured: bool = False
) -> Iterator[tuple[Tab, CDPSession]]:
    """A tab of a fresh headless Chromium; ``rng`` draws how it rasterises text.

    ``coloured`` asks for subpixel (LCD) antialiasing; without ``rng`` hinting is slight.
    Raises PicdError when Chromium is missing.
    """
    executable = find_chromium()
    rgba = "rgb" if coloured else "none"
    hinting = rng.choices(("none", "slight", "full"), (45, 35, 20))[0] if rng else "slight"
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--force-color-profile=srgb",
        f"--font-render-hinting={hinting}",
    ]
    if coloured:
        arguments.append("--enable-lcd-text")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        fonts = Path(folder, "fonts.conf")
        base = os.environ.get("FONTCONFIG_FILE", "/etc/fonts/fonts.conf")
        fonts.write_text(FONT_CONFIG.format(base=base, rgba=rgba, hinting=hinting))
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=arguments,
            env={**os.environ, "FONTCONFIG_FILE": str(fonts)},
        )
        tab = browser.new_page()
        yield tab, tab.context.new_cdp_session(tab)
        browser.close()


def find_chromium() -> str:
    """Path of the system's Chromium or Chrome; raises PicdError when there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    for path in map(shutil.which, names):
        if path:
            return path
    raise PicdError(
        "Chromium is not installed: rendering pages needs it (Debian: apt install chromium)"
    )


@functools.cache
def font_awesome() -> bool:
    """Whether the FontAwesome face is installed."""
    if not shutil.which("fc-list"):
        return False
    return bool(subprocess.run(["fc-list", "FontAwesome"], capture_output=True).stdout)


class PhotoFolder:
    """Photographs of a folder as data URLs of small JPEGs, leaving out those held back."""

    def __init__(self, folder: Path):
        held = set(HELD_BACK.read_text("utf-8").split()) if HELD_BACK.exists() else set()
        held = {Path(name).name for name in held}
        suffixes = {".jpg", ".jpeg", ".png", ".webp", ".avif"}
        self.files = sorted(
            p for p in folder.glob("*") if p.suffix.lower() in suffixes and p.name not in held
        )
        if not self.files:
            raise PicdError(f"no photographs (jpeg, png, webp, avif) in {folder}")

    def url(self, rng: Random, width: int, height: int) -> str:
        """A random photograph, at least ``width`` x ``height`` pixels where it is large enough."""
        return _thumbnail(rng.choice(self.files), 320 if max(width, height) <= 240 else 1200)


@functools.lru_cache(maxsize=400)
def _thumbnail(path: Path, side: int) -> str:
    picture = Image.open(path)
    picture.draft("RGB", (side, side))
    picture = ImageOps.exif_transpose(picture).convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=92, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def worn(png: bytes, truth: dict, rng: Random) -> tuple[bytes, dict]:
    """What happens to screenshots on the web: some are shrunk, some go through JPEG."""
    shrunk, lossy = rng.random() < 0.06, rng.random() < 0.08
    if not (shrunk or lossy):
        return png, truth
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    if shrunk:
        factor = rng.uniform(0.7, 0.97)
        size = (round(picture.width * factor), round(picture.height * factor))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
        words = [
            {
                **word,
                "box": [round(side * factor, 2) for side in word["box"]],
                "size": round(word["size"] * factor, 2),
            }
            for word in truth["words"]
        ]
        truth = {**truth, "width": picture.width, "height": picture.height, "words": words}
    if lossy:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=rng.randint(50, 92))
        picture = Image.open(buffer)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue(), truth


def _by_block(indices: Iterable[int]) -> Iterator[tuple[int, list[int]]]:
    blocks: dict[int, list[int]] = {}
    for index in indices:
        blocks.setdefault(index // BLOCK, []).append(index)
    yield from blocks.items()


def _write(path: Path, text: str) -> None:
    """Write by renaming, so that a page's JSON exists only when the page is complete."""
    partial = path.with_suffix(".partial")
    partial.write_text(text, "utf-8")
    partial.replace(path)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m picd.training.screens", description=__doc__.splitlines()[0]
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--width", type=int, help="viewport in CSS pixels (default: random)")
    parser.add_argument("--height", type=int)
    parser.add_argument("--photos", type=Path, help="folder of photographs (default: gradients)")
    parser.add_argument("--kind", choices=KINDS, help="kind of page (default: random)")
    options = parser.parse_args(arguments)
    try:
        generate(
            options.out,
            options.pages,
            options.seed,
            width=options.width,
            height=options.height,
            photos=options.photos,
            kind=options.kind,
        )
    except PicdError as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
