"""The app in a real browser and through its named endpoints, as visitors use it."""

from __future__ import annotations

import ctypes
import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import require_program
from PIL import Image

from demo import figures, model
from demo.judge import TEXT, Judge, measures
from demo.line import LINE, Line
from demo.link import Settings, read_link, usual
from demo.model import default_steps
from demo.picture_input import EXAMPLES, described, example_path
from demo.plot import rate_plot
from demo.progress import Progress
from demo.work import Abandoned, Finished, Tick, streamed
from picd import Codec
from picd.codec import Encoded
from picd.images import png_bytes

ROOT = Path(__file__).parent.parent
SECONDS = 280
"""Patience with a busy machine of two cores, for one picture."""
BPP = 0.08
"""The preset Good."""
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
TABS = ["Compress", "Compare", "Decode", "How it works"]


@contextmanager
def serving(
    *program: str, python: str = sys.executable, **environment: str
) -> Iterator[tuple[str, int]]:
    """Address and process id of an app of our own, on a free port; ``program`` are arguments for
    ``python`` that start it in another way."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "PYTHONWARNINGS": "ignore",
        **environment,
    }
    process = subprocess.Popen([python, *(program or ["app.py"])], cwd=ROOT, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + SECONDS
        while not answers(url):
            assert process.poll() is None, "the app stopped"
            assert time.monotonic() < deadline, "the app does not answer"
            time.sleep(0.3)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def app() -> Iterator[tuple[str, int]]:
    with serving() as served:
        yield served


@pytest.fixture(scope="module")
def address(app: tuple[str, int]) -> str:
    return app[0]


@pytest.fixture(scope="module")
def browser():
    chromium = require_program("chromium", "chromium-browser", "google-chrome")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@contextmanager
def visitor(browser, address: str, query: str = "", **options):
    """A page of a visitor of its own. It must end without errors on the console, and without
    having asked any other server for anything."""
    context = browser.new_context(**{"viewport": DESKTOP, "accept_downloads": True} | options)
    context.set_default_timeout(SECONDS * 1000)
    page = context.new_page()
    wrong: list[str] = []

    def check(request) -> None:
        if not request.url.startswith((address, "data:", "blob:")):
            wrong.append(request.url)

    page.on("request", check)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
    page.goto(address + query)
    page.wait_for_selector("#compress")
    yield page
    context.close()
    assert wrong == []


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def tab(browser, address: str, request):
    """A fresh page, as wide as a desktop and as a phone."""
    with visitor(browser, address, viewport=request.param) as page:
        yield page


@pytest.fixture
def desktop(browser, address: str):
    with visitor(browser, address) as page:
        yield page


@pytest.fixture(scope="module")
def corner(page: np.ndarray) -> np.ndarray:
    """Three lines of the page, uint8 (208, 384, 3): small, for the sake of slow machines."""
    return np.ascontiguousarray(page[:208, :384])


@pytest.fixture(scope="module")
def picture(tmp_path_factory, corner: np.ndarray) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "page.png"
    Image.fromarray(corner).save(path)
    return path


@pytest.fixture(scope="module")
def encoded(codec: Codec, corner: np.ndarray) -> Encoded:
    """What the page must make of the picture, at a rate that leaves room for its text."""
    return codec.encode(corner, bpp=BPP)


def upload(tab, selector: str, path: Path) -> None:
    tab.set_input_files(f"{selector} input[type=file]", path)


def open_tab(tab, name: str) -> None:
    tab.get_by_role("tab", name=name, exact=True).click()


def downloaded(tab, selector: str) -> tuple[str, bytes]:
    with tab.expect_download() as download:
        tab.click(selector)
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def pixels(png: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(png)))


# the tabs, by real clicks -----------------------------------------------------------------


def test_a_picture_chosen_at_once_stays(browser, address: str, picture: Path) -> None:
    """What the page asks as it opens is answered only after a picture was chosen."""
    tab = browser.new_page()
    held: list = []
    chosen = False
    tab.route(
        "**/gradio_api/run/**",
        lambda route: route.continue_() if chosen else held.append(route),
    )
    tab.goto(address)
    tab.wait_for_selector("#compress")
    tab.wait_for_timeout(1000)
    assert held
    chosen = True
    upload(tab, "#compress-picture", picture)
    tab.wait_for_selector("#compress-picture img")
    for route in held:
        route.continue_()
    tab.wait_for_selector(".picd-state.ready")
    tab.wait_for_timeout(1000)
    assert tab.locator("#compress-picture img").count() == 1
    tab.close()


def test_compress_streams_and_downloads(tab, picture: Path, encoded: Encoded, codec: Codec) -> None:
    upload(tab, "#compress-picture", picture)
    tab.wait_for_selector("text=384 × 208 pixels")
    tab.wait_for_selector("#preset >> text=Good · 798 B")
    tab.locator("#preset label").nth(2).click()
    tab.wait_for_selector("#bpp >> text=At most 798 B")
    tab.wait_for_selector(".picd-state.ready")
    tab.evaluate(RECORD)
    tab.click("#compress")
    tab.wait_for_selector("#picd")
    tab.wait_for_selector("#compress-slider img")

    stages = tab.locator("#compress-status .picd-stages li").all_inner_texts()
    assert [re.sub(r" [\d.]+ s$", "", stage) for stage in stages] == [
        "Reading the text", "Fitting the type", "Coding the picture", "Finding the best quality",
        "Decoding the draft", "Rendering",
    ]  # fmt: skip
    frames = tab.evaluate("window.frames_seen")
    assert len(frames) >= 3, "words, draft and steps are shown on the way"
    assert tab.locator("#compress-slider img").last.get_attribute("src").endswith(".png")
    assert "Weather report" in tab.input_value("#compress-text textarea")
    assert f"{encoded.bpp:.4f}" in tab.inner_text("#compress-numbers")
    assert f"image {encoded.sections['image']:,} B" in " ".join(
        tab.inner_text("#compress-numbers").split()
    )

    assert downloaded(tab, "#picd") == ("page.picd", encoded.data)
    name, png = downloaded(tab, "#png")
    expected = codec.decode(encoded.data, steps=default_steps()).image
    assert name == "page.png" and png == png_bytes(expected)

    tab.click("#open-in-decode")
    tab.wait_for_selector("#decode-text")
    assert f"{encoded.bpp:.4f}" in tab.inner_text("#decode-numbers")


RECORD = """() => {
  window.frames_seen = [];
  new MutationObserver(() => {
    const frame = document.querySelectorAll("#compress-slider img")[1]?.src;
    if (frame && !window.frames_seen.includes(frame)) window.frames_seen.push(frame);
  }).observe(document.body, {subtree: true, childList: true, attributes: true});
}"""


def test_decode_tells_before_it_renders(tab, encoded: Encoded, codec: Codec, tmp_path) -> None:
    file = tmp_path / "made.picd"
    file.write_bytes(encoded.data)
    open_tab(tab, "Decode")
    upload(tab, "#decode-file", file)
    tab.wait_for_selector("#decode-text")
    assert "Weather report" in tab.input_value("#decode-text textarea")
    said = " ".join(tab.inner_text("#decode-numbers").split())
    assert "384 × 208 pixels" in said and encoded.model in said
    assert f"text {encoded.sections['text']} B" in said
    assert not tab.is_visible("#decode-slider"), "nothing is rendered before it is asked for"

    tab.click("#decode")
    tab.wait_for_selector("#decode-png")
    name, png = downloaded(tab, "#decode-png")
    expected = codec.decode(encoded.data, steps=default_steps()).image
    assert name == "made.png" and png == png_bytes(expected)


def test_compare_and_plot(tab, picture: Path) -> None:
    open_tab(tab, "Compare")
    upload(tab, "#compare-picture", picture)
    tab.wait_for_selector("#compare-picture-about >> text=384 × 208 pixels")
    tab.click("#compare")
    tab.wait_for_selector("#plot:enabled")
    rows = tab.locator("#compare-table tbody tr").all_inner_texts()
    assert [row.split("\t")[0] for row in rows][:4] == ["PICD", "JPEG", "WebP", "AVIF"]
    assert "Its smallest" in tab.inner_text("#compare-table"), "JPEG cannot make 400 bytes of it"
    shown = tab.locator("#compare-pictures img:visible")
    shown.nth(len(rows)).wait_for()

    tab.locator("#compare-pictures .picd-zoom input[type=range]").focus()
    for _ in range(4):
        tab.keyboard.press("ArrowRight")
    tab.wait_for_selector("#compare-pictures.zoomed")
    centred = shown.evaluate_all(ZOOMED)
    frame = tab.locator("#compare-pictures .image-container:visible").nth(1)
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 10, box["y"] + box["height"] / 10)
    moved = shown.evaluate_all(ZOOMED)
    assert len(set(moved)) == 1 and "matrix(3" in moved[0], "all are zoomed alike"
    assert moved != centred, "and follow the pointer"


ZOOMED = "all => all.map(i => getComputedStyle(i).transform + getComputedStyle(i).transformOrigin)"


def test_how_it_works(tab, picture: Path) -> None:
    open_tab(tab, "How it works")
    upload(tab, "#how-picture", picture)
    tab.wait_for_selector("#how-picture-about >> text=384 × 208 pixels")
    tab.click("#how")
    tab.wait_for_selector("#conditions")
    pictures = tab.locator("#how-pictures img:visible")
    for stage in ("read", "fit", "draft", "typeset"):
        assert tab.locator(f"#how-{stage} img").is_visible(), stage
    assert "layout" in tab.inner_text("#how-code")
    assert tab.locator("#film img").count() >= 5, "the start and four steps"
    tab.locator("#how-pictures .picd-zoom").scroll_into_view_if_needed()  # they load when in view
    pictures.nth(2).wait_for()
    assert pictures.count() == 3
    tab.get_by_label("Typeset only").check()
    pictures.nth(3).wait_for()
    tab.get_by_label("Glyphs off").uncheck()
    pictures.nth(3).wait_for(state="detached")
    sources = pictures.evaluate_all("all => all.map(i => i.src)")
    assert len(set(sources)) == 3, "each condition has a picture of its own"


# behaviour under use ----------------------------------------------------------------------


def test_stop_ends_the_work(desktop, app: tuple[str, int], four_pages: Path) -> None:
    upload(desktop, "#compress-picture", four_pages)
    desktop.wait_for_selector("text=2560 × 1440 pixels")
    desktop.wait_for_selector(".picd-state.ready")
    desktop.click("#compress")
    desktop.wait_for_selector("#compress-status >> text=Reading the text")
    desktop.click("#compress-stop")
    desktop.wait_for_selector("#compress-status >> text=Stopped")
    wait_until_at_rest(app[1])
    said = desktop.inner_text("#compress-status").strip()
    assert said == "Stopped."
    assert desktop.is_enabled("#compress") and not desktop.is_visible("#compress-stop")


def test_a_chosen_example_leaves_the_server_at_rest(desktop, app: tuple[str, int]) -> None:
    """An event that leads to itself would keep every visitor's page and the server busy."""
    asked: list[str] = []
    desktop.on("request", lambda request: asked.append(request.url))
    desktop.wait_for_selector(".picd-state.ready")
    for number, name in enumerate(["web", "terminal"]):
        desktop.locator(".picd-examples button:visible").nth(number).click()
        desktop.wait_for_selector(f"#compress-picture img[src$='{name}.png']")
        desktop.wait_for_selector("#compress-picture-about >> text=1280 × 720 pixels")
        wait_until_at_rest(app[1])
        desktop.wait_for_timeout(100)  # requests are heard of while waiting for the page alone
        asked.clear()
        assert processor_seconds(app[1], over=2.0) <= IDLE
        desktop.wait_for_timeout(1000)
        assert asked == []


