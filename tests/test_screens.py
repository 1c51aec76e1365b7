"""The page generator: a seed is a page, and every box it reports holds the ink of its word."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright", reason="needs the training requirements")
pytest.importorskip("wordfreq", reason="needs the training requirements")

from picd.errors import PicdError
from picd.training import screens
from picd.training.pages import KINDS, page_html
from picd.training.pages.theme import face_class

WORD_FIELDS = {
    "text": str, "box": list, "line": int, "font": str, "family": str, "weight": (int, float),
    "italic": bool, "size": (int, float), "color": list,
}  # fmt: skip


def test_same_seed_same_html():
    pages = [page_html(11, index) for index in range(12)]
    assert pages == [page_html(11, index) for index in range(12)]
    assert len({page.html for page in pages}) == 12
    assert page_html(12, 0).html != pages[0].html


def test_batches_mix_kinds_scales_and_themes():
    pages = [page_html(7, index) for index in range(150)]
    kinds = Counter(page.kind for page in pages)
    assert set(kinds) <= set(KINDS) and len(kinds) >= len(KINDS) - 2
    assert {page.scale for page in pages} == {1, 2}
    assert all(390 <= page.width <= 1500 and 350 <= page.height <= 900 for page in pages)


def test_viewport_can_be_fixed():
    page = page_html(3, 0, width=900, height=700)
    assert (page.width, page.height) == (900, 700)


def test_kind_can_be_fixed():
    """Banners and phones come only then: else the pages of a seed would be others."""
    pages = [page_html(3, index, kind="banner") for index in range(4)]
    assert {page.kind for page in pages} == {"banner"}
    assert all("<h1" in page.html and "url(&quot;data:" in page.html for page in pages)
    assert not any(page_html(3, index).kind in ("banner", "phone") for index in range(100))


def test_phones_are_upright_and_dense():
    pages = [page_html(3, index, kind="phone") for index in range(24)]
    assert {page.scale for page in pages} == {2, 3}
    assert all(page.height > 2 * page.width - 20 for page in pages)
    signs = ("Message</div>", "›</span>", "h</span></div>", "min read")
    assert all(any(sign in page.html for page in pages) for sign in signs)


@pytest.mark.parametrize(
    ("family", "expected"),
    [("DejaVu Sans", "sans"), ("DejaVu Sans Mono", "mono"), ("Liberation Serif", "serif"),
     ("Fira Code", "mono"), ("Microsoft Sans Serif", "sans"), ("Hack", "mono"), ("Inter", "sans")],
)  # fmt: skip
def test_face_class(family, expected):
    assert face_class(family) == expected


def test_missing_chromium_is_one_clear_error(monkeypatch, tmp_path):
    monkeypatch.setattr(screens.shutil, "which", lambda name: None)
    with pytest.raises(PicdError, match="Chromium is not installed"):
        screens.generate(tmp_path, 1, 1)


def test_empty_photo_folder_is_one_clear_error(tmp_path):
    with pytest.raises(PicdError, match="no photographs"):
        screens.PhotoFolder(tmp_path)


def test_held_back_photographs_are_left_out(monkeypatch, tmp_path):
    for name in ("seen.png", "unseen.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    held = tmp_path / "held_back.txt"
    held.write_text("unseen.png\n")
    monkeypatch.setattr(screens, "HELD_BACK", held)
    assert [path.name for path in screens.PhotoFolder(tmp_path).files] == ["seen.png"]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory) -> Path:
    """A folder with two rendered pages; without Chromium a skip, on CI a failure."""
    try:
        screens.find_chromium()
    except PicdError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    out = tmp_path_factory.mktemp("pages")
    screens.generate(out, 2, 5, width=800, height=600)
    return out


def test_truth_follows_the_schema(rendered):
    for path in sorted(rendered.glob("*.json")):
        truth = json.loads(path.read_text())
        with Image.open(path.with_suffix(".png")) as picture:
            assert picture.size == (truth["width"], truth["height"])
        assert truth["kind"] in KINDS and truth["scale"] in (1, 2) and truth["seed"] == 5
        for word in truth["words"]:
            assert set(word) == set(WORD_FIELDS)
            assert all(isinstance(word[name], kind) for name, kind in WORD_FIELDS.items())
            assert word["text"] and not any(c.isspace() for c in word["text"])
            x, y, w, h = word["box"]
            assert w > 0 and h > 0 and x > -3 and y > -3
            assert x + w < truth["width"] + 3 and y + h < truth["height"] + 3
            assert word["font"] in ("sans", "serif", "mono") and len(word["color"]) == 3


def test_boxes_contain_ink(rendered):
    contrasts, misses = [], []
    for path in sorted(rendered.glob("*.json")):
        pixels = np.asarray(Image.open(path.with_suffix(".png")).convert("RGB"), np.float32)
        for word in json.loads(path.read_text())["words"]:
            x, y, w, h = (round(side) for side in word["box"])
            crop = pixels[max(y, 0) : y + h, max(x, 0) : x + w].reshape(-1, 3)
            contrasts.append(np.ptp(crop.mean(1)))
            misses.append(np.abs(crop - word["color"]).max(1).min())
    assert len(contrasts) > 20
    assert np.mean(np.array(contrasts) > 24) > 0.98
    assert np.median(misses) < 16, "the stated colour is not in the box"


def test_existing_pages_are_kept(rendered):
    before = {path: path.stat().st_mtime_ns for path in rendered.iterdir()}
    screens.generate(rendered, 2, 5, width=800, height=600)
    assert before == {path: path.stat().st_mtime_ns for path in rendered.iterdir()}
