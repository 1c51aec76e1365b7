"""The recogniser: where characters stand, what logits say there, and that it learns to read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from picd.font_metrics import glyph_metrics, word_extent
from picd.glyphs import render_glyphs, typeset
from picd.layout import UNITS_PER_PIXEL, PlacedWord, TextLayout, TextLine
from picd.nets.profiles import COMPACT, SMOKE
from picd.nets.recogniser import Recogniser
from picd.reading import ALPHABET, CELL, CLASSES, Character, layout_characters, read
from picd.training import recogniser as stage
from picd.training.checkpoints import Run, load_averaged
from picd.training.prepare import glyph_channels

WIDTH, HEIGHT, SIZE = 384, 256, 24


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, set_page: TextLayout) -> tuple[Path, Path]:
    """(cache, folder of pages) as the page generator and ``prepare`` would write them."""
    cache, folder = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("pages")
    glyphs = render_glyphs(set_page)
    picture = typeset(np.full((HEIGHT, WIDTH, 3), 255, np.uint8), glyphs)
    words = [
        {
            "text": word.text,
            "box": _text_box(word, line),
            "line": number,
            "font": "sans",
            "family": "Open Sans",
            "size": float(SIZE),
        }
        for number, line in enumerate(set_page.lines)
        for word in line.words
    ]
    (folder / "000000.json").write_text(json.dumps({"words": words}))
    Image.fromarray(picture).save(folder / "000000.png")
    np.save(
        cache / f"page-{folder.name}-000000.npy",
        np.concatenate([picture, glyph_channels(glyphs)], -1),
    )
    return cache, folder


def _text_box(word: PlacedWord, line: TextLine) -> list[float]:
    """From the first pen to the last, from ascent to descent, as a browser tells it."""
    left = glyph_metrics(line.style.face, word.text[0]).left * SIZE / 2048
    advance, _ = word_extent(line.style.face, line.style.size, word.text)
    height = 1.36 * SIZE
    top = line.baseline / UNITS_PER_PIXEL - stage.BASELINE * height
    return [word.x / UNITS_PER_PIXEL - left, top, advance / UNITS_PER_PIXEL, height]


def test_characters_stand_where_their_ink_is(set_page: TextLayout) -> None:
    coverage = render_glyphs(set_page).coverage
    characters = list(layout_characters(set_page))
    assert "".join(c.text for c in characters) == "".join(word.text for word in set_page.words)
    assert [c.word for c in characters] == sorted(c.word for c in characters)
    inked = 0
    for c in characters:
        assert c.left < c.right and c.bottom - c.top == pytest.approx(0.52 * SIZE)
        band = coverage[int(c.top) : int(c.bottom), int(c.left) : int(np.ceil(c.right))]
        inked += int(band.max() > 100)
    assert inked == len(characters)


def test_a_browsers_boxes_give_the_same_characters(
    set_page: TextLayout, pages: tuple[Path, Path]
) -> None:
    ours, theirs = (
        list(layout_characters(set_page)),
        stage.true_characters(pages[1] / "000000.json"),
    )
    assert [c.text for c in ours] == [c.text for c in theirs]
    assert max(abs(a.left - b.left) for a, b in zip(ours, theirs, strict=True)) < 1
    assert max(abs(a.bottom - b.bottom) for a, b in zip(ours, theirs, strict=True)) < 0.01


def test_labels_read_back_as_the_text(pages: tuple[Path, Path]) -> None:
    record = pages[1] / "000000.json"
    labels = stage.label_map(record, HEIGHT, WIDTH)
    assert labels.shape == (HEIGHT // CELL, WIDTH // CELL)
    assert labels[0].max() == 0 and stage.IGNORE in labels
    certain = np.where(labels == stage.IGNORE, 0, labels)
    logits = np.eye(CLASSES, dtype=np.float32)[certain].transpose(2, 0, 1)
    characters = stage.true_characters(record)
    assert read(logits, characters) == [c.text for c in characters]


def test_characters_outside_the_alphabet_or_the_picture() -> None:
    assert Character("語", 0, 8, 0, 8, 0).label == 0
    assert ALPHABET[Character("~", 0, 8, 0, 8, 0).label - 1] == "~"
    narrow = Character("i", 9, 11.5, 9, 10, 0).cells(8, 8)
    assert narrow == (slice(2, 3), slice(2, 3))
    outside = Character("a", 400, 408, -20, -10, 0)
    assert read(np.ones((CLASSES, 8, 8), np.float32), [outside]) == [""]


def test_the_network_is_small_and_works_at_a_quarter() -> None:
    network = Recogniser(COMPACT.recogniser)
    assert sum(p.numel() for p in network.parameters()) <= 1_500_000
    with torch.no_grad():
        logits = network(torch.zeros(1, 3, 64, 96))
    assert logits.shape == (1, CLASSES, 16, 24)


def test_it_learns_and_resumes(
    pages: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, folder = pages
    # without the process that reads ahead: it takes longer to start than this trains
    monkeypatch.setattr(stage.LabelledCrops, "loader", lambda crops: iter(crops))
    # a clock that counts steps: how many a machine does in a while is not what is tested
    monkeypatch.setattr(Run, "elapsed", property(lambda run: (run.step - run.first_step) / 400))
    options = {"device": torch.device("cpu"), "crop": 64, "batch": 8, "rate": 1e-2}
    steps = []
    for resume in (False, True):
        stage.train(SMOKE, cache, [folder], tmp_path, minutes=0.1, resume=resume, **options)
        steps.append(torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"])
    assert steps == [40, 80]
    lines = (tmp_path / "curve.csv").read_text().splitlines()
    column = lines[0].split(",").index("loss")
    first, *_, last = (float(line.split(",")[column]) for line in lines[1:])
    assert last < 0.9 * first
    network = load_averaged(Recogniser(SMOKE.recogniser), tmp_path)
    assert 0 <= stage.accuracy(network, folder, 1) <= 1


def test_accuracy_is_one_for_who_knows(pages: tuple[Path, Path]) -> None:
    """A stand-in that answers with the labels reads everything; one that answers "none" nothing."""
    labels = stage.label_map(pages[1] / "000000.json", HEIGHT, WIDTH)
    labels[labels == stage.IGNORE] = 0
    for known, expected in ((labels, 1.0), (np.zeros_like(labels), 0.0)):
        logits = torch.eye(CLASSES)[torch.from_numpy(known).long()].permute(2, 0, 1)[None]
        assert stage.accuracy(_Answer(logits), pages[1], 1) == expected


class _Answer(torch.nn.Module):
    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(logits)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return self.logits


def test_pages_without_a_cache_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="picd.training prepare"):
        stage.LabelledCrops(tmp_path, [tmp_path], 64, 4)
