"""The diffusion renderer: an adaptor, computed once a picture, and a UNet, run once a step.

    draft, typeset page --> space-to-depth + convolutional encoder -.
    glyph image --------> convolutional encoder --------------------+-> features at 1/4 ... 1/32
    prompt -------------> byte transformer ---> states -------------.
    x_t, t -> UNet2DConditionModel, each norm replaced by SPADE(features), cross-attention to the
              states at 1/32 -> residual to the typeset page

In the compact profile the latent space *is* the pixels, space-to-depth 4: the paper's latent branch
and its pixel-unshuffle branch coincide (PICD section 3, hybrid adaptor). Every layer looks at a
bounded neighbourhood (no statistics over the picture), so that tiles with enough overlap give
exactly what the whole picture would.
"""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional as F

from picd.nets.codec import GLYPH_CHANNELS
from picd.nets.profiles import RendererProfile
from picd.nets.prompt import PromptEncoder

ATTENTION_HEADS = 4
LORA_TARGETS = ("conv1", "conv2", "proj_in", "proj_out")
"""The convolutions of residual blocks, where a convolutional UNet has its weights, and the way into
and out of the attention."""


SETTLED = 3 / 255
"""A residual this large, of a range of 1, counts by half: see :func:`settled`."""


def settled(residual: Tensor) -> Tensor:
    """A residual (N, 3, H, W) without what is fainter than a level or two.

    Most of a screen is right before the renderer begins, and flat ground must stay flat: a network
    that is nearly sure still moves it by a level here and there, and the eye finds that."""
    power = (residual / SETTLED).square().amax(1, keepdim=True).square()
    return residual * (power / (power + 1))


class Normalisation(nn.Module):
    """Each position of (N, C, H, W) divided by the root mean square over its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # a sum over channels as a convolution: through that, unlike through a mean, onnxruntime
        # keeps its blocked layout, which spares it the way back and forth at every norm
        self.register_buffer("ones", torch.ones(1, channels, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(F.conv2d(x * x, self.ones) / self.ones.numel() + 1e-3)


class PositionNorm(nn.Module):
    """What a transformer of the UNet has in place of a group norm over the picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.normalise = Normalisation(channels)
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.normalise(x) * self.scale


class SpadeNorm(nn.Module):
    """Normalise each position over its channels, then modulate by gamma and beta per pixel (SPADE).

    ``condition`` (N, F, H, W) is set by the UNet before its forward pass. Modulation starts near
    one and zero: training starts from almost a plain normalisation. Gamma and beta are two
    convolutions because to split the output of one costs the runtime more than to compute it.
    """

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.normalise = Normalisation(channels)
        self.gamma, self.beta = (nn.Conv2d(features, channels, 1) for _ in range(2))
        for conv, start in ((self.gamma, 1.0), (self.beta, 0.0)):
            nn.init.normal_(conv.weight, std=0.02)
            nn.init.constant_(conv.bias, start)
        self.condition: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        return self.normalise(x) * self.gamma(self.condition) + self.beta(self.condition)


