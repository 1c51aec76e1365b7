"""The command: what it prints and writes, and that every user error is one line and status 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picd.cli import main


@pytest.fixture
def picture(tmp_path: Path, page: np.ndarray) -> Path:
    path = tmp_path / "page.png"
    Image.fromarray(page).save(path)
    return path


def run(*arguments: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "picd", *map(str, arguments)],
        capture_output=True, text=True, timeout=300, check=False, **options,
    )  # fmt: skip


def assert_one_line_error(capfd: pytest.CaptureFixture, *arguments: object) -> None:
    capfd.readouterr()
    status = main([*map(str, arguments)])
    out, err = capfd.readouterr()
    assert (status, out, len(err.splitlines())) == (2, "", 1), err
    assert "error: " in err


def test_encode_info_decode(picture: Path, tmp_path: Path) -> None:
    result = run("encode", picture, "--max-bytes", 3500, "--json")
    assert result.returncode == 0, result.stderr
    encoded = json.loads(result.stdout)
    file = tmp_path / "page.picd"
    assert encoded["bytes"] == file.stat().st_size <= 3500
    assert encoded["bpp"] == pytest.approx(8 * encoded["bytes"] / (640 * 400))
    assert (encoded["width"], encoded["height"]) == (640, 400)
    assert encoded["content"] in ("screen", "natural")
    assert set(encoded["sections"]) == {"header", "text", "layout", "image"}
    assert sum(encoded["sections"].values()) == encoded["bytes"]
    assert set(encoded["seconds"]) >= {"ocr", "transform", "entropy", "total"}
    assert all(set(word) == {"text", "box"} and len(word["box"]) == 4 for word in encoded["text"])
    assert any(word["text"] == "Weather" for word in encoded["text"])

    result = run("info", file, "--json")
    assert result.returncode == 0, result.stderr
    info = json.loads(result.stdout)
    common = set(encoded) - {"seconds"}
    assert {name: info[name] for name in common} == {name: encoded[name] for name in common}

    result = run("decode", file, "--json")
    assert result.returncode == 0, result.stderr
    decoded = json.loads(result.stdout)
    assert set(decoded) == {"width", "height", "steps", "seconds"}
    assert set(decoded["seconds"]) >= {"entropy", "draft", "render", "guidance", "total"}
    assert Image.open(tmp_path / "page.render.png").size == (640, 400)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "page.picd",
        "page.png",
        "page.render.png",
    ]


def test_without_json_stdout_is_empty(picture: Path, tmp_path: Path, capfd) -> None:
    assert main(["encode", str(picture), "-o", str(tmp_path / "x.picd"), "--quality", "5"]) == 0
    for stage in ("draft", "typeset"):
        assert main(["decode", str(tmp_path / "x.picd"), "--stage", stage]) == 0
        assert (tmp_path / f"x.{stage}.png").exists()
    out, err = capfd.readouterr()
    assert out == ""
    assert "x.picd" in err and "bpp" in err


def test_info_is_readable(picture: Path, capsys) -> None:
    assert main(["encode", str(picture)]) == 0
    capsys.readouterr()
    assert main(["info", str(picture.with_suffix(".picd"))]) == 0
    out = capsys.readouterr().out
    assert "640x400" in out and "Weather" in out and "bpp" in out


def test_same_bytes_same_picture(picture: Path, tmp_path: Path) -> None:
    assert main(["encode", str(picture)]) == 0
    file = str(picture.with_suffix(".picd"))
    for name in ("a.png", "b.png"):
        assert main(["decode", file, "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        ["--quality", "0"],
        ["--quality", "nan"],
        ["--quality", "high"],
        ["--bpp", "-1"],
        ["--max-bytes", "0"],
        ["--max-bytes", "1.5"],
        ["--quality", "5", "--bpp", "0.1"],
        ["--content", "other"],
        ["--ocr", "other"],
        ["--unknown"],
    ],
)
def test_bad_options(options: list[str], picture: Path, capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["encode", str(picture), *options])
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [[], ["bake"], ["encode"], ["decode", "x", "--steps", "0"]])
def test_bad_verbs(arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_bad_inputs(tmp_path: Path, picture: Path, capfd) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    (tmp_path / "half.png").write_bytes(picture.read_bytes()[:400])
    before = sorted(tmp_path.iterdir())
    for name in ("none.png", "empty.png", "text.png", "dot.png", "half.png"):
        assert_one_line_error(capfd, "encode", tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before


def test_bad_streams(tmp_path: Path, picture: Path, capfd) -> None:
    assert main(["encode", str(picture)]) == 0
    data = picture.with_suffix(".picd").read_bytes()
    bad = {
        "empty": b"",
        "short": data[: len(data) // 2],
        "foreign": picture.read_bytes(),
        "newer": data[:4] + bytes([data[4] + 1]) + data[5:],
        "flipped": data[:-9] + bytes([data[-9] ^ 16]) + data[-8:],
    }
    for name, content in bad.items():
        file = tmp_path / f"{name}.picd"
        file.write_bytes(content)
        for verb in ("decode", "info"):
            assert_one_line_error(capfd, verb, file)
    assert not list(tmp_path.glob("*.render.png"))


def test_unwritable_output(tmp_path: Path, picture: Path, capfd) -> None:
    assert_one_line_error(capfd, "encode", picture, "-o", tmp_path / "missing" / "x.picd")
    assert_one_line_error(capfd, "encode", picture, "-o", tmp_path)
    assert_one_line_error(capfd, "encode", picture, "-o", picture)
    assert_one_line_error(capfd, "decode", picture, "-o", tmp_path / "x.jpg")
    assert list(tmp_path.iterdir()) == [picture]


def test_missing_weights(tmp_path: Path, picture: Path) -> None:
    result = run("encode", picture, env=os.environ | {"PICD_MODELS": str(tmp_path / "no-models")})
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1 and "error: " in result.stderr, result.stderr


def test_closed_pipe_and_interrupt(picture: Path, monkeypatch, capsys) -> None:
    assert main(["encode", str(picture)]) == 0
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "picd", "info", str(picture.with_suffix(".picd"))],
        stdout=writer, stderr=subprocess.PIPE, text=True, timeout=300, check=False,
    )  # fmt: skip
    os.close(writer)
    assert result.returncode == 141
    assert "Traceback" not in result.stderr and "Exception" not in result.stderr

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("picd.bulk.shared_codec", interrupted)
    capsys.readouterr()
    assert main(["encode", str(picture)]) == 130
    assert capsys.readouterr().err == "picd: interrupted\n"


def test_version_and_help() -> None:
    assert run("--version").stdout.startswith("picd ")
    for verb in ("encode", "decode", "info"):
        assert "--json" in run(verb, "--help").stdout
