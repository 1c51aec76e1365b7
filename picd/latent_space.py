"""Where the sampler lives: in pixels (compact profile) or in a VAE's latents (sd21).

A space holds everything in which the profiles differ: how a picture becomes latents and comes
back, what the adaptor and the UNet see, and the noise schedule x_t = signal * x_0 + noise * e.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from picd.errors import ModelError
from picd.prompt import PROMPT_BYTES, prompt_bytes
from picd.runtime import Models, tiled, tiled_outputs

MARGIN = 192
"""Pixels of context on each side of a tile; farther ones do not change a pixel by a level."""
OVERLAP = 128
"""Pixels over which tiles fade into each other where a network sees the whole of its tile."""
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Point:
    """One point of the schedule x_t = signal * x_0 + noise * e, at the UNet's own ``time``."""

    signal: float
    noise: float
    time: float


@dataclass(frozen=True)
class Conditions:
    """What the UNet sees beside x_t: the latents ``mu`` to start from, the adaptor's features by
    level and the prompt's states; and which ``unet`` sees it."""

    mu: Array
    features: list[Array]
    states: list[Array]
    unet: str = "unet"


class LatentSpace(Protocol):
    """Planes are (1, C, H, W), H and W multiples of 64; pictures in -0.5..0.5."""

    def conditions(self, draft: Array, typeset: Array, glyphs: Array, prompt: str) -> Conditions:
        """The adaptor's and the prompt encoder's work, once a picture."""

    def schedule(self, steps: int) -> list[Point]:
        """``steps`` + 1 points, from the start to the picture (signal 1, noise 0)."""

    def start(self, point: Point, mu: Array, epsilon: Array) -> Array:
        """x_t at the first point, from the latents to start from and standard normal noise."""

    def estimate(
        self, x_t: Array, point: Point, conditions: Conditions, *, again: bool = False
    ) -> Array:
        """E[X0 | Xt]; ``again`` if there is another step after this."""

    def picture(self, latents: Array) -> Array:
        """Latents -> planes."""


def latent_space(models: Models) -> LatentSpace:
    """The space that the models were trained in."""
    return AutoencoderSpace(models) if "vae_decoder" in models else PixelSpace(models)


class PixelSpace:
    """The picture itself; the graphs hold the space-to-depth. Flow matching (Lipman et al. 2023)
    between the picture at t = 0 and the typeset draft with a little noise at t = 1, to which the
    UNet tells the residual. Only a share of that is taken: what such networks change is right more
    often in its direction than in its size."""

    def __init__(self, models: Models) -> None:
        self.models = models
        settings = models.manifest["renderer"]
        self.noise: float = settings["noise"]
        self.trust = np.float32(settings["trust"])
        self.scales = [settings["space_to_depth"] << level for level in range(settings["levels"])]

    def conditions(self, draft: Array, typeset: Array, glyphs: Array, prompt: str) -> Conditions:
        inputs, adaptor = [(draft, 1), (typeset, 1), (glyphs, 1)], self.models["adaptor"]
        features = tiled_outputs(adaptor, inputs, self.scales, margin=MARGIN)
        states = self.models["prompt"](prompt_bytes(prompt)[None])
        return Conditions(typeset, features, states, _unet(self.models, prompt))

    def schedule(self, steps: int) -> list[Point]:
        times = [1 - step / steps for step in range(steps + 1)]
        return [Point(1.0, t, t) for t in times]

    def start(self, point: Point, mu: Array, epsilon: Array) -> Array:
        return mu + np.float32(self.noise) * epsilon

    def estimate(
        self, x_t: Array, point: Point, conditions: Conditions, *, again: bool = False
    ) -> Array:
        inputs = [(x_t, 1), *zip(conditions.features, self.scales, strict=True)]
        common = [np.array([point.time], np.float32), *conditions.states]
        run = partial(_step, partial(self.models[conditions.unet], again=again), common)
        estimate = tiled(run, inputs, 1, margin=MARGIN)
        estimate *= self.trust
        estimate += conditions.mu
        return estimate

    def picture(self, latents: Array) -> Array:
        return latents


