"""Who works when: visitors stand in one line for the codec, first come, first served.

Gradio has a queue of its own, but an event that is cancelled there may show its last update, or an
error, after it has ended. Here whoever waits or works is an ordinary running event.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from picd.cores import cores


class Line:
    """Lets ``at_once`` of those who stand in it have a turn."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self._changed = Condition()
        self._places: list[Place] = []

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A place at the end of the line, given up at the end of the block."""
        place = Place(self)
        with self._changed:
            self._places.append(place)
        try:
            yield place
        finally:
            with self._changed:
                self._places.remove(place)
                self._changed.notify_all()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and have it for the block."""
        with self.place() as place:
            while place.wait(None):
                pass
            yield


class Place:
    """Of one visitor in a :class:`Line`."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def wait(self, seconds: float | None) -> int:
        """How many must have left before this one's turn, 0 if it has come; so many seconds later
        unless that changes before."""
        with self._line._changed:
            if before := self._before():
                self._line._changed.wait(seconds)
                before = self._before()
            return before

    def _before(self) -> int:
        return max(0, self._line._places.index(self) + 1 - self._line.at_once)


LINE = Line(max(1, cores() // 4))
"""For everything that runs the codec. A network uses all cores it may, and four are about what
one picture keeps busy."""
