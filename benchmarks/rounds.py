"""Cost of a round beside training: opening block to opening block, every node a process of its own.

rounds.py                     2 and 10 workers, 20 rounds each, 10,016 parameters, on anvil; then Flower's
rounds.py --no-flower         without Flower

Workers train nothing: their update is drawn from the round. Everyone attests; every file goes over HTTP
between the nodes' own stores; one aggregator posts. Flower's clients train nothing either: deployed, a
SuperLink and 2 SuperNodes; simulated, the same app on Ray. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import flower_rounds  # noqa: E402

from steelyard.chain.dev import devnet  # noqa: E402
from steelyard.chain.dev.devnet import DevChain  # noqa: E402
from steelyard.core.encodings import Encoding  # noqa: E402
from steelyard.core.rules import AggregationConfig  # noqa: E402
from support.fleet import Fleet, Windows, open_first, staged  # noqa: E402

BLOCKS = 313  # 10,016 parameters
WINDOWS = Windows(submit=60, attest=60, turn=30, post=60, challenge=1)
WATCH = "agg0"


async def measure(chain: DevChain, root: Path, workers: int, rounds: int) -> list[float]:
    """Seconds from each opening to the next, without the first."""
    names = [f"w{index}" for index in range(workers)]
    async with staged(
        chain,
        root,
        workers=names,
        aggregators=(WATCH,),
        others=(),
        windows=WINDOWS,
        step=AggregationConfig(block_count=BLOCKS, encoding=Encoding.BFP8),
        rounds=rounds + 2,
        min_updates=workers,
    ) as fleet:
        roles = {**dict.fromkeys(names, "worker"), WATCH: "aggregator"}
        opened = await _run(fleet, roles)
    times = [opened[number + 1] - opened[number] for number in sorted(opened) if number + 1 in opened]
    return times[1:]


async def _run(fleet: Fleet, roles: dict[str, str]) -> dict[int, float]:
    """Run every node to the end of the job. Returns when each round opened, by the aggregator's clock."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "worker"), str(ROOT / "tests")))}
    opened: dict[int, float] = {}
    ready = asyncio.Semaphore(0)

    async def node(name: str, role: str) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "support.node_process",
            str(fleet.root),
            name,
            role,
            env=env,
            stdout=asyncio.subprocess.PIPE,
        )
        if process.stdout is None:
            raise RuntimeError("no output")
        async for line in process.stdout:
            event = json.loads(line)
            if event["kind"] == "started":
                ready.release()
            if event["kind"] == "opened" and name == WATCH:
                opened[event["round"]] = event["at"]
        await process.wait()

    running = [asyncio.create_task(node(name, role)) for name, role in roles.items()]
    for _ in roles:
        await ready.acquire()
    await open_first(fleet)
    await asyncio.gather(*running)
    return opened


def beside(rounds: int, simulated: int) -> None:
    """Print Flower's time, if it is installed."""
    if not flower_rounds.present():
        print("Flower is not there to compare with: `make setup-benchmarks` installs it")
        return
    report("Flower deployed, 2 SuperNodes", flower_rounds.deployed(2, rounds, BLOCKS * 32))
    report("Flower simulated, 2 nodes", flower_rounds.simulated(2, simulated, BLOCKS * 32))


def report(who: str, times: list[float]) -> None:
    """Print one line of figures."""
    print(
        f"{who}, {BLOCKS * 32:,} parameters: median of {len(times)} rounds {statistics.median(times):.3f} s "
        f"(fastest {min(times):.3f}, slowest {max(times):.3f}; load {os.getloadavg()[0]:.1f})",
        flush=True,
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Round overhead without training.")
    parser.add_argument("--workers", type=int, nargs="*", default=[2, 10])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--flower", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--flower-rounds", type=int, default=6, help="deployed; simulated it runs --rounds")
    given = parser.parse_args()
    for workers in given.workers:
        with devnet.running("anvil", accounts=3) as chain, tempfile.TemporaryDirectory() as folder:
            times = asyncio.run(measure(chain, Path(folder), workers, given.rounds))
        report(f"Steelyard, {workers} workers", times)
    if given.flower:
        beside(given.flower_rounds, given.rounds)


if __name__ == "__main__":
    main()
