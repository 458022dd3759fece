"""A node of a fleet in a process of its own, optionally with another network and another store."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.nodes.config import NodeConfig, Role
from steelyard.nodes.reporting import NodeEvent
from steelyard.nodes.runner import run_node
from support import lan
from support.fleet import FACTORIES, Fleet


def run_in_place(root: Path, name: str, roles: list[str], out: Path, changes: Mapping[str, Any]) -> None:
    """Target of multiprocessing; output goes to the file `out`.

    changes: `namespace` (path), `listen`, `url` (of the chain), `peer` (of the sponsor's store), `home`,
    `ipfs` (of a daemon); each is optional.
    """
    with out.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if "namespace" in changes:
        lan.enter(Path(changes["namespace"]))
    asyncio.run(_main(_configured(Fleet.load(root), name, roles, changes)))


def _configured(fleet: Fleet, name: str, roles: list[str], changes: Mapping[str, Any]) -> NodeConfig:
    config = fleet.config(name, *(Role(role) for role in roles))
    store = dataclasses.replace(
        config.store,
        listen=changes.get("listen", config.store.listen),
        peers=(changes["peer"],) if "peer" in changes else config.store.peers,
        ipfs=changes.get("ipfs"),
    )
    network = config.network.with_url(changes["url"]) if "url" in changes else config.network
    if "home" in changes:
        home = Path(changes["home"])
        store = dataclasses.replace(store, root=home / "content")
        config = dataclasses.replace(config, home=home)
    # longer than a machine is cut off from the chain
    network = dataclasses.replace(network, outage_s=60.0)
    return dataclasses.replace(config, store=store, network=network)


async def _main(config: NodeConfig) -> None:
    outcome = await run_node(config, on_event=_print_event, factories=FACTORIES)
    _print({"kind": "outcome", "status": outcome.status})


def _print_event(event: NodeEvent) -> None:
    _print(event.json())


def _print(document: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()