@pytest.fixture(scope="module")
def four_pages(tmp_path_factory) -> Path:
    """A picture of four examples: more work than is done before a button can be pressed."""
    path = tmp_path_factory.mktemp("pictures") / "four.png"
    pages = [np.array(Image.open(example_path(name)).convert("RGB")) for name in list(EXAMPLES)[:4]]
    Image.fromarray(np.vstack([np.hstack(pages[:2]), np.hstack(pages[2:])])).save(path)
    return path


IDLE = 0.3
"""Seconds of processor in two that a server may take when nobody wants anything of it."""


def wait_until_at_rest(pid: int) -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("the processor time of another process is read from /proc")
    deadline = time.monotonic() + 60
    while (used := processor_seconds(pid, over=2.0)) > IDLE:
        assert time.monotonic() < deadline, f"still at work: {used} s of processor in 2 s"


def processor_seconds(pid: int, over: float) -> float:
    def used() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = used()
    time.sleep(over)
    return used() - before


def test_three_visitors_at_once(browser, address: str, picture: Path, encoded: Encoded) -> None:
    with (
        # the first one's picture is large: it keeps the others waiting while they are looked at
        visitor(browser, address, f"/?example=web&bpp={BPP}") as first,
        visitor(browser, address, f"/?bpp={BPP}") as second,
        visitor(browser, address, f"/?bpp={BPP}", viewport=PHONE) as third,
    ):
        for each in (second, third):
            upload(each, "#compress-picture", picture)
            each.wait_for_selector("#bpp >> text=At most 798 B")
        first.wait_for_selector("#bpp >> text=for this picture")
        for each in (first, second, third):
            each.click("#compress")
        if LINE.at_once == 1:
            third.wait_for_selector("#compress-status >> text=2 visitors before you")
            third.click("#compress-stop")
            third.wait_for_selector("#compress-status >> text=Stopped")
            third.click("#compress")
        for each in (second, third):
            each.wait_for_selector("#picd")
            assert downloaded(each, "#picd") == ("page.picd", encoded.data)
        first.wait_for_selector("#picd")
        assert downloaded(first, "#picd")[0] == "web.picd"


