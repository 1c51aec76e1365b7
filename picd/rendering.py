"""The renderer: from noise around the draft to the picture, in a few diffusion steps.

The networks are ``adaptor`` (once a picture) and ``unet`` (once a step). The loop is the
deterministic sampler written with the network's estimate of X0, which makes flow matching and DDIM
one formula; where it takes place, and between what, the models' :class:`LatentSpace` tells.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from picd.glyphs import GlyphImage, bare
from picd.guidance import Guide
from picd.image_codec import as_picture, glyph_planes, picture_planes
from picd.latent_space import latent_space
from picd.runtime import Models

MAX_STEPS = 50
OnStep = Callable[[int, int, NDArray[np.uint8]], None]
"""Called with the number of steps done, the number of all steps and the estimate of X0; before the
first step that estimate is the typeset draft."""


@dataclass(frozen=True)
class Rendering:
    """uint8 (H, W, 3) with what was spent: steps, and seconds without guidance and in it; and how
    many words guidance blended in."""

    image: NDArray[np.uint8]
    steps: int
    render_seconds: float
    guidance_seconds: float = 0.0
    blended_words: int = 0


class Renderer:
    """Adaptor and UNet on a folder of models."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self.default_steps: int = models.manifest["renderer"]["steps"]
        self.space = latent_space(models)

    def render(
        self,
        draft: NDArray[np.uint8],
        typeset: NDArray[np.uint8],
        glyphs: GlyphImage,
        *,
        seed: int,
        prompt: str = "",
        steps: int | None = None,
        guide: Guide | None = None,
        on_step: OnStep | None = None,
    ) -> Rendering:
        """The picture X_hat, uint8 (H, W, 3), a function of its arguments alone. Where the typeset
        page is bare it stays: what is sent exactly needs no rendering.

        Raises:
            ModelError: guidance is asked for and the models have no guidance networks.
            ValueError: ``steps`` is not in 1..50.
        """
        start = time.perf_counter()
        steps = self.default_steps if steps is None else steps
        if not 1 <= steps <= MAX_STEPS:
            raise ValueError(f"steps must be in 1..{MAX_STEPS}, got {steps}")
        exact = bare(typeset, glyphs)[..., None]

        def picture(latents: NDArray[np.float32]) -> NDArray[np.uint8]:
            image = as_picture(self.space.picture(latents), *draft.shape[1::-1])
            np.copyto(image, typeset, where=exact)
            return image

        if on_step:
            on_step(0, steps, typeset)
        # nothing here is kept longer than it is needed: at 4K each is 100 MB or more
        conditions = self.space.conditions(
            picture_planes(draft), picture_planes(typeset), glyph_planes(glyphs), prompt
        )
        mu, schedule = conditions.mu, self.space.schedule(steps)
        noise = np.random.Generator(np.random.PCG64(seed))
        x_t = self.space.start(schedule[0], mu, noise.standard_normal(mu.shape, np.float32))
        for step, (point, target) in enumerate(pairwise(schedule), 1):
            x0_hat = self.space.estimate(x_t, point, conditions, again=step < steps)
            if guide:
                x0_hat = guide.step(x0_hat, last=step == steps)
            if on_step:
                on_step(step, steps, picture(x0_hat))
            x_t -= np.float32(point.signal) * x0_hat
            x_t *= np.float32(target.noise / point.noise)
            x0_hat *= np.float32(target.signal)
            x_t += x0_hat
            del x0_hat
        image = picture(x_t)
        seconds = time.perf_counter() - start
        if guide:
            return Rendering(image, steps, seconds - guide.seconds, guide.seconds, guide.blended)
        return Rendering(image, steps, seconds)
