"""A process that sends with a well-known key, and may kill itself at a step: `sender_process.py JSON`."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from steelyard.chain.calls import Contract
from steelyard.chain.client import ChainClient
from steelyard.chain.codec import Interface
from steelyard.chain.dev.devnet import well_known_accounts
from steelyard.chain.networks import KNOWN
from steelyard.chain.wallets import Wallet


async def main(task: dict[str, Any]) -> None:
    interface = Interface("Box", task["abi"])
    name = "anvil" if task["chain_id"] == 31337 else "ganache"
    network = dataclasses.replace(KNOWN[name], rpc_url=task["url"])

    passed = 0

    def on_step(step: str) -> None:
        nonlocal passed
        if step == task.get("crash"):
            passed += 1
            if passed > task.get("after", 0):
                os.kill(os.getpid(), signal.SIGKILL)

    async with await ChainClient.connect(
        network,
        Wallet(well_known_accounts(task["account"] + 1)[task["account"]]),
        state_dir=Path(task["state"]),
        interfaces={task["address"]: interface},
        on_step=on_step,
    ) as client:
        if task.get("resume"):
            await client.resume()
        await meet([Path(place) for place in task.get("go", [])])
        box = Contract(interface, task["address"])
        hashes = []
        for intent in task["intents"]:
            receipt = await client.send(box.call("add"), intent=intent)
            hashes.append(receipt.hash)
        sys.stdout.write(json.dumps(hashes))


async def meet(places: list[Path]) -> None:
    """Wait until as many processes as there are places are here."""
    for place in places:
        try:
            place.touch(exist_ok=False)
            break
        except FileExistsError:
            continue
    while not all(place.exists() for place in places):
        await asyncio.sleep(0.001)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    given["abi"] = json.loads(Path(given["abi"]).read_text("utf-8"))["abi"]
    asyncio.run(main(given))
