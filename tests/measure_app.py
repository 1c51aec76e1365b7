"""What visitors of the app wait for: ``PYTHONPATH=. python tests/measure_app.py``.

Serves the app on a free local port, visits it with the Chromium of this machine, and prints one
JSON object: seconds from starting the process to a page that can be used and to a model that is
ready, seconds from pressing Compress to the first draft and to the result for one and for
``--visitors`` at once, each with an example of 1280×720, and the server's memory. ``--large`` adds
a picture of 16 megapixels, which takes minutes; ``--python .venv-serve/bin/python`` serves as
``make demo`` does.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from conftest import require_program
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from test_app import serving, upload, wait_until_at_rest

from demo.picture_input import EXAMPLES, example_path

MILLISECONDS = 900_000
"""Patience with the largest picture."""
RESULT = "#compress-numbers .picd-bar"
WATCH = f"""() => {{
  const pressed = performance.now(), seen = window.seen = {{}};
  const check = () => {{
    const at = (performance.now() - pressed) / 1000;
    const status = document.querySelector("#compress-status").innerText;
    if (status.includes("Rendering")) seen.draft ??= at;
    if (document.querySelector("{RESULT}")) seen.result ??= at;
  }};
  new MutationObserver(check).observe(document.body, {{subtree: true, childList: true,
    characterData: true}});
  document.querySelector("#compress").click();
}}"""


def compress(pages: list[Page]) -> list[dict[str, float]]:
    """All press Compress at once; seconds of each to its draft and to its result."""
    for page in pages:
        page.evaluate(WATCH)
    for page in pages:
        page.wait_for_selector(RESULT)
    waited = [page.evaluate("window.seen") for page in pages]
    return [{name: round(seconds, 1) for name, seconds in each.items()} for each in waited]


def megabytes(process: int) -> dict[str, int]:
    """Resident memory of the process, now and at most so far."""
    status = Path(f"/proc/{process}/status").read_text()
    now, peak = (re.search(rf"{key}:\s*(\d+)", status).group(1) for key in ("VmRSS", "VmHWM"))
    return {"now": int(now) // 1024, "peak": int(peak) // 1024}


def sixteen_megapixels(folder: Path) -> Path:
    """Examples laid out like tiles, 4096×4080 pixels."""
    tiles = [np.array(Image.open(example_path(name)).convert("RGB")) for name in EXAMPLES]
    rows = [np.hstack([tiles[(row + i) % len(tiles)] for i in range(4)]) for row in range(6)]
    path = folder / "sixteen.png"
    Image.fromarray(np.vstack(rows)[:4080, :4096]).save(path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visitors", type=int, default=3)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--python", default=sys.executable, help="of the environment that serves")
    options = parser.parse_args()
    chromium = require_program("chromium", "chromium-browser", "google-chrome")
    measured: dict[str, object] = {}
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]) as browser,
    ):
        started = time.monotonic()
        with serving(python=options.python) as (url, process):

            def visit(query: str = "") -> Page:
                page = browser.new_page()
                page.set_default_timeout(MILLISECONDS)
                page.goto(url + query)
                page.wait_for_selector("#compress:visible")
                return page

            first = visit()
            measured["seconds to a page"] = round(time.monotonic() - started, 1)
            first.wait_for_selector(".picd-state.ready")
            measured["seconds to a model"] = round(time.monotonic() - started, 1)
            wait_until_at_rest(process)
            measured["megabytes at rest"] = megabytes(process)
            # an open page keeps drawing, and here visitors share the server's cores: one at a time
            first.close()
            pages = []
            for name in [*EXAMPLES][: options.visitors]:
                pages.append(visit(f"/?example={name}"))
                pages[-1].wait_for_selector("#bpp >> text=for this picture")
                if len(pages) == 1:
                    measured["one visitor"] = compress(pages)
                    pages[0].reload()
                    pages[0].wait_for_selector("#bpp >> text=for this picture")
            if pages:
                measured["visitors at once"] = compress(pages)
                wait_until_at_rest(process)
                measured["megabytes after them"] = megabytes(process)
            if options.large:
                for page in pages:
                    page.close()
                first = visit()
                with tempfile.TemporaryDirectory() as folder:
                    upload(first, "#compress-picture", sixteen_megapixels(Path(folder)))
                    first.wait_for_selector("#bpp >> text=for this picture")
                    measured["sixteen megapixels"] = compress([first])
                measured["megabytes after it"] = megabytes(process)
    print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
