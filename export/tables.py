"""Probability tables and gains: everything of the codec that is not a graph."""

from __future__ import annotations

import numpy as np
import torch

from picd.nets.codec import ImageCodec

PRECISION = 24
HYPER_LIMIT = 31


def tables(codec: ImageCodec) -> dict[str, np.ndarray]:
    """``latent_counts`` (64, 255) and ``hyper_counts`` (Z, 63), uint32 summing to 2^24 by row;
    ``log_gains`` and ``log_inverse_gains`` (anchors, M) float32."""
    symbols = torch.arange(-HYPER_LIMIT, HYPER_LIMIT + 1).float()
    channels = codec.profile.hyper_channels
    with torch.no_grad():
        prior = codec.entropy.hyper_prior
        hyper, _, _ = prior._likelihood(symbols.expand(channels, 1, -1).contiguous())
        latent = 2.0 ** -codec.entropy.costs().double().numpy()
    return {
        "latent_counts": np.stack([_counts(np.append(row[:0:-1], row)) for row in latent]),
        "hyper_counts": np.stack([_counts(row) for row in hyper[:, 0].double().numpy()]),
        "log_gains": codec.log_gains.detach().numpy().astype(np.float32),
        "log_inverse_gains": codec.log_inverse_gains.detach().numpy().astype(np.float32),
    }


def _counts(probabilities: np.ndarray) -> np.ndarray:
    """Fixed-point counts of at least one that sum to 2^24."""
    total = 1 << PRECISION
    scaled = probabilities / probabilities.sum() * (total - len(probabilities))
    counts = np.floor(scaled).astype(np.int64) + 1
    counts[np.argmax(counts)] += total - counts.sum()
    return counts.astype(np.uint32)
