"""A store with gossip running, measured: `python hints_process.py <folder> <operator address>`.

Prints its base URL, and after a line on stdin what it spent and heard meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from steelyard.content import EmbeddedStore, StoreConfig
from steelyard.nodes.context import NodeContext
from steelyard.nodes.gossip.peer_gossip import PeerGossip

COORDINATOR, CHAIN, JOB = "0x" + "ab" * 20, 31337, 3


def anonymous() -> int:
    """Bytes of anonymous memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) * 1024


def context_of(store: EmbeddedStore, operator: str, heard: list[str]) -> NodeContext:
    """The part of a node context that gossip uses, with one member."""
    seat = SimpleNamespace(operator=operator, worker=operator)
    context = SimpleNamespace(
        info=SimpleNamespace(chain_id=CHAIN, job=JOB),
        coordinator=SimpleNamespace(address=COORDINATOR),
        view=SimpleNamespace(seats={operator: seat}, aggregators={}),
        client=SimpleNamespace(address="0x" + "00" * 20),
        store=store,
        report=SimpleNamespace(emit=lambda _kind, **fields: heard.append(str(fields["what"]))),
    )
    return cast("NodeContext", context)


async def main() -> None:
    """Listen, and tell what it cost."""
    heard: list[str] = []
    config = StoreConfig(root=Path(sys.argv[1]), allow_private=True, exchange=False)
    async with EmbeddedStore(config) as store:
        cid = await store.add_bytes(bytes(1 << 20))
        gossip = PeerGossip(context_of(store, sys.argv[2], heard), [store.gossip])
        store.gossip.subscribe(f"steelyard-1-{CHAIN}-{COORDINATOR}-{JOB}", gossip.handle)
        print(json.dumps({"url": store.url, "cid": str(cid)}), flush=True)
        while (line := await asyncio.to_thread(sys.stdin.readline)).strip():
            if line.startswith("begin"):
                idle, spent = anonymous(), time.process_time()
                continue
            told: dict[str, Any] = {"heard": heard, "grown": anonymous() - idle}
            print(json.dumps(told | {"cpu_s": time.process_time() - spent}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
