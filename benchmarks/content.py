"""Moves one file between two embedded stores on loopback, each in a process of its own.

    python benchmarks/content.py [--mb 400] [--runs 3]

Prints, for each run, seconds, MB/s (10^6 bytes), CPU seconds and idle and peak RssAnon (MB) of each process.
The time goes from the call of `get` to the file being in place, every byte checked on both sides.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from steelyard.content import Cid, EmbeddedStore, StoreConfig


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


def serve(root: Path, source: Path, pipe: Connection) -> None:
    """Child process: keep the file, hand it out until told to stop."""

    async def run() -> None:
        async with EmbeddedStore(StoreConfig(root=root, allow_private=True)) as store:
            cid = await store.add(source)
            memory, cpu = PeakMemory(), time.process_time()
            pipe.send((str(cid), store.url))
            await asyncio.to_thread(pipe.recv)
            pipe.send((time.process_time() - cpu, *memory.close()))

    asyncio.run(run())


async def fetch(root: Path, url: str, cid: Cid, size: int) -> dict[str, float]:
    """Get the file once into an empty store."""
    config = StoreConfig(root=root, peers=(url,), serve=False, allow_private=True)
    async with EmbeddedStore(config) as store:
        memory = PeakMemory()
        start, cpu = time.perf_counter(), time.process_time()
        await store.get(cid, root / "out.bin", max_bytes=size, timeout_s=300)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        idle, peak = memory.close()
    return {
        "seconds": seconds,
        "mb_per_s": size / 1e6 / seconds,
        "client_cpu_s": cpu,
        "client_idle_mb": idle,
        "client_peak_mb": peak,
    }


def one_run(folder: Path, source: Path, size: int) -> dict[str, float]:
    """One transfer with fresh stores and a fresh server process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=serve, args=(folder / "a", source, there))
    child.start()
    cid, url = here.recv()
    result = asyncio.run(fetch(folder / "b", url, Cid.parse(cid), size))
    here.send("stop")
    result["server_cpu_s"], result["server_idle_mb"], result["server_peak_mb"] = here.recv()
    child.join(10)
    return result


def main() -> None:
    """Run and print one JSON line a run, then the median rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=400)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    size = args.mb * 1_000_000
    results = []
    for _ in range(args.runs):
        with tempfile.TemporaryDirectory() as name:
            source = Path(name) / "source.bin"
            with source.open("wb") as stream:
                for start in range(0, size, 1_000_000):
                    stream.write(os.urandom(min(1_000_000, size - start)))
            results.append(one_run(Path(name), source, size))
            sys.stdout.write(json.dumps({key: round(value, 2) for key, value in results[-1].items()}) + "\n")
    rate = statistics.median(result["mb_per_s"] for result in results)
    sys.stdout.write(f"median {rate:.0f} MB/s over {len(results)} runs of {args.mb} MB\n")


if __name__ == "__main__":
    main()
