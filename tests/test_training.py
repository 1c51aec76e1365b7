"""The smoke size: prepare, train both stages, resume, export, and walk the whole road on it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from export.__main__ import export
from picd import Codec
from picd.errors import ModelError, PicdError
from picd.glyphs import GlyphImage, typeset
from picd.image_codec import _Counter
from picd.layout import Word
from picd.nets.codec import ImageCodec
from picd.nets.entropy import EntropyModel, between
from picd.nets.exact import ExactConv2d
from picd.nets.profiles import SMOKE
from picd.nets.recogniser import Recogniser
from picd.nets.renderer import Renderer, settled
from picd.prompt import prompt_bytes
from picd.rules import GREY
from picd.training import __main__ as training
from picd.training import codec as codec_stage
from picd.training import data
from picd.training import entropy as entropy_stage
from picd.training import renderer as renderer_stage
from picd.training.ablate import VARIANTS, Ablation, ControlRenderer, forgetful
from picd.training.checkpoints import averaged, load_averaged
from picd.training.data import CHANNELS, Batch, Crops
from picd.training.prepare import imperfect, with_glyphs
from picd.training.unpack import unpack

pytestmark = pytest.mark.usefixtures("batches_made_here")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, page: np.ndarray) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    words = (Word("Weather", (20, 16, 118, 32)), Word("report", (146, 16, 90, 32)))
    prepared = with_glyphs(page, words)
    assert prepared.shape == (400, 640, CHANNELS) and prepared[..., 3].max() > 200
    np.save(folder / "page-made.npy", prepared)
    gradient = np.mgrid[:300, :300].sum(0)[..., None] * np.array([0.3, 0.4, 0.2])
    np.save(folder / "photo-made.npy", gradient.astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, cache: Path, batches_made_here: None) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    options = {"device": torch.device("cpu"), "crop": 64, "batch": 4}
    codec_stage.train(
        SMOKE, cache, folder / "codec", minutes=0.15, resume=False, rate=3e-3, **options
    )
    renderer_stage.train(
        SMOKE, cache, folder / "codec", folder / "renderer", minutes=0.08, resume=False, **options
    )
    renderer_stage.train(
        SMOKE, cache, folder / "codec", folder / "lora", minutes=0.05, resume=False, lora=True,
        start=folder / "renderer", rate=1e-2, **options,
    )  # fmt: skip
    return folder


def _losses(folder: Path) -> list[float]:
    lines = (folder / "curve.csv").read_text().splitlines()
    column = lines[0].split(",").index("loss")
    return [float(line.split(",")[column]) for line in lines[1:]]


def test_training_lowers_the_loss_and_resumes(
    runs: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "BESIDE", 1)  # as trainings are
    folder = runs / "codec"
    steps = torch.load(folder / "checkpoint.pt", weights_only=True)["step"]
    codec_stage.train(
        SMOKE, cache, folder, minutes=0.05, device=torch.device("cpu"), resume=True, crop=64,
        batch=4, rate=3e-3,
    )  # fmt: skip
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert state["step"] > steps and 0.15 < state["minutes"] < 1
    first, *_, last = _losses(folder)
    assert last < first


@pytest.fixture(scope="module")
def models(runs: Path) -> Path:
    export(SMOKE, runs / "codec", runs / "renderer", runs / "models")
    return runs / "models"


def test_entropy_model_alone_learns(cache: Path, tmp_path: Path) -> None:
    options = {"device": torch.device("cpu"), "crop": 64, "batch": 4, "rate": 3e-2}
    entropy_stage.train(SMOKE, cache, tmp_path, minutes=0.1, resume=False, **options)
    torch.manual_seed(0)  # as training begins
    before, after = ImageCodec(SMOKE.codec).state_dict(), averaged(tmp_path)
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"entropy"}
    data = next(iter(Crops(cache, 64, 32, seed=9)))
    sizes = []
    for weights in (before, after):
        codec = ImageCodec(SMOKE.codec).eval()
        codec.load_state_dict(weights)
        with torch.no_grad():
            sizes.append(float(entropy_stage.bits(codec, data, torch.full((32,), 0.5)).mean()))
    assert sizes[1] < 0.9 * sizes[0], sizes


def test_bits_are_those_of_the_tables_and_fall_down_their_gradient() -> None:
    """The gradient is that of the mean cost under the noise of rounding, by finite differences."""
    model = EntropyModel(SMOKE.codec)
    costs = model.costs().detach()
    noise, step = torch.arange(-0.4995, 0.5, 0.001), 0.05

    def mean_cost(place: float, row: int) -> float:
        return between(costs, torch.full_like(noise, row).long(), place + noise).mean().item()

    for place, row in ((0.3, 12), (1.2, 20), (-4.0, 35)):
        residual = torch.tensor([[place]], requires_grad=True)
        scale = torch.tensor([[float(row)]], requires_grad=True)
        bits, symbol = model.bits(residual, scale), abs(round(place))
        assert bits.item() == pytest.approx(costs[row, symbol].item(), abs=1e-4)
        bits.backward()
        slope = (mean_cost(place + step, row) - mean_cost(place - step, row)) / (2 * step)
        assert residual.grad.item() == pytest.approx(slope, abs=0.02)
        rows = costs[row + 1, symbol] - costs[row - 1, symbol]
        assert scale.grad.item() == pytest.approx(rows.item() / 2, abs=1e-4)


def test_trained_networks_export_and_code(models: Path, page: np.ndarray) -> None:
    manifest = json.loads((models / "manifest.json").read_text())
    assert all(n["difference_from_torch"] == 0 for n in manifest["networks"].values() if n["exact"])
    codec = Codec.load(models)
    decoded = codec.decode(codec.encode(page, quality=50, ocr="none").data)
    assert decoded.image.shape == page.shape
    with pytest.raises(Exception, match="was made with model"):
        Codec.load().decode(codec.encode(page, quality=50, ocr="none").data)


def test_shipped_models_can_be_trained_on(models: Path, tmp_path: Path) -> None:
    codec, renderer = unpack(SMOKE, models, tmp_path / "runs")
    export(SMOKE, codec, renderer, tmp_path / "again")
    for graph in models.glob("*.onnx"):
        assert (tmp_path / "again" / graph.name).read_bytes() == graph.read_bytes(), graph.name
    with np.load(models / "tables.npz") as before, np.load(tmp_path / "again/tables.npz") as after:
        bits = {"hyper_counts": 0.01, "latent_counts": 1e-5}  # a symbol, by other probabilities
        assert all(np.array_equal(before[n], after[n]) for n in before if n not in bits)
        for name, most in bits.items():
            p, q = (tables[name] / 2**24 for tables in (before, after))
            assert (p * np.log2(p / q)).sum(1).mean() < most, name
    with pytest.raises(PicdError, match="has a run already"):
        unpack(SMOKE, models, tmp_path / "runs")


def test_latents_are_bit_identical_in_torch_and_onnxruntime(runs: Path, models: Path) -> None:
    ours = Codec.load(models).image_codec
    network = load_averaged(ImageCodec(SMOKE.codec), runs / "codec")
    for module in network.modules():
        if isinstance(module, ExactConv2d):
            module.freeze()
    y = np.random.default_rng(0).normal(0, 4, (1, 8, 12, 8)).astype(np.float32)
    z = np.random.default_rng(1).integers(-9, 10, (1, 4, 3, 2)).astype(np.float32)
    with torch.no_grad():
        features = network.entropy.hyper_synthesis(torch.from_numpy(z))
        expected, bits = network.entropy.slices(torch.from_numpy(y), features)

    counter = _Counter(ours.tables, thrift=0)
    decoded = ours._passes(z, y, counter)
    assert np.array_equal(decoded, expected.numpy())
    # what is rarer than once in 2^24 costs 24 bits in the tables, and more in training
    assert 0.95 * float(bits) < counter.bits < 1.005 * float(bits)


def test_lora_learns_beside_frozen_weights(runs: Path) -> None:
    base, learned = averaged(runs / "renderer"), averaged(runs / "lora")
    updates = [value for name, value in learned.items() if "lora_B" in name]
    assert updates and any(value.any() for value in updates)  # they start at zero
    frozen = {name.replace(".base_layer", ""): value for name, value in learned.items()}
    assert all(torch.equal(frozen[name], value) for name, value in base.items())


@torch.no_grad()
def test_screens_and_photographs_have_a_unet_each(runs: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    base = _woken(Renderer(SMOKE.renderer))
    screen = copy.deepcopy(base)
    _save_run(tmp_path / "renderer", base)
    _save_run(tmp_path / "lora", _woken(screen.add_lora()))
    folder = tmp_path / "models"
    # export compares unet_screen.onnx with the merged network
    manifest = export(
        SMOKE, runs / "codec", tmp_path / "renderer", folder, lora_run=tmp_path / "lora"
    )
    assert manifest["renderer"]["lora"]
    size = {name: (folder / name).stat().st_size for name in manifest["files"]}
    assert size["unet_screen.onnx"] - size["unet.onnx"] < size["unet.weights"]
    space = Codec.load(folder).renderer.space
    planes = [np.zeros((1, channels, 64, 64), np.float32) for channels in (3, 3, 5)]
    estimates = {}
    for prompt, unet in (("", "unet"), ("a screenshot", "unet_screen")):
        conditions = space.conditions(*planes, prompt)
        assert conditions.unet == unet
        conditions = replace(conditions, states=space.conditions(*planes, "").states)
        estimates[unet] = space.estimate(planes[0], space.schedule(1)[0], conditions)
    assert np.abs(estimates["unet"] - estimates["unet_screen"]).max() > 1e-2
    with pytest.raises(ModelError, match="another renderer"):
        export(SMOKE, runs / "codec", runs / "renderer", folder, lora_run=tmp_path / "lora")


def _woken(network: torch.nn.Module) -> torch.nn.Module:
    """Random weights where training starts from zeros."""
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return network


def _save_run(folder: Path, network: torch.nn.Module) -> None:
    folder.mkdir()
    torch.save({"ema": network.state_dict()}, folder / "checkpoint.pt")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("lora --minutes 1 --smoke --codec {runs}/codec --start {runs}/none", "no checkpoint in"),
        ("ablate --smoke --pages {runs} --codec {runs}/codec --start {runs}/renderer", "no pages"),
    ],
)
def test_commands_say_what_is_missing(
    runs: Path,
    arguments: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["picd.training", *arguments.format(runs=runs).split()])
    assert training.main() == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")


@pytest.mark.slow
def test_ablation(
    runs: Path,
    cache: Path,
    page: np.ndarray,
    tmp_path: Path,
    tesseract: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Crops, "loader", Crops.__iter__)  # processes start slower than this trains
    pages = tmp_path / "pages"
    pages.mkdir()
    Image.fromarray(page).save(pages / "0.png")
    word = {"text": "Weather", "box": [20, 16, 118, 32], "line": 0}
    (pages / "0.json").write_text(json.dumps({"words": [word]}))
    rows = Ablation(
        SMOKE, cache, runs / "codec", runs / "renderer", None, pages, tmp_path / "out",
        tmp_path / "docs", minutes=0.02, count=1, bpp=2.0, device=torch.device("cpu"),
        options={"crop": 64, "batch": 4, "rate": 1e-3},
    ).run((VARIANTS[0], VARIANTS[1], VARIANTS[-1]))  # fmt: skip
    names = ["draft", "typeset page", "no glyph", "ControlNet"]
    assert [row.name for row in rows] == names
    assert rows[1].text > rows[0].text  # typeset words are read, those of the draft are not
    assert all(0 <= row.text <= 1 and 5 < row.psnr < 60 for row in rows)
    report = (tmp_path / "docs" / "ablation.md").read_text()
    assert all(f"| {name} |" in report for name in names) and "+ domain LoRA" in report
    assert (tmp_path / "docs" / "ablation.png").stat().st_size > 5000


@torch.no_grad()
def test_controlnet_injects_at_every_level(runs: Path) -> None:
    """The variant is wired as ControlNet is: each feature map changes what comes out."""
    torch.manual_seed(4)
    network = _woken(forgetful(ControlRenderer(SMOKE.renderer), runs / "renderer")).eval()
    torch.nn.init.normal_(network.unet.conv_out.weight, std=0.1)
    network.unet.conv_in.weight[:, 48:].zero_()  # nothing but the controls hears the features
    x, prompt = torch.randn(1, 48, 32, 32), torch.randn(1, 192, SMOKE.renderer.prompt_width)
    features = [torch.zeros(1, 16, 32 >> level, 32 >> level) for level in range(4)]
    plain = network.unet(x, torch.ones(1), tuple(features), prompt)
    for level in range(4):
        changed = [*features]
        changed[level] = torch.ones_like(features[level])
        assert (network.unet(x, torch.ones(1), tuple(changed), prompt) - plain).abs().max() > 1e-3


def test_faint_residuals_settle_to_nothing_but_can_grow() -> None:
    residual = torch.tensor([1, 3, 8, 40]).view(1, 1, 1, 4).expand(1, 3, 1, 4) / 255
    share = (settled(residual) / residual)[0, 0, 0].tolist()
    assert share == pytest.approx([0.012, 0.5, 0.981, 1], abs=1e-3)
    torch.manual_seed(2)
    renderer = Renderer(SMOKE.renderer)
    page, time = torch.rand(1, 3, 64, 64) - 0.5, torch.ones(1)
    features = renderer.adaptor(page, page, torch.rand(1, 5, 64, 64))
    prompt = renderer.prompt(torch.from_numpy(prompt_bytes(""))[None])
    estimate = renderer.denoise(page, time, page, features, prompt)
    torch.testing.assert_close(estimate, page)  # a new renderer returns the typeset page
    estimate.sum().backward()
    assert renderer.unet.conv_out.weight.grad.abs().max() > 0


def test_reading_counts_where_there_are_words() -> None:
    torch.manual_seed(3)
    recogniser = Recogniser(SMOKE.recogniser).requires_grad_(False)
    picture, box = torch.rand(1, 3, 32, 128) - 0.5, torch.zeros(1, 1, 32, 128)
    box[..., :32] = 1
    assert renderer_stage.misread(recogniser, picture, picture, box).abs() < 1e-6
    left, right = picture.clone(), picture.clone()
    left[..., :4], right[..., -4:] = 0, 0
    assert renderer_stage.misread(recogniser, right, picture, box) < 1e-5
    assert renderer_stage.misread(recogniser, left, picture, box) > 1e-4


def test_imperfect_words_keep_most_of_the_truth() -> None:
    words = tuple(Word(f"word{i}", (10.0 * i, 5.0, 40.0, 12.0), 1.0, i) for i in range(500))
    heard = imperfect(words, seed=1)
    assert 450 < len(heard) < 500
    misread = sum(word.text != f"word{word.line}" for word in heard)
    assert 1 <= misread < 40
    moved = max(
        abs(a - b) for word in heard for a, b in zip(word.box, words[word.line].box, strict=True)
    )
    assert 1 < moved <= 4


@pytest.mark.parametrize("flat", [True, False])
def test_typeset_on_tensors_is_the_serving_one(cache: Path, flat: bool) -> None:
    array = np.array(np.load(cache / "page-made.npy")[:64, :256])
    draft = np.full((64, 256, 3), (90, 120, 200), np.uint8)
    if not flat:  # the ground is shaded as the draft beside it
        array[..., 11:] = GREY
        across = np.linspace(-30, 30, 256)[None, :, None]
        draft = np.clip(array[..., 8:11].max((0, 1)) - 40 + across, 0, 255).astype(np.uint8)
        draft = np.broadcast_to(draft, (64, 256, 3)).copy()
    glyphs = GlyphImage(
        array[..., 3], _unmultiplied(array), array[..., 8:11],
        (array[..., 7] > 0).astype(np.uint8), np.zeros(array.shape[:2], np.uint8), array[..., 11:],
        (np.zeros(0, np.intp), np.zeros((0, 3), np.uint8)),
    )  # fmt: skip
    expected = typeset(draft, glyphs).astype(float)
    batch = Batch.of(array[None], np.array([False]), prompt_bytes("")[None])
    page = renderer_stage.typeset(torch.from_numpy(draft).permute(2, 0, 1)[None] / 255 - 0.5, batch)
    ours = ((page[0] + 0.5) * 255).permute(1, 2, 0).numpy()
    assert np.abs(ours - expected).max() <= 3


def _unmultiplied(array: np.ndarray) -> np.ndarray:
    coverage = np.maximum(array[..., 3:4].astype(float), 1)
    return np.clip(array[..., 4:7] * 255.0 / coverage, 0, 255).round().astype(np.uint8)
