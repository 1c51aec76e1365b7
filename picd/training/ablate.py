"""``python -m picd.training ablate``: what each level of conditioning is worth, as the paper asks.

Every variant starts from the same base, the UNet of a trained renderer whose adaptor and modulation
are forgotten, and learns its conditions for the same minutes on the same crops. All decode the same
files of held-back pages, through exported models and the serving path. The codec's own condition is
ablated as well: rate at equal draft quality with and without the glyph image.

Runs and models are kept in the output folder: what is there is not trained again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from export.__main__ import export
from picd.bitstream import Container
from picd.bjontegaard import bd_metric
from picd.codec import Codec
from picd.errors import PicdError
from picd.glyphs import GlyphImage, render_glyphs
from picd.images import load_image
from picd.layout import TextLayout
from picd.metrics import flip, jaccard, psnr, read_text, ssimulacra2, words
from picd.nets.codec import ImageCodec
from picd.nets.profiles import Profile, RendererProfile
from picd.nets.renderer import Renderer, SpadeNorm, SpadeUNet
from picd.prompt import prompt_bytes, prompt_text
from picd.training import codec as codec_stage
from picd.training import renderer as renderer_stage
from picd.training.ablation_report import Row, Setting, write_report
from picd.training.checkpoints import averaged, load_averaged
from picd.training.data import Batch
from picd.training.prepare import true_words, with_glyphs

POSITIONS = (0.0, 0.15, 0.3, 0.45, 0.6)
"""Quality positions of the codec at which rate and draft are measured: those that screens use."""


@dataclass(frozen=True)
class Variant:
    """A row of the table. Rows with one ``run`` share its training. ``blind`` keeps glyphs, typeset
    page and text from the renderer; ``lora`` trains low-rank updates of the run named by ``base``.
    """

    name: str
    run: str
    network: Callable[[RendererProfile], Renderer] = Renderer
    blind: bool = False
    guidance: float = 0.0
    base: str | None = None


class PlainNorm(nn.Module):
    """:class:`SpadeNorm` without modulation."""

    def __init__(self, norm: SpadeNorm) -> None:
        super().__init__()
        self.normalise = norm.normalise
        self.scale, self.shift = (
            nn.Parameter(conv.bias.detach()[:, None, None]) for conv in (norm.gamma, norm.beta)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.normalise(x) * self.scale + self.shift


class ControlUNet(SpadeUNet):
    """ControlNet's injection (Zhang et al. 2023): features are added to the skip connections and to
    the middle block, instead of modulating the norms."""

    def replace_spade(self, features: int) -> None:
        for module in self.modules():
            for name, child in module.named_children():
                if isinstance(child, SpadeNorm):
                    setattr(module, name, PlainNorm(child))
        self.spades = []
        channels = self.config.block_out_channels
        # one skip connection of the input, then of each block its layers and its downsampler
        levels, widths = [0], [channels[0]]
        for level, block in enumerate(self.down_blocks):
            levels += [level] * len(block.resnets)
            widths += [channels[level]] * len(block.resnets)
            if block.downsamplers:
                levels.append(level + 1)
                widths.append(channels[level])
        self.levels = [*levels, len(channels) - 1]
        self.controls = nn.ModuleList(
            nn.Conv2d(features, width, 1) for width in (*widths, channels[-1])
        )
        for control in self.controls:
            nn.init.normal_(control.weight, std=0.02)
            nn.init.zeros_(control.bias)

    def forward(
        self, x: Tensor, time: Tensor, features: tuple[Tensor, ...], prompt: Tensor
    ) -> Tensor:
        *skips, middle = (
            control(features[level])
            for control, level in zip(self.controls, self.levels, strict=True)
        )
        return super(SpadeUNet, self).forward(
            torch.cat((x, features[0]), 1), time * 1000, prompt,
            down_block_additional_residuals=tuple(skips),
            mid_block_additional_residual=middle, return_dict=False,
        )[0]  # fmt: skip


class ControlRenderer(Renderer):
    """The renderer with ControlNet's injection."""

    def __init__(self, profile: RendererProfile) -> None:
        super().__init__(profile)
        self.unet = ControlUNet.from_profile(profile)
        self.unet.replace_spade(profile.adaptor_channels)


class BlindCodec(ImageCodec):
    """The codec without its glyph branch."""

    def forward(self, picture: Tensor, glyphs: Tensor, position: Tensor):  # noqa: ANN201
        return super().forward(picture, torch.zeros_like(glyphs), position)


