"""Model folders are verified, and tiles change nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from picd import Codec
from picd.cli import main
from picd.cores import cores
from picd.errors import ModelError
from picd.runtime import MANIFEST, TILE, Models, _grid, tiled
from picd.text_model import model_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "models"
    shutil.copytree(model_file(MANIFEST).parent, copy)
    return copy


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read model file .*nowhere"):
        Models(tmp_path / "nowhere")


def test_changed_weights_are_refused(folder: Path) -> None:
    graph = folder / "synthesis.onnx"
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)
    with pytest.raises(ModelError, match="synthesis.onnx does not match"):
        Models(folder)


@pytest.mark.parametrize("name", ["unet.onnx", "tables.npz", MANIFEST])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"cannot read model file .*{name}.*No such file"):
        Models(folder)


def test_a_codec_without_its_model_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("PICD_MODELS", str(tmp_path / "nowhere"))
    monkeypatch.setattr("picd.bulk.shared_codec", Codec.load)
    (tmp_path / "x.picd").write_bytes(b"PICD")
    assert main(["info", str(tmp_path / "x.picd")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot read model file" in line and "nowhere" in line


def test_other_manifest_is_another_model(folder: Path, codec: Codec) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert Models(folder).id != codec.models.id


def test_environment_chooses_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICD_MODELS", str(folder))
    assert Models().folder == folder


@pytest.mark.parametrize("name", ["analysis", "synthesis"])
def test_tiles_equal_the_whole(codec: Codec, name: str) -> None:
    random = np.random.default_rng(0)
    height, width = 384, 512
    glyphs = random.random((1, 5, height, width), np.float32)
    if name == "analysis":
        first = (random.random((1, 3, height, width), np.float32) - 0.5, 1)
    else:
        channels = sum(codec.image_codec.slices)
        first = (random.normal(size=(1, channels, height // 16, width // 16)), 16)
    run = partial(lambda network, *arrays: network(*arrays)[0], codec.models[name])
    scale = 16 if name == "analysis" else 1
    inputs = [first, (glyphs, 1)]
    whole = tiled(run, inputs, scale, margin=192, tile=1024)
    tiles = tiled(run, inputs, scale, margin=192, tile=128)
    assert np.abs(whole - tiles).max() <= 1e-4 * np.abs(whole).max()


MEMORY = """
import re
import numpy as np
from picd import Codec

codec = Codec.load()
for noise in np.random.default_rng(1).integers(0, 255, (2, 720, 1280, 3), np.uint8):
    codec.decode(codec.encode(noise, ocr="none").data)
print(re.search(r"VmRSS:\\s*(\\d+)", open("/proc/self/status").read()).group(1))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_memory_is_given_back() -> None:
    """What decoding a picture of 1280×720 takes, a server at rest does not keep."""
    result = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
    )
    assert int(result.stdout) < 1_200_000, "kB"  # 1,700,000 with onnxruntime's arena


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({}, None),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
    ],
)
def test_cores_are_those_of_the_container(files: dict, most: int | None, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    all_of_them = cores(tmp_path / "nothing is here")
    assert all_of_them >= 1
    assert cores(tmp_path) == (most or all_of_them)


@pytest.mark.parametrize("size", [(64, 64), (768, 1280), (2176, 3840), (16384, 1024), (64, 16384)])
def test_tiles_cover_the_picture_and_keep_their_size(size: tuple[int, int]) -> None:
    grid = _grid(*size, 192, TILE * TILE)
    steps = [np.diff(edges) for edges in grid]
    for edges, length in zip(grid, size, strict=True):
        assert edges[0] == 0 and edges[-1] == length
        assert all(edge % 64 == 0 for edge in edges)
    assert all((step > 0).all() for step in steps)
    assert steps[0].max() * steps[1].max() <= TILE * TILE
    assert (size[0] * size[1] > TILE * TILE) == (steps[0].size * steps[1].size > 1)
