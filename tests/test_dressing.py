"""What a page is sent with besides its words, once it is known what the picture stream does."""

from __future__ import annotations

import numpy as np
import pytest

from picd import Codec
from picd.dressing import Dresser
from picd.glyphs import render_glyphs, typeset, word_mask
from picd.layout import TextLayout
from picd.rules import Ruler


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.load()


def diagram() -> np.ndarray:
    """Boxes in thin lines, and a ramp that leaves the picture stream something to do."""
    picture = np.full((320, 480, 3), 250, np.uint8)
    picture[220:300, 20:460] = np.linspace(90, 220, 440)[:, None] + [0, 10, 20]
    for x in range(20, 440, 110):
        for y in (20, 120):
            picture[y : y + 70, x : x + 90] = (70, 80, 120)
            picture[y + 1 : y + 69, x + 1 : x + 89] = 250
    return picture


def error(codec: Codec, max_bytes: int) -> float:
    encoded = codec.encode(diagram(), max_bytes=max_bytes, content="screen", ocr="none")
    assert encoded.bytes <= max_bytes
    page = codec.decode(encoded.data, stage="typeset").image
    return float(((page - diagram().astype(float)) ** 2).mean())


def test_thin_lines_are_rules_in_small_files_too(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_lines = error(codec, 220)
    monkeypatch.setattr(Ruler, "more", lambda self, rules, *_: rules)
    assert with_lines < 0.5 * error(codec, 220)


def test_a_line_close_to_words_is_a_rule(
    monkeypatch: pytest.MonkeyPatch, set_page: TextLayout
) -> None:
    """Underlined, or in a frame: it is in the box that is kept for their letters."""
    plain = np.full((256, 384, 3), 255, np.uint8)
    picture = typeset(plain, render_glyphs(set_page))
    picture[52:54, 14:240] = (60, 60, 200)
    assert word_mask(set_page)[52:54, 14:240].all()

    def lines() -> set[tuple[int, int]]:
        dresser = Dresser(picture, set_page, natural=False, budget=None, quality=40.0)
        return {(rule.y0, rule.y1) for rule in dresser.ruled.rules}

    assert (52, 54) in lines()
    monkeypatch.setattr("picd.dressing.ink_mask", word_mask)
    assert (52, 54) not in lines()


def test_a_second_look_where_the_first_has_helped(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    more = Ruler.more
    monkeypatch.setattr(Ruler, "more", lambda *a: looks.append(a[1]) or more(*a))
    error(codec, 220)
    assert len(looks) == 2 and len(looks[1]) > len(looks[0])
    looks.clear()
    monkeypatch.setattr("picd.codec.WORTH_IT", 0.0)
    error(codec, 220)
    assert len(looks) == 1


def test_what_a_page_is_dressed_with_has_room(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a sketch at half size promises may be too much for the picture in full: then less of it
    is sent, and few bytes are coded at half size."""
    halved = [
        codec.encode(diagram(), max_bytes=size, content="screen", ocr="none").halved
        for size in (200, 400)
    ]
    assert halved == [True, False]
    small = error(codec, 200)
    monkeypatch.setattr("picd.trials.POOR", 0.0)
    assert small < 0.2 * error(codec, 200)
