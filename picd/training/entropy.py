"""Train the entropy model of a codec alone: fewer bits for the same latents.

Transforms and gains stay as they are, so drafts do too, and so does what a renderer has learnt of
them, and a step needs no synthesis.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from picd.nets.codec import ImageCodec
from picd.nets.profiles import Profile
from picd.training.checkpoints import Run, load_start
from picd.training.codec import DISTANCES, by_kind, pictured, untold
from picd.training.data import Batch, Crops

LEAST = 0.004
"""Bits per pixel added to what a picture costs before costs are compared: those of an empty crop
are of no interest."""


def bits(codec: ImageCodec, batch: Batch, position: Tensor) -> Tensor:
    """Of each picture of a batch, (N,), at quality ``position`` (N,) in 0..1."""
    with torch.no_grad():
        gain, _ = codec.gains(position)
        difference = (batch.picture - batch.skeleton) * untold(batch)
        y = codec.analysis(difference, batch.glyphs).float() * gain
    _, y_bits, z_bits = codec.entropy(y)
    return y_bits + z_bits


def train(
    profile: Profile,
    cache: Path,
    folder: Path,
    *,
    minutes: float,
    device: torch.device,
    resume: bool,
    start: Path | None = None,
    crop: int = 320,
    batch: int = 8,
    rate: float = 1e-3,
) -> None:
    """Train for ``minutes`` of wall time; ``folder`` gets checkpoint.pt, of the whole codec, and
    curve.csv. ``start`` names a run of a codec to begin with.

    The loss is what each picture costs relative to what it cost, so that all rates count alike.
    """
    torch.manual_seed(0)
    codec = ImageCodec(profile.codec)
    if start:
        load_start(codec, start)
    codec.requires_grad_(False)
    codec.entropy.requires_grad_(True)
    codec.to(device, memory_format=torch.channels_last)
    run = Run(codec, folder, minutes, rate, resume)
    crops = Crops(cache, crop, batch, seed=run.step, distances=DISTANCES).loader()
    while run.active():
        data = next(crops).to(device)
        position = torch.rand(batch, device=device)
        data = pictured(data, position)
        with torch.autocast(device.type, torch.bfloat16):
            cost = bits(codec, data, position)
        pixels = data.picture[0, 0].numel()
        loss = (cost / (cost.detach() + LEAST * pixels)).mean()
        run.update(loss, **by_kind(data, bpp=cost / pixels))
    run.log()
    run.save()
