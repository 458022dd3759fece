"""The demo's nodes as operating system processes: started, read, and ended in any case.

A node ends when its stdin closes, so it does not outlive the demo even if that is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.cli.demo.accounts import Actor
from steelyard.cli.demo.settings import CHEAT_ROUND, DemoSettings
from steelyard.errors import NodeError

WAIT_S = 120  # for deployment, job and seat
LINGER_S = 7 * 86400  # with KEEP=1 the nodes stay
END_S = 4.0  # to end in order; then they are killed
DRAIN_S = 2.0  # for the last output of a node that ended
LINE_LIMIT = 1 << 20
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

Listener = Callable[[Actor, Mapping[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class NodeProcess:
    """A process and the task that reads its output."""

    actor: Actor
    process: asyncio.subprocess.Process
    listening: asyncio.Task[None]
    log: Path


def command(settings: DemoSettings, actor: Actor, job: int) -> list[str]:
    """The command line of a node; for aggregators with the staged cheat."""
    staged = settings.cheat and actor.role == "aggregator"
    program = ["steelyard.cli.demo.cheat", str(CHEAT_ROUND)] if staged else ["steelyard.cli"]
    options = ["--config", str(actor.config), "--json", "--wait", str(WAIT_S), "--with-parent"]
    linger = ["--linger", str(LINGER_S if settings.keep else 1)]
    return [sys.executable, "-m", *program, "run", "--role", actor.role, "--job", str(job), *options, *linger]


async def start(settings: DemoSettings, actor: Actor, job: int, listener: Listener, lock: int) -> NodeProcess:
    """Start a node; its events go to `listener`.  lock: file descriptor that it inherits."""
    log = actor.home / "node.log"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STEELYARD_")}
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *command(settings, actor, job),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env={**clean, **ONE_THREAD},
            cwd=actor.home,
            start_new_session=True,
            pass_fds=(lock,),
            limit=LINE_LIMIT,
        )
    listening = asyncio.create_task(_listen(actor, process, listener, log))
    return NodeProcess(actor=actor, process=process, listening=listening, log=log)


async def _listen(actor: Actor, process: asyncio.subprocess.Process, listener: Listener, log: Path) -> None:
    """Pass events on; anything else, such as the error that ends a node, goes to its log."""
    if process.stdout is None:
        return
    while line := await process.stdout.readline():
        event = _event(line)
        if event is not None:
            listener(actor, event)
        else:
            with log.open("ab") as file:
                file.write(line)


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "kind" in event else None


async def watch(nodes: list[NodeProcess]) -> None:
    """Never returns; raises NodeError with the end of the log if a node fails."""
    endings = {asyncio.create_task(node.process.wait()): node for node in nodes}
    try:
        while endings:
            done, _ = await asyncio.wait(endings, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                node = endings.pop(task)
                if task.result() != 0:
                    await asyncio.wait([node.listening], timeout=DRAIN_S)
                    raise NodeError(
                        f"{node.actor.name} ended with code {task.result()}; its log ends: {tail(node.log)}",
                        remedy=f"the whole log was {node.log}; run the demo again with KEEP=1 to read it",
                    )
        await asyncio.Event().wait()
    finally:
        for task in endings:
            task.cancel()


async def end(nodes: list[NodeProcess]) -> None:
    """Ask every node to end, kill those that do not, and wait until all are gone."""
    for node in nodes:
        with contextlib.suppress(ProcessLookupError):
            node.process.send_signal(signal.SIGINT)
    waiting = [asyncio.create_task(node.process.wait()) for node in nodes]
    if waiting:
        await asyncio.wait(waiting, timeout=END_S)
    for node in nodes:
        if node.process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(node.process.pid, signal.SIGKILL)
    await asyncio.gather(*waiting, *(node.listening for node in nodes), return_exceptions=True)


def tail(log: Path, characters: int = 600) -> str:
    """The end of a log."""
    try:
        return log.read_text(errors="replace")[-characters:].strip() or "(nothing)"
    except OSError:
        return "(no log)"
