"""What leaves the repository, the folder of a Space and the wheel, works in a clean environment."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).parent.parent
SECONDS = 400
"""Patience with a busy machine of two cores."""
HEAVY = ("torch", "diffusers", "compressai", "transformers")


def assemble(out: Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "scripts/space.py", str(out), *options],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("space") / "folder"
    result = assemble(out, "--id", "owner/name")
    assert result.returncode == 0, result.stderr
    return out


@pytest.fixture(scope="module")
def front_matter(space: Path) -> dict:
    return yaml.safe_load((space / "README.md").read_text().split("---\n")[1])


def test_the_folder_holds_what_serves_and_nothing_else(space: Path) -> None:
    files = {str(path.relative_to(space)) for path in space.rglob("*") if path.is_file()}
    roots = {name.split("/")[0] for name in files}
    wanted = {"app.py", "demo", "picd", "models", "requirements.txt", "packages.txt", "README.md"}
    assert roots == wanted | {"LICENSE", "docs"}
    assert {"demo/page.py", "picd/codec.py", "models/compact/unet.onnx"} <= files
    assert len([name for name in files if re.match(r"demo/examples/\w+\.png$", name)]) == 8
    assert not [name for name in files if re.match(r"picd/(nets|training)/|.*(\.pyc|\.pt)$", name)]
    shown = set(re.findall(r"\]\((docs/\S+\.png)\)", (space / "README.md").read_text()))
    assert {name for name in files if name.startswith("docs/")} >= shown
    assert sum((space / name).stat().st_size for name in files) < 60e6


def test_front_matter_is_complete(space: Path, front_matter: dict) -> None:
    required = {"title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version",
                "app_file", "license", "short_description", "thumbnail", "suggested_hardware",
                "models", "tags"}  # fmt: skip
    assert required <= set(front_matter)
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {front_matter["colorFrom"], front_matter["colorTo"]} <= colours
    assert len(front_matter["short_description"]) <= 60  # the hub refuses longer ones
    assert front_matter["python_version"] in ("3.11", "3.12")
    assert (space / front_matter["app_file"]).is_file()
    address, _, picture = front_matter["thumbnail"].partition("/resolve/main/")
    assert address == "https://huggingface.co/spaces/owner/name" and (space / picture).is_file()


def test_a_full_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    result = assemble(tmp_path)
    assert result.returncode == 2 and "is not empty" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.fixture(scope="module")
def python(space: Path) -> Path:
    """An interpreter with the packages of requirements.txt and no others."""
    environment = space.parent / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    install(environment / "bin/python", "-r", str(space / "requirements.txt"))
    return environment / "bin/python"


def install(python: Path, *packages: str | Path) -> None:
    uv("pip", "install", "--quiet", "--python", python, *packages)


def uv(*arguments: str | Path) -> None:
    """Only the package index counts, as in the Makefile."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("UV_")}
    program = Path(sys.executable).with_name("uv")
    subprocess.run([program, *arguments], env=environment | {"UV_NO_CONFIG": "1"}, check=True)


@contextmanager
def served(space: Path, python: Path, **variables: str) -> Iterator[str]:
    """The address of the app while it runs as a Space runs it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PICD", "VIRTUAL"))}
    address = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port)}
    process = subprocess.Popen([python, "app.py"], cwd=space, env=clean | address | variables)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + SECONDS
        while not answers(url):
            assert process.poll() is None, "the app stopped"
            assert time.monotonic() < deadline, "the app does not answer"
            time.sleep(0.3)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_serves_with_its_requirements_alone(space: Path, python: Path) -> None:
    """The example of the README, from another process, against the folder and nothing else."""
    found = subprocess.run(
        [python, "-c", "import importlib.util as u, sys; print(*map(u.find_spec, sys.argv[1:]))"]
        + [*HEAVY, "picd"],
        cwd=space.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.split() == ["None"] * (len(HEAVY) + 1)

    readme = (space / "README.md").read_text()
    (example,) = re.findall(r"```python\n(from gradio_client.*?)```", readme, re.DOTALL)
    example += "import json; print(json.dumps([facts['width'], facts['height'], picture]))"
    with served(space, python) as url:
        assert "http://localhost:7860" in example
        result = subprocess.run(
            [python, "-c", example.replace("http://localhost:7860", url)],
            cwd=space, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    assert result.returncode == 0, result.stderr
    encoded, *_, last = result.stdout.splitlines()[-8:]
    width, height, picture = json.loads(last)
    assert (width, height) == (1280, 720) and Path(picture).read_bytes()[1:4] == b"PNG"
    size = int(re.search(r"^(\d+) bytes:", result.stdout, re.MULTILINE).group(1))
    assert 500 < size <= 0.04 * 1280 * 720 / 8
    for codec in ("PICD", "AVIF", "WebP", "JPEG", "JPEG XL"):
        assert re.search(rf"^{codec}\b.*\.png$", result.stdout, re.MULTILINE), codec


class ZeroGPU(BaseHTTPRequestHandler):
    """Stands in for the service that a ZeroGPU Space reports its decorated functions to."""

    reports: list[str] = []

    def do_POST(self) -> None:
        self.reports.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


TOOLS = """
import asyncio, sys
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

async def main():
    async with streamablehttp_client(sys.argv[1] + "/gradio_api/mcp/") as (reader, writer, _):
        async with ClientSession(reader, writer) as session:
            await session.initialize()
            for tool in (await session.list_tools()).tools:
                print(tool.name.strip("_"), bool(tool.description))

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_starts_as_spaces_install_it(space: Path, python: Path, front_matter: dict) -> None:
    """Spaces add ``spaces`` and gradio's ``mcp`` extra: ZeroGPU gets its report, MCP its tools."""
    install(python, "spaces", f"gradio[mcp]=={front_matter['sdk_version']}")
    with HTTPServer(("127.0.0.1", 0), ZeroGPU) as service:
        Thread(target=service.serve_forever, daemon=True).start()
        variables = {
            "SPACES_ZERO_GPU": "true",
            "SPACES_ZERO_DEVICE_API_URL": f"http://127.0.0.1:{service.server_port}",
            "GRADIO_MCP_SERVER": "True",
        }
        with served(space, python, **variables) as url:
            tools = subprocess.run(
                [python, "-c", TOOLS, url],
                capture_output=True, text=True, timeout=SECONDS, check=False,
            )  # fmt: skip
        service.shutdown()
    assert ZeroGPU.reports == ["/startup-report"]
    assert tools.returncode == 0, tools.stderr
    assert set(tools.stdout.splitlines()) == {"encode True", "decode True", "compare True"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_encodes_and_decodes(python: Path, tmp_path: Path) -> None:
    """It brings the models along, and needs no more than the Space."""
    uv("build", "--quiet", "--wheel", "--python", sys.executable, "-o", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    package = tmp_path / "package"
    install(python, "--no-deps", "--target", package, wheel)
    picture = tmp_path / "slide.png"
    shutil.copyfile(ROOT / "demo/examples/slide.png", picture)
    for arguments in (["encode", "slide.png", "--max-bytes", "4000"], ["decode", "slide.picd"]):
        subprocess.run(
            [python, "-m", "picd", *arguments], cwd=tmp_path, check=True, timeout=SECONDS,
            env=os.environ | {"PYTHONPATH": str(package)},
        )  # fmt: skip
    assert (tmp_path / "slide.picd").stat().st_size <= 4000
    assert Image.open(tmp_path / "slide.render.png").size == Image.open(picture).size
