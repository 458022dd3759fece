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


def _say(event: NodeEvent) -> None:
    sys.stdout.write(json.dumps(event.json()) + "\n")
    sys.stdout.flush()


def _say_and_die(moment: str) -> Listener:
    """Says what happens; the last is the first event of that kind.

    "tx:hold" for a transaction's, "final:2" for one of that round.
    """
    kind, _, what = moment.partition(":")

    def say(event: NodeEvent) -> None:
        _say(event)
        if event.kind == kind and what in ("", event.fields.get("what"), str(event.round)):
            os.kill(os.getpid(), signal.SIGKILL)

    return say


def forked(root: Path, name: str, role: str, crash: str, cheat: str, out: Path, moment: str = "") -> None:
    """As a target of multiprocessing: output goes to the file `out`, the process dies where it is told to.

    crash: a crash point, see `nodes.crashpoints`.  moment: an event, see `_say_and_die`.
    """
    _print_to(out)
    os.environ["CHEAT"] = cheat
    arm(crash)
    asyncio.run(_main(root, name, [role], _say_and_die(moment) if moment else _say))


def joining(root: Path, name: str, crash: str, out: Path) -> None:
    """As a target of multiprocessing: takes a seat, and dies on the way where `crash` says."""
    _print_to(out)
    arm(crash)
    asyncio.run(seated(Fleet.load(root), name))


def _print_to(out: Path) -> None:
    with out.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


async def _main(root: Path, name: str, roles: list[str], listener: Listener = _say) -> None:
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
