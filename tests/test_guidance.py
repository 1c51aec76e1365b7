"""Guidance: gradients that are autograd's, steps that lower both losses, words that come back."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import nn

import picd.guidance
from export.gradients import (
    TOLERANCE,
    backward,
    difference_from_autograd,
    guidance_graphs,
    share,
)
from export.graphs import Graph, to_onnx
from export.precision import round_to_half, shrink
from picd import Codec
from picd.errors import ModelError
from picd.glyphs import render_glyphs, typeset
from picd.guidance import Guide, lost_words, word_mask
from picd.image_codec import Sent, glyph_planes, picture_planes, reduced
from picd.layout import TextLayout
from picd.nets.codec import Analysis
from picd.nets.profiles import SMOKE
from picd.nets.recogniser import Recogniser
from picd.reading import CELL, CLASSES, layout_characters
from picd.runtime import Network
from picd.training import __main__ as training

HEIGHT, WIDTH = 256, 384


class _Forward(Analysis):
    """The analysis whose weights another module holds."""

    def __init__(self, module: nn.Module) -> None:
        nn.Module.__init__(self)
        for name, part in module.named_children():
            self.add_module(name, part)


class Networks(dict):
    """Stands for a model folder: networks by name and a manifest."""

    manifest = {"guidance": {"text": 0.02, "recompression": 0.02, "tolerance": 1.0}}


@pytest.fixture(scope="module")
def graphs() -> list[Graph]:
    torch.manual_seed(0)
    recogniser, analysis = Recogniser(SMOKE.recogniser), Analysis(SMOKE.codec)
    for parameter in analysis.parameters():  # also where training starts from zero
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    for network in (recogniser, analysis):
        round_to_half(network.requires_grad_(False))
    return guidance_graphs(recogniser, analysis)


@pytest.fixture(scope="module")
def networks(graphs: list[Graph]) -> Networks:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    return Networks(
        (
            graph.name,
            Network(
                onnxruntime.InferenceSession(
                    shrink(to_onnx(graph), exact=False).SerializeToString(), options
                )
            ),
        )
        for graph in graphs
    )


@pytest.fixture
def guide(networks: Networks, set_page: TextLayout) -> Guide:
    """Guidance towards a typeset page, and latents that no picture near it has."""
    glyphs = render_glyphs(set_page)
    page = typeset(np.full((HEIGHT, WIDTH, 3), 200, np.uint8), glyphs)
    latents = np.random.default_rng(0).normal(0, 1, (1, 8, HEIGHT // 16, WIDTH // 16))
    shape = (1, 3, HEIGHT, WIDTH)
    told = np.zeros(shape, bool)
    told[..., : HEIGHT // 4, :] = True
    skeleton = np.full(shape, 0.1, np.float32)
    latents, tolerance = latents.astype(np.float32), np.full(8, 0.05, np.float32)
    sent = Sent(latents, tolerance, skeleton, told, glyph_planes(glyphs), 1)
    return Guide(networks, 1.0, page, glyphs, set_page, sent)


@pytest.fixture
def estimate(guide: Guide) -> np.ndarray:
    """The page as a sampler might see it: soft and noisy."""
    noise = np.random.default_rng(1).normal(0, 0.05, guide.page.shape)
    return (0.6 * guide.page + noise).astype(np.float32)


def test_gradients_are_autograds(graphs: list[Graph]) -> None:
    for graph in graphs:
        assert difference_from_autograd(graph) <= TOLERANCE


def test_exported_gradients_are_autograds_at_another_size(
    graphs: list[Graph], networks: Networks
) -> None:
    for graph in graphs:
        inputs = [v.repeat(1, 1, 1, 2) if v.dim() == 4 else v for v in graph.inputs.values()]
        picture = inputs[0].clone().requires_grad_(True)
        (expected,) = torch.autograd.grad(graph.module.loss(picture, *inputs[1:]), picture)
        gradient = networks[graph.name](*(value.numpy() for value in inputs))[0]
        assert gradient.shape == picture.shape
        assert np.abs(gradient - expected.numpy()).max() <= TOLERANCE * float(expected.abs().max())


def test_analysis_and_its_gradient_share_their_weights(
    graphs: list[Graph], networks: Networks, tmp_path: Path
) -> None:
    gradient = graphs[1]
    module = gradient.module
    inputs = {name: gradient.inputs[name] for name in ("picture", "glyphs")}
    analysis = Graph("analysis", _Forward(module), inputs, ("latents",))
    files = {
        f"{graph.name}.onnx": shrink(to_onnx(graph), exact=False).SerializeToString()
        for graph in (analysis, gradient)
    }
    entries = {"analysis": {}, "guidance_recompress": {}}
    shared = share(("analysis", "guidance_recompress"), "analysis.weights", files, entries)
    assert sum(map(len, shared.values())) < 0.8 * sum(map(len, files.values()))
    for name, data in shared.items():
        (tmp_path / name).write_bytes(data)
    for name, graph in (("analysis", analysis), ("guidance_recompress", gradient)):
        assert entries[name]["weights"] in shared
        values = {key: value.numpy() for key, value in graph.inputs.items()}
        alone, together = (
            onnxruntime.InferenceSession(source).run(None, values)[0]
            for source in (files[f"{name}.onnx"], str(tmp_path / f"{name}.onnx"))
        )
        assert np.array_equal(alone, together)


def test_layers_without_a_rule_are_refused() -> None:
    with pytest.raises(TypeError, match="GroupNorm"):
        backward(nn.Sequential(nn.GroupNorm(1, 3)), torch.zeros(1, 3, 8, 8))


def test_a_step_lowers_both_losses(guide: Guide, graphs: list[Graph], estimate: np.ndarray) -> None:
    text, recompress = (graph.module for graph in graphs)
    target, weight = torch.from_numpy(guide._target), torch.from_numpy(guide._weight)
    sent = guide.sent
    latents = [torch.from_numpy(v) for v in (guide.glyphs, sent.latents, sent.tolerance)]

    def losses(x: np.ndarray) -> tuple[float, float]:
        difference = torch.from_numpy(np.where(sent.told, 0, x - sent.skeleton))
        return (
            float(text.loss(torch.from_numpy(x), target, weight)),
            float(recompress.loss(difference, *latents)),
        )

    before = losses(estimate)
    guide.text_strength, guide.recompress_strength = np.float32(1e-3), np.float32(0)
    assert losses(guide.step(estimate, last=False))[0] < 0.99 * before[0]
    guide.text_strength, guide.recompress_strength = np.float32(0), np.float32(1e-2)
    moved = guide.step(estimate, last=False)
    assert losses(moved)[1] < 0.99 * before[1]
    assert np.array_equal(moved[guide.sent.told], estimate[guide.sent.told])
    assert guide.seconds > 0


def test_latents_within_tolerance_leave_the_estimate_alone(
    guide: Guide, estimate: np.ndarray
) -> None:
    guide.text_strength = np.float32(0)
    guide.sent = replace(guide.sent, tolerance=np.full(8, 1e6, np.float32))
    assert np.array_equal(guide.step(estimate, last=False), estimate)


def test_a_half_size_picture_is_guided_by_its_means(guide: Guide, estimate: np.ndarray) -> None:
    guide.text_strength, guide.recompress_strength = np.float32(0), np.float32(1e-2)
    sent = guide.sent
    padded = tuple((0, -side % 128) for side in (HEIGHT, WIDTH))
    guide.sent = replace(
        sent,
        latents=sent.latents[:, :, : -(-HEIGHT // 128) * 4, : -(-WIDTH // 128) * 4],
        skeleton=np.pad(sent.skeleton, ((0, 0), (0, 0), *padded)),
        told=np.pad(np.zeros_like(sent.told), ((0, 0), (0, 0), *padded)),
        glyphs=reduced(np.pad(sent.glyphs, ((0, 0), (0, 0), *padded)), 2),
        scale=2,
    )
    change = guide.step(estimate, last=False) - estimate
    assert change.shape == estimate.shape and np.abs(change).max() > 0
    squares = change.reshape(3, HEIGHT // 2, 2, WIDTH // 2, 2)
    assert np.abs(squares - squares[:, :, :1, :, :1]).max() < 1e-6 < np.abs(change).max()


def test_no_seams(guide: Guide, estimate: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = guide.step(estimate, last=False)
    monkeypatch.setattr(picd.guidance, "tiled", partial(picd.guidance.tiled, tile=64))
    monkeypatch.setattr(picd.guidance, "RECOMPRESS_MARGIN", 192)
    guide.__dict__.pop("_target")
    assert np.abs(guide.step(estimate, last=False) - whole).max() < 1e-5


def test_words_read_otherwise_come_back(guide: Guide, set_page: TextLayout) -> None:
    """A text network that sees class 1 where the picture is dark: of an erased word it loses."""
    letters = [c for c in layout_characters(set_page) if c.word == 2]

    def darkness(picture: np.ndarray, target: np.ndarray, weight: np.ndarray) -> list[np.ndarray]:
        cells = picture[:, 0].reshape(1, HEIGHT // CELL, CELL, WIDTH // CELL, CELL).mean((2, 4))
        logits = np.zeros_like(target)
        for c in letters:
            rows, columns = c.cells(*cells.shape[1:])
            logits[0, c.label, rows, columns] = 0.2 - cells[0, rows, columns]
        return [np.zeros_like(picture), logits]

    guide.text, guide.recompress_strength = darkness, np.float32(0)
    erased = guide.page.copy()
    left, right = int(letters[0].left), int(letters[-1].right) + 1
    erased[..., left:right] = guide.page.max()
    restored = guide.step(erased, last=True)
    assert guide.blended == 1
    band = np.s_[..., int(letters[0].top) : int(letters[0].bottom), left + 1 : right - 1]
    assert np.abs(restored[band] - guide.page[band]).max() < 1e-6
    away = np.s_[..., int(letters[0].bottom) + 40 :, :]
    assert np.array_equal(restored[away], erased[away])
    guide.step(guide.page, last=True)
    assert guide.blended == 0


def test_lost_words_are_those_that_only_the_page_shows(set_page: TextLayout) -> None:
    characters = list(layout_characters(set_page))
    page = np.zeros((CLASSES, HEIGHT // CELL, WIDTH // CELL), np.float32)
    for c in characters:
        page[c.label][c.cells(*page.shape[1:])] = 1.0
    picture, misread = page.copy(), page.copy()
    first = [c for c in characters if c.word == 3]
    for c in first:
        picture[:, *c.cells(*page.shape[1:])] = 0
    for c in characters:
        if c.word == 5:
            misread[:, *c.cells(*page.shape[1:])] = 0
    assert lost_words(characters, page, page) == set()
    assert lost_words(characters, page, picture) == {3}
    assert lost_words(characters, misread, misread) == set()  # the page itself is not read right
    mask = word_mask(characters, {3}, (HEIGHT, WIDTH))
    middle = (int(first[0].top + first[0].bottom) // 2, int(first[0].left + first[-1].right) // 2)
    assert mask[middle] == 1 and mask[-1].max() == 0 and mask.dtype == np.float32


def test_models_without_guidance(page: np.ndarray) -> None:
    codec = Codec.load()
    codec.models.manifest.pop("guidance", None)
    data = codec.encode(page, quality=10, ocr="none").data
    with pytest.raises(ModelError, match="guidance"):
        codec.decode(data, guidance=1.0)
    assert codec.decode(data).seconds["guidance"] == 0


def test_strength_0_loads_nothing_and_costs_nothing(page: np.ndarray) -> None:
    codec = Codec.load()
    codec.models.manifest["guidance"] = Networks.manifest["guidance"]
    data = codec.encode(page, quality=10, ocr="none").data
    decoded = codec.decode(data, guidance=0)
    assert decoded.seconds["guidance"] == 0 and decoded.blended_words == 0
    assert not any(name.startswith("guidance") for name in codec.models._networks)
    assert picture_planes(decoded.image).shape[1] == 3


def test_the_sweep(
    page: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    Image.fromarray(page).save(tmp_path / "page.png")
    strengths = ["--text", "0", "0.0001", "--recompression", "0"]
    arguments = ["--pages", str(tmp_path), "--max-bytes", "2000", "--steps", "1", *strengths]
    arguments = ["picd.training", "guidance", *arguments, "-o", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", arguments)
    assert training.main() == 0
    table = capsys.readouterr().out
    assert table.count("\n| 0") == 2 and "of a UNet step" in table  # none, and one pair
    rows = [[float(v) for v in r.split("|")[1:-1]] for r in table.splitlines() if r[:3] == "| 0"]
    assert all(row[2] == 1 and 0 < row[3] <= 1 and row[4] > 10 for row in rows)
    assert (tmp_path / "out" / "strip.png").exists()


def test_a_sweep_of_no_pages_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    arguments = ["--pages", str(tmp_path), "-o", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", ["picd.training", "guidance", *arguments])
    assert training.main() == 2
    assert "error: no pages" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
