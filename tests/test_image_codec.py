"""Latents survive the bytes bit for bit, whatever computes them."""

from __future__ import annotations

import math

import cv2
import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from picd import Codec
from picd.errors import BitstreamError, ModelError
from picd.glyphs import render_glyphs
from picd.image_codec import SCALE_STEP, ImageCodec
from picd.layout import TextLayout
from picd.nets.entropy import SCALE_RANGE, SCALES, SliceContext
from picd.nets.exact import ACCUMULATOR_LIMIT, ExactConv2d
from picd.nets.profiles import COMPACT
from picd.runtime import Models


def _latents(codec: Codec, picture: np.ndarray) -> np.ndarray:
    layout = TextLayout(picture.shape[1], picture.shape[0])
    return codec.image_codec.analyse(picture, render_glyphs(layout))


@settings(max_examples=12, deadline=None)
@given(
    height=st.integers(16, 150),
    width=st.integers(16, 150),
    quality=st.integers(2, 200),
    seed=st.integers(0, 2**32 - 1),
    loudness=st.sampled_from([0.0, 0.3, 3.0, 80.0]),
    scale=st.sampled_from([1, 2]),
)
def test_latents_round_trip(
    codec: Codec, height: int, width: int, quality: int, seed: int, loudness: float, scale: int
) -> None:
    image_codec = ImageCodec(codec.models, scale)
    cell = 64 * scale
    shape = (1, sum(image_codec.slices), 4 * -(-height // cell), 4 * -(-width // cell))
    y = (np.random.default_rng(seed).normal(size=shape) * loudness).astype(np.float32)
    data = image_codec.encode(y, quality / 2)
    decoded = image_codec.decode(data, width, height)
    assert np.array_equal(decoded, image_codec.quantise(y, quality / 2).y)


def test_cost_is_what_the_bytes_are(codec: Codec, page: np.ndarray) -> None:
    y = _latents(codec, page)
    for quality in (1.0, 30.0, 80.0):
        size = 8 * len(codec.image_codec.encode(y, quality))
        assert abs(codec.image_codec.quantise(y, quality).bits - size) <= 64 + 0.01 * size


@pytest.mark.parametrize(("quality", "other"), [(40, 60), (40, 25), (80, 95), (80, 60)])
def test_the_cost_at_another_quality_is_guessed(
    codec: Codec, page: np.ndarray, quality: int, other: int
) -> None:
    y = codec.image_codec.analyse(page, render_glyphs(TextLayout(page.shape[1], page.shape[0])))
    assert pytest.approx(math.log(SCALE_RANGE[1] / SCALE_RANGE[0]) / (SCALES - 1)) == SCALE_STEP
    coded, wanted = (codec.image_codec.quantise(y, q) for q in (quality, other))
    guess = codec.image_codec.guessed_bits(coded, y, quality, other)
    assert abs(np.log(guess / wanted.bits)) < 0.25 * abs(np.log(coded.bits / wanted.bits))
    assert codec.image_codec.guessed_bits(coded, y, quality, quality) == pytest.approx(coded.bits)


def test_thrift_saves_bits_and_round_trips(codec: Codec, page: np.ndarray) -> None:
    y, image_codec = _latents(codec, page), codec.image_codec
    sizes = []
    for thrift in (0.0, 0.1, 0.8):
        data = image_codec.encode(y, 1, thrift=thrift)
        sizes.append(len(data))
        expected = image_codec.quantise(y, 1, thrift=thrift).y
        assert np.array_equal(image_codec.decode(data, page.shape[1], page.shape[0]), expected)
    assert sizes[0] > sizes[1] > sizes[2]


def test_quality_buys_bytes_and_fidelity(codec: Codec, page: np.ndarray) -> None:
    glyphs = render_glyphs(TextLayout(page.shape[1], page.shape[0]))
    y = codec.image_codec.analyse(page, glyphs)
    sizes, errors = [], []
    for quality in (1.0, 30.0, 60.0, 100.0):
        data = codec.image_codec.encode(y, quality)
        y_hat = codec.image_codec.decode(data, page.shape[1], page.shape[0])
        draft = codec.image_codec.synthesise(y_hat, quality, glyphs, page.shape[1], page.shape[0])
        sizes.append(len(data))
        errors.append(np.mean((draft.astype(float) - page) ** 2))
    assert sizes == sorted(sizes) and sizes[0] * 4 < sizes[-1]
    assert errors == sorted(errors, reverse=True) and errors[-1] < errors[0] / 4


def test_half_size(codec: Codec, page: np.ndarray) -> None:
    """Half a picture's size is a quarter of its latents, and shows what is twice as large."""
    height, width = page.shape[:2]
    glyphs = render_glyphs(TextLayout(width, height))
    half = codec.half_codec
    y = half.analyse(page, glyphs)
    assert y.shape[2:] == (4 * -(-height // 128), 4 * -(-width // 128))
    draft = half.synthesise(half.quantise(y, 60).y, 60, glyphs, width, height)
    assert draft.shape == page.shape
    small, wanted = (
        cv2.resize(p, (width // 4, height // 4), interpolation=cv2.INTER_AREA).astype(float)
        for p in (draft, page)
    )
    assert np.abs(small - wanted).mean() < 6
    soft = cv2.resize(cv2.resize(page, None, fx=0.5, fy=0.5), (width, height))
    errors = [np.mean((p.astype(float) - page) ** 2) for p in (draft, soft)]
    assert errors[0] < 2 * errors[1]


@pytest.mark.parametrize("threads, optimise", [(1, True), (2, True), (1, False), (2, False)])
def test_any_session_decodes_the_same_bits(
    codec: Codec, page: np.ndarray, threads: int, optimise: bool
) -> None:
    data = codec.image_codec.encode(_latents(codec, page), 50)
    expected = codec.image_codec.decode(data, page.shape[1], page.shape[0])
    other = ImageCodec(Models(threads=threads, optimise=optimise))
    assert np.array_equal(other.decode(data, page.shape[1], page.shape[0]), expected)


def test_shipped_contexts_are_bit_identical_in_torch(codec: Codec) -> None:
    random = np.random.default_rng(3)
    for index in range(len(COMPACT.codec.latent_slices)):
        network = SliceContext(COMPACT.codec, index).eval()
        network.load_state_dict(_stored(codec, f"context_{index}"))
        for module in network.modules():
            if isinstance(module, ExactConv2d):
                module.frozen = True
                assert module.largest_accumulator() < ACCUMULATOR_LIMIT
        channels = sum(COMPACT.codec.latent_slices[: index + 1]) + 1
        features = random.integers(0, 128, (1, COMPACT.codec.hyper_features, 9, 7))
        known = random.integers(-127, 128, (1, channels, 9, 7))
        with torch.no_grad():
            expected = network(*(torch.tensor(a, dtype=torch.float32) for a in (features, known)))
        for ours, theirs in zip(
            codec.models[f"context_{index}"](features, known), expected, strict=True
        ):
            assert np.array_equal(ours, theirs.numpy())


def _stored(codec: Codec, name: str) -> dict[str, torch.Tensor]:
    graph = onnx.load(codec.models.folder / f"{name}.onnx").graph
    weights = {t.name.removesuffix("_stored"): numpy_helper.to_array(t) for t in graph.initializer}
    state = SliceContext(COMPACT.codec, int(name[-1])).state_dict()
    return {key: torch.tensor(weights[key].astype(np.float32)) for key in state}


def test_models_of_an_earlier_version_are_refused(codec: Codec, page: np.ndarray) -> None:
    """Their contexts tell of every place at once."""

    class Earlier:
        manifest, tables = codec.models.manifest, codec.models.tables

        def __getitem__(self, name: str):
            def everywhere(features: np.ndarray, known: np.ndarray) -> list[np.ndarray]:
                return [np.zeros((1, 4, *features.shape[2:]), np.float32)] * 2

            return everywhere if name.startswith("context_") else codec.models[name]

    earlier, y = ImageCodec(Earlier()), _latents(codec, page)
    with pytest.raises(ModelError, match="export it again"):
        earlier.encode(y, 50)
    with pytest.raises(ModelError, match="export it again"):
        earlier.decode(codec.image_codec.encode(y, 50), page.shape[1], page.shape[0])


def test_garbage_is_refused_or_read_but_never_crashes(codec: Codec) -> None:
    random = np.random.default_rng(1)
    for size in (0, 1, 7, 200):
        data = random.integers(0, 256, size, np.uint8).tobytes()
        try:
            y_hat = codec.image_codec.decode(data, 100, 70)
        except BitstreamError:
            continue
        assert np.isfinite(y_hat).all()
