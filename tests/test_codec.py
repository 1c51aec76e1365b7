"""The whole road, on the shipped models."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from picd import Codec
from picd.columns import layout_text, layout_words
from picd.errors import BitstreamError, PicdError
from picd.trials import HALVED_UP_TO


@pytest.fixture(scope="module")
def encoded(codec: Codec, page: np.ndarray):
    return codec.encode(page, quality=30, seed=7)


def test_text_comes_back(codec: Codec, encoded) -> None:
    text = codec.decode(encoded.data, stage="typeset").text
    for phrase in ("Weather report", "Morning fog, then sun", "Wind from the north", "low 9"):
        assert phrase in text
    boxes = {word["text"]: word["box"] for word in layout_words(encoded.layout)}
    x, y, width, height = boxes["Weather"]
    assert abs(x - 20) < 6 and 8 < y < 24 and 100 < width < 160 and 20 < height < 45


def test_info_says_what_encode_said(codec: Codec, encoded) -> None:
    info = codec.info(encoded.data)
    assert (info.width, info.height, info.quality, info.seed) == (640, 400, 30, 7)
    assert info.sections == encoded.sections and info.bytes == len(encoded.data)
    assert info.content == "screen" and info.sections["header"] <= 24
    assert layout_text(info.layout) == layout_text(encoded.layout)


def test_decoding_is_a_function_of_the_file(codec: Codec, encoded) -> None:
    first, second = (Codec.load().decode(encoded.data).image for _ in range(2))
    assert np.array_equal(first, second)


def test_stages(codec: Codec, encoded, page: np.ndarray) -> None:
    stages = {stage: codec.decode(encoded.data, stage=stage) for stage in ("draft", "typeset")}
    assert np.array_equal(stages["draft"].image, stages["draft"].draft)
    assert np.array_equal(stages["typeset"].image, stages["typeset"].typeset)
    errors = [np.mean((d.image.astype(float) - page) ** 2) for d in stages.values()]
    assert errors[1] < errors[0]
    assert stages["draft"].steps == 0


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (129, 64), (251, 130)])
def test_any_size(codec: Codec, size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    picture = np.asarray(Image.fromarray(random.integers(0, 256, (4, 4, 3), np.uint8)).resize(size))
    data = codec.encode(picture, quality=90, ocr="none").data
    decoded = codec.decode(data, steps=1)
    assert decoded.image.shape == decoded.draft.shape == picture.shape
    # far closer than its mean colour, though such noise is not what the networks were trained on
    assert np.mean((decoded.draft.astype(float) - picture) ** 2) < 0.4 * picture.var()


@pytest.mark.slow
def test_large_picture(codec: Codec) -> None:
    rows, columns = np.mgrid[:1500, :2000]
    picture = np.stack([rows * 255 // 1500, columns * 255 // 2000, (rows ^ columns) & 128], -1)
    data = codec.encode(picture.astype(np.uint8), quality=10, ocr="none").data
    decoded = codec.decode(data, steps=1)
    assert decoded.image.shape == (1500, 2000, 3)
    assert np.mean((decoded.draft.astype(float) - picture) ** 2) < 2000


@pytest.mark.parametrize("budget", [900, 1500, 4000])
def test_budgets_are_kept_and_used(codec: Codec, page: np.ndarray, budget: int) -> None:
    encoded = codec.encode(page, max_bytes=budget)
    assert encoded.bytes <= budget
    assert encoded.bytes >= 0.8 * budget or encoded.quality == 100  # there is no more to say


def test_a_tight_budget_drops_words_rather_than_refuse(codec: Codec, page: np.ndarray) -> None:
    roomy, tight = (codec.encode(page, max_bytes=budget) for budget in (4000, 115))
    assert roomy.dropped_words == 0 and tight.dropped_words > 0 and tight.bytes <= 115
    assert tight.dropped_words + len(tight.layout.words) == len(roomy.layout.words)


def test_a_page_with_little_on_it_spends_its_bytes(
    codec: Codec, page: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = 1800
    generous = codec.encode(page, max_bytes=budget)
    monkeypatch.setattr("picd.dressing.THRIFTY", 0.0)
    thrifty = codec.encode(page, max_bytes=budget)
    assert max(thrifty.bytes, generous.bytes) <= budget
    assert len(generous.layout.letters) > len(thrifty.layout.letters)
    errors = [
        np.mean((codec.decode(e.data, stage="typeset").image - page.astype(float)) ** 2)
        for e in (generous, thrifty)
    ]
    assert errors[0] < 0.9 * errors[1]


def test_bpp_counts_the_whole_file(codec: Codec, page: np.ndarray) -> None:
    encoded = codec.encode(page, bpp=0.05)
    assert encoded.bpp <= 0.05 and 8 * len(encoded.data) / (640 * 400) == encoded.bpp


def test_photograph_has_no_text(codec: Codec) -> None:
    random = np.random.default_rng(0)
    noise = random.normal(0, 20, (128, 160, 3)).cumsum(1)
    photo = np.clip(128 + noise, 0, 255).astype(np.uint8)
    encoded = codec.encode(photo, quality=50)
    assert encoded.content == "natural" and encoded.sections["text"] == 0


def test_pictures_are_halved_where_bytes_are_few(codec: Codec) -> None:
    y, x = np.mgrid[0:200, 0:300]
    noise = np.random.default_rng(0).normal(0, 3, x.shape)
    waves = 128 + 60 * np.sin(x / 17 + np.sin(y / 23)) + noise
    photo = np.clip(np.stack([waves, waves, 255 - waves], 2), 0, 255).astype(np.uint8)
    few = codec.encode(photo, max_bytes=400, content="natural")
    many = codec.encode(photo, max_bytes=12000, content="natural")
    assert (few.halved, many.halved) == (True, False)
    few_screen, screen = (
        codec.encode(photo, max_bytes=size, content="screen", ocr="none") for size in (400, 2000)
    )
    assert (few_screen.halved, screen.halved) == (True, False)
    for encoded, budget in ((few, 400), (many, 12000)):
        assert len(encoded.data) <= budget
        assert codec.info(encoded.data).halved == encoded.halved
        assert codec.decode(encoded.data, stage="draft").image.shape == photo.shape
    assert codec.encode(photo, quality=HALVED_UP_TO, content="natural").halved
    assert not codec.encode(photo, quality=HALVED_UP_TO + 0.5, content="natural").halved


@pytest.mark.parametrize(
    "options, message",
    [
        ({"quality": 0}, "positive"),
        ({"quality": 101}, "quality must be in 1..100"),
        ({"quality": 50, "bpp": 0.1}, "only one"),
        ({"max_bytes": 40}, "40 bytes are too few"),
        ({"ocr": "tea-leaves"}, "tea-leaves"),
    ],
)
def test_impossible_wishes(codec: Codec, page: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(PicdError, match=message):
        codec.encode(page, **options)


def test_damaged_files(codec: Codec, encoded) -> None:
    data = encoded.data
    for cut in (0, 3, 10, len(data) // 2, len(data) - 1):
        with pytest.raises(BitstreamError):
            codec.decode(data[:cut])
    for place in range(0, len(data), 37):
        broken = bytearray(data)
        broken[place] ^= 0x10
        with pytest.raises(BitstreamError):
            codec.decode(bytes(broken))
