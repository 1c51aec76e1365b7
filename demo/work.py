"""Long work in a thread of its own: streamed to the page while it runs, ended when nobody waits."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Thread
from typing import Generic, TypeVar

Result = TypeVar("Result")
Emit = Callable[[object], None]


@dataclass(frozen=True)
class Finished(Generic[Result]):
    """The last item of :func:`streamed`."""

    result: Result


@dataclass(frozen=True)
class Tick:
    """Nothing new for a while: time to show the seconds."""


class Abandoned(BaseException):
    """Nobody waits for the result. Not an ``Exception``, so that no library on the way eats it."""


def streamed(
    work: Callable[[Emit], Result], *, patience: float = 0.5
) -> Iterator[object | Tick | Finished[Result]]:
    """Run ``work(emit)`` in a thread; yield what it emits, then its result as :class:`Finished`.

    A :class:`Tick` is yielded after every ``patience`` seconds of silence, which also is how soon
    Stop is heeded. When the caller stops iterating (Stop pressed, or the visitor gone),
    :class:`Abandoned` is raised in the thread, between two calls into native code, so that the work
    does not keep the processor from the next visitor.
    """
    items: Queue[tuple[str, object]] = Queue()

    def run() -> None:
        try:
            items.put(("result", work(lambda item: items.put(("item", item)))))
        except Abandoned:
            pass
        except Exception as error:  # raised again by the caller's thread
            items.put(("error", error))

    thread = Thread(target=run, daemon=True)
    thread.start()
    ended = False
    try:
        while not ended:
            try:
                kind, value = items.get(timeout=patience)
            except Empty:
                yield Tick()
                continue
            ended = kind != "item"
            if kind == "error":
                raise value
            yield Finished(value) if kind == "result" else value
    finally:
        if not ended:
            _raise_in(thread, Abandoned)


def _raise_in(thread: Thread, exception: type[BaseException]) -> None:
    """Let ``thread`` raise ``exception`` at its next Python instruction (CPython's own means)."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(exception)
    )