def test_sixteen_megapixels_are_taken(desktop, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.new("RGB", (4096, 4096), "#336699").save(large)
    upload(desktop, "#compress-picture", large)
    desktop.wait_for_selector("text=4096 × 4096 pixels")
    desktop.wait_for_selector("#bpp >> text=At most 83.9 KB")


def test_what_cannot_be_compressed_is_refused_by_name(tab, tmp_path: Path) -> None:
    huge = tmp_path / "huge.png"
    Image.new("1", (16000, 12500)).save(huge)
    upload(tab, "#compress-picture", huge)
    tab.wait_for_selector("#compress-picture-about [role=alert] >> text=16.8 megapixels")
    tab.wait_for_selector("#compress-picture img", state="detached")

    words = tmp_path / "words.png"
    words.write_text("no picture at all")
    for _ in range(2):  # the same file again is refused again
        with tab.expect_response(lambda response: "run/predict" in response.url):
            upload(tab, "#compress-picture", words)
        tab.wait_for_selector("#compress-picture-about [role=alert] >> text=is not a picture")
        tab.wait_for_selector("#compress-picture img", state="detached")
    tab.click("#compress")
    tab.wait_for_selector("#compress-status [role=alert] >> text=Choose a picture first")
    for name, chooser in (("Compare", "#compare-picture"), ("How it works", "#how-picture")):
        open_tab(tab, name)
        upload(tab, chooser, words)
        tab.wait_for_selector(f"{chooser}-about [role=alert] >> text=is not a picture")


def test_damaged_files_are_refused_by_name(desktop, encoded: Encoded, tmp_path: Path) -> None:
    damaged = bytearray(encoded.data)
    damaged[len(damaged) // 2] ^= 1
    for name, data, said in (
        ("damaged", bytes(damaged), "damaged"),
        ("cut", encoded.data[:100], "truncated"),
        ("foreign", b"RIFF and so on, certainly of another kind", "not a PICD file"),
    ):
        file = tmp_path / f"{name}.picd"
        file.write_bytes(data)
        open_tab(desktop, "Decode")
        upload(desktop, "#decode-file", file)
        desktop.wait_for_selector(f"#decode-status [role=alert] >> text={said}")
        desktop.reload()


SHORT_LIVED = """
import sys

def heard(event, arguments):
    if event == "socket.getaddrinfo":
        print(arguments[0], file=open(sys.argv[1], "a"))

sys.addaudithook(heard)
import demo.page
demo.page.KEEP, demo.page.SWEEP = 20, 1
import app
app.main()
"""


def test_pictures_are_deleted_and_nobody_is_told(picture: Path, tmp_path: Path) -> None:
    """With twenty seconds for the hour that files are kept."""
    client_module = pytest.importorskip("gradio_client")
    files, asked = tmp_path / "files", tmp_path / "asked"
    with serving("-c", SHORT_LIVED, str(asked), GRADIO_TEMP_DIR=str(files)) as (url, _):
        client = client_module.Client(url, verbose=False, download_files=False)
        image = client_module.handle_file(str(picture))
        client.predict(image, BPP, "auto", "none", api_name="/encode")
        assert {"page.png", "page.picd"} == {path.name for path in files.rglob("*.*")}
        deadline = time.monotonic() + SECONDS
        while left := [path for path in files.rglob("*") if path.is_file()]:
            assert time.monotonic() < deadline, f"kept: {left}"
            time.sleep(1)
    assert set(asked.read_text().split()) <= {"127.0.0.1", "localhost"}


def test_links_carry_the_settings(browser, address: str) -> None:
    query = "/?example=chat&bpp=0.06&text=0&steps=3&seed=7"
    with visitor(browser, address, query, permissions=["clipboard-read", "clipboard-write"]) as tab:
        tab.wait_for_selector("#compress-picture img")
        tab.wait_for_selector("#bpp >> text=At most 6.9 KB")
        tab.click("#compress")
        tab.wait_for_selector("#picd")
        assert "text 0 B" in " ".join(tab.inner_text("#compress-numbers").split())
        tab.click("#share")
        tab.wait_for_selector("#link a")
        link = tab.evaluate("navigator.clipboard.readText()")
        assert link == tab.url == tab.locator("#link a").get_attribute("href")
        for pair in ("example=chat", "bpp=0.06", "text=0", "steps=3", "seed=7"):
            assert pair in link
        for name in ("Compare", "How it works"):
            open_tab(tab, name)
            tab.wait_for_selector("img[alt=Picture][src$='chat.png']:visible")


# looks ------------------------------------------------------------------------------------


def test_every_tab_fits_a_phone_and_is_named(browser, address: str) -> None:
    with visitor(browser, address, viewport=PHONE, has_touch=True) as tab:
        assert [name for name in TABS if tab.get_by_role("tab", name=name).is_visible()] == TABS
        for name in TABS:
            open_tab(tab, name)
            assert tab.evaluate("document.documentElement.scrollWidth") <= 390, name
            tab.wait_for_function("[...document.querySelectorAll('main img')].every(i => i.alt)")
            unnamed = tab.evaluate(UNNAMED)
            assert unnamed == [], name


UNNAMED = """() => [...document.querySelectorAll("main :is(button, input, textarea, select)")]
  .filter(e => e.offsetParent && e.type != "file" && !(
    e.innerText?.trim() || e.ariaLabel || e.title || e.labels?.length || e.querySelector("img[alt]")
    || e.getAttribute("aria-labelledby")))
  .map(e => e.outerHTML.slice(0, 200))"""


def test_nothing_jumps(tab, picture: Path) -> None:
    """The sum that browsers report as cumulative layout shift, which is good below 0.1."""
    tab.add_init_script(SHIFTS)
    tab.reload()
    tab.wait_for_selector(".picd-state.ready")
    upload(tab, "#compress-picture", picture)
    tab.wait_for_selector("#bpp >> text=for this picture")
    tab.wait_for_timeout(600)  # what follows an action within half a second does not count
    tab.click("#compress")
    tab.wait_for_selector("#compress-numbers .picd-bar")
    tab.wait_for_timeout(600)
    shifts = tab.evaluate("window.shifts")
    assert sum(value for value, _ in shifts) < 0.1, shifts


SHIFTS = """window.shifts = [];
new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
  const moved = entry.sources.map(({node}) => node?.id || node?.className || "");
  if (!entry.hadRecentInput) window.shifts.push([entry.value, moved.join(" | ")]);
})).observe({type: "layout-shift", buffered: true});"""


def test_keys_are_enough(desktop, picture: Path) -> None:
    """From the picture on, which the browser's own dialogue chooses: no mouse."""
    upload(desktop, "#compress-picture", picture)
    desktop.wait_for_selector("#bpp >> text=for this picture")
    desktop.locator("#preset input").first.focus()
    reached: list[str] = []
    while "compress" not in reached:
        assert len(reached) < 20, reached
        desktop.keyboard.press("Tab")
        reached.append(desktop.evaluate("document.activeElement.id"))
    desktop.keyboard.press("Enter")
    desktop.wait_for_selector("#compress-numbers .picd-bar")
    handle = desktop.locator("#compress-slider [role=slider]")
    handle.focus()
    before = handle.bounding_box()["x"]
    for _ in range(3):
        desktop.keyboard.press("ArrowRight")
    assert handle.bounding_box()["x"] > before + 50
    assert handle.get_attribute("aria-valuenow") == "65"


def test_progress_stays_in_view(browser, address: str) -> None:
    """However far a visitor scrolls, and without scrolling on a phone."""
    with visitor(browser, address, "/?example=web", viewport=PHONE) as tab:
        tab.wait_for_selector("#bpp >> text=for this picture")
        tab.click("#compress")
        tab.wait_for_selector("#compress-status .picd-progress")
        box = tab.locator("#compress-status").bounding_box()
        assert 0 <= box["y"] < PHONE["height"] / 2
        tab.evaluate("window.scrollBy(0, 300)")
        assert abs(tab.locator("#compress-status").bounding_box()["y"]) < 2
        tab.locator("#compress-stop").click()
        tab.wait_for_selector("#compress-status >> text=Stopped")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_follows_the_colour_scheme(browser, address: str, scheme: str) -> None:
    with visitor(browser, address, color_scheme=scheme) as tab:
        tab.wait_for_selector(".picd-head h1")
        colours = tab.evaluate(
            "['backgroundColor', 'color'].map(name => getComputedStyle(document.querySelector("
            "name == 'color' ? '.picd-head h1' : 'body'))[name])"
        )
        ground, ink = (sum(map(int, re.findall(r"\d+", colour)[:3])) / 765 for colour in colours)
        assert (ground > 0.9 and ink < 0.3) if scheme == "light" else (ground < 0.1 and ink > 0.7)


def test_page_is_up_without_a_model(browser) -> None:
    with serving(PICD_MODELS="/nonexistent") as (url, _), visitor(browser, url) as tab:
        tab.wait_for_selector(".picd-state.failed")
        tab.locator(".picd-examples button").first.click()
        tab.wait_for_selector("text=1280 × 720 pixels")
        tab.click("#compress")
        tab.wait_for_selector("#compress-status [role=alert] >> text=PICD_MODELS")


# endpoints --------------------------------------------------------------------------------


def test_named_endpoints(address: str, picture: Path) -> None:
    client_module = pytest.importorskip("gradio_client")
    client = client_module.Client(address, verbose=False)
    endpoints = set(client.view_api(return_format="dict")["named_endpoints"])
    assert endpoints == {"/encode", "/decode", "/compare"}
    image = client_module.handle_file(str(picture))

    file, description = client.predict(image, BPP, "auto", "auto", api_name="/encode")
    assert Path(file).stat().st_size == description["bytes"]
    assert description["bpp"] <= BPP
    json.dumps(description)

    decoded, facts = client.predict(client_module.handle_file(file), 2, api_name="/decode")
    assert Image.open(decoded).size == (384, 208)
    assert facts["steps"] == 2 and "Weather" in facts["text"]

    pictures = client.predict(image, BPP, api_name="/compare")
    names = [item["caption"].split(" · ")[0] for item in pictures]
    assert names[:4] == ["PICD", "JPEG", "WebP", "AVIF"]


# parts ------------------------------------------------------------------------------------


def test_threads_share_heaps() -> None:
    if getattr(ctypes.CDLL(None), "malloc_stats", None) is None:
        pytest.skip("the C library is not glibc")
    work = """
import ctypes, threading
from demo.memory import share_heaps
{}
together = threading.Barrier(8)
def allocate():
    malloc = ctypes.CDLL(None).malloc  # without the interpreter's lock: at the same time
    together.wait()
    for _ in range(100):
        malloc(1000)
threads = [threading.Thread(target=allocate) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
ctypes.CDLL(None).malloc_stats()
"""
    heaps = [
        subprocess.run(
            [sys.executable, "-c", work.format(code)],
            capture_output=True, text=True, cwd=ROOT, check=True,
        ).stderr.count("Arena ")
        for code in ("", "share_heaps()")
    ]  # fmt: skip
    assert heaps[0] > 2 >= heaps[1]


def test_the_codec_is_loaded_once_a_page_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, loads = threading.Event(), []
    monkeypatch.setattr(model, "_asked_for", asked)
    monkeypatch.setattr(model, "HEAD_START", SECONDS)
    monkeypatch.setattr(model.Codec, "load", lambda: loads.append(asked.is_set()))
    monkeypatch.setattr(model, "_warm_up", lambda codec: None)
    model._loading.cache_clear()
    try:
        model.load_in_background()
        assert not model.loaded() and not loads
        model.codec()
        assert loads == [True]
    finally:
        model._loading.cache_clear()


def test_line_is_first_come_first_served() -> None:
    line = Line(2)
    with line.place() as first, line.place() as second, line.place() as third:
        with line.place() as fourth:
            assert [place.wait(0) for place in (first, second, third, fourth)] == [0, 0, 1, 2]
    served: list[int] = []

    def serve(number: int) -> None:
        with line.turn():
            served.append(number)

    with line.turn(), line.place() as leaving, line.place():
        waiting = threading.Thread(target=serve, args=(1,), daemon=True)
        waiting.start()
        assert leaving.wait(0) == 0 and served == []
    waiting.join(SECONDS)
    assert served == [1], "who waits is told when the others leave"


def test_streamed_gives_items_then_the_result() -> None:
    def work(emit) -> int:
        emit("a")
        emit("b")
        return 3

    items = [item for item in streamed(work) if item != Tick()]
    assert items == ["a", "b", Finished(3)]


def test_streamed_ticks_while_nothing_happens() -> None:
    silence = threading.Event()
    items = streamed(lambda emit: silence.wait(SECONDS), patience=0.01)
    assert next(items) == Tick()
    silence.set()
    assert list(items)[-1] == Finished(True)


def test_streamed_raises_what_the_work_raised() -> None:
    def work(emit) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(streamed(work))


def test_streamed_work_ends_when_nobody_listens() -> None:
    """Even work that emits nothing, and that catches every ordinary exception."""
    ended = threading.Event()

    def work(emit) -> None:
        emit("begun")
        try:
            while True:
                try:
                    sum(range(1000))
                except Exception:
                    continue
        except Abandoned:
            ended.set()
            raise

    items = streamed(work)
    assert next(items) == "begun"
    items.close()
    assert ended.wait(30)


def test_links_are_read_strictly() -> None:
    assert read_link({}) == usual()
    wrong = {"bpp": "9", "steps": "0", "seed": "x", "example": "../app.py", "content": "film"}
    assert read_link(wrong | {"utm_source": "friend"}) == usual()
    given = {"example": "web", "bpp": "0.02", "text": "0", "steps": "8", "seed": "5"}
    assert read_link(given) == Settings("web", 0.02, "auto", False, "auto", 8, usual().guidance, 5)
    assert read_link({"text": "0"}).for_encoding()["ocr"] == "none"


def test_examples_are_pictures_of_ours() -> None:
    assert len(EXAMPLES) == 8
    for name in EXAMPLES:
        pixels_of_it, _ = described(example_path(name))
        assert pixels_of_it == 1280 * 720
    assert example_path("../../app") is None


def test_remarks_say_what_reading_changed(tmp_path: Path) -> None:
    clear = tmp_path / "clear.png"
    Image.new("RGBA", (40, 30), (255, 0, 0, 128)).save(clear)
    assert "shown on white" in described(str(clear))[1]
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(turned, exif=exif)
    said = described(str(turned))[1]
    assert "30 × 40 pixels" in said and "EXIF" in said
    plain = tmp_path / "plain.png"
    Image.new("RGB", (40, 30)).save(plain)
    assert described(str(plain))[1].count(".") == 1


def test_progress_names_stages_and_never_goes_back() -> None:
    progress = Progress([("a", 1), ("b", 3)])
    shown = [progress.start("a"), progress.start("b"), progress.start("b", 0.5, ", step 1 of 2")]
    shown += [progress.tick(), progress.finish()]
    shares = [int(re.search(r'valuenow="(\d+)"', html)[1]) for html in shown]
    assert shares == [0, 25, 62, 62, 100]
    assert "b, step 1 of 2" in shown[3] and "a <b>0.0 s</b>" in shown[3]


def test_plot_puts_more_bits_to_the_right_and_better_up() -> None:
    svg = rate_plot({"PICD": [(0.04, 0.7), (0.02, 0.5)], "<b>": [(0.1, 0.6)]}, "text accuracy")
    (x1, y1), (x2, y2) = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg)[:2]
    assert float(x1) < float(x2) and float(y1) > float(y2)
    assert "<b>" not in svg and "0.04</text>" in svg
    assert rate_plot({}, "PSNR") == ""


def test_large_pictures_are_read_as_they_are(
    page: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    scales = []
    monkeypatch.setattr("demo.judge.measures", lambda: [TEXT])
    monkeypatch.setattr("demo.judge.read_text", lambda image, scale: scales.append(scale) or "word")
    assert Judge(page).judge(page) == {TEXT: 1}
    monkeypatch.setattr("demo.judge.MOST_ENLARGED", page[..., 0].size - 1)
    assert Judge(page).judge(page) == {TEXT: 1}
    assert scales == [2, 2, 1, 1]


def test_judge_knows_equal_pictures(page: np.ndarray) -> None:
    worse = page // 2 + 60
    same, other = Judge(page).judge(page), Judge(page).judge(worse)
    assert set(same) == set(measures())
    assert all(same[name] > other[name] for name in measures() if name != TEXT)
    if TEXT in measures():
        assert same[TEXT] == 1


def test_figures() -> None:
    bar = figures.section_bar({"header": 20, "text": 1200, "layout": 0, "image": 9})
    assert "1,200 B" in bar and bar.count("flex:") == 3
    for html in (
        figures.alert("<script>"),
        figures.note("<script>"),
        figures.table(["<script>"], [["<script>", "<script>"]]),
        Progress([("a", 1)]).start("<script>"),
    ):
        assert "<script>" not in html and "&lt;script&gt;" in html
    image = np.full((40, 60, 3), 200, np.uint8)
    words = [{"text": "a", "box": [5, 5, 20, 10]}, {"text": "b", "box": [-5, 30, 90, 30]}]
    framed = figures.boxes(image, words)
    assert framed.shape == image.shape and tuple(framed[4, 10]) == figures.ACCENT
    assert figures.size_text(999) == "999 B" and figures.size_text(3500) == "3.5 KB"
