"""The serving path stays free of torch, and the two lists of requirements say the same."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "torchvision", "diffusers", "transformers", "compressai", "optimum")


def imported_after(code: str) -> set[str]:
    """Names of the top-level modules in memory after a fresh interpreter ran ``code``."""
    script = f"{code}\nimport sys; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert result.returncode == 0, result.stderr
    return set(result.stdout.splitlines()[-1].split())


def test_serving_modules_import_only_what_they_require() -> None:
    """A package that merely happens to be installed beside ours is missing on the Space."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = names(project["dependencies"] + project["optional-dependencies"]["demo"])
    for extra in ("metrics", "cluster", "easyocr", "sd21"):  # imported when asked for
        declared |= names(project["optional-dependencies"][extra])
    modules = {"pillow": "PIL", "fonttools": "fontTools", "freetype-py": "freetype"}
    modules |= {"pillow-jxl-plugin": "pillow_jxl", "opencv-python-headless": "cv2"}
    allowed = {modules.get(name, name.replace("-", "_")) for name in declared}
    allowed |= {"onnxruntime", "picd", "demo"} | sys.stdlib_module_names
    allowed |= {"spaces"}  # which Spaces bring, and the app does without elsewhere
    for path in [ROOT / "app.py", *(ROOT / "picd").glob("*.py"), *(ROOT / "demo").glob("*.py")]:
        assert imports(path) <= allowed, path.name


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return found


def test_the_app_starts_without_writing_type_stubs() -> None:
    count = """
import sys
stubs = []
sys.addaudithook(lambda event, about: event == "open" and stubs.append(str(about[0])))
{}
print(sum(name.endswith(".pyi") for name in stubs))
"""
    counted = [
        subprocess.run(
            [sys.executable, "-c", count.format(code)],
            capture_output=True, text=True, cwd=ROOT, check=True,
        ).stdout
        for code in ("import gradio", "import app")
    ]  # fmt: skip
    # where gradio itself writes none any more, demo/quick_import.py can go
    assert int(counted[0]) > 50 and int(counted[1]) == 0


def test_the_serving_path_is_torch_free() -> None:
    modules = [f"picd.{path.stem}" for path in (ROOT / "picd").glob("*.py")]
    modules = [name for name in modules if name not in ("picd.__main__", "picd.__init__")]
    loaded = imported_after(f"import app, picd, {', '.join(modules)}; picd.Codec")
    assert {"gradio", "onnxruntime"} <= loaded  # the check would see them
    assert loaded.isdisjoint(HEAVY)


def test_help_does_not_wait_for_the_runtime() -> None:
    assert imported_after("import picd.cli").isdisjoint({"onnxruntime", "rapidocr", "gradio"})


def names(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w-]+", line).group() for line in requirements}


def test_requirements_and_pyproject_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = names([line for line in lines if line and not line.startswith("#")])
    assert pinned == names(project["dependencies"] + project["optional-dependencies"]["demo"])


@pytest.mark.parametrize("system", ["linux", "win32", "darwin"])
@pytest.mark.parametrize("machine", ["x86_64", "AMD64", "aarch64", "arm64", "ARM64"])
def test_exactly_one_onnxruntime_everywhere(system: str, machine: str) -> None:
    """The two packages hold the same files: installing both breaks one of them."""
    environment = {"sys_platform": system, "platform_machine": machine}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = (ROOT / "requirements.txt").read_text().splitlines()
    for lines in (project["dependencies"], [line for line in pinned if line[:1].isalpha()]):
        chosen = [
            requirement.name
            for requirement in map(Requirement, lines)
            if "onnxruntime" in requirement.name and requirement.marker.evaluate(environment)
        ]
        gpu = (system, machine) in {("linux", "x86_64"), ("win32", "AMD64")}
        assert chosen == ["onnxruntime-gpu" if gpu else "onnxruntime"]


def test_the_space_runs_the_gradio_that_was_tested() -> None:
    pins = (ROOT / "requirements.txt").read_text()
    front_matter = (ROOT / "README.md").read_text().split("---")[1]
    version = re.search(r"^gradio==(\S+)", pins, re.MULTILINE).group(1)
    assert f"sdk_version: {version}\n" in front_matter