class AutoencoderSpace:
    """The latents of a Stable Diffusion VAE, with the base's own schedule, noise or velocity
    prediction, and deterministic sampling (DDIM, Song et al. 2021).

    These networks look at all of their input, so pictures above the size that the base was trained
    on go through them in tiles that fade into each other (MultiDiffusion, Bar-Tal et al. 2023).
    """

    def __init__(self, models: Models) -> None:
        self.models = models
        settings = models.manifest["renderer"]
        self.scale: int = settings["scale"]
        self.scales = [self.scale << level for level in range(settings["levels"])]
        self.factor, self.shift = settings["latent_factor"], settings["latent_shift"]
        self.velocity: bool = settings["prediction"] == "v_prediction"
        self.faded = partial(faded, tile=settings["tile"], overlap=OVERLAP)

    def conditions(self, draft: Array, typeset: Array, glyphs: Array, prompt: str) -> Conditions:
        mu = self._latents(draft)
        inputs, adaptor = [(draft, 1), (glyphs, 1), (mu, self.scale)], self.models["adaptor"]
        features = tiled_outputs(adaptor, inputs, self.scales, margin=MARGIN)
        states = self.models["text_encoder"](self.tokens(prompt))[0]
        return Conditions(mu, features, [states], _unet(self.models, prompt))

    def schedule(self, steps: int) -> list[Point]:
        alphas = self.models.tables["alphas_cumprod"].astype(np.float64)
        times = np.round(len(alphas) * (1 - np.arange(steps) / steps)).astype(int) - 1
        points = [Point(alphas[t] ** 0.5, (1 - alphas[t]) ** 0.5, t) for t in times]
        return [*points, Point(1.0, 0.0, 0)]

    def start(self, point: Point, mu: Array, epsilon: Array) -> Array:
        return np.float32(point.signal) * mu + np.float32(point.noise) * epsilon

    def estimate(
        self, x_t: Array, point: Point, conditions: Conditions, *, again: bool = False
    ) -> Array:
        inputs = [(x_t, self.scale), *zip(conditions.features, self.scales, strict=True)]
        common = [np.array([point.time], np.float32), *conditions.states]
        run = partial(_step, partial(self.models[conditions.unet], again=again), common)
        predicted = self.faded(run, inputs, self.scale)
        a, s = np.float32(point.signal), np.float32(point.noise)
        return a * x_t - s * predicted if self.velocity else (x_t - s * predicted) / a

    def picture(self, latents: Array) -> Array:
        decoder = self.models["vae_decoder"]
        planes = latents / np.float32(self.factor) + np.float32(self.shift)
        return self.faded(lambda z: decoder(z)[0], [(planes, self.scale)], 1) / 2

    def _latents(self, picture: Array) -> Array:
        encoder = self.models["vae_encoder"]
        moments = self.faded(lambda x: encoder(2 * x)[0], [(picture, 1)], self.scale)
        mean = moments[:, : moments.shape[1] // 2]
        return (mean - np.float32(self.shift)) * np.float32(self.factor)

    def tokens(self, prompt: str) -> NDArray[np.int64]:
        """Token ids (1, T) of as much of a prompt as training showed."""
        shown = prompt.encode("utf-8", "replace")[:PROMPT_BYTES].decode("utf-8", "ignore")
        return np.array([self._tokenizer.encode(shown).ids], np.int64)

    @cached_property
    def _tokenizer(self):  # noqa: ANN202 - the package is optional
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise ModelError(
                "this model needs the package tokenizers: install the sd21 extra of this package"
            ) from None
        return Tokenizer.from_file(str(self.models.folder / "tokenizer.json"))


def _unet(models: Models, prompt: str) -> str:
    """The network of the picture's domain: screens are always prompted, photographs never."""
    return "unet_screen" if prompt and "unet_screen" in models else "unet"


def _step(unet: Callable, common: list[Array], x_t: Array, *features: Array) -> Array:
    return unet(x_t, *common, *features)[0]


def faded(
    network: Callable[..., Array],
    inputs: Sequence[tuple[Array, int]],
    output_scale: int,
    *,
    tile: int,
    overlap: int,
) -> Array:
    """Run a network over overlapping tiles and blend its outputs linearly over the overlap.

    Args:
        inputs: (array (1, C, H / scale, W / scale), scale) pairs, H and W multiples of 64.
        output_scale: the output is (1, C', H / output_scale, W / output_scale).
        tile, overlap: pixels, multiples of 64, tile > 2 * overlap.
    """
    array, scale = inputs[0]
    height, width = array.shape[2] * scale, array.shape[3] * scale
    total, weights = np.float32(0), np.zeros((height // output_scale, width // output_scale))
    for top in _starts(height, tile, overlap):
        for left in _starts(width, tile, overlap):
            bottom, right = min(top + tile, height), min(left + tile, width)
            cuts = [a[:, :, top // s : bottom // s, left // s : right // s] for a, s in inputs]
            result = network(*cuts)
            if not weights.any():
                total = np.zeros((1, result.shape[1], *weights.shape), np.float64)
            place = (slice(top // output_scale, bottom // output_scale),
                     slice(left // output_scale, right // output_scale))  # fmt: skip
            ramp = np.outer(*(_ramp(n, overlap // output_scale) for n in result.shape[2:]))
            total[:, :, *place] += ramp * result
            weights[place] += ramp
    return (total / weights).astype(np.float32)


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    """First pixels of tiles that cover ``length``, the last one flush with its end."""
    last = max(length - tile, 0)
    return [*range(0, last, tile - overlap), last]


def _ramp(length: int, overlap: int) -> NDArray[np.float64]:
    """Weights that rise over the overlap and fall again; where no tile joins they cancel out."""
    rise = (np.arange(length) + 0.5) / overlap
    return np.minimum(1, np.minimum(rise, rise[::-1]))
