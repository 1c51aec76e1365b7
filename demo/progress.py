"""How far the work is: a bar that names the stage, and the seconds of each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape


class Progress:
    """Stages in their order with the share of the whole that each takes, as a first guess.

    Every method returns the HTML to show. A stage that is started again goes on.
    """

    def __init__(self, shares: Sequence[tuple[str, float]]) -> None:
        self._shares = dict(shares)
        self._done: list[tuple[str, float]] = []
        self._now, self._detail, self._within = "", "", 0.0
        self._since = time.monotonic()

    def start(self, stage: str, within: float = 0.0, detail: str = "") -> str:
        """``stage`` has begun, or has got to the share ``within`` (0..1) of it."""
        if stage != self._now:
            self._close()
            self._now = stage
        self._detail, self._within = detail, within
        return self.tick()

    def tick(self) -> str:
        """The same, with the seconds of now."""
        total = sum(self._shares.values())
        passed = sum(self._shares.get(name, 0) for name, _ in self._done)
        share = (passed + self._within * self._shares.get(self._now, 0)) / total
        seconds = time.monotonic() - self._since
        return _bar(share, self._now + self._detail, seconds) + _pills(self._done)

    def finish(self) -> str:
        self._close()
        total = sum(seconds for _, seconds in self._done)
        return _bar(1.0, "Done", total) + _pills(self._done)

    def _close(self) -> None:
        now = time.monotonic()
        if self._now:
            self._done.append((self._now, now - self._since))
        self._now, self._since = "", now


def _bar(share: float, name: str, seconds: float) -> str:
    percent = round(100 * share)
    return (
        f'<div class="picd-progress" role="progressbar" aria-label="{escape(name)}" '
        f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent}">'
        f"<p><b>{escape(name)}</b><span>{seconds:.0f} s</span></p>"
        f'<div class="track"><div style="width:{percent}%"></div></div></div>'
    )


def _pills(done: Sequence[tuple[str, float]]) -> str:
    pills = (f"<li>{escape(name)} <b>{seconds:.1f} s</b></li>" for name, seconds in done)
    return f'<ul class="picd-stages">{"".join(pills)}</ul>'
