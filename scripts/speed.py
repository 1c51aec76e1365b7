"""``python scripts/speed.py``: seconds and peak memory by stage at 720p, 1080p and 4K, as Markdown.

Encoder and decoder of each size are processes of their own: one run to load everything, then one
that counts (five for the draft, which takes less time than a machine may be busy elsewhere: their
median).
``--operations`` (with the full environment) compares the multiplications of our decoder with those
of a Stable Diffusion 2.1-sized UNet in 20 steps and its VAE decoder on the same picture, and
``--torch`` the seconds of a step of the UNet in onnxruntime with those in eager torch.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from picd import Codec
from picd.bench import PeakMemory
from picd.images import load_image

ROOT = Path(__file__).parent.parent
SIZES = {"1280x720": (1280, 720), "1920x1080": (1920, 1080), "3840x2160": (3840, 2160)}
EXAMPLES = ("chart", "chat", "dashboard", "slide", "terminal", "web", "chart", "dashboard", "web")
BITS_PER_PIXEL, STEPS, DRAFTS = 0.03, 4, 5
STABLE_STEPS = 20


def picture(width: int, height: int) -> np.ndarray:
    """Screens side by side, cut to size."""
    parts = [load_image(ROOT / "demo" / "examples" / f"{name}.png") for name in EXAMPLES]
    rows = [np.concatenate(parts[i : i + 3], 1) for i in (0, 3, 6)]
    return np.ascontiguousarray(np.concatenate(rows)[:height, :width])


def measured_encoder(size: str, file: Path) -> dict[str, float]:
    """Seconds by stage and megabytes of the second run; writes ``file``."""
    image, codec = picture(*SIZES[size]), Codec.load()
    for _ in range(2):
        with PeakMemory() as encoding:
            encoded = codec.encode(image, bpp=BITS_PER_PIXEL)
    file.write_bytes(encoded.data)
    return {
        "megapixels": image.shape[0] * image.shape[1] / 1e6,
        **{f"encode: {stage}": seconds for stage, seconds in encoded.seconds.items()},
        "encode: peak MB": (encoding.bytes or 0) / 1e6,
    }


def measured_decoder(file: Path) -> dict[str, float]:
    """Seconds by stage and megabytes of the runs after the first."""
    data, codec = file.read_bytes(), Codec.load()
    drafts = []
    for _ in range(1 + DRAFTS):
        with PeakMemory() as drafting:
            drafts.append(codec.decode(data, stage="typeset").seconds["total"])
    for _ in range(2):
        with PeakMemory() as decoding:
            decoded = codec.decode(data, steps=STEPS)
    return {
        "draft on screen": float(np.median(drafts[1:])),
        f"render, {STEPS} steps": decoded.seconds["render"],
        f"decode, {STEPS} steps": decoded.seconds["total"],
        "draft: peak MB": (drafting.bytes or 0) / 1e6,
        "decode: peak MB": (decoding.bytes or 0) / 1e6,
    }


def measure(size: str) -> dict[str, float]:
    """Encoder and decoder of a size, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "screens.picd")
        return _json_of("--encode", size, file) | _json_of("--decode", file)


