"""What every training run shares: a time budget, averaged weights, resuming, a logged curve."""

from __future__ import annotations

import copy
import csv
import time
from collections import defaultdict
from pathlib import Path

import torch
from torch import nn

from picd.errors import PicdError


class Run:
    """One training run of ``model`` in ``folder``.

    The learning rate warms up over the first 100 steps of a run and falls to a twentieth over its
    last 40 %. ``ema`` holds the averaged weights, which are what is exported.
    """

    def __init__(
        self, model: nn.Module, folder: Path, minutes: float, rate: float, resume: bool
    ) -> None:
        self.model, self.folder, self.minutes, self.rate = model, folder, minutes, rate
        self.ema = copy.deepcopy(model).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            [p for p in model.parameters() if p.requires_grad], rate, (0.9, 0.98), weight_decay=0
        )
        self.step, self.trained, self.first_step = 0, 0.0, 0
        self.sums: dict[str, list[float]] = defaultdict(list)
        self.folder.mkdir(parents=True, exist_ok=True)
        if resume and self.checkpoint.exists():
            self._resume()
        self.start: float | None = None  # the clock starts with the first step
        self.last_log = self.last_save = time.monotonic()

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def elapsed(self) -> float:
        """Minutes of this run."""
        return 0.0 if self.start is None else (time.monotonic() - self.start) / 60

    def active(self) -> bool:
        return self.elapsed < self.minutes

    def update(self, loss: torch.Tensor, **figures: float) -> None:
        """One optimiser step, then the average, the log and (every five minutes) a checkpoint."""
        self.start = self.start or time.monotonic()
        share = self.elapsed / self.minutes
        decay = 1.0 if share < 0.6 else max(0.05, 1 - 0.95 * (share - 0.6) / 0.4)
        warm = min(1.0, (self.step - self.first_step + 1) / 100)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * decay * warm
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._average()
        self.step += 1
        for name, figure in {"loss": float(loss.detach()), **figures}.items():
            self.sums[name].append(figure)
        if time.monotonic() - self.last_log > 30:
            self.log()
        if time.monotonic() - self.last_save > 300:
            self.save()

    def _average(self) -> None:
        decay = min(0.998, (1 + self.step - self.first_step) / (10 + self.step - self.first_step))
        with torch.no_grad():
            for mean, now in zip(self.ema.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)

    def log(self) -> None:
        if not self.sums:
            return
        means = {name: sum(self.sums[name]) / len(self.sums[name]) for name in sorted(self.sums)}
        row = {"step": self.step, "minutes": round(self.trained + self.elapsed, 2), **means}
        path = self.folder / "curve.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(row)
            writer.writerow(f"{v:.5g}" if isinstance(v, float) else v for v in row.values())
        print("  ".join(f"{k} {v:.4g}" for k, v in row.items()), flush=True)
        self.sums.clear()
        self.last_log = time.monotonic()

    def save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "minutes": self.trained + self.elapsed,
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint)
        self.last_save = time.monotonic()

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = self.first_step = state["step"]
        self.trained = state["minutes"]


def load_averaged(model: nn.Module, folder: Path) -> nn.Module:
    """The averaged weights of a run, into ``model``, ready for export."""
    model.load_state_dict(averaged(folder))
    return model.eval().requires_grad_(False)


def load_start(model: nn.Module, folder: Path) -> None:
    """The averaged weights of a run with fewer layers or input channels, into ``model``.

    Layers that the run had not keep their fresh weights, and input channels (which are always
    added at the end) get weights of zero: where new layers end in zeros too, the network computes
    what it did.

    Raises:
        PicdError: the run has weights that the model has no place for.
    """
    wanted, found = model.state_dict(), averaged(folder)  # the first are the model's own
    for name, value in found.items():
        place = wanted.get(name)
        if place is None or any(a < b for a, b in zip(place.shape, value.shape, strict=True)):
            raise PicdError(f"{folder} cannot be a start: this network has no place for {name}")
        if place.shape != value.shape:
            place.zero_()
        place[tuple(slice(size) for size in value.shape)] = value
    fresh = len(wanted) - len(found)
    print(f"start: {folder}, {len(found)} tensors; {fresh} are new", flush=True)


def averaged(folder: Path) -> dict[str, torch.Tensor]:
    """The averaged weights of a run, by name."""
    path = folder / "checkpoint.pt"
    if not path.exists():
        raise PicdError(f"no checkpoint in {folder}: train first, or name another folder")
    return torch.load(path, map_location="cpu", weights_only=True)["ema"]