VARIANTS = (
    Variant("no glyph", "no_glyph", blind=True),
    Variant("ControlNet", "controlnet", ControlRenderer),
    Variant("hybrid adaptor", "hybrid"),
    Variant("+ instance guidance", "hybrid", guidance=1.0),
    Variant("+ domain LoRA", "lora", guidance=1.0, base="hybrid"),
)


@dataclass(frozen=True)
class Ablation:
    """Where everything is, and how much of it to do. ``pages`` holds held-back generated pages with
    their records; ``recogniser`` None leaves the rows with guidance out."""

    profile: Profile
    cache: Path
    codec: Path
    start: Path
    recogniser: Path | None
    pages: Path
    out: Path
    docs: Path
    minutes: float
    count: int
    bpp: float
    device: torch.device
    options: dict

    def run(self, variants: Iterable[Variant] = VARIANTS) -> list[Row]:
        """Train, export and measure; writes ablation.md and ablation.png to ``docs``.

        Raises:
            PicdError: there are no pages, or no trained run to start from.
        """
        if not self._pages():
            raise PicdError(
                f"no pages (*.png) in {self.pages}: generate some with a held-back seed"
            )
        rows: dict[str, list[dict]] = {}
        left_out = []
        for variant in variants:
            if variant.guidance and not self.recogniser:
                left_out.append(variant.name)
                continue
            self._train(variant)
            codec = Codec.load(self._export(variant))
            first = not rows
            for page in tqdm(self._pages(), desc=variant.name):
                for name, figures in self._measure(page, codec, variant, first).items():
                    rows.setdefault(name, []).append(figures)
        table = [Row.mean(name, figures) for name, figures in rows.items()]
        setting = Setting(self.minutes, self.count, self.bpp, tuple(left_out))
        write_report(self.docs, table, self.codec_saving(), setting)
        return table

    # training -----------------------------------------------------------------------------

    def _train(self, variant: Variant) -> None:
        left = self._minutes_left(variant.run)
        if not left:
            return
        network, base = variant.network, variant.base
        start = self.start
        renderer_stage.train(
            self.profile, self.cache, self.codec, self.out / variant.run,
            minutes=left, device=self.device, resume=True, blind=variant.blind,
            lora=base is not None, start=self.out / base if base else None,
            build=network if base else lambda profile: forgetful(network(profile), start),
            **self.options,
        )  # fmt: skip

    def _minutes_left(self, run: str) -> float:
        path = self.out / run / "checkpoint.pt"
        if not path.exists():
            return self.minutes
        done = torch.load(path, map_location="cpu", weights_only=True)["minutes"]
        return self.minutes - done if done < 0.95 * self.minutes else 0.0

    def _export(self, variant: Variant) -> Path:
        folder, run = self.out / variant.run / "models", self.out / variant.run
        made = folder / "manifest.json"
        newest = (run / "checkpoint.pt").stat().st_mtime
        if not made.exists() or made.stat().st_mtime < newest:
            base = self.out / variant.base if variant.base else run
            lora = run if variant.base else None
            guided = any(v.guidance for v in VARIANTS if v.run == variant.run)
            export(
                self.profile, self.codec, base, folder, self.recogniser if guided else None, lora,
                build=variant.network,
            )  # fmt: skip
        return folder

    # measuring ----------------------------------------------------------------------------

    def _pages(self) -> list[Path]:
        return sorted(self.pages.glob("*.png"))[: self.count]

    def _measure(self, page: Path, codec: Codec, variant: Variant, first: bool) -> dict[str, dict]:
        """Figures by row: this variant's, and with the first one those of draft and page."""
        original = load_image(page)
        data = self._file(page, original, codec)
        decoded = codec.decode(data, stage="typeset")
        pictures = {}
        if first:
            pictures = {"draft": (decoded.draft, 0.0), "typeset page": (decoded.typeset, 0.0)}
        if variant.blind:
            rendering = codec.renderer.render(
                decoded.draft, decoded.draft, no_glyphs(decoded.glyphs), seed=0,
                prompt=prompt_text("", natural=False),
            )  # fmt: skip
            pictures[variant.name] = rendering.image, rendering.render_seconds
        else:
            rendered = codec.decode(data, guidance=variant.guidance)
            seconds = rendered.seconds["render"] + rendered.seconds["guidance"]
            pictures[variant.name] = rendered.image, seconds
        wanted = words(read_text(original))
        return {
            name: {
                "page": page.stem,
                "text": jaccard(words(read_text(picture)), wanted),
                "psnr": psnr(original, picture),
                "ssimulacra2": ssimulacra2(original, picture),
                "flip": flip(original, picture),
                "seconds": taken,
            }
            for name, (picture, taken) in pictures.items()
        }

    def _file(self, page: Path, original: np.ndarray, codec: Codec) -> bytes:
        """The page's file: encoded once, then only the model's id changes, since all variants have
        one image codec."""
        path = self.out / "files" / f"{page.stem}.picd"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(codec.encode(original, bpp=self.bpp).data)
        container = Container.unpack(path.read_bytes(), model_id=None)
        return replace(container, header=replace(container.header, model_id=codec.models.id)).pack()

    # the codec ----------------------------------------------------------------------------

    def codec_saving(self) -> dict[str, float | None]:
        """Rate of the conditional codec against the blind one at equal PSNR of the draft, as a
        fraction (-0.1 saves a tenth): over whole pages, and outside word boxes."""
        curves: dict[str, list] = {}
        for run, network in (("codec", ImageCodec), ("codec_blind", BlindCodec)):
            folder = self.out / run
            if left := self._minutes_left(run):
                codec_stage.train(
                    self.profile, self.cache, folder, minutes=left, device=self.device,
                    resume=True, start=self.codec, build=network, **self.options,
                )  # fmt: skip
            trained = load_averaged(network(self.profile.codec), folder).to(self.device)
            curves[run] = self._codec_curves(trained)
        return {
            area: saving(ours, blind)
            for area, ours, blind in zip(("whole", "outside"), *curves.values(), strict=True)
        }

    def _codec_curves(self, codec: ImageCodec) -> list[list[tuple[float, float]]]:
        """(PSNR, logarithm of bits per pixel) at every position: of whole pages, outside boxes."""
        pages = [self._batch(page) for page in self._pages()]
        figures = [[measure_draft(codec, page, p) for p in POSITIONS] for page in pages]
        bpp, *errors = np.mean(figures, 0).T
        return [list(zip(-10 * np.log10(error), np.log(bpp), strict=True)) for error in errors]

    def _batch(self, page: Path) -> Batch:
        array = with_glyphs(load_image(page), true_words(page.with_suffix(".json")))
        height, width = (side // 64 * 64 for side in array.shape[:2])
        crop = np.ascontiguousarray(array[None, :height, :width])
        prompt = prompt_bytes(prompt_text("", natural=False))[None]
        return Batch.of(crop, np.array([False]), prompt).to(self.device)


def forgetful(network: Renderer, start: Path) -> Renderer:
    """A network with the base of a trained one: its UNet, but not what conditions it."""
    state = network.state_dict()
    pixels = 3 * network.profile.space_to_depth**2
    for name, value in averaged(start).items():
        if name.startswith("adaptor.") or name.endswith((".gamma.weight", ".beta.weight")):
            continue
        if name not in state:  # of a norm that is plain here
            name = name.replace(".gamma.bias", ".scale").replace(".beta.bias", ".shift")
            value = value[:, None, None]
        if name == "unet.conv_in.weight":
            state[name][:, :pixels] = value[:, :pixels]
        else:
            state[name].copy_(value)
    return network


def no_glyphs(glyphs: GlyphImage) -> GlyphImage:
    height, width = glyphs.coverage.shape
    return render_glyphs(TextLayout(width, height))


@torch.no_grad()
def measure_draft(codec: ImageCodec, batch: Batch, position: float) -> tuple[float, float, float]:
    """(bits per pixel, squared error, squared error outside word boxes) of one page."""
    bits, draft = codec_stage.coded(codec, batch, batch.picture.new_tensor([position]))
    error = (draft.clamp(-0.5, 0.5) - batch.picture) ** 2
    outside = (1 - batch.glyphs[:, 4:5]).expand_as(error)
    pixels = batch.picture[0, 0].numel()
    return (
        float(bits.y_bits + bits.z_bits) / pixels,
        float(error.mean()),
        float((error * outside).sum() / outside.sum().clamp_min(1)),
    )


def saving(ours: list[tuple[float, float]], theirs: list[tuple[float, float]]) -> float | None:
    """Mean relative rate of one curve against another over the PSNR that both reach."""
    difference = bd_metric(ours, theirs)
    return None if difference is None else float(np.expm1(difference))
