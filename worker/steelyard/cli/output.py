"""Output of commands: results on stdout, everything else on stderr; with --json one document."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PIPE_WIDTH = 200


class Output:
    """Prints results, progress and errors."""

    def __init__(self, *, json: bool = False) -> None:
        self.json = json

    @cached_property
    def console(self) -> Console:
        """Stdout, for people."""
        return _console(sys.stdout)

    @cached_property
    def errors(self) -> Console:
        """Stderr, for people."""
        return _console(sys.stderr)

    def emit(self, document: Mapping[str, Any] | Sequence[Any], *human: RenderableType) -> None:
        """The command's result: `document` with --json, `human` otherwise."""
        if self.json:
            self.document(document)
        else:
            for item in human:
                self.console.print(item)

    def document(self, document: Any) -> None:
        """One JSON document on stdout."""
        sys.stdout.write(json.dumps(document, indent=2, default=_plain) + "\n")
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """A line for people only, on stderr: progress, hints."""
        if not self.json:
            self.errors.print(text, markup=False)

    def problem(self, message: str, remedy: str) -> None:
        """An error for people."""
        from rich.text import Text

        self.errors.print(Text.assemble(("error: ", "bold red"), message))
        if remedy:
            self.errors.print(Text.assemble(("remedy: ", "bold"), remedy))


def _console(stream: TextIO) -> Console:
    """Without a terminal lines are not folded at 80 columns."""
    from rich.console import Console

    return Console(file=stream, highlight=False, width=None if stream.isatty() else PIPE_WIDTH)


def facts(pairs: Iterable[tuple[str, object]]) -> RenderableType:
    """One line for each name and value."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(name, _text(value))
    return grid


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> RenderableType:
    """A table; columns whose name starts with `>` are right-aligned."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    drawn = Table(title=title, box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for name in columns:
        drawn.add_column(
            name.lstrip(">"), justify="right" if name.startswith(">") else "left", overflow="fold"
        )
    for row in rows:
        drawn.add_row(*(_text(value) for value in row))
    return drawn


def _text(value: object) -> RenderableType:
    """Values come from chains and peers: they are never interpreted as markup."""
    from rich.text import Text

    if isinstance(value, Text):
        return value
    return Text("" if value is None else str(_plain(value) if isinstance(value, bytes) else value))


def _plain(value: Any) -> Any:
    """A value that `json` cannot encode, as one that it can."""
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value) if item.repr}
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)
