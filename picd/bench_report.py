"""The benchmark's figures as a report: CSV, Markdown tables, rate-quality plots."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from picd.bjontegaard import bd_metric
from picd.images import write_atomically

Row = dict[str, Any]
METRICS = {
    "text": "text accuracy",
    "psnr": "PSNR, dB",
    "ms_ssim": "MS-SSIM",
    "ssimulacra2": "SSIMULACRA 2",
    "flip": "FLIP (less is better)",
}
ABSENT = "LPIPS, DISTS and FID are absent: no weights for them are installed."
OURS = ("draft", "typeset", "render", "guided")


def write_report(
    out: Path, rows: list[Row], settings: Any, *, anchor: str, model: str, failed: list[str]
) -> None:
    """rows.csv, report.md and plots/ in ``out``. ``rows`` are in the order of the pictures."""
    write_atomically(out / "rows.csv", _csv(rows).encode())
    groups = _by(rows, "group")
    for group, members in groups.items():
        _plot(members, out / "plots" / f"{group}.png", group)
    parts = [_heading(rows, settings, model, failed)]
    parts += [_section(group, members, anchor) for group, members in groups.items()]
    parts.append(_costs(rows))
    write_atomically(out / "report.md", "\n".join(parts).encode())


def _heading(rows: list[Row], settings: Any, model: str, failed: list[str]) -> str:
    rates = ",".join(f"{rate:g}" for rate in settings.rates)
    steps = f" --steps {settings.steps}" if settings.steps else ""
    pictures = len({(row["group"], row["name"]) for row in rows})
    lines = [
        "# Benchmark",
        "",
        f"`picd bench DIR --peers {','.join(settings.peers)} --bpp {rates}{steps} -o REPORT_DIR`, "
        f"model {model}, pictures: {pictures}.",
        "",
        "A rate is the most bits per pixel a file may have, all bytes counted. A peer that cannot "
        "go so low is at its floor, with the bytes it takes; avif-half is AVIF at half the size, "
        "scaled back. draft, typeset, render and guided are the stages of one `.picd`. Text "
        "accuracy: word-level Jaccard similarity of what Tesseract reads in the picture and in "
        "the original (the encoder uses another engine); pictures that are no screens or without "
        f"words have none. {ABSENT}",
        "",
    ]
    lines += [f"- not measured: {line}" for line in failed] + [""] * bool(failed)
    return "\n".join(lines)


def _section(group: str, rows: list[Row], anchor: str) -> str:
    pictures = len(_by(rows, "name"))
    lines = [f"## {group} ({pictures})", "", f"![{group}](plots/{group}.png)", ""]
    header = ["method", "bpp", "at floor", *METRICS.values()]
    for rate, members in _by(rows, "rate").items():
        lines += [f"At most {rate:g} bits per pixel:", ""]
        cells = []
        for method, own in _by(members, "method").items():
            floors = sum(row["floor"] for row in own)
            missing = pictures - len(own)
            note = f"{floors} of {len(own)}" if floors else ""
            note += f" {missing} impossible" if missing else ""
            figures = [_mean(own, name) for name in METRICS]
            cells.append([method, _number(_mean(own, "bpp")), note, *map(_number, figures)])
        lines += [_table(header, cells), ""]
    lines += [
        f"Bjøntegaard deltas against {anchor}: the mean difference of the metric (ours minus "
        f"{anchor}'s) over the rates that both curves of a picture cover, then over pictures "
        "(how many).",
        "",
        _table(["method", *METRICS.values()], _deltas(rows, anchor)),
        "",
    ]
    return "\n".join(lines)


def _deltas(rows: list[Row], anchor: str) -> list[list[str]]:
    curves: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        for metric in METRICS:
            if metric in row and math.isfinite(row[metric]):
                curves[row["name"], row["method"], metric].append((row["bpp"], row[metric]))
    lines = []
    for method in _by(rows, "method"):
        if method == anchor:
            continue
        line = [method]
        for metric in METRICS:
            deltas = [
                bd_metric(curves[name, method, metric], curves[name, anchor, metric])
                for name in _by(rows, "name")
            ]
            known = [delta for delta in deltas if delta is not None]
            line.append(f"{np.mean(known):+.4g} ({len(known)})" if known else "–")
        lines.append(line)
    return lines


def _costs(rows: list[Row]) -> str:
    header = ["method", "encode s", "decode s", "encode peak MB", "decode peak MB", "megapixels"]
    lines = []
    for method, own in _by(rows, "method").items():
        peaks = (_mean(own, f"{name}_memory") for name in ("encode", "decode"))
        lines.append(
            [
                method,
                *(_number(_mean(own, f"{name}_seconds")) for name in ("encode", "decode")),
                *(_number(peak and peak / 1e6) for peak in peaks),
                _number(_mean(own, "pixels") / 1e6),
            ]
        )
    return "\n".join(
        [
            "## Time and memory",
            "",
            "Means over all pictures and rates, on the machine that measured. Our encoder's "
            "seconds include reading the text and the search for the rate; a peer's are those of "
            "one encoding. Memory is the process's, measuring tools included.",
            "",
            _table(header, lines),
            "",
        ]
    )


def _plot(rows: list[Row], path: Path, title: str) -> None:
    """Means over pictures against bits per pixel; hollow marks are peers at their floor."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    present = [name for name in METRICS if any(name in row for row in rows)]
    figure, axes = pyplot.subplots(1, len(present), figsize=(4.2 * len(present), 3.8))
    for axis, metric in zip(np.atleast_1d(axes), present, strict=True):
        for number, (method, own) in enumerate(_by(rows, "method").items()):
            points = [
                (_mean(at, "bpp"), _mean(at, metric), any(row["floor"] for row in at))
                for at in _by(own, "rate").values()
            ]
            points = [point for point in points if point[1] is not None]
            x, y = [point[0] for point in points], [point[1] for point in points]
            style = "-" if method in OURS else "--"
            (line,) = axis.plot(x, y, style, color=f"C{number % 10}", label=method, linewidth=1.5)
            for bpp, value, floor in points:
                face = "white" if floor else line.get_color()
                axis.plot(bpp, value, "o", color=line.get_color(), markerfacecolor=face)
        axis.set_xlabel("bits per pixel")
        axis.set_xscale("log")
        for ticks in (axis.xaxis.set_major_formatter, axis.xaxis.set_minor_formatter):
            ticks(lambda bpp, _: f"{bpp:g}" if f"{bpp:e}"[0] in "125" else "")
        axis.set_title(METRICS[metric], fontsize=10)
        axis.grid(alpha=0.3)
    figure.suptitle(title)
    np.atleast_1d(axes)[-1].legend(fontsize=7)
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    pyplot.close(figure)
    write_atomically(path, buffer.getvalue())


def _by(rows: Iterable[Row], name: str) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[name]].append(row)
    return groups


def _mean(rows: list[Row], name: str) -> float | None:
    values = [row[name] for row in rows if row.get(name) is not None and math.isfinite(row[name])]
    return float(np.mean(values)) if values else None


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _table(header: list[str], lines: list[list[str]]) -> str:
    return "\n".join(
        f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *lines)
    )


def _csv(rows: list[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
