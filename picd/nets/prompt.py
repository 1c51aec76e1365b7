"""The text encoder of the compact profile: bytes instead of tokens, so that it needs no vocabulary
and reads every language. It stands where CLIP's stands in a Stable Diffusion-sized base."""

from __future__ import annotations

import torch
from diffusers.models.attention import BasicTransformerBlock
from torch import Tensor, nn

from picd.nets.profiles import RendererProfile
from picd.prompt import PROMPT_BYTES

HEADS = 4


class PromptEncoder(nn.Module):
    """Codes (N, 192), whole numbers in 0..255 of any dtype -> states (N, 192, prompt_width).

    Padding is a byte like others (0): an empty prompt then is a state too, not a division by zero.
    """

    def __init__(self, profile: RendererProfile) -> None:
        super().__init__()
        width = profile.prompt_width
        self.bytes = nn.Embedding(256, width)
        self.positions = nn.Parameter(torch.randn(PROMPT_BYTES, width) * 0.02)
        self.blocks = nn.ModuleList(
            BasicTransformerBlock(width, HEADS, width // HEADS)
            for _ in range(profile.prompt_layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, codes: Tensor) -> Tensor:
        states = self.bytes(codes.long()) + self.positions
        for block in self.blocks:
            states = block(states)
        return self.norm(states)
