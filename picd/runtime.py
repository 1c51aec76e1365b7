"""The only file that knows onnxruntime: verified model files, sessions, tiles.

A model folder holds ``manifest.json``, one graph per network and ``tables.npz``. The model id in
every ``.picd`` is the first four bytes of the manifest's SHA-256; the manifest names each file's
SHA-256, so the id stands for every weight.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from picd.cores import cores
from picd.errors import ModelError
from picd.text_model import model_file

MANIFEST = "manifest.json"
ALIGNMENT = 64
"""Pictures are padded to multiples of this many pixels, the coarsest grid of any network."""
TILE = 1152
"""Larger pictures go through the networks in tiles of about this side, for their memory."""
SPINNING = "session.intra_op.allow_spinning"
INPUT_TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


class Models:
    """A verified model folder; sessions are created on first use and shared by all threads."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        threads: int | None = None,
        optimise: bool = True,
        check: bool = True,
    ) -> None:
        """``folder`` defaults to $PICD_MODELS, then the embedded compact profile.

        Raises:
            ModelError: the folder, a file, or a file's hash is not what the manifest says.
        """
        embedded = model_file(MANIFEST).parent
        self.folder = Path(folder or os.environ.get("PICD_MODELS") or embedded)
        self.threads, self.optimise = threads, optimise
        manifest = _read(self.folder / MANIFEST)
        try:
            self.manifest = json.loads(manifest)
        except ValueError:
            raise ModelError(f"{self.folder / MANIFEST} is not valid JSON") from None
        self.id = hashlib.sha256(manifest).digest()[:4]
        if check:
            self._check_hashes()
        with np.load(self.folder / "tables.npz") as tables:
            self.tables: dict[str, NDArray] = dict(tables)
        self._networks: dict[str, Network] = {}
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> Network:
        with self._lock:
            if name not in self._networks:
                self._networks[name] = self._load(name)
            return self._networks[name]

    def __contains__(self, name: str) -> bool:
        return name in self.manifest["networks"]

    def _check_hashes(self) -> None:
        """The folder's own files, and the coders' priors, which every profile shares."""
        files = {self.folder / name: digest for name, digest in self.manifest["files"].items()}
        files |= {model_file(name): digest for name, digest in self.manifest["priors"].items()}
        for path, digest in files.items():
            if _sha256(path) != digest:
                raise ModelError(f"model file {path} does not match {self.folder / MANIFEST}")

    def _load(self, name: str) -> Network:
        if name not in self.manifest["networks"]:
            raise ModelError(f"the model in {self.folder} has no network '{name}'")
        entry = self.manifest["networks"][name]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = self.threads or cores()
        # it would keep a copy of the arena, laid out from the first run's pattern
        options.enable_mem_pattern = False
        # threads that wait for work burn the cores that the next network needs
        options.add_session_config_entry(SPINNING, "0")
        if not self.optimise:
            level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            options.graph_optimization_level = level
        # exact networks run on the CPU, where their arithmetic is proven (DESIGN section 3)
        providers = ["CPUExecutionProvider"] if entry["exact"] else usable_providers()
        path = self.folder / entry["file"]
        # weights beside the graph, for graphs above protobuf's 2 GB or that share them, are found
        # from its path
        external = entry.get("weights", f"{entry['file']}.data") in self.manifest["files"]
        session = onnxruntime.InferenceSession(
            str(path) if external else _read(path), options, providers=providers
        )
        return Network(session)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> ModelError:
    return ModelError(
        f"cannot read model file {path} ({error.strerror}): "
        "set PICD_MODELS to a complete model folder"
    )


def patient(
    session: onnxruntime.InferenceSession, threads: int | None = None
) -> onnxruntime.InferenceSession:
    """The same session, with so many ``threads`` if given, that sleep while they wait for work, as
    ours do."""
    options = session.get_session_options()
    options.intra_op_num_threads = threads or options.intra_op_num_threads
    options.add_session_config_entry(SPINNING, "0")
    # onnxruntime keeps where a session's model is to itself
    return onnxruntime.InferenceSession(
        session._model_path, options, providers=session.get_providers()
    )


