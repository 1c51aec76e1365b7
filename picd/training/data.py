"""Training crops from a cache of prepared pictures.

A cache is a folder of ``<kind>-<name>.npy`` arrays, uint8 (H, W, 14): RGB, then what the glyph
image tells (coverage, coverage * ink RGB, word box, ground RGB, skeleton RGB); photographs are
(H, W, 3). The words of a screen or page lie beside it in a ``.txt``, for its prompt; without one
they are unknown. ``prepare`` writes it. Arrays are memory-mapped: a crop reads only its own rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset

from picd.errors import PicdError
from picd.prompt import prompt_bytes, prompt_text
from picd.rules import GREY

KINDS = {"photo": 0.35, "screen": 0.25, "page": 0.40}
"""Share of each kind of picture in a batch."""
CHANNELS = 14
SCREENS = {"screen": 0.4, "page": 0.6}
"""The same for what learns screens alone."""
CROPS_PER_PICTURE = 2
"""Opening a picture costs more than cutting a crop from it."""
REFRESH_BATCHES = 500
BESIDE = 1
"""Processes that make batches beside training; 0: training makes them itself."""


@dataclass(frozen=True)
class Batch:
    """picture (N, 3, H, W) in -0.5..0.5; glyphs (N, 5, H, W) and ground (N, 3, H, W) in 0..1;
    skeleton (N, 3, H, W) in -0.5..0.5; natural (N,) bool; prompt (N, 192) uint8."""

    picture: Tensor
    glyphs: Tensor
    ground: Tensor
    skeleton: Tensor
    natural: Tensor
    prompt: Tensor

    @classmethod
    def of(cls, crops: np.ndarray, natural: np.ndarray, prompts: np.ndarray) -> Batch:
        """From crops (N, H, W, 14) of the cache's arrays."""
        tensor = torch.from_numpy(crops).permute(0, 3, 1, 2).float().div_(255)
        tensor = tensor.contiguous(memory_format=torch.channels_last)
        planes = tensor[:, :3] - 0.5, tensor[:, 3:8], tensor[:, 8:11], tensor[:, 11:] - 0.5
        return cls(*planes, torch.from_numpy(natural), torch.from_numpy(prompts))

    def to(self, device: torch.device) -> Batch:
        return Batch(*(value.to(device) for value in vars(self).values()))

    def chosen(self, which: Tensor) -> Batch:
        """Those of the pictures, by a mask (N,)."""
        return Batch(*(value[which] for value in vars(self).values()))

    def reduced(self, scale: int) -> Batch:
        """The batch at 1 / ``scale`` of its width and height."""
        names = ("picture", "glyphs", "ground", "skeleton")
        return replace(self, **{n: F.avg_pool2d(getattr(self, n), scale) for n in names})

    def without_text(self) -> Batch:
        """The batch without glyphs, and prompted as screens without text."""
        unread = torch.from_numpy(prompt_bytes(prompt_text("", natural=False)))
        prompt = torch.where(self.natural[:, None], self.prompt, unread.to(self.prompt.device))
        return replace(self, glyphs=torch.zeros_like(self.glyphs), prompt=prompt)


def made_beside(dataset: IterableDataset, ahead: int) -> Iterator:
    """The items of an endless dataset, made up to so many ahead by a process of their own."""
    if not BESIDE:
        return iter(dataset)
    # a forked child of a process with busy threads can inherit a lock that nobody releases
    options = {"num_workers": BESIDE, "prefetch_factor": ahead, "multiprocessing_context": "spawn"}
    return iter(DataLoader(dataset, batch_size=None, **options))


class Crops(IterableDataset):
    """An endless source of random batches; ``loader`` reads ahead in a process of its own.

    Photographs are reduced by one of ``distances``."""

    def __init__(
        self,
        cache: Path,
        size: int,
        batch: int,
        seed: int = 0,
        kinds: Mapping[str, float] = KINDS,
        distances: Sequence[float] = (1.0, 1.0, 1.5, 2.0),
    ) -> None:
        self.random, self.kinds = np.random.default_rng(seed), kinds
        self.distances = distances
        self.size, self.batch, self.cache = size, batch, cache
        self.refresh()

    def refresh(self) -> None:
        """Look again at the folder: pictures may have been added while training runs."""
        self.files = {kind: sorted(self.cache.glob(f"{kind}-*.npy")) for kind in self.kinds}
        self.files = {kind: files for kind, files in self.files.items() if files}
        if not self.files:
            raise PicdError(f"no prepared pictures in {self.cache}: run picd.training prepare")
        shares = np.array([self.kinds[kind] for kind in self.files])
        self.shares = shares / shares.sum()

    def loader(self) -> Iterator[Batch]:
        return made_beside(self, ahead=6)

    def __iter__(self) -> Iterator[Batch]:
        while True:
            for _ in range(REFRESH_BATCHES):
                yield self._batch()
            self.refresh()

    def _batch(self) -> Batch:
        kinds = self.random.choice(
            list(self.files), -(-self.batch // CROPS_PER_PICTURE), p=self.shares
        )
        kinds = np.repeat(kinds, CROPS_PER_PICTURE)[: self.batch]
        pictures = [self._picture(kind) for kind in kinds[::CROPS_PER_PICTURE]]
        crops = np.stack([crop for crops, _ in pictures for crop in crops])[: self.batch]
        prompts = np.stack([prompt for _, prompt in pictures]).repeat(CROPS_PER_PICTURE, 0)
        return Batch.of(crops, kinds == "photo", prompts[: self.batch])

    def _picture(self, kind: str) -> tuple[list[np.ndarray], np.ndarray]:
        """Crops of a random picture, and its prompt."""
        file = self.random.choice(self.files[kind])
        array = np.load(file, mmap_mode="r")
        text = file.with_suffix(".txt")
        prompt = prompt_text(text.read_text() if text.exists() else "", natural=kind == "photo")
        return [self._crop(kind, array) for _ in range(CROPS_PER_PICTURE)], prompt_bytes(prompt)

    def _crop(self, kind: str, array: np.ndarray) -> np.ndarray:
        factor = self.random.choice(self.distances) if kind == "photo" else 1.0
        side = min(int(self.size * factor), *array.shape[:2])
        top, left = (int(self.random.integers(0, n - side + 1)) for n in array.shape[:2])
        crop = np.array(array[top : top + side, left : left + side])
        if side != self.size:
            crop = self._resized(crop)
        if kind == "photo" and self.random.random() < 0.5:
            crop = crop[:, ::-1]
        if kind != "photo" and self.random.random() < 0.1:
            crop = _inverted(crop)
        if crop.shape[2] == 3:
            crop = np.pad(crop, ((0, 0), (0, 0), (0, CHANNELS - 3)))
            crop[..., 11:] = GREY
        return crop

    def _resized(self, crop: np.ndarray) -> np.ndarray:
        size = (self.size, self.size)
        planes = [
            Image.fromarray(plane).resize(size, Image.Resampling.BOX)
            for plane in np.ascontiguousarray(crop.transpose(2, 0, 1))
        ]
        return np.stack([np.asarray(plane) for plane in planes], -1)


def _inverted(crop: np.ndarray) -> np.ndarray:
    """The same screen in the opposite theme."""
    out = crop.copy()
    out[..., :3] = 255 - crop[..., :3]
    if crop.shape[2] > 3:
        out[..., 4:7] = crop[..., 3:4] - crop[..., 4:7]
        out[..., 8:11] = crop[..., 7:8] - crop[..., 8:11]
        out[..., 11:] = 255 - crop[..., 11:]
    return out
