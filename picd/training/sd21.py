"""Train the full-size renderer: LoRA, SPADE and adaptor on a frozen Stable Diffusion base.

The loss is the base's own (its scheduler's noise, or velocity, to be predicted), so that at zero
effect of what is added it starts where the base ended. Every third batch is of photographs, for
which LoRA is switched off: it learns the domain of screens, SPADE and adaptor learn both.
``accelerate launch -m picd.training renderer --profile sd21 ...`` runs it on several GPUs and sets
the precision.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import IterableDataset

from picd.errors import PicdError
from picd.nets.codec import ImageCodec
from picd.nets.profiles import Profile
from picd.nets.sd21 import Base, StableRenderer, load_base
from picd.training.checkpoints import load_averaged
from picd.training.data import SCREENS, Batch, Crops
from picd.training.renderer import drafts

PRECISIONS = {"fp16": torch.float16, "bf16": torch.bfloat16}
PHOTOS_EVERY = 3
WARM_UP = 100
LOG_SECONDS, SAVE_SECONDS = 30, 600


class DomainCrops(IterableDataset):
    """Batches of screens alone, and every third of photographs alone; see :class:`Crops`."""

    loader = Crops.loader

    def __init__(self, cache: Path, size: int, batch: int, seed: int) -> None:
        self.screens = Crops(cache, size, batch, seed, SCREENS)
        self.photos = Crops(cache, size, batch, seed, {"photo": 1.0})

    def __iter__(self) -> Iterator[Batch]:
        screens, photos = iter(self.screens), iter(self.photos)
        while True:
            for _ in range(PHOTOS_EVERY - 1):
                yield next(screens)
            yield next(photos)


def prompts(batch: Batch) -> list[str]:
    """The prompts of a batch as text."""
    rows = batch.prompt.cpu().numpy()
    return [row.tobytes().rstrip(b"\0").decode("utf-8", "ignore") for row in rows]


def diffusion_loss(
    renderer: torch.nn.Module, base: Base, codec: ImageCodec, batch: Batch
) -> Tensor:
    """Squared error of what the base predicts, at random times, of drafts at random qualities."""
    count, device = len(batch.picture), batch.picture.device
    with torch.no_grad():
        # screens are mostly sent at the lower rates
        position = torch.rand(count, device=device) ** torch.where(batch.natural, 1.0, 1.7)
        draft = drafts(codec, batch, position)
        x0, latents = base.latents(batch.picture).float(), base.latents(draft).float()
        states = base.states(prompts(batch)).float()
        noise = torch.randn_like(x0)
        scheduler = base.scheduler
        t = torch.randint(scheduler.config.num_train_timesteps, (count,), device=device)
        x_t = scheduler.add_noise(x0, noise, t)
        velocity = scheduler.config.prediction_type == "v_prediction"
        target = scheduler.get_velocity(x0, noise, t) if velocity else noise
    predicted = renderer(x_t, t, states, draft, batch.glyphs, latents)
    return F.mse_loss(predicted.float(), target)


def train(
    profile: Profile,
    cache: Path,
    codec_run: Path,
    folder: Path,
    *,
    minutes: float,
    device: torch.device,
    resume: bool,
    base: str | None = None,
    start: Path | None = None,
    crop: int | None = None,
    batch: int = 8,
    rate: float = 1e-4,
) -> None:
    """Train for ``minutes`` of wall time; ``base`` overrides the profile's hub id with another, or
    a folder. ``batch`` is that of each process, ``crop`` by default what the base was trained on.

    The checkpoint holds only what training changes, and the name of its base.
    """
    torch.manual_seed(0)
    accelerator = Accelerator(cpu=device.type == "cpu")
    name = str(base or profile.renderer.base)
    parts, unet = load_base(name, PRECISIONS.get(accelerator.mixed_precision, torch.float32))
    parts.to(accelerator.device)
    codec = load_averaged(ImageCodec(profile.codec), codec_run).to(accelerator.device)
    renderer = StableRenderer(profile.renderer, unet)
    renderer.unet.enable_gradient_checkpointing()
    optimizer = torch.optim.AdamW([p for p in renderer.parameters() if p.requires_grad], rate)
    state = {"base": name, "profile": asdict(profile.renderer), "step": 0, "minutes": 0.0}
    path = folder / "checkpoint.pt"
    folder.mkdir(parents=True, exist_ok=True)
    if resume and path.exists():
        state = _resumed(path, name, renderer, optimizer)
    elif start:
        renderer.load_trained(load_trained(start)["trained"])
    model, optimizer = accelerator.prepare(renderer, optimizer)
    seed = state["step"] * accelerator.num_processes + accelerator.process_index + 1
    crops = DomainCrops(cache, crop or profile.renderer.tile, batch, seed).loader()

    first, trained, losses = state["step"], state["minutes"], []
    begun = time.monotonic()
    elapsed = logged = saved = 0.0
    while elapsed < 60 * minutes:
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (state["step"] - first + 1) / WARM_UP)
        data = next(crops).to(accelerator.device)
        renderer.unet.set_domain(screen=not data.natural[0])
        loss = diffusion_loss(model, parts, codec, data)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        # one clock for all processes: they must stop after the same step
        clock = torch.tensor(time.monotonic() - begun, device=accelerator.device)
        elapsed = float(accelerator.reduce(clock, "mean"))
        state["step"] += 1
        state["minutes"] = trained + elapsed / 60
        last = elapsed >= 60 * minutes
        if accelerator.is_main_process and (last or elapsed - logged > LOG_SECONDS):
            _log(folder, state, losses)
            logged = elapsed
        if accelerator.is_main_process and (last or elapsed - saved > SAVE_SECONDS):
            _save(path, state, renderer, optimizer)
            saved = elapsed


def load_trained(folder: Path) -> dict:
    """The checkpoint of a run: ``trained`` weights, ``base``, ``profile``, ``step``, ...

    Raises:
        PicdError: there is none.
    """
    path = folder / "checkpoint.pt"
    if not path.exists():
        raise PicdError(f"no checkpoint in {folder}: train first, or name another folder")
    return torch.load(path, map_location="cpu", weights_only=True)


def _resumed(path: Path, base: str, renderer: StableRenderer, optimizer) -> dict:  # noqa: ANN001
    state = load_trained(path.parent)
    if state["base"] != base:
        raise PicdError(f"the run in {path.parent} is of the base {state['base']}, not {base}")
    renderer.load_trained(state.pop("trained"))
    optimizer.load_state_dict(state.pop("optimizer"))
    return state


def _save(path: Path, state: dict, renderer: StableRenderer, optimizer) -> None:  # noqa: ANN001
    partial = path.with_suffix(".partial")
    weights = {"trained": renderer.trained(), "optimizer": optimizer.state_dict()}
    torch.save({**state, **weights}, partial)
    partial.replace(path)


def _log(folder: Path, state: dict, losses: list[float]) -> None:
    row = {"step": state["step"], "minutes": round(state["minutes"], 2),
           "loss": round(sum(losses) / len(losses), 5)}  # fmt: skip
    path = folder / "curve.csv"
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)
    print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    losses.clear()
