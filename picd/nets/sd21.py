"""The full-size renderer: the paper's three levels of conditioning round a Stable Diffusion base.

    glyph image --> convolutional encoder ------------------------------.
    draft --------> convolutional encoder, pixel-unshuffle, VAE encoder +-> features at 1/8 ... 1/64
    prompt -------> CLIP text encoder --> states --------------.        |
    x_t, t -------> UNet2DConditionModel, LoRA in its attention, SPADE(features) in its norms -> e

The base (UNet, VAE, text encoder, tokenizer, scheduler) is loaded from a hub id or a folder. All
that is added starts at zero effect, so that training starts from the base model (PICD section 3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from diffusers.models.controlnets.controlnet import ControlNetConditioningEmbedding
from diffusers.models.resnet import ResnetBlock2D
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoTokenizer, CLIPTextModel, PreTrainedTokenizerFast

from picd.errors import PicdError
from picd.nets.codec import GLYPH_CHANNELS
from picd.nets.profiles import StableProfile

SCALE = 8
"""Pixels per latent position of a Stable Diffusion VAE, and of the adaptor's encoders."""
LORA_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")


class SpadeGroupNorm(nn.GroupNorm):
    """The group norm of a base model with its own weights, then gamma and beta per pixel (SPADE).

    ``condition`` (N, F, H, W) is set by the UNet before its forward pass. The modulation starts at
    zero: the base model is unchanged.
    """

    def __init__(self, norm: nn.GroupNorm, features: int) -> None:
        super().__init__(norm.num_groups, norm.num_channels, norm.eps)
        self.load_state_dict(norm.state_dict())
        self.modulation = nn.Conv2d(features, 2 * norm.num_channels, 1)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        self.condition: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        gamma, beta = self.modulation(self.condition).chunk(2, 1)
        return super().forward(x) * (1 + gamma) + beta


