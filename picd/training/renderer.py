"""Train the renderer: estimate X0 from x_t between the picture and the noised typeset draft.

A regression loss alone averages text away: where the typeset glyphs sit a pixel off, the mean of
"glyph here" and "glyph there" is mush. So inside word boxes the original is the target only where
the typeset page is aligned with it; elsewhere the typeset page itself is, and stays sharp.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from picd.glyphs import ALIKE, SOFT
from picd.image_codec import gain_level
from picd.nets.codec import ImageCodec
from picd.nets.profiles import Profile, RendererProfile
from picd.nets.recogniser import Recogniser
from picd.nets.renderer import Renderer
from picd.reading import CELL
from picd.runtime import ALIGNMENT
from picd.training.checkpoints import Run, load_averaged, load_start
from picd.training.codec import away_from_skeleton, coded, cored
from picd.training.data import SCREENS, Batch, Crops
from picd.training.similarity import unlike
from picd.trials import HALVED_UP_TO

ALIGNED = 0.85
"""Correlation of typeset page and original in a patch, above which they show the same glyphs."""
PATCH, PATCH_STEP = 16, 4
NEAR = 0.04
"""An error that the eye begins to mind, of a range of 1."""
LIKENESS = 0.1
"""Weight of structural similarity."""
READING = 0.03
"""Weight of what the recogniser reads otherwise."""
KINDS = {"photo": 0.5, "screen": 0.2, "page": 0.3}
"""Share of each kind of picture in a batch: a photograph's draft has the most to gain."""
LATER = 4
"""One step in so many learns an x_t that the sampler meets after its first step."""
TINY = 1e-6
"""Crops of nothing but flat ground are typeset without any loss."""
SMOOTH = 0.02
"""Differences between neighbours below this, of a range of 1, hardly count."""


def drafts(codec: ImageCodec, batch: Batch, position: Tensor) -> Tensor:
    """What the decoder's draft would be: (N, 3, H, W), clipped and rounded to 8 bits."""
    with torch.no_grad():
        draft = cored(coded(codec, batch, position)[1], batch)
        halved = batch.natural & (1 + 99 * position <= HALVED_UP_TO)
        if halved.any() and min(batch.picture.shape[2:]) >= 2 * ALIGNMENT:
            draft[halved] = halved_drafts(codec, batch.chosen(halved), position[halved])
        return torch.floor(draft.clamp(-0.5, 0.5) * 255 + 128).clamp(0, 255) / 255 - 0.5


def halved_drafts(codec: ImageCodec, batch: Batch, position: Tensor) -> Tensor:
    """Of pictures that are coded at half their size (:mod:`picd.trials`)."""
    level = [gain_level(1 + 99 * float(p), 2) for p in position]
    small = batch.reduced(2)
    draft = coded(codec, small, (position.new_tensor(level) - 1) / 99)[1]
    return F.interpolate(draft, scale_factor=2, mode="bicubic")


def typeset(draft: Tensor, batch: Batch) -> Tensor:
    """:func:`picd.glyphs.typeset` on tensors in -0.5..0.5."""
    coverage, ink, box = batch.glyphs[:, :1], batch.glyphs[:, 1:4], batch.glyphs[:, 4:5]
    page = draft + 0.5
    ground = shaded_ground(page, batch)
    away = (page - ground).abs().amax(1, keepdim=True) * 255
    page = page + (ground - page) * (box * ((away - 4) / 10).clamp(0, 1))
    return page * (1 - coverage) + ink - 0.5


def shaded_ground(page: Tensor, batch: Batch) -> Tensor:
    """The ground of words as :func:`picd.glyphs.typeset` has it, (N, 3, H, W) in 0..1."""
    box, ground = (batch.glyphs[:, 4:5] > 0.5).float(), batch.ground
    untold = box * away_from_skeleton(batch)
    if not untold.any():
        return ground

    away = page - filled(ground, box)
    beside = (1 - box) * (away.abs().amax(1, keepdim=True) * 255 < ALIKE)
    return (ground + _soft(filled(away, beside)) * untold).clamp(0, 1)


