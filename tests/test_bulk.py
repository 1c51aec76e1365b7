"""Folders of files: nothing stops the rest, nothing is half written, every engine agrees."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picd import BitstreamError, PicdError
from picd.bulk import ENGINES, mapped, plan
from picd.cli import main
from picd.images import write_atomically


def halved(number: int) -> int:
    """Work for the engines: fails on odd numbers, and by a bug on None."""
    if number % 2:
        raise BitstreamError(f"{number} is odd")
    return number // 2


def needs_a_cluster() -> None:
    if not os.environ.get("PICD_RAY"):
        pytest.skip("a cluster did not start within 30 s on a busy machine: set PICD_RAY=1")
    pytest.importorskip("ray")


@pytest.mark.parametrize(("engine", "jobs"), [("local", 1), ("local", 2), ("ray", 2)])
def test_engines_agree(engine: str, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine == "ray":
        needs_a_cluster()
        # its workers have to find this file, too
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    items = [(str(number), number) for number in (4, 7, None, 10)]
    results = dict(mapped(halved, items, engine=engine, jobs=jobs))
    assert results["4"] == 2 and results["10"] == 5
    assert isinstance(results["7"], BitstreamError) and str(results["7"]) == "7 is odd"
    assert isinstance(results["None"], PicdError) and "TypeError" in str(results["None"])


def test_unknown_engine() -> None:
    with pytest.raises(PicdError, match="local or ray"):
        next(mapped(halved, [("a", 2)], engine="cloud"))
    assert set(ENGINES) == {"local", "ray"}


def dies(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_dead_worker_is_one_error() -> None:
    with pytest.raises(PicdError, match="worker process died"):
        list(mapped(dies, [("a", 1), ("b", 2)], jobs=2))


@pytest.fixture
def folder(tmp_path: Path, page: np.ndarray) -> Path:
    """Two pictures (one in a folder below), a damaged one, and what is no picture."""
    pictures = tmp_path / "pictures"
    (pictures / "below").mkdir(parents=True)
    Image.fromarray(page[:96, :160]).save(pictures / "a.png")
    Image.fromarray(page[64:160, :160]).save(pictures / "below" / "b.webp", lossless=True)
    (pictures / "damaged.png").write_bytes((pictures / "a.png").read_bytes()[:200])
    (pictures / "notes.txt").write_text("no picture")
    return pictures


def names(folder: Path) -> list[str]:
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file())


def test_encode_and_decode_folders(folder: Path, tmp_path: Path, capsys) -> None:
    files, out = tmp_path / "files", tmp_path / "out"
    assert main(["encode", str(folder), "-o", str(files), "--json"]) == 1
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert names(files) == ["a.picd", "below/b.picd"]
    assert [f["bytes"] for f in report["files"]] == [
        Path(f["output"]).stat().st_size for f in report["files"]
    ]
    assert len(report["failed"]) == 1 and "damaged.png" in report["failed"][0]["error"]
    assert "2 made, 0 skipped, 1 failed" in captured.err

    (folder / "damaged.png").unlink()
    stamp = (files / "a.picd").stat().st_mtime_ns
    (files / "below" / "b.picd").unlink()
    assert main(["encode", str(folder), "-o", str(files), "--resume"]) == 0
    assert "1 made, 1 skipped, 0 failed" in capsys.readouterr().err
    assert (files / "a.picd").stat().st_mtime_ns == stamp

    assert main(["decode", str(files), "-o", str(out), "--stage", "draft"]) == 0
    assert names(out) == ["a.draft.png", "below/b.draft.png"]


def test_outputs_that_collide_fail(folder: Path, tmp_path: Path) -> None:
    (folder / "a.jpg").write_bytes((folder / "a.png").read_bytes())
    planned = plan(folder, tmp_path, {".png", ".jpg"}, ".picd", resume=False)
    assert [job.input.name for job in planned.jobs] == ["a.jpg", "damaged.png"]
    ((job, error),) = planned.failed
    assert job.input.name == "a.png" and "another file" in str(error)


def test_folders_that_cannot_work(folder: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["encode", str(tmp_path / "empty")]) == 2
    assert main(["encode", str(folder), "-o", str(folder / "a.png")]) == 2
    assert main(["decode", str(folder)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, descriptor: int, _: str) -> None:
            self.file = os.fdopen(descriptor, "wb")

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, data: bytes) -> None:
            self.file.write(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("picd.images.open", Full, raising=False)
    with pytest.raises(PicdError, match="No space left"):
        write_atomically(tmp_path / "x.picd", b"12345678")
    assert names(tmp_path) == []


KILLED_WHILE_WRITING = """
import sys, time
from picd import images
real = open
def slow(*arguments):
    file = real(*arguments)
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
images.open = slow
images.write_atomically(sys.argv[1], b"half and the rest")
"""


@pytest.mark.parametrize("moment", ["encoding", "writing"])
def test_a_killed_process_leaves_no_half_file(moment: str, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.picd"
    target.write_bytes(b"the file before")
    if moment == "writing":
        command = [sys.executable, "-c", KILLED_WHILE_WRITING, str(target)]
    else:
        command = [sys.executable, "-m", "picd", "encode", str(folder / "a.png"), "-o", str(target)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    if moment == "writing":
        assert process.stdout.readline() == b"writing\n"
    else:
        time.sleep(1)
    process.kill()
    process.communicate(timeout=30)
    assert target.read_bytes() == b"the file before"


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_run_killed_in_the_middle_loses_nothing(
    engine: str, page: np.ndarray, tmp_path: Path
) -> None:
    if engine == "ray":
        needs_a_cluster()
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(8):
        Image.fromarray(page[number : number + 200, :320]).save(pictures / f"{number}.png")

    def encode(out: str, *options: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "picd", "encode", str(pictures), "-o", str(tmp_path / out)]
        root = Path(__file__).parent.parent  # for the cluster's workers
        environment = os.environ | {"PYTHONPATH": str(root)}
        return subprocess.Popen([*command, "--ocr", "none", *options], env=environment)

    two = ("--engine", engine, "--jobs", "2")
    killed = encode("killed", *two)
    until = time.monotonic() + 200
    while not (made := list((tmp_path / "killed").glob("*.picd"))):
        assert time.monotonic() < until and killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert len(made) < 8
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "killed").glob("*.picd")}
    (tmp_path / "killed" / ".7.picd.abc.tmp").write_bytes(b"killed in the middle of a write")
    assert encode("killed", *two, "--resume").wait(200) == 0
    assert all(file.stat().st_mtime_ns == stamp for file, stamp in before.items())

    assert encode("whole").wait(200) == 0
    assert names(tmp_path / "killed") == names(tmp_path / "whole")
    for name in names(tmp_path / "whole"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
