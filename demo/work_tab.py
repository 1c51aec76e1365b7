"""What the tabs share: a button that starts long work, one that stops it, a place that tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import gradio as gr

from demo import figures
from demo.frames import Frames
from demo.model import SLOT
from demo.progress import Progress
from picd import PicdError

HIDDEN = "hidden"
"""For ``visible``: not seen, yet on the page. What is not on the page (False) takes the browser a
while to put there, and an update that comes meanwhile undoes it."""
PRIVATE = {"api_visibility": "private"}
QUICK = {"show_progress": "hidden", "queue": False, **PRIVATE}
"""For what costs nothing: it passes the queue by."""

Update = dict[gr.components.Component, object]


class WorkTab:
    """Base of the tabs. A subclass builds the parts, then calls :meth:`wire_work`."""

    missing = "Choose a picture first."

    def build_buttons(self, label: str, elem_id: str) -> None:
        with gr.Row():
            self.button = gr.Button(label, variant="primary", scale=3, elem_id=elem_id)
            self.stop = gr.Button("Stop", visible=HIDDEN, min_width=80, elem_id=f"{elem_id}-stop")

    def build_status(self, elem_id: str, title: str, text: str) -> None:
        """The place for the progress, for errors, and at first for what the tab is about."""
        self.status = gr.HTML(figures.empty(title, text), padding=False, elem_id=elem_id)

    def wire_work(
        self,
        starts: dict[gr.Button, tuple[Callable[..., Iterator[Update]], list]],
        source: gr.components.Component,
        outputs: list,
    ) -> None:
        """Each button of ``starts`` runs its generator on frames, ``source``, which may not be
        empty, and its inputs. While one waits or runs, none can be pressed but Stop."""
        self.starts = list(starts)
        outputs = [*self.starts, self.stop, self.status, *outputs]
        running = [
            button.click(self._waiting, source, outputs, **QUICK).then(
                self._guarded(run),
                [source, *inputs],
                outputs,
                show_progress="minimal",
                show_progress_on=self.status,
                **SLOT,
                **PRIVATE,
            )
            for button, (run, inputs) in starts.items()
        ]
        self.stop.click(self._stopped, None, outputs, cancels=running, **QUICK)

    def idle(self) -> Update:
        return {
            **{button: gr.Button(interactive=True) for button in self.starts},
            self.stop: gr.Button(visible=HIDDEN),
        }

    def _stopped(self) -> Update:
        return self.idle() | {self.status: figures.note("Stopped.")}

    def _waiting(self, source: str | None) -> Update:
        if source is None:
            return self.idle() | {self.status: figures.alert(self.missing)}
        return {
            **{button: gr.Button(interactive=False) for button in self.starts},
            self.stop: gr.Button(visible=True),
            self.status: Progress([("", 1)]).start("Waiting for a turn"),
        }

    def _guarded(self, run: Callable[..., Iterator[Update]]) -> Callable[..., Iterator[Update]]:
        """``run``, given :class:`Frames` to write to, and whose errors stay on the page. Its last
        update is to contain :meth:`idle` and all that is to stay: of two updates that reach a
        slow page together, the second may be shown alone."""

        def guarded(source: str | None, *inputs) -> Iterator[Update]:
            if source is None:
                yield {self.status: gr.skip()}
                return
            try:
                with TemporaryDirectory() as folder:
                    yield from run(Frames(Path(folder)), source, *inputs)
            except PicdError as error:
                yield self.idle() | {self.status: figures.alert(str(error))}
            except Exception:
                said = "Something broke here that should not. Please try again."
                yield self.idle() | {self.status: figures.alert(said)}
                raise

        return guarded
