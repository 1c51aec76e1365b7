"""``python -m export --profile compact -o models/compact``: trained checkpoints -> ONNX files.

Writes one graph per network, ``tables.npz`` and ``manifest.json``, after checking each graph
against torch; fails, and writes nothing, when one differs.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from export.gradients import checked, guidance_graphs, share
from export.graphs import OPSET, Graph, codec_graphs, renderer_graphs, to_onnx
from export.parity import check
from export.precision import round_to_half, shrink
from export.priors import prior_hashes, update_priors
from export.refinement import refinement_graph
from export.screen_unet import add_screen_unet, screen_renderer
from export.tables import tables
from picd.errors import ModelError, PicdError
from picd.images import write_atomically
from picd.nets.codec import ImageCodec
from picd.nets.exact import ACCUMULATOR_LIMIT, ExactConv2d
from picd.nets.profiles import PROFILES, Profile, RendererProfile
from picd.nets.recogniser import Recogniser
from picd.nets.renderer import Renderer
from picd.text_model import model_file
from picd.training.checkpoints import load_averaged


def export(
    profile: Profile,
    codec_run: Path,
    renderer_run: Path,
    out: Path,
    recogniser_run: Path | None = None,
    lora_run: Path | None = None,
    build: Callable[[RendererProfile], Renderer] = Renderer,
) -> dict:
    """Export the trained runs of a profile to ``out``; returns the manifest. Without a run of the
    recogniser the models have no guidance, without one of LoRA no UNet of its own for screens;
    ``build`` makes another renderer.

    Raises:
        ModelError: a graph differs from torch, an exact layer could overflow, or the LoRA belongs
            to another renderer.
    """
    codec = load_averaged(ImageCodec(profile.codec), codec_run)
    renderer = load_averaged(build(profile.renderer), renderer_run)
    screen = screen_renderer(profile.renderer, lora_run, renderer) if lora_run else None
    for module in (codec.analysis, codec.synthesis, codec.entropy.hyper_analysis, renderer):
        round_to_half(module)
    for module in codec.modules():
        if isinstance(module, ExactConv2d):
            module.freeze()
    files: dict[str, bytes] = {}
    networks = {}
    graphs = [*codec_graphs(codec), *renderer_graphs(renderer)]
    graphs += checked([refinement_graph(codec.synthesis)])
    if recogniser_run:
        recogniser = load_averaged(Recogniser(profile.recogniser), recogniser_run)
        round_to_half(recogniser)
        graphs += guidance_graphs(recogniser, codec.analysis)
    for graph in graphs:
        files[f"{graph.name}.onnx"], networks[graph.name] = _network(graph)
        print(f"{graph.name}: {networks[graph.name]}", flush=True)
    files |= share(("synthesis", "refinement"), "synthesis.weights", files, networks)
    if recogniser_run:
        files |= share(("analysis", "guidance_recompress"), "analysis.weights", files, networks)
    if screen:
        files |= add_screen_unet(files, networks, renderer, screen)
    buffer = io.BytesIO()
    np.savez(buffer, **tables(codec))
    files["tables.npz"] = buffer.getvalue()
    manifest = {
        "profile": profile.name,
        "versions": {
            "torch": torch.__version__, "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__, "opset": OPSET,
        },
        "codec": asdict(profile.codec),
        "renderer": {
            **asdict(profile.renderer),
            "levels": len(profile.renderer.channels), "lora": lora_run is not None,
        },
        **({"guidance": asdict(profile.guidance)} if recogniser_run else {}),
        "networks": networks,
        "priors": prior_hashes(),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_atomically(out / name, data)
    write_atomically(out / "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())
    return manifest


def _network(graph: Graph) -> tuple[bytes, dict]:
    data = shrink(to_onnx(graph), exact=graph.exact).SerializeToString()
    entry = {
        "file": f"{graph.name}.onnx",
        "exact": graph.exact,
        "bytes": len(data),
        "inputs": {name: list(value.shape) for name, value in graph.inputs.items()},
        "outputs": list(graph.outputs),
        "difference_from_torch": check(graph, data),
    }
    if graph.exact:
        layers = [m for m in graph.module.modules() if isinstance(m, ExactConv2d)]
        entry["largest_accumulator"] = max(layer.largest_accumulator() for layer in layers)
        if entry["largest_accumulator"] >= ACCUMULATOR_LIMIT:
            raise ModelError(f"{graph.name} can overflow: {entry['largest_accumulator']:.0f}")
    return data, entry


def _optional(run: Path, what: str) -> Path | None:
    if (run / "checkpoint.pt").exists():
        return run
    print(f"no checkpoint in {run}: exporting without {what}", file=sys.stderr)
    return None


def main() -> int:
    parser = argparse.ArgumentParser("python -m export", description=__doc__)
    parser.add_argument("--profile", choices=PROFILES, default="compact")
    parser.add_argument("--codec", type=Path, default=Path("runs/codec"))
    parser.add_argument("--renderer", type=Path, default=Path("runs/renderer"))
    parser.add_argument("--recogniser", type=Path, default=Path("runs/recogniser"))
    parser.add_argument("--lora", type=Path, default=Path("runs/lora"))
    parser.add_argument("--base", help="sd21: hub id or folder, if not where training found it")
    parser.add_argument("-o", "--out", type=Path, default=None, help="default models/PROFILE")
    parser.add_argument("--priors", action="store_true", help="only update the priors' hashes")
    options = parser.parse_args()
    out = options.out or Path("models") / options.profile
    if options.priors:
        update_priors(out)
        return 0
    try:
        if options.profile == "sd21":
            from export import sd21

            sd21.export(options.renderer, model_file("manifest.json").parent, out, options.base)
            return 0
        recogniser = _optional(options.recogniser, "guidance")
        lora = _optional(options.lora, "a UNet for screens")
        profile = PROFILES[options.profile]
        export(profile, options.codec, options.renderer, out, recogniser, lora)
    except PicdError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
