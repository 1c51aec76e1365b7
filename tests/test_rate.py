"""A budget of bytes is kept, used, and found in few trials."""

from __future__ import annotations

import numpy as np
import pytest

from picd import Codec
from picd.glyphs import render_glyphs
from picd.image_codec import ImageCodec, Latents
from picd.layout import TextLayout
from picd.rate import LOWEST_TRIAL, best_within, level


class CountingCodec(ImageCodec):
    trials = 0

    def quantise(self, *arguments: object, **options: object):  # noqa: ANN201
        self.trials += 1
        return super().quantise(*arguments, **options)


@pytest.fixture(scope="module")
def y(codec: Codec, page: np.ndarray) -> Latents:
    layout = TextLayout(page.shape[1], page.shape[0])
    return codec.image_codec.analyse(page, render_glyphs(layout))


@pytest.fixture(scope="module")
def costs(codec: Codec, y: Latents) -> dict[int, float]:
    """Bytes at every quality with z of that quality."""
    return {quality: codec.image_codec.quantise(y, quality).bits / 8 for quality in range(1, 101)}


@pytest.mark.parametrize("size", [400, 1500, 5000])
def test_sizes_are_kept_and_used_in_few_trials(
    codec: Codec, page: np.ndarray, y: Latents, costs: dict[int, float], size: int
) -> None:
    image_codec = CountingCodec(codec.models)
    found = best_within(image_codec, y, size)
    assert found.fits and 0.9 * size <= len(found.data) <= size
    assert image_codec.trials <= 7
    # as good as trying every quality, but for the one per cent or two that the search leaves
    assert found.quality >= max(quality for quality, cost in costs.items() if cost <= size) - 1
    latents = image_codec.decode(found.data, page.shape[1], page.shape[0])
    assert np.isfinite(latents).all()


@pytest.mark.parametrize("size", [-5, 0, 3])
def test_the_cheapest_is_told_where_nothing_fits(codec: Codec, y: Latents, size: int) -> None:
    found = best_within(codec.image_codec, y, size)
    assert not found.fits and found.quality == level(LOWEST_TRIAL)[0] == 1
    assert size < len(found.data) < len(codec.image_codec.encode(y, 1))


def test_there_is_no_better_than_the_best(codec: Codec, y: Latents) -> None:
    found = best_within(codec.image_codec, y, 10**6)
    assert found.fits and found.quality == 100
