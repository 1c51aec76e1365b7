"""The peers keep to their bytes, and say so where they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from picd.metrics import psnr
from picd.peers import PEERS, encode_peer


@pytest.mark.parametrize("name", PEERS)
def test_best_quality_within_the_bytes(name: str, page: np.ndarray) -> None:
    small, large = encode_peer(page, name, 6000), encode_peer(page, name, 9000)
    assert small.fits and large.fits
    assert len(small.data) <= 6000 and len(small.data) < len(large.data) <= 9000
    assert psnr(page, small.image) <= psnr(page, large.image)
    assert small.image.shape == page.shape


@pytest.mark.parametrize("name", PEERS)
def test_floor(name: str, page: np.ndarray) -> None:
    floor = encode_peer(page, name, 10)
    assert not floor.fits and floor.quality == 0 and len(floor.data) > 10
