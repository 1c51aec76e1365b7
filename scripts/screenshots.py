"""Draw the pictures of the app in ``docs/``: every tab with a result, light, dark and on a phone.

``python scripts/screenshots.py --url http://localhost:7860`` looks at an app that is running, in
the Chromium of this machine.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

from demo.picture_input import example_path
from picd import Codec
from picd.images import load_image

DOCS = Path(__file__).resolve().parent.parent / "docs"
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
EXAMPLE, BPP = "dashboard", 0.06
SECONDS = 600
"""Patience with a busy machine."""


def compress(page: Page) -> None:
    page.click("#compress")
    page.wait_for_selector("#compress-slider img[src$='.png'] >> nth=1")
    page.wait_for_selector("#compress-numbers .picd-bar")


def compare(page: Page) -> None:
    page.get_by_role("tab", name="Compare", exact=True).click()
    page.click("#compare")
    page.wait_for_selector("#plot:enabled")
    page.click("#plot")
    page.wait_for_selector("#plot:disabled")
    page.wait_for_selector("#plot:enabled")


def decode(file: Path) -> Callable[[Page], None]:
    def show(page: Page) -> None:
        page.get_by_role("tab", name="Decode", exact=True).click()
        page.set_input_files("#decode-file input[type=file]", file)
        page.wait_for_selector("#decode-numbers .picd-bar")
        page.click("#decode")
        page.wait_for_selector("#decode-png:visible")

    return show


def how(page: Page) -> None:
    page.get_by_role("tab", name="How it works", exact=True).click()
    page.click("#how")
    page.wait_for_selector("#how-status >> text=Done")


def photograph(page: Page, name: str, out: Path) -> list[Path]:
    """The page as it is: on a desktop, light and dark, and on a phone."""
    files = []
    for suffix, scheme, viewport in (
        ("", "light", DESKTOP), ("-dark", "dark", DESKTOP), ("-phone", "light", PHONE),
    ):  # fmt: skip
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(viewport)
        for place in range(0, page.evaluate("document.body.scrollHeight"), 400):
            page.evaluate(f"window.scrollTo(0, {place})")  # some pictures load when in view
            page.wait_for_timeout(100)
        page.evaluate("window.scrollTo(0, 0)")
        page.wait_for_timeout(500)
        files.append(out / f"app-{name}{suffix}.png")
        page.screenshot(path=files[-1], full_page=True)
    page.set_viewport_size(DESKTOP)
    page.emulate_media(color_scheme="light")
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://localhost:7860", help="of the running app")
    parser.add_argument("-o", "--out", type=Path, default=DOCS)
    parser.add_argument("--tabs", default="compress,compare,decode,how")
    options = parser.parse_args()
    picture, tabs = load_image(example_path(EXAMPLE)), options.tabs.split(",")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "example.picd"
        if "decode" in tabs:
            file.write_bytes(Codec.load().encode(picture, bpp=BPP).data)
        show = {"compress": compress, "compare": compare, "decode": decode(file), "how": how}
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name in tabs:
            page = browser.new_page(viewport=DESKTOP)
            page.set_default_timeout(1000 * SECONDS)
            page.goto(f"{options.url}/?example={EXAMPLE}&bpp={BPP}")
            page.wait_for_selector("#compress-picture img")
            show[name](page)
            print(*photograph(page, name, options.out), sep="\n")
        browser.close()


if __name__ == "__main__":
    main()
