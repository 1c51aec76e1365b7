"""The ``sd21`` profile -> a model folder: the base's frozen parts by optimum, the UNet (LoRA
beside it) and the adaptor by torch's exporter, the image codec as the compact profile ships it.

Weights are stored as fp16 and cast to fp32 by each graph, as in the compact profile. The UNet's lie
in a file of their own: no graph can hold more than 2 GB, and two graphs share them.
"""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
import onnxruntime
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from optimum.exporters.onnx import export as optimum_export
from optimum.exporters.onnx.base import OnnxConfig
from optimum.exporters.onnx.model_configs import (
    CLIPTextOnnxConfig,
    VaeDecoderOnnxConfig,
    VaeEncoderOnnxConfig,
)
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.export import Dim

from export.graphs import EXAMPLE_SIDE, OPSET, Graph
from export.parity import LEVELS, check
from export.precision import halve, round_to_half, shrink
from export.screen_unet import with_updates
from picd.errors import ModelError
from picd.images import write_atomically
from picd.nets.codec import GLYPH_CHANNELS
from picd.nets.profiles import StableProfile
from picd.nets.sd21 import SCALE, Base, StableRenderer, load_base
from picd.runtime import ALIGNMENT
from picd.training.sd21 import load_trained

CODEC_NETWORKS = ("analysis", "hyper_analysis", "hyper_synthesis", "context", "synthesis")
EXAMPLE_PROMPT = "a screenshot with text: File Edit View"
UNET_WEIGHTS = "unet.weights"
"""The file that holds what both graphs of the UNet share."""
Updates = dict[str, tuple[Tensor, Tensor]]
CHECK = {"sizes": ((1, 2), (2, 1)), "levels": LEVELS[:1], "threads": (1,)}
"""These networks are large: each is compared once at each of two sizes."""
Writer = Callable[[Graph, Path], None]


