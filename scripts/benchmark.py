"""``python scripts/benchmark.py --screens DIR … --photos DIR …``: docs/benchmark.md and its plots.

Runs ``picd bench`` over generated pages of a seed that is not trained on, and over screens and
photographs named in picd/training/held_back.txt, those that are in the folders given. Interrupted,
it goes on where it was; without folders it measures the pages alone.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from picd.cli import main as picd

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SEED = "9001"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--screens", type=Path, nargs="*", default=[])
    parser.add_argument("--photos", type=Path, nargs="*", default=[])
    parser.add_argument("--count", type=int, default=6, help="pictures of each kind, default 6")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "benchmark")
    options, rest = parser.parse_known_args()  # the rest is for picd bench: --bpp, --jobs, …

    pictures, report = options.work / "pictures", options.work / "report"
    shutil.rmtree(pictures, ignore_errors=True)
    generate = [sys.executable, "-m", "picd.training.screens", pictures / "pages"]
    subprocess.run([*generate, "--pages", str(options.count), "--seed", SEED], cwd=ROOT, check=True)
    names = (ROOT / "picd" / "training" / "held_back.txt").read_text().split()
    for group, folders in (("screens", options.screens), ("photos", options.photos)):
        found = [file for name in names for file in (d / name for d in folders) if file.exists()]
        (pictures / group).mkdir()
        for file in found[: options.count]:
            shutil.copy(file, pictures / group)

    status = picd(["bench", str(pictures), "-o", str(report), *rest])
    if status != 2:
        publish(report, options.count)
    return status


def publish(report: Path, count: int) -> None:
    """docs/benchmark.md and docs/benchmark/*.png from a report."""
    plots = DOCS / "benchmark"
    shutil.rmtree(plots, ignore_errors=True)
    shutil.copytree(report / "plots", plots)
    made_by = f"`python scripts/benchmark.py --screens … --photos … --count {count}` made this."
    text = (report / "report.md").read_text().replace("](plots/", "](benchmark/")
    text = text.replace("# Benchmark\n", f"# Benchmark\n\n{made_by}\n", 1)
    (DOCS / "benchmark.md").write_text(text)


if __name__ == "__main__":
    sys.exit(main())
