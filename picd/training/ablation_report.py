"""The ablation as Markdown and a plot, beside the paper's own rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PAPER = {
    "no glyph": (0.347, 19.1),
    "ControlNet": (0.440, 18.8),
    "hybrid adaptor": (0.408, 19.9),
    "+ instance guidance": (0.445, 23.7),
    "+ domain LoRA": (0.457, 23.7),
}
"""(text accuracy, PSNR) of the paper's ablation on SCI1K."""


@dataclass(frozen=True)
class Row:
    """Means over pages: text accuracy 0..1, PSNR in dB, SSIMULACRA 2, FLIP 0..1, seconds of
    rendering and guidance."""

    name: str
    text: float
    psnr: float
    ssimulacra2: float
    flip: float
    seconds: float

    @classmethod
    def mean(cls, name: str, pages: Sequence[dict]) -> Row:
        fields = ("text", "psnr", "ssimulacra2", "flip", "seconds")
        return cls(name, *(float(np.mean([page[field] for page in pages])) for field in fields))


@dataclass(frozen=True)
class Setting:
    """Minutes of training a variant, pages and bits per pixel, and rows that could not be had."""

    minutes: float
    pages: int
    bpp: float
    left_out: tuple[str, ...] = ()


def write_report(
    out: Path, rows: Sequence[Row], saved: dict[str, float | None], setting: Setting
) -> None:
    """Write ablation.md and ablation.png to ``out``."""
    intro = (
        f"# Ablation\n\n{setting.pages} held-back generated pages at no more than {setting.bpp} "
        "bits per pixel; every variant learned its conditions for "
        f"{setting.minutes:g} minutes from one base without any. "
        "The paper's figures are of SCI1K and a Stable Diffusion base: compare the differences "
        "between rows, not their level.\n\n"
    )
    notes = ""
    if setting.left_out:
        notes = f"\nLeft out, for want of a recogniser: {', '.join(setting.left_out)}.\n"
    parts = (intro, _table(rows), "\n![ablation](ablation.png)\n", notes, _codec(saved))
    out.mkdir(parents=True, exist_ok=True)
    (out / "ablation.md").write_text("".join(parts))
    _plot(rows, out / "ablation.png")


def _table(rows: Sequence[Row]) -> str:
    lines = [
        "| variant | text accuracy | PSNR | SSIMULACRA2 | FLIP | seconds "
        "| paper: text accuracy | paper: PSNR |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        text, decibels = (f"{value:g}" for value in PAPER.get(row.name, (np.nan, np.nan)))
        lines.append(
            f"| {row.name} | {row.text:.3f} | {row.psnr:.2f} | {row.ssimulacra2:.1f} "
            f"| {row.flip:.3f} | {row.seconds:.2f} | {text} | {decibels} |"
        )
    return "\n".join(lines).replace("nan", "-") + "\n"


def _codec(saved: dict[str, float | None]) -> str:
    said = [
        f"{'not comparable' if value is None else f'{100 * value:+.1f} %'} {where}"
        for where, value in (
            ("over whole pages", saved["whole"]),
            ("outside word boxes", saved["outside"]),
        )
    ]
    return (
        "\n## The codec's glyph branch\n\nRate of the codec with its glyph branch against the same "
        "codec without it, after equal minutes of training from the same weights, at equal PSNR of "
        f"the draft: {', '.join(said)} (Bjøntegaard; minus is saved).\n"
    )


def _plot(rows: Sequence[Row], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.5 * len(rows) + 1.4), layout="constrained")
    names = [row.name for row in rows]
    panels = figure.subplots(1, 2, sharey=True)
    for panel, title, ours, index in (
        (panels[0], "text accuracy", [row.text for row in rows], 0),
        (panels[1], "PSNR, dB", [row.psnr for row in rows], 1),
    ):
        panel.barh(names, ours, color="#3b6fb5", label="PICD, compact")
        paper = [(PAPER[name][index], name) for name in names if name in PAPER]
        panel.plot(*zip(*paper, strict=True), "D", color="#d1742f", label="paper (SCI1K)")
        panel.set_title(title, loc="left")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].invert_yaxis()
    panels[1].set_xlim(left=10)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower right", ncols=2)
    figure.savefig(path, dpi=120)