def export(run: Path, codec_models: Path, out: Path, base: str | None = None) -> dict:
    """Export a run of ``picd.training renderer --profile sd21``, with the image codec of the model
    folder ``codec_models``, to ``out``; returns the manifest. ``base`` names the base model where
    it is not where training found it.

    Raises:
        ModelError: ``out`` holds files, or a graph or the tokenizer differs from what was trained.
    """
    if out.exists() and any(out.iterdir()):
        raise ModelError(f"{out} is not empty: export to a new folder")
    checkpoint = load_trained(run)
    profile = StableProfile(**checkpoint["profile"])
    parts, unet = load_base(base or checkpoint["base"])
    renderer = StableRenderer(profile, unet)
    renderer.load_trained(checkpoint["trained"])
    for module in (parts.vae, parts.text_encoder, renderer.eval().requires_grad_(False)):
        round_to_half(module)
    out.mkdir(parents=True, exist_ok=True)
    codec = json.loads((codec_models / "manifest.json").read_text())
    networks = _copy_codec(codec, codec_models, out)
    updates = {name: (b.clone(), a.clone()) for name, (b, a) in unet.lora_updates().items()}
    unet.unload_lora()
    for graph, write in _graphs(parts, renderer, updates):
        path = out / f"{graph.name}.onnx"
        write(graph, path)
        networks[graph.name] = _entry(graph, path)
        print(f"{graph.name}: {networks[graph.name]}", flush=True)
    _write_tokenizer(parts, out / "tokenizer.json")
    with np.load(codec_models / "tables.npz") as tables:
        np.savez(out / "tables.npz", **tables, alphas_cumprod=parts.scheduler.alphas_cumprod)
    vae = parts.vae.config
    manifest = {
        "profile": "sd21",
        "base": checkpoint["base"],
        "versions": {
            "torch": torch.__version__, "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__, "opset": OPSET,
        },
        "codec": codec["codec"],
        "renderer": {
            "steps": profile.steps, "tile": profile.tile,
            "scale": SCALE, "levels": len(unet.down_blocks),
            "latent_factor": vae.scaling_factor, "latent_shift": vae.shift_factor or 0.0,
            "prediction": parts.scheduler.config.prediction_type,
        },
        "networks": networks,
        "priors": codec["priors"],
        "files": {path.name: _digest(path) for path in sorted(out.iterdir())
                  if path.name != "manifest.json"},
    }  # fmt: skip
    write_atomically(out / "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())
    return manifest


def _graphs(
    parts: Base, renderer: StableRenderer, updates: Updates
) -> Iterator[tuple[Graph, Writer]]:
    """Every network of the renderer with what writes it; the last adds ``updates`` to the UNet."""
    side, latent = EXAMPLE_SIDE, EXAMPLE_SIDE // SCALE
    random = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, side, side, generator=random) - 0.5
    glyphs = torch.rand(1, GLYPH_CHANNELS, side, side, generator=random)
    x_t = torch.randn(1, renderer.unet.config.in_channels, latent, latent, generator=random)
    text, vae = parts.text_encoder, parts.vae
    ids = parts.token_ids([EXAMPLE_PROMPT])
    with torch.no_grad():
        states, features = parts.states([EXAMPLE_PROMPT]), renderer.adaptor(picture, glyphs, x_t)

    text_graph = Graph("text_encoder", _TextEncoder(text), {"input_ids": ids}, ("states", "pooled"))
    yield text_graph, _by_optimum(CLIPTextOnnxConfig(text.config), text)
    encoder = Graph("vae_encoder", _VaeEncoder(vae), {"sample": 2 * picture}, ("moments",))
    yield encoder, _by_optimum(VaeEncoderOnnxConfig(vae.config), vae)
    decoder = Graph("vae_decoder", _VaeDecoder(vae), {"latent_sample": x_t}, ("sample",))
    yield decoder, _by_optimum(VaeDecoderOnnxConfig(vae.config), vae)

    names = tuple(f"features_{level}" for level in range(len(features)))
    inputs = {"draft": picture, "glyphs": glyphs, "latents": x_t}
    scales = {"draft": 1, "glyphs": 1, "latents": SCALE}
    yield Graph("adaptor", renderer.adaptor, inputs, names), _by_torch(scales)
    scales = {"x_t": SCALE, **{name: SCALE << level for level, name in enumerate(names)}}
    inputs = {"x_t": x_t, "time": torch.full((1,), 500.0), "states": states}
    inputs |= dict(zip(names, features, strict=True))
    step = Graph("unet", _UNetStep(renderer.unet), inputs, ("predicted",))
    yield step, _by_torch(scales, outside=True)
    with torch.no_grad():
        for name, (b, a) in updates.items():
            renderer.unet.get_parameter(name).add_(b @ a)
    yield replace(step, name="unet_screen"), _by_updating("unet.onnx", updates)


class _TextEncoder(nn.Module):
    """As optimum's graph: token ids (N, T) -> states (N, T, C) and a summary that nobody needs."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor) -> tuple[Tensor, Tensor]:
        result = self.model(input_ids)
        return result.last_hidden_state, result.pooler_output


class _VaeEncoder(nn.Module):
    """A picture in -1..1 -> means and logarithms of variances (N, 8, H/8, W/8)."""

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, sample: Tensor) -> Tensor:
        return self.vae.encode(sample).latent_dist.parameters


class _VaeDecoder(_VaeEncoder):
    """Latents (N, 4, h, w) before scaling -> a picture in -1..1."""

    def forward(self, latent_sample: Tensor) -> Tensor:
        return self.vae.decode(latent_sample).sample


class _UNetStep(nn.Module):
    """The UNet with one input for each level of features."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, x_t: Tensor, time: Tensor, states: Tensor, *features: Tensor) -> Tensor:
        predicted = self.unet(x_t, time, states, features)
        for _, spade in self.unet.spades:
            spade.condition = None  # the exporter refuses traces of itself in the module
        return predicted


