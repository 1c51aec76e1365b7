"""The full-size profile with the same classes at tiny sizes: train, merge, export, decode."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from tokenizers import Tokenizer, pre_tokenizers, processors, trainers
from tokenizers.models import BPE
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from export.__main__ import main as export
from export.precision import round_to_half
from picd import Codec
from picd.errors import ModelError, PicdError
from picd.latent_space import AutoencoderSpace, faded
from picd.layout import Word
from picd.nets.codec import ImageCodec
from picd.nets.profiles import PROFILES, SMOKE, Profile, StableProfile
from picd.nets.sd21 import StableRenderer, load_base
from picd.runtime import MANIFEST
from picd.training import sd21 as stage
from picd.training.__main__ import main as train
from picd.training.prepare import with_glyphs

TINY = Profile("sd21", SMOKE.codec, StableProfile("", 8, 4, tile=256, steps=2))
START, END = "<|startoftext|>", "<|endoftext|>"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Stable Diffusion checkpoint in diffusers' folders, with random weights."""
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    tokenizer = Tokenizer(BPE(unk_token=END))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=[START, END], initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(["a screenshot with text: Weather report"], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, 0), (END, 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=START, eos_token=END, pad_token=END
    ).save_pretrained(folder / "tokenizer")
    CLIPTextModel(
        CLIPTextConfig(
            vocab_size=tokenizer.get_vocab_size(), hidden_size=16, intermediate_size=32,
            num_hidden_layers=1, num_attention_heads=2, bos_token_id=0, eos_token_id=1,
        )
    ).save_pretrained(folder / "text_encoder")  # fmt: skip
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8), norm_num_groups=4,
    ).save_pretrained(folder / "vae")  # fmt: skip
    UNet2DConditionModel(
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        cross_attention_dim=16, attention_head_dim=(1, 2), use_linear_projection=True,
    ).save_pretrained(folder / "unet")  # fmt: skip
    DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False
    ).save_pretrained(folder / "scheduler")
    return folder


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory,
    base: Path,
    page: np.ndarray,
    batches_made_here: None,
) -> Path:
    """A few training steps on one page, interrupted once, by the command."""
    folder = tmp_path_factory.mktemp("run")
    cache, codec_run = folder / "cache", folder / "codec"
    cache.mkdir()
    codec_run.mkdir()
    np.save(cache / "photo-made.npy", page[:, ::-1])
    words = (Word("Weather", (20, 16, 118, 32)), Word("report", (146, 16, 90, 32)))
    np.save(cache / "page-made.npy", with_glyphs(page, words))
    (cache / "page-made.txt").write_text("Weather report")
    torch.save({"ema": ImageCodec(TINY.codec).state_dict()}, codec_run / "checkpoint.pt")
    command = (
        f"picd.training renderer --profile sd21 --base {base} --cache {cache} --codec {codec_run} "
        f"--out {folder / 'renderer'} --device cpu --minutes 0.03 --crop 64 --batch 2 --rate 3e-2"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROFILES, "sd21", TINY)
        for resume in ("", " --resume"):
            patch.setattr(sys, "argv", (command + resume).split())
            assert train() == 0
    return folder / "renderer"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, run: Path) -> Path:
    """The exported model folder, with the shipped image codec."""
    folder = tmp_path_factory.mktemp("models") / "sd21"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", f"export --profile sd21 --renderer {run} -o {folder}".split())
        assert export() == 0
    return folder


def test_training_starts_from_the_base_and_merging_keeps_what_it_learned(
    base: Path, run: Path
) -> None:
    parts, unet = load_base(base)
    renderer = StableRenderer(TINY.renderer, unet).eval()
    random = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, 64, 64, generator=random) - 0.5
    glyphs = torch.rand(1, 5, 64, 64, generator=random)
    x_t = torch.randn(1, 4, 8, 8, generator=random)
    time, states = torch.tensor([400]), parts.states(["a screenshot"])
    with torch.no_grad():
        inputs = (x_t, time, states, picture, glyphs, parts.latents(picture))
        plain = UNet2DConditionModel.from_pretrained(base, subfolder="unet").eval()
        untouched = plain(x_t, time, states).sample
        assert torch.equal(renderer(*inputs), untouched)

        state = stage.load_trained(run)
        assert state["step"] >= 2 and state["minutes"] > 0.05  # it went on where it had stopped
        assert len((run / "curve.csv").read_text().splitlines()) >= 3
        renderer.load_trained(state["trained"])
        learned = renderer(*inputs)
        assert not torch.allclose(learned, untouched, atol=1e-3)
        without_glyphs = renderer(*inputs[:4], 0 * glyphs, inputs[5])
        assert not torch.allclose(learned, without_glyphs, atol=1e-5)
        renderer.unet.set_domain(screen=False)
        natural = renderer(*inputs)
        assert not torch.allclose(natural, learned, atol=1e-5)
        updates = renderer.unet.lora_updates()
        renderer.unet.unload_lora()
        torch.testing.assert_close(renderer(*inputs), natural)
        for name, (b, a) in updates.items():
            renderer.unet.get_parameter(name).add_(b @ a)
        torch.testing.assert_close(renderer(*inputs), learned, rtol=1e-4, atol=1e-5)


