"""Tab *Compare*: the same bytes spent by PICD, JPEG, WebP, AVIF and JPEG XL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import gradio as gr
import numpy as np

from demo import figures
from demo.frames import Frames
from demo.judge import MEANINGS, TEXT, Judge, measures
from demo.model import codec
from demo.picture_input import Chooser, read_picture
from demo.plot import rate_plot
from demo.progress import Progress
from demo.work import Emit, Tick, streamed
from demo.work_tab import HIDDEN, QUICK, Update, WorkTab
from demo.zoom import zoomed_pictures
from picd import PicdError
from picd.peers import ALL_PEERS, Peer

NAMES = {"jpeg": "JPEG", "webp": "WebP", "avif": "AVIF", "jxl": "JPEG XL"}
OTHER_RATES = (0.5, 2.0, 4.0)
"""Of the rate compared at: where else the plot measures."""


@dataclass(frozen=True)
class Entry:
    """One codec's picture, uint8 (H, W, 3), at so many ``bytes``. ``factor`` is how many times the
    bytes asked for, where it cannot do with less."""

    name: str
    image: np.ndarray
    bytes: int
    factor: float | None = None
    values: dict[str, float] = field(default_factory=dict)

    @property
    def bpp(self) -> float:
        return 8 * self.bytes / (self.image.shape[0] * self.image.shape[1])

    @property
    def caption(self) -> str:
        floor = f", its smallest: {self.factor:.1f}× the bytes" if self.factor else ""
        return f"{self.name} · {figures.size_text(self.bytes)}{floor}"


Point = tuple[str, float, dict[str, float]]
"""Codec, bits per pixel, measures: one point of the plot."""


class CompareTab(WorkTab):
    """The components of the tab, and what happens to them."""

    def __init__(self) -> None:
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=300):
                self.chooser = Chooser("compare-picture")
                self.bpp = gr.Slider(0.01, 0.4, 0.04, step=0.005, label="Bits per pixel, at most")
                self.build_buttons("Compare", "compare")
            with gr.Column(scale=8, min_width=300, elem_classes="picd-results"):
                self.build_status(
                    "compare-status",
                    "The same bytes for everyone",
                    "PICD says how many bytes it needs; JPEG, WebP, AVIF and JPEG XL get as many. "
                    "One that cannot go so low is shown at its smallest, marked so.",
                )
                self.pictures = zoomed_pictures("compare-pictures", len(ALL_PEERS) + 2)
                self.table = gr.HTML(padding=False, elem_id="compare-table")
                self.points = gr.State([])
                with gr.Column(elem_classes="picd-later"):
                    with gr.Row():
                        self.measure = gr.Radio(measures(), value=measures()[0], label="Measure")
                        self.more = gr.Button(
                            "Plot quality over size", elem_id="plot", min_width=150
                        )
                    self.plot = gr.HTML(padding=False, elem_id="compare-plot")
        self._wire()

    def _wire(self) -> None:
        outputs = [*self.pictures, self.table, self.points, self.plot]
        starts = {
            self.button: (self.compare, [self.bpp]),
            self.more: (self.plot_rates, [self.bpp, self.points, self.measure]),
        }
        self.wire_work(starts, self.chooser.picture, outputs)
        self.measure.input(_drawn, [self.points, self.measure], self.plot, **QUICK)

    def compare(self, frames: Frames, path: str, bpp: float) -> Iterator[Update]:
        """The pictures with their measures, as they come."""
        progress = Progress([("PICD", 12), *((NAMES[peer], 2) for peer in ALL_PEERS)])
        original = read_picture(path)
        entries: list[Entry] = []
        shown = [("Original", frames.png(original))]
        yield {
            self.status: progress.start("PICD"),
            **self._pictures(shown),
            self.table: "",
            self.points: [],
            self.plot: "",
        }
        for event in streamed(lambda emit: _judged(original, bpp, emit)):
            match event:
                case Entry():
                    entries.append(event)
                    shown.append((event.caption, frames.png(event.image)))
                    yield {
                        self.status: progress.tick(),
                        **self._pictures(shown),
                        self.table: _table(entries),
                    }
                case str():
                    yield {self.status: progress.start(event)}
                case Tick():
                    yield {self.status: progress.tick()}
        yield self.idle() | {
            self.status: progress.finish(),
            **self._pictures(shown),
            self.table: _table(entries),
            self.points: [(entry.name, entry.bpp, entry.values) for entry in entries],
        }

    def plot_rates(
        self, frames: Frames, path: str, bpp: float, points: list[Point], measure: str
    ) -> Iterator[Update]:
        """The same at other rates; each point is drawn when it is there."""
        points = list(points)
        stages = [f"{rate * bpp:.3g} bits per pixel" for rate in OTHER_RATES]
        progress = Progress([(stage, 1) for stage in stages])
        original = read_picture(path)
        for rate, stage in zip(OTHER_RATES, stages, strict=True):
            yield {self.status: progress.start(stage), self.plot: _drawn(points, measure)}
            rated = rate * bpp
            for event in streamed(lambda emit, rated=rated: _judged(original, rated, emit)):
                if isinstance(event, Entry):
                    points.append((event.name, event.bpp, event.values))
                    yield {self.points: points, self.plot: _drawn(points, measure)}
                else:
                    yield {self.status: progress.tick()}
        yield self.idle() | {
            self.status: progress.finish(),
            self.points: points,
            self.plot: _drawn(points, measure),
        }

    def _pictures(self, shown: Sequence[tuple[str, str]]) -> Update:
        given = dict(zip(self.pictures, shown, strict=False))
        return {
            picture: gr.Image(given[picture][1], label=given[picture][0], visible=True)
            if picture in given
            else gr.Image(visible=HIDDEN)
            for picture in self.pictures
        }


def compared(image: np.ndarray, bpp: float) -> Iterator[str | Entry]:
    """PICD first, then the peers that are installed here, at its bytes; before each its name."""
    yield "PICD"
    encoded = codec().encode(image, bpp=bpp)
    yield Entry("PICD", codec().decode(encoded.data).image, encoded.bytes)
    for name in ALL_PEERS:
        yield NAMES[name]
        try:
            peer = Peer(name, image).within(encoded.bytes)
        except PicdError:  # JPEG XL where its plugin is not installed
            continue
        size = len(peer.data)
        yield Entry(NAMES[name], peer.image, size, None if peer.fits else size / encoded.bytes)


def _judged(image: np.ndarray, bpp: float, emit: Emit) -> None:
    judge = Judge(image)
    for event in compared(image, bpp):
        if isinstance(event, Entry):
            event = replace(event, values=judge.judge(event.image))
        emit(event)


def _table(entries: Sequence[Entry]) -> str:
    columns = [name for name in measures() if any(name in entry.values for entry in entries)]
    rows = [
        [
            entry.name,
            figures.size_text(entry.bytes) + (" *" if entry.factor else ""),
            f"{entry.bpp:.3f}",
            *(f"{entry.values[name]:.{2 if name == TEXT else 1}f}" for name in columns),
        ]
        for entry in entries
    ]
    said = (
        ["* Its smallest: it cannot do with fewer bytes."] if any(e.factor for e in entries) else []
    )
    said += [f"{name[0].upper()}{name[1:]}: {MEANINGS[name]}." for name in columns]
    return figures.table(["codec", "bytes", "bits per pixel", *columns], rows) + figures.note(
        " ".join(said)
    )


def _drawn(points: Sequence[Point], measure: str) -> str:
    curves: dict[str, list[tuple[float, float]]] = {}
    for name, bpp, values in points:
        if measure in values and (bpp, values[measure]) not in curves.setdefault(name, []):
            curves[name].append((bpp, values[measure]))
    return rate_plot(curves, measure)