def _by_optimum(config: OnnxConfig, model: nn.Module) -> Writer:
    """Optimum's exporter with its own configuration of the component. It reads a model's config and
    calls its ``forward``, so it is given a shallow copy of the model with that of the graph."""

    def write(graph: Graph, path: Path) -> None:
        component = copy.copy(model)
        component.forward = graph.module.forward
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optimum_export(component, config, path, opset=OPSET)
        data = shrink(onnx.load(path), exact=False).SerializeToString()
        path.with_suffix(".onnx.data").unlink(missing_ok=True)
        write_atomically(path, data)

    return write


def _by_torch(scales: dict[str, int], *, outside: bool = False) -> Writer:
    """torch.export with free height and width; ``scales`` are pixels per position by input."""
    # a picture is a multiple of 64 pixels, so that every level has whole positions
    height, width = Dim("height", min=1, max=256), Dim("width", min=1, max=256)

    def free(name: str) -> dict[int, Any] | None:
        factor = ALIGNMENT // scales[name] if name in scales else 0
        return {2: factor * height, 3: factor * width} if factor else None

    def write(graph: Graph, path: Path) -> None:
        shapes = [free(name) for name in graph.inputs]
        if isinstance(graph.module, _UNetStep):
            shapes = [*shapes[:3], tuple(shapes[3:])]
        program = torch.onnx.export(
            graph.module, tuple(graph.inputs.values()), dynamo=True, verbose=False,
            optimize=False,  # takes minutes, for what onnxruntime does in seconds when it loads
            input_names=list(graph.inputs), output_names=list(graph.outputs),
            opset_version=OPSET, dynamic_shapes=tuple(shapes),
        )  # fmt: skip
        ClearMetadataAndDocStringPass()(program.model)  # which tell this machine's folders
        halve(program.model)
        onnx_ir.save(program.model, path, external_data=UNET_WEIGHTS if outside else None)

    return write


def _by_updating(plain: str, updates: Updates) -> Writer:
    """The graph ``plain`` again, on its weights, with each updated one W + B A."""

    def write(graph: Graph, path: Path) -> None:
        model = onnx.load(path.with_name(plain), load_external_data=False)
        arrays = {f"unet.{name}": (b.numpy(), a.numpy()) for name, (b, a) in updates.items()}
        write_atomically(path, with_updates(model, arrays).SerializeToString())

    return write


def _entry(graph: Graph, path: Path) -> dict:
    """The manifest's entry of a written graph, after comparing it with torch."""
    entry = {
        "file": path.name,
        "exact": False,
        "bytes": path.stat().st_size,
        "inputs": {name: list(value.shape) for name, value in graph.inputs.items()},
        "outputs": list(graph.outputs),
        "difference_from_torch": check(graph, str(path), **CHECK),
    }
    return entry | ({"weights": UNET_WEIGHTS} if graph.name.startswith("unet") else {})


def _copy_codec(codec: dict, folder: Path, out: Path) -> dict[str, dict]:
    """The graphs of the image codec with their entries, as they are: what they code stays exact."""
    networks = {name: entry for name, entry in codec["networks"].items()
                if name.startswith(CODEC_NETWORKS)}  # fmt: skip
    for entry in networks.values():
        for name in {entry["file"], entry.get("weights", entry["file"])}:
            shutil.copyfile(folder / name, out / name)
    return networks


def _write_tokenizer(parts: Base, path: Path) -> None:
    """The tokenizer as one file, which cuts and pads by itself."""
    tokenizer = Tokenizer.from_str(parts.tokenizer.backend_tokenizer.to_str())
    tokenizer.enable_truncation(parts.length)
    tokenizer.enable_padding(
        length=parts.length,
        pad_id=parts.tokenizer.pad_token_id,
        pad_token=parts.tokenizer.pad_token,
    )
    for prompt in ("", EXAMPLE_PROMPT, 99 * EXAMPLE_PROMPT):
        if tokenizer.encode(prompt).ids != parts.token_ids([prompt])[0].tolist():
            raise ModelError("the exported tokenizer differs from the base's")
    write_atomically(path, tokenizer.to_str().encode())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
