"""Train the text recogniser of instance guidance on generated pages, whose every word is known.

Crops are the page itself or its typeset page over a crude draft, as guidance will show it; then
made softer, noisier, paler, of other colours. Cells between words' boxes and characters count as
"none"; those of a word above x-height or below the baseline are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import IterableDataset

from picd.errors import PicdError
from picd.font_metrics import FACES, glyph_metrics
from picd.nets.profiles import Profile
from picd.nets.recogniser import Recogniser
from picd.reading import CELL, CLASSES, X_HEIGHT, Character, read
from picd.training.checkpoints import Run
from picd.training.data import made_beside

IGNORE = 255
NONE_WEIGHT = 0.15
"""Nine cells in ten show no character; this is their weight in the loss."""
BASELINE = 0.79
"""Where fonts put the baseline in a browser's text box, of its height."""
CROPS_PER_PAGE = 8
ONE_FACE = {"sans": "Open Sans", "serif": "Liberation Serif", "mono": "DejaVu Sans Mono"}


def true_characters(record: Path) -> list[Character]:
    """The characters of a generated page: each word's advances in the most similar bundled face,
    scaled to the box that the browser gave the word."""
    return [
        character
        for number, word in enumerate(json.loads(record.read_text())["words"])
        for character in _word_characters(word, number)
    ]


def _word_characters(word: dict, number: int) -> Iterator[Character]:
    x, y, w, h = word["box"]
    face = _face(word["family"], word["font"])
    pens = list(accumulate((glyph_metrics(face, c).advance for c in word["text"]), initial=0))
    unit = w / max(pens[-1], 1)
    bottom = y + BASELINE * h
    top = bottom - X_HEIGHT * word["size"]
    for text, (left, right) in zip(word["text"], pairwise(pens), strict=True):
        yield Character(text, x + left * unit, x + right * unit, top, bottom, number)


@lru_cache
def _face(family: str, kind: str) -> int:
    names = [face.name for face in FACES]
    return names.index(family if family in names else ONE_FACE[kind])


def label_map(record: Path, height: int, width: int) -> np.ndarray:
    """uint8 (H/4, W/4): the class of each cell, or :data:`IGNORE`."""
    rows, columns = height // CELL, width // CELL
    labels = np.zeros((rows, columns), np.uint8)
    words = json.loads(record.read_text())["words"]
    for x, y, w, h in (np.asarray(word["box"]) / CELL for word in words):
        labels[max(int(y), 0) : int(y + h) + 1, max(int(x), 0) : int(x + w) + 1] = IGNORE
    # narrow characters last: a cell that two want is all that "i" has
    for character in sorted(true_characters(record), key=lambda c: c.left - c.right):
        labels[character.cells(rows, columns)] = character.label or IGNORE
    return labels