class SpadeUNet(UNet2DConditionModel):
    """A diffusers UNet whose group norms are SPADE layers fed by the adaptor's features, which also
    stand beside x_t at its input (without a pretrained base nothing is lost by that, and it learns
    several times faster).

    Only the coarsest level attends, to the prompt alone: attention over positions of the picture
    would let tiles differ from the whole. Its output starts at zero, so that weights trained
    without a prompt mean the same here.
    """

    @classmethod
    def from_profile(cls, profile: RendererProfile) -> SpadeUNet:
        levels = len(profile.channels)
        pixels = 3 * profile.space_to_depth**2
        unet = cls(
            in_channels=pixels + profile.adaptor_channels,
            out_channels=pixels,
            block_out_channels=profile.channels,
            layers_per_block=profile.layers_per_block,
            down_block_types=("DownBlock2D",) * (levels - 1) + ("CrossAttnDownBlock2D",),
            up_block_types=("CrossAttnUpBlock2D",) + ("UpBlock2D",) * (levels - 1),
            mid_block_type="UNetMidBlock2D",
            norm_num_groups=8,
            cross_attention_dim=profile.prompt_width,
            only_cross_attention=True,
            attention_head_dim=ATTENTION_HEADS,  # diffusers' name for the number of heads
        )
        unet._replace_norms(profile.adaptor_channels)
        nn.init.zeros_(unet.conv_out.weight)
        nn.init.zeros_(unet.conv_out.bias)
        return unet

    def _replace_norms(self, features: int) -> None:
        levels = len(self.down_blocks)
        self.spades: list[tuple[int, SpadeNorm]] = []
        by_level = [
            *enumerate(self.down_blocks),
            (levels - 1, self.mid_block),
            *((levels - 1 - index, block) for index, block in enumerate(self.up_blocks)),
        ]
        for level, block in by_level:
            for module in block.modules():
                if isinstance(module, ResnetBlock2D):
                    module.norm1 = SpadeNorm(module.norm1.num_channels, features)
                    module.norm2 = SpadeNorm(module.norm2.num_channels, features)
                    self.spades += [(level, module.norm1), (level, module.norm2)]
        for module in self.modules():
            if isinstance(module, Transformer2DModel):
                module.norm = PositionNorm(module.norm.num_channels)
                nn.init.zeros_(module.proj_out.weight)
                nn.init.zeros_(module.proj_out.bias)
        self.conv_norm_out = SpadeNorm(self.conv_norm_out.num_channels, features)
        self.spades.append((0, self.conv_norm_out))

    def add_lora(self, rank: int) -> None:
        """Low-rank updates of the convolutions (LoRA, Hu et al. 2021), at zero effect; everything
        else is frozen."""
        self.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(LORA_TARGETS)))

    def lora_updates(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Weight by name -> (B (out, rank), A (rank, in * k * k)): it changes by B A."""
        return {
            f"{name}.weight": (
                module.lora_B["default"].weight.flatten(1),
                module.lora_A["default"].weight.flatten(1),
            )
            for name, module in self.named_modules()
            if isinstance(module, LoraLayer)
        }

    def merge_lora(self) -> None:
        """Add the low-rank updates to the weights and drop them."""
        self.fuse_lora()
        self.unload_lora()

    def forward(
        self, x: Tensor, time: Tensor, features: tuple[Tensor, ...], prompt: Tensor
    ) -> Tensor:
        """x (N, 3 s^2, h, w), time (N,) in 0..1, features by level, the prompt's states
        (N, T, prompt_width) -> residual like x."""
        for level, spade in self.spades:
            spade.condition = features[level]
        x = torch.cat((x, features[0]), 1)
        return super().forward(x, time * 1000, prompt, return_dict=False)[0]


class Adaptor(nn.Module):
    """draft and typeset (N, 3, H, W) in -0.5..0.5, glyphs (N, 5, H, W) in 0..1 -> features
    (N, F, H/4 / 2^level, W/4 / 2^level), one for each level of the UNet.

    The paper's hybrid adaptor, but for three things. Its latent branch and its pixel-unshuffle are
    one 1x1 convolution here, since the latents are the unshuffled pixels. The typeset page goes
    with the draft, as what the UNet's residual is added to: latents without loss cannot blur its
    glyphs; the glyph image itself has the convolutional encoder only. And modulation starts near
    zero instead of at it: a base trained from scratch has nothing to protect, and a chain of zeros
    wakes up slowly.
    """

    def __init__(self, profile: RendererProfile) -> None:
        super().__init__()
        features, block = profile.adaptor_channels, profile.space_to_depth
        self.block = block
        self.pictures = nn.Conv2d(6 * block**2, features, 1)
        self.draft = _encoder(6 * block**2, features)
        self.glyphs = _encoder(GLYPH_CHANNELS * block**2, features)
        self.merge = nn.Conv2d(3 * features, features, 1)
        self.levels = nn.ModuleList(
            nn.Sequential(nn.SiLU(), nn.Conv2d(features, features, 4, 2, 1))
            for _ in profile.channels[1:]
        )

    def forward(self, draft: Tensor, typeset: Tensor, glyphs: Tensor) -> tuple[Tensor, ...]:
        pictures = F.pixel_unshuffle(torch.cat((draft, typeset), 1), self.block)
        glyphs = F.pixel_unshuffle(glyphs, self.block)
        branches = (self.pictures(pictures), self.draft(pictures), self.glyphs(glyphs))
        features = [self.merge(torch.cat(branches, 1))]
        for level in self.levels:
            features.append(level(features[-1]))
        return tuple(features)


def _encoder(inputs: int, features: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, features, 3, 1, 1),
        nn.SiLU(),
        nn.Conv2d(features, features, 3, 1, 1),
        nn.SiLU(),
    )


class Renderer(nn.Module):
    """Adaptor, prompt encoder and UNet together, as trained."""

    def __init__(self, profile: RendererProfile) -> None:
        super().__init__()
        self.profile = profile
        self.adaptor = Adaptor(profile)
        self.prompt = PromptEncoder(profile)
        self.unet = SpadeUNet.from_profile(profile)

    def add_lora(self) -> Renderer:
        """Freeze all and let the UNet learn a domain by low-rank updates; returns itself."""
        self.requires_grad_(False)
        self.unet.add_lora(self.profile.lora_rank)
        return self

    def denoise(
        self,
        x: Tensor,
        time: Tensor,
        typeset: Tensor,
        features: tuple[Tensor, ...],
        prompt: Tensor,
    ) -> Tensor:
        """E[X0 | Xt]: x_t (N, 3, H, W) -> the typeset page plus a residual, like x; ``features``
        are the adaptor's, ``prompt`` the prompt encoder's states."""
        block = self.profile.space_to_depth
        residual = self.unet(F.pixel_unshuffle(x, block), time, features, prompt)
        residual = F.pixel_shuffle(residual.float(), block)
        # the gradient passes straight through: what is settled to nothing could never grow
        return typeset + residual + (settled(residual) - residual).detach()
