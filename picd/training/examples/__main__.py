"""Draw the demo's example pictures: ``python -m picd.training.examples demo/examples``.

All eight are our own: six pages in HTML beside this file, a chart, and a procedural landscape.
"""

from __future__ import annotations

import argparse
import base64
import io
from pathlib import Path

from PIL import Image

from picd.errors import PicdError
from picd.training.examples.chart import chart
from picd.training.examples.landscape import landscape
from picd.training.pages import Page
from picd.training.screens import browser_tab, render

PAGES = ("web", "terminal", "dashboard", "slide", "chat", "sign")


def data_url(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=93, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def examples() -> dict[str, Image.Image]:
    """The eight pictures by name, RGB, 1280 x 720. Raises PicdError when Chromium is missing."""
    lake, valley = (Image.fromarray(landscape(seed=seed)) for seed in (7, 3))
    pictures = {"landscape": lake, "chart": chart()}
    with browser_tab() as (tab, session):
        for name in PAGES:
            source = Path(__file__).with_name(name + ".html").read_text("utf-8")
            for key, picture in (("landscape", lake), ("valley", valley)):
                source = source.replace("{{" + key + "}}", data_url(picture))
            png, _ = render(tab, session, Page(source, 1280, 720, 1, name))
            pictures[name] = Image.open(io.BytesIO(png)).convert("RGB")
    return pictures


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m picd.training.examples", description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    try:
        for name, picture in examples().items():
            picture.save(out / f"{name}.png", optimize=True)
    except PicdError as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
