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
from pathlib import Path

from steelyard.nodes.config import Role
from steelyard.nodes.crashpoints import arm
from steelyard.nodes.events import NodeEvent
from steelyard.nodes.runner import run_node
from support.cheats import one_wrong_number
from support.fleet import PARTS, Fleet


def _say(event: NodeEvent) -> None:
    sys.stdout.write(json.dumps(event.json()) + "\n")
    sys.stdout.flush()


def forked(root: Path, name: str, role: str, crash: str, cheat: str, out: Path) -> None:
    """As a target of multiprocessing: output goes to the file `out`, the process dies where `crash` says."""
    with out.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ["CHEAT"] = cheat
    arm(crash)
    asyncio.run(_main(root, name, [role]))


async def _main(root: Path, name: str, roles: list[str]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    parts = PARTS
    if os.environ.get("CHEAT"):
        rounds = [int(number) for number in os.environ["CHEAT"].split(",")]
        parts = dataclasses.replace(PARTS, aggregator=one_wrong_number(*rounds))
    config = Fleet.load(root).config(name, *(Role(role) for role in roles))
    outcome = await run_node(config, on_event=_say, stop=stop, parts=parts)
    sys.stdout.write(json.dumps({"kind": "outcome", "status": outcome.status}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