def test_every_third_batch_is_of_photographs(run: Path) -> None:
    batches = iter(stage.DomainCrops(run.parent / "cache", 64, 2, seed=1))
    natural = [next(batches).natural.tolist() for _ in range(6)]
    assert natural == [[False] * 2, [False] * 2, [True] * 2] * 2


def test_the_folder_runs_under_the_same_codec(
    models: Path, page: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PICD_MODELS", str(models))
    codec = Codec.load()
    assert codec.models.manifest["profile"] == "sd21"
    seen = []
    noise = np.random.default_rng(0).integers(0, 40, page.shape, np.uint8)  # no flat ground to keep
    encoded = codec.encode(page // 2 + noise, quality=30, ocr="none", content="screen")
    decoded = codec.decode(encoded.data, on_step=lambda *step: seen.append(step))
    assert decoded.image.shape == page.shape and decoded.steps == 2
    assert [step[0] for step in seen] == [0, 1, 2]
    assert np.array_equal(seen[-1][2], decoded.image)
    assert np.array_equal(codec.decode(encoded.data).image, decoded.image)
    assert not np.array_equal(codec.decode(encoded.data, seed=9).image, decoded.image)


def test_graphs_equal_torch(models: Path) -> None:
    networks = json.loads((models / MANIFEST).read_text())["networks"]
    assert {"unet", "unet_screen", "adaptor", "vae_encoder", "vae_decoder", "text_encoder"} < set(
        networks
    )
    assert all(entry["difference_from_torch"] < 1e-3 for entry in networks.values())
    here = str(Path(__file__).parent.parent).encode()
    assert not any(here in path.read_bytes() for path in models.glob("*.onnx"))


@pytest.mark.parametrize("prompt", ["a screenshot with text: Weather", ""])
def test_serving_is_the_networks_own_sampler(
    models: Path, base: Path, run: Path, prompt: str
) -> None:
    """One estimate of E[X0 | Xt], against diffusers' and transformers' own in torch; a photograph
    (which has no prompt) sees the base's own weights."""
    parts, unet = load_base(base)
    renderer = StableRenderer(TINY.renderer, unet).eval()
    renderer.load_trained(stage.load_trained(run)["trained"])
    renderer.unet.set_domain(screen=bool(prompt))
    for module in (renderer, parts.vae, parts.text_encoder):
        round_to_half(module)  # as they are on disk
    space = AutoencoderSpace(Codec.load(models).models)
    random = np.random.default_rng(0)
    draft = random.random((1, 3, 128, 192), np.float32) - 0.5
    glyphs = random.random((1, 5, 128, 192), np.float32)
    conditions = space.conditions(draft, draft, glyphs, prompt)
    point = space.schedule(4)[1]
    x_t = random.standard_normal(conditions.mu.shape, np.float32)
    found = space.estimate(x_t, point, conditions)
    with torch.no_grad():
        tensors = [torch.from_numpy(a) for a in (x_t, draft, glyphs)]
        latents, time = parts.latents(tensors[1]), torch.tensor([point.time])
        predicted = renderer(
            tensors[0], time, parts.states([prompt]), tensors[1], tensors[2], latents
        )
        expected = parts.scheduler.step(predicted, point.time, tensors[0]).pred_original_sample
        picture = parts.vae.decode(expected / parts.vae.config.scaling_factor).sample / 2
    np.testing.assert_allclose(conditions.mu, latents, atol=1e-4)
    np.testing.assert_allclose(found, expected, atol=5e-3)
    np.testing.assert_allclose(space.picture(found), picture, atol=2e-3)


def test_damaged_weights_beside_the_graph_are_refused(models: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(models, tmp_path / "copy")
    path = copy / "unet.weights"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="unet.weights does not match"):
        Codec.load(copy)


def test_a_missing_tokenizer_package_is_one_line(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ModelError, match="sd21 extra") as error:
        AutoencoderSpace(Codec.load(models).models).tokens("a screenshot")
    assert "\n" not in str(error.value)


def test_a_missing_base_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PicdError, match="cannot load the base model") as error:
        load_base(tmp_path / "nowhere")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [(256, 256), (320, 704), (448, 64)])
def test_fading_tiles_change_nothing_of_a_local_network(size: tuple[int, int]) -> None:
    array = np.random.default_rng(0).standard_normal((1, 2, *size), np.float32)
    result = faded(lambda a: 3 * a, [(array, 1)], 1, tile=320, overlap=128)
    np.testing.assert_allclose(result, 3 * array, rtol=1e-6)


def test_tiles_fade_into_each_other() -> None:
    """A network that answers each tile with another level leaves ramps, not edges."""
    calls = iter(range(100))
    result = faded(
        lambda a: np.full_like(a, next(calls)), [(np.zeros((1, 1, 64, 1024), np.float32), 1)], 1,
        tile=512, overlap=128,
    )  # fmt: skip
    assert result.max() == 2 and np.abs(np.diff(result[0, 0, 0])).max() < 0.02
