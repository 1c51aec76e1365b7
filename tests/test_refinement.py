"""Refined latents: a gradient that is autograd's, and drafts that are more like the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import nn

import picd.trials
from export.gradients import TOLERANCE, checked
from export.graphs import to_onnx
from export.precision import round_to_half
from export.refinement import refinement_graph
from picd import Codec
from picd.glyphs import render_glyphs
from picd.image_codec import ImageCodec, picture_planes
from picd.layout import TextLayout
from picd.nets.codec import Synthesis
from picd.nets.profiles import SMOKE
from picd.refinement import refined
from picd.training.codec import error

LANDSCAPE = Path(__file__).parents[1] / "demo" / "examples" / "landscape.png"


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """Our own landscape, uint8 (384, 512, 3)."""
    with Image.open(LANDSCAPE) as image:
        return np.array(image.convert("RGB").resize((512, 384), Image.Resampling.LANCZOS))


def test_the_graph_is_autograds_gradient_at_any_size() -> None:
    torch.manual_seed(0)
    synthesis = Synthesis(SMOKE.codec)
    for parameter in synthesis.parameters():  # also where training starts from zero
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    round_to_half(synthesis.requires_grad_(False))
    (graph,) = checked([refinement_graph(synthesis)])
    session = onnxruntime.InferenceSession(to_onnx(graph).SerializeToString())
    for height, width in ((64, 192), (256, 128)):
        inputs = {
            name: torch.rand(1, value.shape[1], height, width) - 0.5 * (name == "picture")
            for name, value in graph.inputs.items()
        }
        latents = torch.randn(1, sum(SMOKE.codec.latent_slices), height // 16, width // 16)
        latents.requires_grad_(True)
        inputs["latents"] = latents
        (expected,) = torch.autograd.grad(graph.module.loss(**inputs), latents)
        values = {name: value.detach().numpy() for name, value in inputs.items()}
        (gradient,) = session.run(None, values)
        assert np.abs(gradient - expected.numpy()).max() <= TOLERANCE * float(expected.abs().max())


def test_means_and_costs_are_the_coders(codec: Codec, photograph: np.ndarray) -> None:
    image_codec, glyphs = codec.half_codec, render_glyphs(TextLayout(512, 384))
    y = image_codec.analyse(photograph, glyphs)
    coded, scaled = image_codec.quantise(y, 30), y * image_codec.gain(30)
    means, scales = image_codec.expected(scaled, 30)
    residual = np.floor(scaled - means + np.float32(0.5))
    assert np.array_equal(means + residual, coded.y)
    bits = image_codec.tables.cost(residual, scales)
    hyper = image_codec.quantise(y, 30).bits - bits.sum(dtype=np.float64)
    assert 0 < hyper < 0.5 * bits.sum()  # what is left is z's
    between = image_codec.tables.cost(residual + np.float32(0.5), scales)
    beyond = image_codec.tables.cost(residual + 1, scales)
    assert np.allclose(between, (bits + beyond) / 2, atol=1e-3)


@pytest.mark.parametrize("quality", [15.0, 40.0])
def test_refined_latents_cost_less_for_what_they_give(
    codec: Codec, photograph: np.ndarray, quality: float
) -> None:
    image_codec, glyphs = codec.half_codec, render_glyphs(TextLayout(512, 384))
    y = image_codec.analyse(photograph, glyphs)
    before = _loss(image_codec, y, quality, photograph)
    better = refined(image_codec, y, quality, photograph, glyphs, steps=8)
    after = _loss(image_codec, better, quality, photograph)
    assert after < 0.985 * before


def _loss(codec: ImageCodec, y: np.ndarray, quality: float, picture: np.ndarray) -> float:
    """Bits + lambda * error at half the size, the error being that of training, in torch."""
    height, width = picture.shape[:2]
    glyphs = render_glyphs(TextLayout(width, height))
    coded = codec.quantise(y, quality)
    draft = codec.synthesise(coded.y, quality, glyphs, width, height)
    lost = _error(*(np.array(Image.fromarray(x).reduce(2)) for x in (draft, picture)))
    return coded.bits + codec.price(quality) * (height * width // 4) * lost


def _error(draft: np.ndarray, picture: np.ndarray) -> float:
    planes = [torch.from_numpy(picture_planes(x)) for x in (draft, picture)]
    return float(error(*planes, torch.ones_like(planes[0][:, :1])))


def test_photographs_are_refined_within_their_budget(
    codec: Codec, photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At one budget a step of quality more or less would decide."""

    def errors() -> list[float]:
        files = [codec.encode(photograph, bpp=bpp, content="natural").data for bpp in budgets]
        for file, bpp in zip(files, budgets, strict=True):
            assert len(file) <= bpp * photograph[..., 0].size / 8
        return [_error(codec.decode(file, stage="draft").image, photograph) for file in files]

    budgets = (0.05, 0.06, 0.07, 0.085)
    better = errors()
    monkeypatch.setattr(picd.trials, "REFINED_UP_TO", 0)
    plain = errors()
    assert np.mean(np.divide(better, plain)) < 0.98
