"""The shipped ONNX files back into training runs, so that anyone can go on from them.

The inverse of ``python -m export``, as far as fp16 allows: initialisers keep the names of the
modules; integers of exact layers are divided by their power of two; of the hyper-prior only its
table is shipped, so its densities are fitted to that again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import torch
from compressai.entropy_models import EntropyBottleneck
from onnx import numpy_helper
from torch import Tensor, nn

from picd.errors import PicdError
from picd.nets.codec import ImageCodec
from picd.nets.exact import ExactConv2d
from picd.nets.profiles import Profile
from picd.nets.recogniser import Recogniser
from picd.nets.renderer import Renderer
from picd.runtime import Models
from picd.training.checkpoints import Run

FIT_STEPS, FIT_RATE = 400, 0.02


def unpack(profile: Profile, models: Path | None, out: Path) -> list[Path]:
    """Write ``out``/codec, /renderer and, where the models have one, /recogniser; returns them.

    Raises:
        PicdError: the models lack weights of the profile's networks, or are another profile's, or
            a folder has a run already.
    """
    shipped = Models(models)
    if shipped.manifest["profile"] != profile.name:
        raise PicdError(f"these models are of profile {shipped.manifest['profile']}")
    networks = {"codec": ImageCodec(profile.codec), "renderer": Renderer(profile.renderer)}
    weights = _codec_weights(shipped, networks["codec"])
    fill(networks["codec"], weights, but=("entropy.hyper_prior.",))
    fill(networks["renderer"], _renderer_weights(shipped.folder))
    if "guidance_text" in shipped.manifest["networks"]:
        networks["recogniser"] = Recogniser(profile.recogniser)
        weights = _weights(shipped.folder / "guidance_text.onnx")
        fill(networks["recogniser"], _without(weights, "recogniser."))
    folders = [out / name for name in networks]
    if taken := [folder for folder in folders if (folder / "checkpoint.pt").exists()]:
        raise PicdError(f"{taken[0]} has a run already: name another folder")
    for folder, network in zip(folders, networks.values(), strict=True):
        Run(network, folder, 0, 0, False).save()
    return folders


def fill(network: nn.Module, weights: dict[str, Tensor], but: tuple[str, ...] = ()) -> None:
    """Set every parameter of a network, except those whose names begin with ``but``.

    Raises:
        PicdError: a weight is missing or has another shape.
    """
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith(but) and but:
                continue
            if name not in weights or weights[name].shape != parameter.shape:
                raise PicdError(f"the models have no weights for {name} {tuple(parameter.shape)}")
            parameter.copy_(weights[name])


def _codec_weights(models: Models, codec: ImageCodec) -> dict[str, Tensor]:
    """All but the hyper-prior, which is fitted in place."""
    names = {part: part for part in ("analysis", "synthesis")}
    names |= {part: f"entropy.{part}" for part in ("hyper_analysis", "hyper_synthesis")}
    slices = range(len(codec.profile.latent_slices))
    names |= {f"context_{i}": f"entropy.contexts.{i}" for i in slices}
    weights = {}
    for file, prefix in names.items():
        found = _weights(models.folder / f"{file}.onnx")
        weights |= {f"{prefix}.{name}": value for name, value in found.items()}
    for name, module in codec.named_modules():
        if isinstance(module, ExactConv2d):
            for kind in ("weight", "bias"):
                weights[f"{name}.{kind}"] = weights[f"{name}.{kind}"] * 2.0**-module.shift
    with np.load(models.folder / "tables.npz") as tables:
        for name in ("log_gains", "log_inverse_gains"):
            weights[name] = torch.from_numpy(tables[name])
        counts = torch.from_numpy(tables["hyper_counts"].astype(np.float32))
        latent = torch.from_numpy(tables["latent_counts"].astype(np.float32))
    magnitudes = latent[:, latent.shape[1] // 2 :].clone()
    magnitudes[:, 1:] *= 2  # of either sign
    weights["entropy.residual_logits"] = magnitudes.log()
    fit_prior(codec.entropy.hyper_prior, counts / counts.sum(1, keepdim=True))
    return weights


def fit_prior(prior: EntropyBottleneck, probabilities: Tensor) -> float:
    """Fit the densities of ``prior`` to ``probabilities`` (C, 2 L + 1) of -L..L by cross entropy;
    returns what is left of it, in bits a symbol beyond the entropy."""
    limit = probabilities.shape[1] // 2
    symbols = torch.arange(-limit, limit + 1).float()
    symbols = symbols.expand(len(probabilities), 1, -1).contiguous()
    parameters = [p for name, p in prior.named_parameters() if name != "quantiles"]
    optimizer = torch.optim.Adam(parameters, FIT_RATE)
    entropy = -(probabilities * probabilities.log2()).sum(1).mean()
    for _ in range(FIT_STEPS):
        likelihood = prior._likelihood(symbols)[0][:, 0].clamp_min(1e-9)
        excess = -(probabilities * likelihood.log2()).sum(1).mean() - entropy
        optimizer.zero_grad()
        excess.backward()
        optimizer.step()
    return float(excess)


def _renderer_weights(folder: Path) -> dict[str, Tensor]:
    parts = {"adaptor": "adaptor.", "prompt": "prompt.", "unet": ""}  # its graph is of a step
    return {
        prefix + name: value
        for part, prefix in parts.items()
        for name, value in _weights(folder / f"{part}.onnx").items()
    }


def _weights(path: Path) -> dict[str, Tensor]:
    """The initialisers of a graph by the name of their parameter, as float32."""
    graph = onnx.load(path).graph
    names = dict(_matrices(graph.node))
    weights = {}
    for tensor in graph.initializer:
        name = tensor.name.removesuffix("_stored")
        array = numpy_helper.to_array(tensor).astype(np.float32)
        if name in names:  # the exporter transposes the matrices of linear layers
            name, array = names[name], array.T
        weights[name] = torch.from_numpy(np.ascontiguousarray(array))
    for node in graph.node:  # the exporter keeps one of several equal tensors
        if node.op_type == "Identity" and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]]
    return weights


def _matrices(nodes: Iterable[onnx.NodeProto]) -> Iterable[tuple[str, str]]:
    """(initialiser, parameter) of linear layers, whose weights the exporter calls by number: the
    node's own name has the module's path."""
    for node in nodes:
        for given in node.input:
            if node.op_type == "MatMul" and re.fullmatch(r"onnx::MatMul_\d+", given):
                path = node.name.removesuffix("/MatMul").strip("/")
                yield given, path.replace("/", ".") + ".weight"


def _without(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in weights.items()
        if name.startswith(prefix)
    }