@cache
def _giving_back() -> onnxruntime.RunOptions:
    """Give back after a run what the arena took: it would keep that of the largest picture."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


@dataclass(frozen=True)
class Network:
    """One graph; called with arrays in the graph's own order of inputs."""

    session: onnxruntime.InferenceSession

    def __call__(self, *arrays: NDArray, again: bool = False) -> list[NDArray[np.float32]]:
        """The outputs; ``again`` if a run of the same size is to follow, whose memory is then
        there already: to take it from the system anew costs a sixth of a run of the UNet."""
        feeds = {
            value.name: np.ascontiguousarray(array, INPUT_TYPES[value.type])
            for value, array in zip(self.session.get_inputs(), arrays, strict=True)
        }
        return self.session.run(None, feeds, None if again else _giving_back())


@cache
def usable_providers() -> list[str]:
    """CUDA where a device really answers, else the CPU.

    onnxruntime-gpu lists CUDA on machines without a GPU too, so the driver is asked first.
    """
    providers = ["CPUExecutionProvider"]
    has_driver = any(Path(p).exists() for p in ("/dev/nvidia0", "/proc/driver/nvidia/version"))
    if has_driver and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, "CUDAExecutionProvider")
    return providers


def pad_to_alignment(array: NDArray, alignment: int = ALIGNMENT) -> NDArray:
    """(H, W) -> the same with its last row and column repeated up to multiples of alignment."""
    h, w = array.shape
    return np.pad(array, ((0, -h % alignment), (0, -w % alignment)), mode="edge")


def tiled(
    network: Callable[..., NDArray[np.float32]],
    inputs: Sequence[tuple[NDArray[np.float32], int]],
    output_scale: int,
    *,
    margin: int,
    tile: int = TILE,
) -> NDArray[np.float32]:
    """:func:`tiled_outputs` of a network with one output."""
    return tiled_outputs(
        lambda *arrays: [network(*arrays)], inputs, (output_scale,), margin=margin, tile=tile
    )[0]


def tiled_outputs(
    network: Callable[..., list[NDArray[np.float32]]],
    inputs: Sequence[tuple[NDArray[np.float32], int]],
    output_scales: Sequence[int],
    *,
    margin: int,
    tile: int = TILE,
) -> list[NDArray[np.float32]]:
    """Run a network of bounded receptive field over tiles; exact when ``margin`` covers the field.

    Args:
        inputs: (array (1, C, H / scale, W / scale), scale) pairs, H and W multiples of 64.
        output_scales: an output is (1, C', H / output_scale, W / output_scale).
        margin: pixels of context on each side of a tile that are thrown away, a multiple of 64.
        tile: a tile has at most ``tile`` squared pixels without its margin; a multiple of 64.
    """
    array, scale = inputs[0]
    height, width = array.shape[2] * scale, array.shape[3] * scale
    rows, columns = _grid(height, width, margin, tile * tile)
    if len(rows) == len(columns) == 2:
        return network(*(array for array, _ in inputs))
    outputs: list[NDArray[np.float32]] = []
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            outer = (
                max(top - margin, 0),
                min(bottom + margin, height),
                max(left - margin, 0),
                min(right + margin, width),
            )
            results = network(*(_cut(a, s, outer) for a, s in inputs))
            outputs = outputs or [
                np.empty((1, result.shape[1], height // scale, width // scale), np.float32)
                for result, scale in zip(results, output_scales, strict=True)
            ]
            inner = (top - outer[0], bottom - outer[0], left - outer[2], right - outer[2])
            for output, result, scale in zip(outputs, results, output_scales, strict=True):
                _cut(output, scale, (top, bottom, left, right))[...] = _cut(result, scale, inner)
    return outputs


def _grid(height: int, width: int, margin: int, most: int) -> tuple[list[int], list[int]]:
    """Where the rows and the columns of tiles of at most ``most`` pixels begin and end: those with
    the least margin of all."""
    grids = []
    for rows in range(1, height // ALIGNMENT + 1):
        down = _even_step(height, rows)
        columns = -(-width // max(most // down // ALIGNMENT * ALIGNMENT, ALIGNMENT))
        across = _even_step(width, columns)
        grid = [*range(0, height, down), height], [*range(0, width, across), width]
        joints = 2 * margin * (len(grid[0]) - 2), 2 * margin * (len(grid[1]) - 2)
        cost = (height + joints[0]) * (width + joints[1])
        grids.append((down * across > most, cost, grid))
    return min(grids)[2]


def _even_step(length: int, count: int) -> int:
    return -(-length // (count * ALIGNMENT)) * ALIGNMENT


def _cut(array: NDArray, scale: int, box: tuple[int, int, int, int]) -> NDArray:
    top, bottom, left, right = (edge // scale for edge in box)
    return array[:, :, top:bottom, left:right]
