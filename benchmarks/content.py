"""Moves one file between two stores on loopback, each in a process of its own.

    python benchmarks/content.py [--mb 400] [--runs 3]

Between two embedded stores; and, if there is an `ipfs` program (STEELYARD_IPFS or on the PATH), between
two IPFS daemons through two Kubo stores and by `ipfs get`, in turns. Daemons, stores and bytes are new in
each run. Prints, for each transfer, seconds, MB/s (10^6 bytes), CPU seconds and idle and peak RssAnon (MB) of
our processes. The time goes from the call of `get` to the file being in place, every byte checked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from steelyard.content import Cid, StoreConfig, make_store
from support.kubo import Daemon, daemons, ipfs_program

GET_S = 300.0


class PeakMemory:
    """Samples this process's anonymous resident memory every 5 ms."""

    def __init__(self) -> None:
        self.idle = self.peak = rss_anon()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            self.peak = max(self.peak, rss_anon())

    def close(self) -> tuple[float, float]:
        """(idle, peak) in MB."""
        self._stop.set()
        self._thread.join()
        return self.idle / 1e6, self.peak / 1e6


def rss_anon() -> int:
    """Anonymous resident bytes of this process (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def serve(config: StoreConfig, source: Path, pipe: Connection) -> None:
    """Child process: keep the file, hand it out until told to stop."""

    async def run() -> None:
        async with make_store(config) as store:
            memory, cpu = PeakMemory(), time.process_time()
            cid = await store.add(source)
            pipe.send((str(cid), store.url))
            await asyncio.to_thread(pipe.recv)
            pipe.send((time.process_time() - cpu, *memory.close()))

    asyncio.run(run())


@contextmanager
def giver(config: StoreConfig, source: Path, result: dict[str, float]) -> Iterator[tuple[Cid, str]]:
    """A process that hands the file out; yields its CID and the store's base URL."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=serve, args=(config, source, there))
    child.start()
    cid, url = here.recv()
    yield Cid.parse(cid), url or ""
    here.send("stop")
    result["giver_cpu_s"], result["giver_idle_mb"], result["giver_peak_mb"] = here.recv()
    child.join(10)


def take(config: StoreConfig, cid: Cid, size: int, pipe: Connection) -> None:
    """Child process: get the file once into an empty store."""

    async def run() -> dict[str, float]:
        async with make_store(config) as store:
            memory = PeakMemory()
            start, cpu = time.perf_counter(), time.process_time()
            await store.get(cid, config.root / "out.bin", max_bytes=size, timeout_s=GET_S)
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
            idle, peak = memory.close()
        return {"seconds": seconds, "taker_cpu_s": cpu, "taker_idle_mb": idle, "taker_peak_mb": peak}

    pipe.send(asyncio.run(run()))


def taken(config: StoreConfig, cid: Cid, size: int) -> dict[str, float]:
    """Measurements of a process that gets the file."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=take, args=(config, cid, size, there))
    child.start()
    result: dict[str, float] = here.recv()
    child.join(10)
    return result


def embedded(folder: Path, source: Path, size: int) -> dict[str, float]:
    """One transfer between embedded stores."""
    result: dict[str, float] = {}
    with giver(StoreConfig(root=folder / "a", allow_private=True), source, result) as (cid, url):
        config = StoreConfig(root=folder / "b", peers=(url,), serve=False, allow_private=True)
        result |= taken(config, cid, size)
    return result


def kubo(folder: Path, source: Path, size: int, found: list[Daemon]) -> dict[str, float]:
    """One transfer from daemon to daemon by our stores; these know no peers but through the daemons."""
    result: dict[str, float] = {}
    configs = [
        StoreConfig(root=folder / f"store{n}", ipfs=daemon.api, serve=False, exchange=False)
        for n, daemon in enumerate(found)
    ]
    with giver(configs[0], source, result) as (cid, _):
        result |= taken(configs[1], cid, size)
    return result


def ipfs_get(folder: Path, source: Path, found: list[Daemon]) -> dict[str, float]:
    """One transfer from daemon to daemon by Kubo's own command."""
    program = str(ipfs_program())
    profile = ["--cid-version=1", "--raw-leaves", "--chunker=size-1048576", "--max-file-links=1024"]
    commands = [[program, "--repo-dir", str(daemon.repo)] for daemon in found]
    adding = [*commands[0], "add", "-Q", *profile, str(source)]
    cid = subprocess.run(adding, check=True, capture_output=True, text=True).stdout.strip()
    start = time.perf_counter()
    getting = [*commands[1], "get", "-o", str(folder / "out.bin"), cid]
    subprocess.run(getting, check=True, capture_output=True, timeout=GET_S)
    return {"seconds": time.perf_counter() - start}


def one_run(kind: str, size: int) -> dict[str, float]:
    """One transfer of new bytes, with everything fresh."""
    with tempfile.TemporaryDirectory(prefix="steelyard-") as name:
        folder = Path(name)
        source = folder / "source.bin"
        with source.open("wb") as stream:
            for start in range(0, size, 1_000_000):
                stream.write(os.urandom(min(1_000_000, size - start)))
        if kind == "embedded":
            result = embedded(folder, source, size)
        else:
            with daemons(folder, 2) as found:
                result = (
                    kubo(folder, source, size, found) if kind == "kubo" else ipfs_get(folder, source, found)
                )
    return {"mb_per_s": size / 1e6 / result["seconds"], **result}


def main() -> None:
    """Run in turns, print one JSON line a transfer, then the median rates and what they are to each other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=400)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    size = args.mb * 1_000_000
    kinds = ["embedded", "ipfs get", "kubo"] if ipfs_program() else ["embedded"]
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(args.runs):
        for kind in kinds:
            found = {key: round(value, 2) for key, value in one_run(kind, size).items()}
            rates[kind].append(found["mb_per_s"])
            sys.stdout.write(json.dumps({"kind": kind, **found}) + "\n")
            sys.stdout.flush()
    for kind in kinds:
        rate = statistics.median(rates[kind])
        sys.stdout.write(f"{kind}: median {rate:.0f} MB/s over {args.runs} runs of {args.mb} MB")
        if kind != "ipfs get" and "ipfs get" in rates:
            ratio = statistics.median(a / b for a, b in zip(rates[kind], rates["ipfs get"], strict=True))
            sys.stdout.write(f", {ratio:.2f} times ipfs get's")
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
