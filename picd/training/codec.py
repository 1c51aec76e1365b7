"""Train the conditional image codec: bits + lambda * squared error, one model for all rates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from picd.glyphs import SAME_GROUND
from picd.image_codec import CORE, CORE_SIDE
from picd.nets.codec import CodecOutput, ImageCodec
from picd.nets.profiles import CodecProfile, Profile
from picd.training.checkpoints import Run, load_start
from picd.training.data import Batch, Crops
from picd.training.similarity import unlike

TEXT_WEIGHT = 0.02
"""Weight of the error inside word boxes: the text stream carries the text."""
CHROMA_WEIGHT = 20.0
"""Extra weight of colour errors: at the lowest rates squared RGB error alone gives up on colour."""
SQUARED, LIKENESS = 0.2, 0.04
"""Weights of squared error (of a range of 1) and of structural dissimilarity (0..1): squared error
alone gives all bits to strong edges and smears what has little contrast."""
PICTURED = 0.6
"""From this quality position on the text of every second screen is left to the picture, as an
encoder with bytes to spare does (:mod:`picd.pictured`)."""
DISTANCES = (1.0, 2.0, 2.0, 2.0)
"""Most photographs are coded at half their size."""
BALANCE = 0.35
"""Losses are divided by lambda to this power, so that no rate dominates the gradient."""


def coded(codec: ImageCodec, batch: Batch, position: torch.Tensor) -> tuple[CodecOutput, Tensor]:
    """The codec on what the skeleton does not tell, and its draft (N, 3, H, W), not clipped; see
    :meth:`picd.image_codec.ImageCodec.analyse`."""
    share = untold(batch)
    out = codec((batch.picture - batch.skeleton) * share, batch.glyphs, position)
    return out, out.draft.float() * share + batch.skeleton


def untold(batch: Batch) -> Tensor:
    """0 where the layout has told everything, (N, 1, H, W)."""
    return 1 - (batch.glyphs[:, 4:5] > 0.5) * (1 - away_from_skeleton(batch))


def away_from_skeleton(batch: Batch) -> Tensor:
    """1 where the ground of words is not the skeleton's, (N, 1, H, W)."""
    away = (batch.ground - batch.skeleton - 0.5).abs().amax(1, keepdim=True)
    return (away > SAME_GROUND / 255).float()


def pictured(batch: Batch, position: Tensor) -> Batch:
    """``batch``, with the text of some screens left to the picture."""
    chosen = (torch.rand_like(position) < 0.5) & (position > PICTURED) & ~batch.natural
    glyphs = torch.where(chosen[:, None, None, None], 0, batch.glyphs)
    return replace(batch, glyphs=glyphs.contiguous(memory_format=torch.channels_last))


def cored(draft: Tensor, batch: Batch) -> Tensor:
    """:func:`picd.image_codec.cored` on a draft of :func:`coded`: what the decoder shows."""
    low, high = CORE
    difference = draft - batch.skeleton
    near = difference.abs().amax(1, keepdim=True)
    near = F.max_pool2d(near, CORE_SIDE, 1, CORE_SIDE // 2)
    weight = ((near * 255 - low) / (high - low)).clamp(0, 1)
    weight = torch.where(batch.natural[:, None, None, None], 1.0, weight)
    return batch.skeleton + weight * difference


def attention(glyphs: Tensor) -> Tensor:
    """How much errors count, (N, 1, H, W), given the glyphs (N, 5, H, W)."""
    return 1 - (1 - TEXT_WEIGHT) * glyphs[:, 4:5]


def error(draft: Tensor, picture: Tensor, weight: Tensor) -> Tensor:
    """What lambda weighs, (N,): squared error, colour's above all, and structural dissimilarity of
    pictures (N, 3, H, W) in -0.5..0.5, in levels squared; ``weight`` is (N, 1, H, W)."""
    difference = draft - picture
    chroma = difference - difference.mean(1, keepdim=True)
    squared = difference**2 + CHROMA_WEIGHT * chroma**2
    structure = unlike(draft + 0.5, picture + 0.5, weight)
    return 255**2 * (SQUARED * (weight * squared).mean((1, 2, 3)) + LIKENESS * structure)


def by_kind(batch: Batch, **values: Tensor) -> dict[str, float]:
    """For the log: means of values (N,) over the photographs and the screens of a batch."""
    return {
        f"{kind}_{name}": float(value[chosen].detach().mean())
        for kind, chosen in (("photo", batch.natural), ("screen", ~batch.natural))
        if chosen.any()
        for name, value in values.items()
    }


def rate_distortion(
    codec: ImageCodec, batch: Batch, position: torch.Tensor
) -> tuple[torch.Tensor, dict[str, float]]:
    """Mean loss of a batch at quality ``position`` (N,) in 0..1, and figures for the log."""
    low, high = codec.profile.lambdas
    weight = low * (high / low) ** position
    bits, draft = coded(codec, batch, position)
    lost = error(draft, batch.picture, attention(batch.glyphs))
    bpp = (bits.y_bits + bits.z_bits) / batch.picture[0, 0].numel()
    loss = ((bpp + weight * lost) * (weight / low) ** -BALANCE).mean()
    figures = {"z_bpp": float(bits.z_bits.detach().mean()) / batch.picture[0, 0].numel()}
    figures |= by_kind(batch, bpp=bpp, error=lost)
    return loss, figures


def train(
    profile: Profile,
    cache: Path,
    folder: Path,
    *,
    minutes: float,
    device: torch.device,
    resume: bool,
    start: Path | None = None,
    build: Callable[[CodecProfile], ImageCodec] = ImageCodec,
    crop: int = 256,
    batch: int = 8,
    rate: float = 5e-4,
) -> None:
    """Train for ``minutes`` of wall time; ``folder`` gets checkpoint.pt and curve.csv.

    ``start`` names a run whose averaged weights to begin with; ``build``, for ablations, makes
    another network.
    """
    torch.manual_seed(0)
    codec = build(profile.codec)
    if start:
        load_start(codec, start)
    codec.to(device, memory_format=torch.channels_last)
    run = Run(codec, folder, minutes, rate, resume)
    crops = Crops(cache, crop, batch, seed=run.step, distances=DISTANCES).loader()
    while run.active():
        data = next(crops).to(device)
        position = torch.rand(batch, device=device)
        data = pictured(data, position)
        with torch.autocast(device.type, torch.bfloat16):
            loss, figures = rate_distortion(codec, data, position)
        run.update(loss, **figures)
    run.log()
    run.save()