class StableUNet(UNet2DConditionModel):
    """A pretrained diffusers UNet with SPADE in every residual block, after :meth:`add_spade`."""

    def add_spade(self, features: int) -> None:
        """Replace the residual blocks' norms; their weights stay what they were."""
        self.spades: list[tuple[int, SpadeGroupNorm]] = []
        for level, block in self._blocks():
            for name in ("norm1", "norm2"):
                spade = SpadeGroupNorm(getattr(block, name), features)
                setattr(block, name, spade)
                self.spades.append((level, spade))

    def _blocks(self) -> Iterator[tuple[int, ResnetBlock2D]]:
        """Residual blocks with the level of the features that they see."""
        last = len(self.down_blocks) - 1
        parts = [
            *enumerate(self.down_blocks),
            (last, self.mid_block),
            *((last - index, block) for index, block in enumerate(self.up_blocks)),
        ]
        for level, part in parts:
            for module in part.modules():
                if isinstance(module, ResnetBlock2D):
                    yield level, module

    def add_lora(self, rank: int) -> None:
        """Low-rank updates of every attention projection, at zero effect (LoRA, Hu et al. 2021)."""
        self.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(LORA_TARGETS)))

    def set_domain(self, *, screen: bool) -> None:
        """Whether the updates apply: screens have them, photographs the base's own weights."""
        for _, layer in self._lora_layers():
            layer.set_scale("default", float(screen))

    def lora_updates(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Weight by name -> B (out, rank) and A (rank, in): on screens it is W + B A."""
        return {
            f"{name}.weight": (layer.lora_B["default"].weight, layer.lora_A["default"].weight)
            for name, layer in self._lora_layers()
        }

    def _lora_layers(self) -> Iterator[tuple[str, LoraLayer]]:
        for name, module in self.named_modules():
            if isinstance(module, LoraLayer):
                yield name, module

    def forward(
        self, x: Tensor, time: Tensor, states: Tensor, features: tuple[Tensor, ...]
    ) -> Tensor:
        """x_t (N, 4, h, w), time (N,) in 0..999, states (N, T, C), features by level -> the noise
        (or velocity: what the base predicts), like x_t. h and w are multiples of 8."""
        for level, spade in self.spades:
            spade.condition = features[level]
        return super().forward(x, time, states, return_dict=False)[0]


class HybridAdaptor(nn.Module):
    """draft (N, 3, H, W) in -0.5..0.5, glyphs (N, 5, H, W) in 0..1, latents (N, 4, H/8, W/8) of the
    draft -> features (N, F, H/8 / 2^level, W/8 / 2^level), one for each level of the UNet.

    The glyph image passes through convolutions only: a VAE would destroy its strokes.
    """

    def __init__(self, features: int, latent_channels: int, levels: int) -> None:
        super().__init__()
        self.glyphs = _encoder(GLYPH_CHANNELS, features)
        self.draft = _encoder(3, features)
        self.pixels = nn.Conv2d(3 * SCALE**2, features, 1)
        self.latents = nn.Conv2d(latent_channels, features, 1)
        self.merge = nn.Conv2d(4 * features, features, 1)
        self.levels = nn.ModuleList(
            nn.Sequential(nn.SiLU(), nn.Conv2d(features, features, 3, 2, 1))
            for _ in range(levels - 1)
        )

    def forward(self, draft: Tensor, glyphs: Tensor, latents: Tensor) -> tuple[Tensor, ...]:
        branches = (
            self.glyphs(glyphs),
            self.draft(draft),
            self.pixels(F.pixel_unshuffle(draft, SCALE)),
            self.latents(latents),
        )
        features = [self.merge(torch.cat(branches, 1))]
        for level in self.levels:
            features.append(level(features[-1]))
        return tuple(features)


def _encoder(inputs: int, features: int) -> ControlNetConditioningEmbedding:
    """ControlNet's, to 1/8. Its layers start at a scale that lets the picture through, its last not
    at zero: SPADE's own zeros make the start, and zeros before zeros would not learn."""
    encoder = ControlNetConditioningEmbedding(features, inputs)
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
    return encoder


class StableRenderer(nn.Module):
    """Everything that trains, in one module: UNet (base frozen, LoRA, SPADE) and adaptor."""

    def __init__(self, profile: StableProfile, unet: StableUNet) -> None:
        super().__init__()
        unet.add_spade(profile.adaptor_channels)
        self.unet = unet
        self.adaptor = HybridAdaptor(
            profile.adaptor_channels, unet.config.in_channels, len(unet.down_blocks)
        )
        unet.requires_grad_(False)
        unet.add_lora(profile.lora_rank)
        for _, spade in unet.spades:
            spade.modulation.requires_grad_(True)

    def forward(
        self,
        x_t: Tensor,
        time: Tensor,
        states: Tensor,
        draft: Tensor,
        glyphs: Tensor,
        latents: Tensor,
    ) -> Tensor:
        """What the base predicts of x_t; see :class:`StableUNet` and :class:`HybridAdaptor`."""
        return self.unet(x_t, time, states, self.adaptor(draft, glyphs, latents))

    def trained(self) -> dict[str, Tensor]:
        """The weights that training changes: a run holds these, and not the base's."""
        return {name: p.detach() for name, p in self.named_parameters() if p.requires_grad}

    def load_trained(self, weights: dict[str, Tensor]) -> None:
        """Weights of :meth:`trained`.

        Raises:
            PicdError: they are of another base or profile.
        """
        mine = self.trained()
        shapes = {name: value.shape for name, value in weights.items()}
        if shapes != {name: value.shape for name, value in mine.items()}:
            raise PicdError("the trained weights do not fit this base: name the base of the run")
        for name, value in weights.items():
            mine[name].copy_(value)


@dataclass(frozen=True)
class Base:
    """The frozen parts of a Stable Diffusion base."""

    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: PreTrainedTokenizerFast
    scheduler: DDPMScheduler

    def to(self, device: torch.device) -> Base:
        self.vae.to(device)
        self.text_encoder.to(device)
        return self

    def states(self, prompts: list[str]) -> Tensor:
        """The text encoder's states (N, T, C) of prompts, cut and padded to its length T."""
        ids = self.token_ids(prompts).to(self.text_encoder.device)
        return self.text_encoder(ids).last_hidden_state

    def token_ids(self, prompts: list[str]) -> Tensor:
        """Token ids (N, T) of prompts."""
        return self.tokenizer(
            prompts, padding="max_length", truncation=True, return_tensors="pt",
            max_length=self.length,
        ).input_ids  # fmt: skip

    @property
    def length(self) -> int:
        return self.text_encoder.config.max_position_embeddings

    def latents(self, picture: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in -0.5..0.5 -> the VAE's means as the UNet sees them."""
        mean = self.vae.encode(2 * picture.to(self.vae.dtype)).latent_dist.mode()
        return (mean - (self.vae.config.shift_factor or 0)) * self.vae.config.scaling_factor


def load_base(base: str | Path, precision: torch.dtype = torch.float32) -> tuple[Base, StableUNet]:
    """A Stable Diffusion checkpoint in diffusers' folders, from a hub id or a local folder; its
    frozen parts in ``precision``, its UNet in float32.

    Raises:
        PicdError: it cannot be loaded, or its VAE does not work at 1/8.
    """
    try:
        parts = Base(
            AutoencoderKL.from_pretrained(base, subfolder="vae", torch_dtype=precision),
            CLIPTextModel.from_pretrained(base, subfolder="text_encoder", dtype=precision),
            AutoTokenizer.from_pretrained(base, subfolder="tokenizer", use_fast=True),
            DDPMScheduler.from_pretrained(base, subfolder="scheduler"),
        )
        unet = StableUNet.from_pretrained(base, subfolder="unet")
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise PicdError(f"cannot load the base model {base}: {reason}") from error
    if 2 ** (len(parts.vae.config.block_out_channels) - 1) != SCALE:
        raise PicdError(f"the VAE of {base} does not work at 1/{SCALE} of the picture")
    for module in (parts.vae, parts.text_encoder):
        module.eval().requires_grad_(False)
    return parts, unet