def filled(picture: Tensor, known: Tensor) -> Tensor:
    """:func:`picd.glyphs.filled` of (N, C, H, W)."""
    return _pushed(picture * known, known)


def _pushed(weighted: Tensor, known: Tensor) -> Tensor:
    height, width = known.shape[2:]
    if height == width == 1:
        return weighted
    edges = (0, width % 2, 0, height % 2)
    coarse, share = (F.avg_pool2d(F.pad(x, edges, "replicate"), 2) for x in (weighted, known))
    certain = (4 * share).clamp_max(1) / share.clamp_min(1e-6)
    coarse = _pushed(coarse * certain, share * certain)
    fine = F.interpolate(coarse, scale_factor=2, mode="bilinear")
    return weighted + (1 - known) * fine[:, :, :height, :width]


def _soft(x: Tensor) -> Tensor:
    """A Gaussian blur of :data:`picd.glyphs.SOFT` pixels, as OpenCV's of floats."""
    radius = round(4 * SOFT)
    places = torch.arange(-radius, radius + 1, device=x.device)
    kernel = torch.exp(-0.5 * (places / SOFT) ** 2)
    kernel = (kernel / kernel.sum())[None, None, :, None].expand(x.shape[1], 1, -1, 1)
    with torch.autocast(x.device.type, enabled=False):  # which would round to bfloat16
        for padding, weight in (
            ((0, 0, radius, radius), kernel),
            ((radius, radius, 0, 0), kernel.transpose(2, 3)),
        ):
            x = F.conv2d(F.pad(x.float(), padding, "reflect"), weight, groups=x.shape[1])
    return x


def sharp_target(picture: Tensor, page: Tensor, box: Tensor) -> Tensor:
    """The original, but the typeset page in those patches of word boxes that it does not match."""
    a, b = picture.mean(1, keepdim=True), page.mean(1, keepdim=True)

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, PATCH, PATCH_STEP, PATCH // 2 - PATCH_STEP // 2)

    covariance = mean(a * b) - mean(a) * mean(b)
    variance = (mean(a * a) - mean(a) ** 2) * (mean(b * b) - mean(b) ** 2)
    aligned = covariance / (variance.clamp_min(0).sqrt() + 1e-4) > ALIGNED
    aligned = F.interpolate(aligned.float(), size=picture.shape[-2:])
    stays = box * (1 - aligned)
    return picture * (1 - stays) + page * stays


def picture_loss(estimate: Tensor, target: Tensor) -> Tensor:
    """A loss that would rather be right than near.

    Beyond ``NEAR`` it grows with the logarithm of the error, so that a crisp edge or a clear colour
    beats the mean of what might be; structural similarity (Wang et al. 2004) at three scales asks
    for the contrast that the mean lacks; a little squared error keeps large areas from drifting.
    Smooth at zero: most of a screen is right before the network does anything, and it must not be
    busy with changing nothing there.
    """
    error = estimate - target
    edges = (_smooth(error.diff(dim=2)).mean(), _smooth(error.diff(dim=3)).mean())
    near = 0.5 * NEAR * torch.log1p((error / NEAR) ** 2)
    structure = LIKENESS * unlike(estimate + 0.5, target + 0.5).mean()
    return near.mean() + 0.5 * sum(edges) + 2 * (error**2).mean() + structure


def misread(recogniser: Recogniser, estimate: Tensor, target: Tensor, box: Tensor) -> Tensor:
    """``READING`` times the Kullback-Leibler divergence of what the recogniser reads in the
    estimate from what it reads in the target, in nats a cell of the word boxes (N, 1, H, W)."""
    with torch.no_grad():
        wanted = recogniser(target).float().log_softmax(1)
    seen = recogniser(estimate).float().log_softmax(1)
    divergence = (wanted.exp() * (wanted - seen)).sum(1, keepdim=True)
    return READING * (divergence * F.avg_pool2d(box, CELL)).mean()