def _json_of(*options: str) -> dict[str, float]:
    command = [sys.executable, __file__, *options]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def operations() -> str:
    """Multiplications and additions of both decoders at 1280x720 (padded to 64), counted on torch's
    meta device: nothing is computed."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from torch.utils.flop_counter import FlopCounterMode

    from picd.nets.codec import Synthesis
    from picd.nets.profiles import COMPACT
    from picd.nets.renderer import Renderer

    def count(module: torch.nn.Module, *inputs: object) -> float:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module.eval()(*inputs)
        return counter.get_total_flops()

    with torch.device("meta"):
        planes = [torch.empty(1, channels, 768, 1280) for channels in (3, 3, 5)]
        renderer = Renderer(COMPACT.renderer)
        block, count_features = COMPACT.renderer.space_to_depth, COMPACT.renderer.adaptor_channels
        features = tuple(
            torch.empty(1, count_features, 768 // (block << i), 1280 // (block << i))
            for i in range(len(COMPACT.renderer.channels))
        )
        x_t = torch.empty(1, 3 * block**2, 768 // block, 1280 // block)
        states = torch.empty(1, 192, COMPACT.renderer.prompt_width)
        step = count(renderer.unet, x_t, torch.empty(1), features, states)
        latents = torch.empty(1, COMPACT.codec.latent_channels, 48, 80)
        once = count(Synthesis(COMPACT.codec), latents, planes[2])
        once += count(renderer.adaptor, *planes)
        stable = UNet2DConditionModel(
            sample_size=64, cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20),
            use_linear_projection=True,
        )  # fmt: skip
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), layers_per_block=2,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        )  # fmt: skip
        latents = torch.empty(1, 4, 96, 160)
        theirs = count(stable, latents, torch.empty(1), torch.empty(1, 77, 1024))
        decoder = count(vae.decoder, latents)
    total = STABLE_STEPS * theirs + decoder
    lines = [
        "| decoder | a step, GFLOP | once, GFLOP | picture, GFLOP | ratio |",
        "| --- | --- | --- | --- | --- |",
        f"| Stable Diffusion 2.1-sized, {STABLE_STEPS} steps | {theirs / 1e9:.0f} "
        f"| {decoder / 1e9:.0f} | {total / 1e9:.0f} | 1 |",
    ]
    for steps in (1, STEPS):
        ours = steps * step + once
        lines.append(
            f"| ours, {steps} step{'s' * (steps > 1)} | {step / 1e9:.0f} | {once / 1e9:.0f} "
            f"| {ours / 1e9:.0f} | {total / ours:.0f} |"
        )
    return "\n".join(lines)


def torch_ratio() -> str:
    """A step of the UNet at 1280x720 in onnxruntime and in eager torch, the best of three."""
    import torch

    from picd.nets.profiles import COMPACT
    from picd.nets.renderer import SpadeUNet

    random = np.random.default_rng(0)
    block, channels = COMPACT.renderer.space_to_depth, COMPACT.renderer.adaptor_channels
    x_t = random.normal(size=(1, 3, 768, 1280)).astype(np.float32)
    features = [
        random.normal(size=(1, channels, 768 // (block << i), 1280 // (block << i)))
        for i in range(len(COMPACT.renderer.channels))
    ]
    features = [array.astype(np.float32) for array in features]
    states = random.normal(size=(1, 192, COMPACT.renderer.prompt_width)).astype(np.float32)
    network = Codec.load().models["unet"]
    unet = SpadeUNet.from_profile(COMPACT.renderer).eval()
    unshuffled = torch.nn.functional.pixel_unshuffle(torch.from_numpy(x_t), block)
    inputs = tuple(map(torch.from_numpy, features)), torch.from_numpy(states)

    @torch.no_grad()
    def eager() -> None:
        unet(unshuffled, torch.ones(1), *inputs)

    ours = _best(lambda: network(x_t, np.ones(1), states, *features))
    theirs = _best(eager)
    return (
        f"a step of the UNet: onnxruntime {ours:.2f} s, torch {theirs:.2f} s ({theirs / ours:.2f})"
    )


def _best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, action="append", help="only this one")
    parser.add_argument("--encode", nargs=2, metavar=("SIZE", "FILE"), help=argparse.SUPPRESS)
    parser.add_argument("--decode", metavar="FILE", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--operations", action="store_true")
    parser.add_argument("--torch", action="store_true")
    options = parser.parse_args()
    if options.encode:
        size, file = options.encode
        print(json.dumps(measured_encoder(size, Path(file))))
    elif options.decode:
        print(json.dumps(measured_decoder(options.decode)))
    elif options.operations:
        print(operations())
    elif options.torch:
        print(torch_ratio())
    else:
        sizes = options.size or [*SIZES]
        runs = [measure(size) for size in sizes]
        print("\n".join([f"| | {' | '.join(sizes)} |", "| --- " * (len(sizes) + 1) + "|"]))
        for name in runs[0]:
            print(f"| {name} | {' | '.join(f'{run.get(name, 0):.3g}' for run in runs)} |")


if __name__ == "__main__":
    main()