class LabelledCrops(IterableDataset):
    """Endless batches of (picture (N, 3, h, w) in -0.5..0.5, labels (N, h/4, w/4) int64).

    ``cache`` is that of ``picd.training.prepare``: ``page-<folder>-<name>.npy``; the words of that
    page are in ``<folder>/<name>.json`` of one of ``pages``.
    """

    def __init__(
        self, cache: Path, pages: list[Path], crop: int, batch: int, seed: int = 0
    ) -> None:
        self.size, self.batch = (crop // 2, crop), batch
        self.random = np.random.default_rng(seed)
        self.pages = []
        for folder in pages:
            for array in sorted(cache.glob(f"page-{folder.name}-*.npy")):
                record = folder / f"{array.stem.removeprefix(f'page-{folder.name}-')}.json"
                if record.exists():
                    self.pages.append((array, record))
        if not self.pages:
            raise PicdError(f"no prepared pages of {pages} in {cache}: run picd.training prepare")
        self.labels: dict[Path, np.ndarray] = {}

    def loader(self) -> Iterator[tuple[Tensor, Tensor]]:
        return made_beside(self, ahead=8)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            samples = [
                sample for _ in range(-(-self.batch // CROPS_PER_PAGE)) for sample in self._page()
            ]
            pictures, labels = zip(*samples[: self.batch], strict=True)
            yield torch.stack(pictures), torch.from_numpy(np.stack(labels)).long()

    def _page(self) -> list[tuple[Tensor, np.ndarray]]:
        path, record = self.pages[self.random.integers(len(self.pages))]
        array = np.load(path, mmap_mode="r")
        if record not in self.labels:
            self.labels[record] = label_map(record, *array.shape[:2])
        return [self._crop(array, self.labels[record]) for _ in range(CROPS_PER_PAGE)]

    def _crop(self, array: np.ndarray, labels: np.ndarray) -> tuple[Tensor, np.ndarray]:
        height, width = (side // CELL for side in self.size)
        # round a character: text is what there is to learn
        known = np.flatnonzero((labels > 0) & (labels < IGNORE))
        place = self.random.choice(known) if len(known) else labels.size // 2
        row, column = divmod(int(place), labels.shape[1])
        top = self._start(row, height, labels.shape[0])
        left = self._start(column, width, labels.shape[1])
        cut = labels[top : top + height, left : left + width]
        rows = slice(top * CELL, (top + height) * CELL)
        columns = slice(left * CELL, (left + width) * CELL)
        planes = torch.from_numpy(np.array(array[rows, columns])).permute(2, 0, 1).float() / 255
        return self._varied(planes), cut

    def _start(self, inside: int, side: int, limit: int) -> int:
        """A random start for ``side`` cells that hold ``inside``, within 0..limit."""
        start = inside - int(self.random.integers(0, side))
        return min(max(start, 0), limit - side)

    def _varied(self, planes: Tensor) -> Tensor:
        """(11, h, w) in 0..1 -> a picture (3, h, w) in -0.5..0.5."""
        random = self.random
        picture = planes[:3]
        if random.random() < 0.4:
            draft = _softened(picture, random.uniform(2, 8))
            draft = draft + (planes[8:11] - draft) * planes[7:8] * random.uniform(0.5, 1)
            picture = draft * (1 - planes[3:4]) + planes[4:7]
        picture = picture - 0.5
        if random.random() < 0.4:
            return picture
        if random.random() < 0.5:
            picture = _softened(picture + 0.5, random.uniform(1, 2)) - 0.5
        if random.random() < 0.3:
            picture = -picture
        picture = picture[torch.from_numpy(random.permutation(3))]
        gain = random.uniform(0.5, 1.1) * random.uniform(0.8, 1.2, 3)
        shift = random.uniform(-0.15, 0.15, 3)
        gain, shift = (torch.from_numpy(v).float()[:, None, None] for v in (gain, shift))
        noise = random.uniform(0, 0.04) * torch.randn(picture.shape)
        return (picture * gain + shift + noise).clamp(-0.5, 0.5)


def _softened(picture: Tensor, factor: float) -> Tensor:
    """Seen through a grid ``factor`` times coarser."""
    size = picture.shape[-2:]
    small = [max(round(side / factor), 1) for side in size]
    small = F.interpolate(picture[None], small, mode="bilinear", antialias=True)
    return F.interpolate(small, size, mode="bilinear")[0]


def accuracy(recogniser: Recogniser, pages: Path, count: int) -> float:
    """Share of the known characters of ``count`` whole pages that are read right."""
    right = total = 0
    device = next(recogniser.parameters()).device
    for record in sorted(pages.glob("*.json"))[:count]:
        picture = np.asarray(Image.open(record.with_suffix(".png")).convert("RGB"))
        picture = picture[: picture.shape[0] // 8 * 8, : picture.shape[1] // 8 * 8]
        planes = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255 - 0.5
        with torch.no_grad():
            logits = recogniser(planes.to(device))[0].float().cpu().numpy()
        characters = [c for c in true_characters(record) if c.label]
        seen = read(logits, characters)
        right += sum(a == c.text for a, c in zip(seen, characters, strict=True))
        total += len(characters)
    return right / max(total, 1)


def train(
    profile: Profile,
    cache: Path,
    pages: list[Path],
    folder: Path,
    *,
    minutes: float,
    device: torch.device,
    resume: bool,
    held_back: Path | None = None,
    crop: int = 192,
    batch: int = 16,
    rate: float = 2e-3,
) -> None:
    """Train for ``minutes`` of wall time; prints the accuracy on ``held_back`` pages at the end."""
    torch.manual_seed(0)
    recogniser = Recogniser(profile.recogniser).to(device, memory_format=torch.channels_last)
    run = Run(recogniser, folder, minutes, rate, resume)
    crops = LabelledCrops(cache, pages, crop, batch, seed=run.step + 1).loader()
    weight = torch.ones(CLASSES, device=device)
    weight[0] = NONE_WEIGHT
    while run.active():
        picture, labels = (tensor.to(device) for tensor in next(crops))
        picture = picture.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            logits = recogniser(picture)
        logits = logits.float()
        # smoothing bounds the logits, whose differences guidance will measure
        loss = F.cross_entropy(logits, labels, weight, ignore_index=IGNORE, label_smoothing=0.05)
        with torch.no_grad():
            known = (labels != IGNORE) & (labels != 0)
            hit = (logits.argmax(1) == labels)[known].float().mean()
        run.update(loss, characters=float(hit.nan_to_num()))
    run.log()
    run.save()
    if held_back:
        print(f"characters read right on held-back pages: {accuracy(run.ema, held_back, 20):.4f}")
