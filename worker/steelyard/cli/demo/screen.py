"""The demo's progress: a live table on a terminal, else one line for each piece of news."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from steelyard.cli.demo.progress import DemoProgress, RoundProgress
from steelyard.cli.output import table

LINES = 8
FRAMES = 4  # per second


class Screen:
    """Shows a `DemoProgress`; a context manager."""

    def __init__(self, console: Console, progress: DemoProgress) -> None:
        self._console, self._progress = console, progress
        self._started = time.monotonic()
        self._lines: deque[str] = deque(maxlen=LINES)
        self._live: Live | None = None

    def __enter__(self) -> Screen:
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._frame, console=self._console, refresh_per_second=FRAMES, transient=True
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    @property
    def seconds(self) -> float:
        """Seconds since the first process was started."""
        return time.monotonic() - self._started

    def say(self, text: str) -> None:
        """Show a line."""
        line = f"{self.seconds:6.1f} s  {text}"
        self._lines.append(line)
        if self._live is None:
            self._console.print(line, markup=False, highlight=False)

    def _frame(self) -> RenderableType:
        rounds = [_row(self._progress.rounds[number]) for number in sorted(self._progress.rounds) if number]
        nodes = sorted(self._progress.activity.items())
        return Group(
            Text(f"{self.seconds:.0f} s", style="bold"),
            table((">round", "state", ">submitted", ">attested", "poster", ">accuracy"), rounds),
            table(("node", "does"), nodes),
            Text("\n".join(self._lines)),
        )


def _row(round_: RoundProgress) -> tuple[object, ...]:
    accuracy = f"{round_.accuracy:.2%}" if round_.accuracy is not None else ""
    return (round_.number, round_.state, round_.submitted, round_.attested, round_.poster, accuracy)
