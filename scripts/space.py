"""Assemble the folder of a Hugging Face Space: what the app needs to serve, and nothing else.

``python scripts/space.py OUT --id OWNER/NAME``, then push OUT, for instance with
``hf upload OWNER/NAME OUT --repo-type space``. Standard library only.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVED = (
    "app.py", "demo", "picd", "models/compact",
    "requirements.txt", "packages.txt", "README.md", "LICENSE",
)  # fmt: skip
NOT_SERVED = ("picd/nets", "picd/training")
"""Definitions and training of the networks need torch, which no Space has to install."""


def assemble(out: Path, space: str | None) -> list[Path]:
    """Copy the files into ``out``, a new or empty folder; returns their relative paths.

    ``space`` (OWNER/NAME) makes the thumbnail of the front matter an address, which link previews
    need.

    Raises:
        FileExistsError: there is something in ``out``.
        FileNotFoundError: the sources lack a file.
    """
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty: name a new folder")
    readme = (ROOT / "README.md").read_text()
    pictures = sorted(set(re.findall(r"(?:\]\(|^thumbnail: )(\S+\.png)", readme, re.MULTILINE)))
    files = [file for name in (*SERVED, *pictures) for file in _files(name)]
    for file in files:
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, out / file)
    if space:
        address = f"https://huggingface.co/spaces/{space}/resolve/main/"
        readme = re.sub(r"^thumbnail: ", f"thumbnail: {address}", readme, count=1, flags=re.M)
        (out / "README.md").write_text(readme)
    return files


def _files(name: str) -> list[Path]:
    """The files of a file or folder of the sources, without what is not served."""
    path = ROOT / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing")
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    relative = [file.relative_to(ROOT) for file in found if file.is_file()]
    return [
        file
        for file in relative
        if "__pycache__" not in file.parts
        and not any(file.is_relative_to(folder) for folder in NOT_SERVED)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--id", metavar="OWNER/NAME", help="of the Space on the hub")
    options = parser.parse_args()
    try:
        files = assemble(options.out, options.id)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    size = sum((options.out / file).stat().st_size for file in files)
    print(f"{len(files)} files, {size / 1e6:.1f} MB in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