def _smooth(difference: Tensor) -> Tensor:
    """Absolute value, but a parabola about zero."""
    return (difference**2 + SMOOTH**2).sqrt() - SMOOTH


def _later(
    renderer: Renderer, start: Tensor, page: Tensor, features: tuple[Tensor, ...], prompt: Tensor
) -> tuple[Tensor, Tensor]:
    """(t, x_t) as the sampler would meet them: between the start and the network's own estimate.

    Between the start and the *picture* it would learn to trust an x_t that it never sees.
    """
    with torch.no_grad():
        estimate = renderer.denoise(start, start.new_ones(len(start)), page, features, prompt)
    t = torch.rand(len(start), device=start.device)
    share = t[:, None, None, None]
    return t, (1 - share) * estimate + share * start


def train(
    profile: Profile,
    cache: Path,
    codec_run: Path,
    folder: Path,
    *,
    minutes: float,
    device: torch.device,
    resume: bool,
    start: Path | None = None,
    lora: bool = False,
    blind: bool = False,
    build: Callable[[RendererProfile], Renderer] = Renderer,
    recogniser_run: Path | None = None,
    crop: int = 128,
    batch: int = 8,
    rate: float = 8e-4,
) -> None:
    """Train for ``minutes`` of wall time on drafts of the codec trained in ``codec_run``.

    ``start`` names a run whose averaged weights to begin with: layers that it had not (a prompt)
    begin at zero effect. ``resume`` goes on in ``folder`` itself where that has a checkpoint.
    ``lora`` freezes the start and trains low-rank updates of it, on prompted screens alone.
    For ablations: ``blind`` keeps what the text stream says from the renderer (not from the
    codec), ``build`` makes another network. ``recogniser_run`` names that of a text recogniser
    which is to read in the render what it reads in the picture.
    """
    torch.manual_seed(0)
    codec = load_averaged(ImageCodec(profile.codec), codec_run)
    codec.to(device, memory_format=torch.channels_last)
    recogniser = None
    if recogniser_run:
        recogniser = load_averaged(Recogniser(profile.recogniser), recogniser_run)
        recogniser.to(device, memory_format=torch.channels_last)
    renderer = build(profile.renderer)
    if start:
        load_start(renderer, start)
    if lora:
        renderer.add_lora()
    renderer.to(device, memory_format=torch.channels_last)
    run = Run(renderer, folder, minutes, rate, resume)
    crops = Crops(cache, crop, batch, run.step + 1, SCREENS if lora else KINDS).loader()
    while run.active():
        data = next(crops).to(device)
        # screens are mostly sent at the lower rates
        position = torch.rand(batch, device=device) ** torch.where(data.natural, 1.0, 1.7)
        with torch.autocast(device.type, torch.bfloat16):
            draft = drafts(codec, data, position)
            data = data.without_text() if blind else data
            page = typeset(draft, data)
            x0 = sharp_target(data.picture, page, data.glyphs[:, 4:5])
            features = renderer.adaptor(draft, page, data.glyphs)
            prompt = renderer.prompt(data.prompt)
            x_t = page + profile.renderer.noise * torch.randn_like(page)
            t = torch.ones(batch, device=device)
            if run.step % LATER == 0:
                t, x_t = _later(renderer, x_t, page, features, prompt)
            estimate = renderer.denoise(x_t, t, page, features, prompt)
            figures = {}
            reading = page.new_zeros(())
            if recogniser:
                box = data.glyphs[:, 4:5]
                reading = misread(recogniser, estimate, x0, box)
                with torch.no_grad():
                    figures["typeset_reading"] = float(misread(recogniser, page, x0, box))
                    figures["reading"] = float(reading)
        loss = picture_loss(estimate, x0)
        with torch.no_grad():
            before = float(picture_loss(page, x0))
        gain = 1 - float(loss.detach()) / max(before, TINY)
        run.update(loss + reading, typeset=before, gain=gain, **figures)
    run.log()
    run.save()
