"""The sampler: deterministic, observable, without seams."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnxruntime
import pytest

import picd.latent_space
from picd import Codec, runtime
from picd.glyphs import render_glyphs, typeset
from picd.layout import Rule, TextLayout
from picd.rendering import Renderer
from picd.runtime import Models


@pytest.fixture(scope="module")
def scene(page: np.ndarray) -> dict:
    """A blurred page as the draft, without text."""
    height, width = page.shape[:2]
    blocks = page[: height // 8 * 8, : width // 8 * 8].reshape(height // 8, 8, width // 8, 8, 3)
    draft = np.repeat(np.repeat(blocks.mean((1, 3)), 8, 0), 8, 1).astype(np.uint8)
    glyphs = render_glyphs(TextLayout(draft.shape[1], draft.shape[0]))
    return {"draft": draft, "typeset": typeset(draft, glyphs), "glyphs": glyphs}


def test_the_seed_decides_the_noise(codec: Codec, scene: dict, monkeypatch) -> None:
    """Of the noise, not of the picture: the shipped weights take all of it away again."""
    space, seen = codec.renderer.space, []
    estimate = space.estimate
    monkeypatch.setattr(
        space, "estimate", lambda x, *rest, **more: seen.append(x) or estimate(x, *rest, **more)
    )
    pictures = [codec.renderer.render(**scene, seed=seed, steps=1).image for seed in (5, 5, 6)]
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(seen[0], seen[1]) and not np.array_equal(seen[0], seen[2])


def test_the_sampler_takes_its_share_of_the_residual(
    codec: Codec, scene: dict, monkeypatch
) -> None:
    def changed(trust: float) -> np.ndarray:
        monkeypatch.setattr(codec.renderer.space, "trust", np.float32(trust))
        image = codec.renderer.render(**scene, seed=0, steps=1).image
        return image.astype(float) - scene["typeset"]

    everything, half, nothing = changed(1), changed(0.5), changed(0)
    assert not nothing.any() and np.abs(everything).max() > 4
    assert np.abs(half - everything / 2).mean() < 0.3  # of a level, for rounding


def test_bare_ground_stays(codec: Codec, scene: dict, page: np.ndarray, monkeypatch) -> None:
    """Where a rule is all that was sent the page is exact; beside it, and without it, it is not."""
    space, estimate = codec.renderer.space, codec.renderer.space.estimate
    darker = np.float32(0.04)
    monkeypatch.setattr(space, "estimate", lambda *a, **more: estimate(*a, **more) - darker)
    height, width = page.shape[:2]
    panel = Rule(40, 30, 240, 130, (250, 250, 250))
    glyphs = render_glyphs(TextLayout(width, height, rules=(panel,)))
    draft = scene["draft"].copy()
    draft[30:130, 40:240] = 250
    draft[60:70, 100:130] = 90  # a difference was sent here
    scene = {"draft": draft, "typeset": typeset(draft, glyphs), "glyphs": glyphs}
    image = codec.renderer.render(**scene, seed=0, steps=1).image
    changed = (image != scene["typeset"]).any(-1)
    inside = changed[30:130, 40:240]
    assert inside[30:40, 60:90].all() and inside.sum() == 300
    assert changed[150:].mean() > 0.9
    image = codec.renderer.render(
        **scene | {"glyphs": render_glyphs(TextLayout(width, height))}, seed=0, steps=1
    ).image
    assert (image != scene["typeset"]).any(-1)[30:130, 40:240].mean() > 0.9


@pytest.mark.parametrize("steps", [1, 2, 8])
def test_every_step_is_seen(codec: Codec, scene: dict, steps: int) -> None:
    seen = []
    result = codec.renderer.render(
        **scene, seed=0, steps=steps, on_step=lambda *step: seen.append(step)
    )
    assert [(number, total) for number, total, _ in seen] == [
        (number, steps) for number in range(steps + 1)
    ]
    assert np.array_equal(seen[0][2], scene["typeset"])
    assert np.array_equal(seen[-1][2], result.image)
    assert result.image.shape == scene["draft"].shape and result.steps == steps


def test_the_last_step_gives_its_memory_back(codec: Codec, scene: dict, monkeypatch) -> None:
    space, kept = codec.renderer.space, []
    estimate, giving_back = space.estimate, runtime._giving_back()
    run = onnxruntime.InferenceSession.run
    monkeypatch.setattr(
        onnxruntime.InferenceSession,
        "run",
        lambda session, names, feeds, options: (
            kept.append(options is not giving_back) or run(session, names, feeds, options)
        ),
    )

    def step(*given: object, **more: object) -> np.ndarray:
        kept.clear()
        result = estimate(*given, **more)
        steps.append(list(kept))
        return result

    steps: list[list[bool]] = []
    monkeypatch.setattr(space, "estimate", step)
    codec.renderer.render(**scene, seed=0, steps=3)
    assert steps == [[True], [True], [False]]


def test_threads_and_optimisation_change_no_level(codec: Codec, scene: dict) -> None:
    expected = codec.renderer.render(**scene, seed=0).image.astype(int)
    for threads, optimise in ((1, True), (2, False)):
        other = Renderer(Models(threads=threads, optimise=optimise))
        image = other.render(**scene, seed=0).image
        # floats may differ in the last bit, which moves a value across a rounding edge at most
        assert np.abs(image - expected).max() <= 1


def test_no_seams(codec: Codec, scene: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = codec.renderer.render(**scene, seed=0, steps=2).image.astype(int)
    for name in ("tiled", "tiled_outputs"):
        small = partial(getattr(picd.latent_space, name), tile=128)
        monkeypatch.setattr(picd.latent_space, name, small)
    parts = codec.renderer.render(**scene, seed=0, steps=2).image
    assert np.abs(parts - whole).max() <= 2


@pytest.mark.parametrize("steps", [0, -1, 51])
def test_steps_out_of_range(codec: Codec, scene: dict, steps: int) -> None:
    with pytest.raises(ValueError, match="steps"):
        codec.renderer.render(**scene, seed=0, steps=steps)
