"""Visitors on the app for some minutes: ``PYTHONPATH=. python tests/soak.py --minutes 3``.

Serves the app on a free local port and lets every visitor encode and decode pictures through the
named endpoints, one after the other, while the server's memory is sampled. Prints one JSON object.
The exit status is 1 if a request failed for another reason than a full queue, or if memory grew by
more than a tenth in the second half.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
from gradio_client import Client, handle_file
from PIL import Image
from test_app import serving

EXAMPLES = Path(__file__).parent.parent / "demo" / "examples"
SAMPLE_SECONDS = 2
GROWTH = 1.1


def pictures(folder: Path) -> list[Path]:
    """Parts of the examples, of a few sizes."""
    files = []
    for number, example in enumerate(sorted(EXAMPLES.glob("*.png"))):
        size = ((320, 240), (480, 270), (200, 360))[number % 3]
        files.append(folder / example.name)
        Image.open(example).convert("RGB").crop((0, 0, *size)).save(files[-1])
    return files


def visit(url: str, files: list[Path], until: float, seen: Counter, seconds: list[float]) -> None:
    """One visitor: encode, then decode what came, again and again."""
    client = Client(url, verbose=False, httpx_kwargs={"timeout": 300})
    number = 0
    while time.monotonic() < until:
        picture = files[number % len(files)]
        number += 1
        start = time.monotonic()
        try:
            file, said = client.predict(
                handle_file(picture), 0.1, "auto", "auto", api_name="/encode"
            )
            image, _ = client.predict(handle_file(file), 1, api_name="/decode")
            with Image.open(image) as decoded:
                assert decoded.size == (said["width"], said["height"])
            seen["done"] += 1
            seconds.append(time.monotonic() - start)
        except Exception as error:
            honest = "queue" in str(error).lower()
            seen["queue is full" if honest else f"failed: {str(error)[:100]}"] += 1
            time.sleep(1)


def memory(process: int) -> float:
    """Resident megabytes of the process."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s*(\d+)", status).group(1)) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--visitors", type=int, default=8)
    options = parser.parse_args()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    seen, seconds, samples = Counter[str](), list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder, serving() as (url, process):
        files = pictures(Path(folder))
        until = time.monotonic() + 60 * options.minutes
        visitors = [
            threading.Thread(target=visit, args=(url, files[i:] + files[:i], until, seen, seconds))
            for i in range(options.visitors)
        ]
        for visitor in visitors:
            visitor.start()
        while any(visitor.is_alive() for visitor in visitors):
            samples.append(memory(process))
            time.sleep(SAMPLE_SECONDS)
    half, minute = len(samples) // 2, 60 // SAMPLE_SECONDS
    growth = max(samples[half:]) / max(samples[:half])
    print(
        json.dumps(
            {
                "visitors": options.visitors,
                "minutes": options.minutes,
                "requests": dict(seen),
                "seconds": np.percentile(seconds, (50, 95)).round(1).tolist() if seconds else [],
                "megabytes": {
                    "first": round(samples[0]),
                    "peak": round(max(samples)),
                    "last": round(samples[-1]),
                    "by minute": [
                        round(max(samples[i : i + minute])) for i in range(0, len(samples), minute)
                    ],
                    "second half over first": round(growth, 3),
                },
            }
        )
    )
    failed = [reason for reason in seen if reason.startswith("failed")]
    return int(bool(failed) or not seen["done"] or growth > GROWTH)


if __name__ == "__main__":
    sys.exit(main())
