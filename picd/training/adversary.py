"""A light adversarial loss for photographs (Goodfellow et al. 2014; patches as Isola et al. 2017).

A regression gives grass and gravel the mean of what they might be, which is a smear. The adversary
sees a picture beside the draft it was rendered from and learns to tell the original from the
render, patch by patch; the renderer learns to be taken for the original. On screens it has no
say: there the typeset page is sharp, and invented detail would be a false letter.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (48, 96, 192)
"""Channels at 1/2, 1/4 and 1/8 of the picture."""
RATE = 4e-4
STEEPNESS, STEEP_EVERY = 1.0, 4
"""Weight of the penalty on the discriminator's slope, and how often it is asked for."""


class Discriminator(nn.Module):
    """Logits (N, 1, H/8, W/8) that a picture (N, 3, H, W) is no render of ``draft``, both in
    -0.5..0.5. Every logit sees 46 pixels."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 6
        for width in WIDTHS:
            layers += [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
            channels = width
        layers.append(nn.Conv2d(channels, 1, 3, 1, 1))
        self.layers = nn.Sequential(*layers)

    def forward(self, picture: Tensor, draft: Tensor) -> Tensor:
        return self.layers(torch.cat((4 * (picture - draft), 2 * draft), 1))


class Adversary:
    """A discriminator, its optimiser and its checkpoint, ``adversary.pt`` in ``folder``."""

    def __init__(self, folder: Path, share: float, device: torch.device, resume: bool) -> None:
        self.share, self.steps, self.path = share, 0, folder / "adversary.pt"
        self.net = Discriminator().to(device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), RATE, (0.5, 0.9))
        if resume and self.path.exists():
            state = torch.load(self.path, map_location=device, weights_only=True)
            self.net.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])

    def learn(self, picture: Tensor, render: Tensor, draft: Tensor) -> float:
        """One step of the discriminator by the hinge loss; returns that loss (2: it knows
        nothing, 0: it knows all)."""
        logits = self.net(torch.cat((picture, render.detach())), torch.cat((draft, draft)))
        true, false = logits.float().chunk(2)
        told = F.relu(1 - true).mean() + F.relu(1 + false).mean()
        loss = told + self._steepness(picture, draft) if self.steps % STEEP_EVERY == 0 else told
        self.steps += 1
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return float(told.detach())

    def _steepness(self, picture: Tensor, draft: Tensor) -> Tensor:
        """The R1 penalty (Mescheder et al. 2018) on originals, for the steps that go without."""
        picture = picture.detach().requires_grad_()
        with torch.autocast(picture.device.type, enabled=False):
            total = self.net(picture, draft).mean((1, 2, 3)).sum()
            slope = torch.autograd.grad(total, picture, create_graph=True)[0]
        return STEEP_EVERY * STEEPNESS / 2 * slope.square().sum((1, 2, 3)).mean()

    def blame(self, render: Tensor, draft: Tensor, which: Tensor, regression: Tensor) -> Tensor:
        """What the renderer is to lower beside ``regression``, a loss of ``render``, in those
        pictures that the mask ``which`` (N,) names.

        Weighed so that its gradient is ``share`` of that of the regression, as Esser et al. (2021)
        balance theirs, but at the picture: neither wins by mere scale."""
        loss = -self.net(render[which], draft[which]).float().mean()
        ours, theirs = (
            torch.autograd.grad(x, render, retain_graph=True)[0][which].float().norm()
            for x in (loss, regression)
        )
        return loss * (self.share * theirs / ours.clamp_min(1e-12))

    def save(self) -> None:
        state = {"model": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}
        partial = self.path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.path)
