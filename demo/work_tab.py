"""What the tabs share: a button that starts long work, one that stops it, a place that tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import gradio as gr

from demo import figures
from demo.frames import Frames
from demo.line import LINE
from demo.progress import Progress
from picd import PicdError

HIDDEN = "hidden"
"""For ``visible``: not seen, yet on the page. What is not on the page (False) takes the browser a
while to put there, and an update that comes meanwhile undoes it."""
PRIVATE = {"api_visibility": "private"}
QUICK = {"show_progress": "hidden", "queue": False, **PRIVATE}
"""For what costs nothing: it passes the queue by."""

MOST_VISITORS = {"concurrency_id": "visitors", "concurrency_limit": 24}
"""Of those who work or stand in line; each has one of the server's forty threads."""
WAITING = "Waiting for a turn"

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
        self._stops: dict[str | None, Event] = {}  # by visitor
        for button, (run, inputs) in starts.items():
            button.click(self._waiting, source, outputs, **QUICK).then(
                self._guarded(run),
                [source, *inputs],
                outputs,
                show_progress="hidden",  # the status has it
                **MOST_VISITORS,
                **PRIVATE,
            )
        self.stop.click(self._stop, None, None, **QUICK)

    def idle(self) -> Update:
        return {
            **{button: gr.Button(interactive=True) for button in self.starts},
            self.stop: gr.Button(visible=HIDDEN),
        }

    def _stop(self, request: gr.Request) -> None:
        """The work itself says that it has stopped: it alone knows what it sent last."""
        if stop := self._stops.get(request.session_hash):
            stop.set()

    def _waiting(self, source: str | None, request: gr.Request) -> Update:
        if source is None:
            return self.idle() | {self.status: figures.alert(self.missing)}
        self._stops[request.session_hash] = Event()
        return {
            **{button: gr.Button(interactive=False) for button in self.starts},
            self.stop: gr.Button(visible=True),
            self.status: Progress([("", 1)]).start(WAITING),
        }

    def _in_turn(self, updates: Iterator[Update], stop: Event) -> Iterator[Update]:
        """``updates`` when the visitor's turn has come, until ``stop`` is set."""
        waiting = Progress([("", 1)])
        with LINE.place() as place:
            while (before := place.wait(0.5)) and not stop.is_set():
                visitors = "1 visitor" if before == 1 else f"{before} visitors"
                yield {self.status: waiting.start(WAITING, detail=f", {visitors} before you")}
            while not stop.is_set():
                try:
                    update = next(updates)
                except StopIteration:
                    return
                if not stop.is_set():
                    yield update
            updates.close()
        yield self.idle() | {self.status: figures.note("Stopped.")}

    def _guarded(self, run: Callable[..., Iterator[Update]]) -> Callable[..., Iterator[Update]]:
        """``run``, given :class:`Frames` to write to, and whose errors stay on the page. Its last
        update is to contain :meth:`idle` and all that is to stay: of two updates that reach a
        slow page together, the second may be shown alone."""

        def guarded(request: gr.Request, source: str | None, *inputs) -> Iterator[Update]:
            if source is None:
                yield {self.status: gr.skip()}
                return
            stop = self._stops.setdefault(request.session_hash, Event())
            try:
                with TemporaryDirectory() as folder:
                    yield from self._in_turn(run(Frames(Path(folder)), source, *inputs), stop)
            except PicdError as error:
                yield self.idle() | {self.status: figures.alert(str(error))}
            except Exception:
                said = "Something broke here that should not. Please try again."
                yield self.idle() | {self.status: figures.alert(said)}
                raise
            finally:
                self._stops.pop(request.session_hash, None)

        return guarded
