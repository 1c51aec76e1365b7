"""The domain level: prompts, their encoder, and a UNet that they reach without disturbing it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from picd.errors import PicdError
from picd.nets.profiles import SMOKE
from picd.nets.renderer import Renderer
from picd.prompt import PROMPT_BYTES, prompt_bytes, prompt_text
from picd.training.checkpoints import load_start
from picd.training.data import CHANNELS, Batch, Crops

PROFILE = SMOKE.renderer


def test_prompts_say_what_is_seen() -> None:
    assert prompt_text("Open file\nSave", natural=False) == "a screenshot with text: Open file Save"
    assert prompt_text("", natural=False) == "a screenshot"
    assert prompt_text("Open file", natural=True) == ""


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_prompt_bytes_take_any_text(text: str) -> None:
    codes = prompt_bytes(text)
    assert codes.shape == (PROMPT_BYTES,) and codes.dtype == np.uint8
    said = text.replace("\0", "").encode("utf-8", "replace")[:PROMPT_BYTES]
    assert codes[: len(said)].tobytes() == said and not codes[len(said) :].any()


def test_pictures_bring_their_prompts(tmp_path: Path) -> None:
    for name in ("page-read", "screen-unread", "photo-one"):
        channels = 3 if name.startswith("photo") else CHANNELS
        np.save(tmp_path / f"{name}.npy", np.zeros((64, 64, channels), np.uint8))
    (tmp_path / "page-read.txt").write_text("Open file")
    crops = Crops(tmp_path, 64, 2, kinds={"page": 1.0})
    batch = next(iter(crops))
    assert _read(batch) == ["a screenshot with text: Open file"] * 2
    assert _read(batch.without_text()) == ["a screenshot"] * 2
    assert not batch.without_text().glyphs.any()
    assert _read(next(iter(Crops(tmp_path, 64, 2, kinds={"screen": 1.0})))) == ["a screenshot"] * 2
    assert _read(next(iter(Crops(tmp_path, 64, 2, kinds={"photo": 1.0})))) == [""] * 2


def _read(batch: Batch) -> list[str]:
    return [row.numpy().tobytes().rstrip(b"\0").decode() for row in batch.prompt]


def _inputs(
    height: int = 128, width: int = 128
) -> dict[str, torch.Tensor | tuple[torch.Tensor, ...]]:
    random = torch.Generator().manual_seed(1)
    return {
        "x": torch.rand(1, 3, height, width, generator=random) - 0.5,
        "time": torch.ones(1),
        "typeset": torch.rand(1, 3, height, width, generator=random) - 0.5,
        "features": tuple(
            torch.randn(
                1, PROFILE.adaptor_channels, height // 4 >> level, width // 4 >> level,
                generator=random,
            )
            for level in range(len(PROFILE.channels))
        ),
    }  # fmt: skip


def _states(renderer: Renderer, prompt: str) -> torch.Tensor:
    return renderer.prompt(torch.from_numpy(prompt_bytes(prompt))[None])


def _woken(renderer: Renderer) -> Renderer:
    """The renderer with random weights where training starts from zeros."""
    torch.manual_seed(2)
    for parameter in renderer.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return renderer.eval()


def _without_prompt(renderer: Renderer) -> dict[str, torch.Tensor]:
    return {
        name: value
        for name, value in renderer.state_dict().items()
        if not name.startswith("prompt.") and "attentions" not in name
    }


@torch.no_grad()
def test_weights_from_before_the_prompt_mean_the_same(tmp_path: Path) -> None:
    before = _without_prompt(_woken(Renderer(PROFILE)))
    torch.save({"ema": before}, tmp_path / "checkpoint.pt")
    renderer = Renderer(PROFILE).eval()
    load_start(renderer, tmp_path)
    inputs = _inputs()
    first, second = (renderer.denoise(**inputs, prompt=_states(renderer, p)) for p in ("", "a"))
    assert torch.equal(first, second)
    assert (first - inputs["typeset"]).abs().mean() > 0.01
    silent = renderer.unet
    for block in (*silent.down_blocks, *silent.up_blocks):
        block.attentions = torch.nn.ModuleList(
            [_Nothing() for _ in getattr(block, "attentions", [])]
        )
    assert torch.equal(first, renderer.denoise(**inputs, prompt=_states(renderer, "")))


class _Nothing(torch.nn.Module):
    def forward(self, x: torch.Tensor, **_: object) -> tuple[torch.Tensor]:
        return (x,)


def test_a_start_with_fewer_channels_means_the_same(tmp_path: Path) -> None:
    before = Renderer(PROFILE).state_dict()
    name = "adaptor.glyphs.0.weight"
    torch.save({"ema": before | {name: before[name][:, :32]}}, tmp_path / "checkpoint.pt")
    renderer = Renderer(PROFILE)
    load_start(renderer, tmp_path)
    after = renderer.state_dict()
    assert torch.equal(after[name][:, :32], before[name][:, :32]) and not after[name][:, 32:].any()
    assert torch.equal(after["unet.conv_in.weight"], before["unet.conv_in.weight"])


def test_a_start_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.save({"ema": {"other.weight": torch.zeros(2)}}, tmp_path / "checkpoint.pt")
    with pytest.raises(PicdError, match="no place for other.weight"):
        load_start(Renderer(PROFILE), tmp_path)


@torch.no_grad()
def test_the_prompt_is_heard_everywhere_alike() -> None:
    renderer = _woken(Renderer(PROFILE))
    inputs = _inputs()
    words = [renderer.denoise(**inputs, prompt=_states(renderer, p)) for p in ("Open", "Save")]
    difference = (words[0] - words[1]).abs().mean(1)[0]
    quarters = [part.mean() for half in difference.chunk(2) for part in half.chunk(2, 1)]
    assert min(quarters) > 1e-4


@torch.no_grad()
def test_no_layer_looks_at_the_whole_picture() -> None:
    """Far away a change may not be seen at all: tiles would differ from the whole."""
    renderer = _woken(Renderer(PROFILE))
    inputs = _inputs(64, 1280)
    changed = {**inputs, "x": inputs["x"].clone()}
    changed["x"][..., :32] += 0.3
    states = _states(renderer, "a screenshot")
    a, b = (renderer.denoise(**each, prompt=states) for each in (inputs, changed))
    assert not torch.equal(a[..., :64], b[..., :64])
    assert torch.equal(a[..., 640:], b[..., 640:])
