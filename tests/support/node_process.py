"""One node in a process of its own: `python -m support.node_process <fleet folder> <name> <role>...`.

Prints its events as lines of JSON. CHEAT=2,3 in its environment has an aggregator post wrong numbers in
those rounds.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from steelyard.nodes.config import Role
from steelyard.nodes.crashpoints import arm
from steelyard.nodes.reporting import NodeEvent
from steelyard.nodes.runner import run_node
from support.cheats import one_wrong_number
from support.fleet import FACTORIES, Fleet, seated

Listener = Callable[[NodeEvent], None]


def _print_event(event: NodeEvent) -> None:
    sys.stdout.write(json.dumps(event.json()) + "\n")
    sys.stdout.flush()


def _print_and_die(last_event: str) -> Listener:
    """Prints events and kills the process after the first that matches `last_event`.

    For example "post", "tx:hold" for a transaction, "final:2" for a round.
    """
    kind, _, what = last_event.partition(":")

    def listen(event: NodeEvent) -> None:
        _print_event(event)
        if event.kind == kind and what in ("", event.fields.get("what"), str(event.round)):
            os.kill(os.getpid(), signal.SIGKILL)

    return listen


def forked(root: Path, name: str, role: str, crash: str, cheat: str, out: Path, last_event: str = "") -> None:
    """Target of multiprocessing: runs a node whose output goes to the file `out`.

    crash: a crash point, see `nodes.crashpoints`.  last_event: see `_print_and_die`.
    """
    _print_to(out)
    os.environ["CHEAT"] = cheat
    arm(crash)
    asyncio.run(_main(root, name, [role], _print_and_die(last_event) if last_event else _print_event))


def joining(root: Path, name: str, crash: str, out: Path) -> None:
    """Target of multiprocessing: joins the job, and dies at the crash point `crash`."""
    _print_to(out)
    arm(crash)
    asyncio.run(seated(Fleet.load(root), name))


def _print_to(out: Path) -> None:
    with out.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


async def _main(root: Path, name: str, roles: list[str], listener: Listener = _print_event) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    factories = FACTORIES
    if os.environ.get("CHEAT"):
        rounds = [int(number) for number in os.environ["CHEAT"].split(",")]
        factories = dataclasses.replace(FACTORIES, aggregator=one_wrong_number(*rounds))
    config = Fleet.load(root).config(name, *(Role(role) for role in roles))
    outcome = await run_node(config, on_event=listener, stop=stop, factories=factories)
    sys.stdout.write(json.dumps({"kind": "outcome", "status": outcome.status}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
