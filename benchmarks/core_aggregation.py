"""FedAvg of 32 updates of 10 M values beside Flower's `aggregate_arrayrecords`, same process, interleaved.

    PYTHONPATH=worker .venv-flwr/bin/python benchmarks/core_aggregation.py

What each side does in its timed part:

- Flower: `aggregate_arrayrecords` on 32 records, each one float32 array in memory as Flower received it
  (serialized .npy bytes): deserialize, multiply, add, serialize the result.
- aggregation: open and map 32 update files (raw32, in the page cache), check headers and lengths, decode,
  weigh, sum, divide, step the server's state, write the new state file. No hashing.
- with trees: the same, and the leaf hashes of all 32 updates, the state tree and the transcript tree: all
  that an aggregator posts. Flower has nothing to compare with it.

One thread each, interleaved. Ratios are medians of the repetitions', of wall time and of CPU time: on a busy
machine the second says more. RssAnon is the growth of anonymous memory while ours runs, at its peak, for
several numbers of workers.
"""

from __future__ import annotations

import argparse
import functools
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords

from steelyard.core import aggregation, kernels, numbers, state_file, update_file, update_writer
from steelyard.core.encodings import Encoding
from steelyard.core.rules import AggregationConfig

SCALE = 20


class Ours:
    """The update files of a round, and the two ways of aggregating them."""

    def __init__(self, folder: Path, arrays: list[np.ndarray], encoding: Encoding) -> None:  # type: ignore[type-arg]
        self.folder, self.weights = folder, [100 + i for i in range(len(arrays))]
        self.blocks = numbers.block_count(arrays[0].size)
        self.shape = {"encoding": encoding, "job": 1, "serial": 1, "block_count": self.blocks}
        self.step = AggregationConfig(block_count=self.blocks, encoding=encoding)
        state_file.write_state(folder / "old", np.zeros(arrays[0].size, np.int32), self.blocks)
        for i, array in enumerate(arrays):
            update_writer.write_update(folder / f"{i}", **self.shape, delta=numbers.quantize(array, SCALE))

    def inputs(self, workers: int) -> aggregation.Inputs:
        """Open what a round includes."""
        updates = [update_file.open_update(self.folder / f"{i}", **self.shape) for i in range(workers)]
        old = self.folder / "old"
        return aggregation.open_inputs(
            self.step, state=old, momentum=None, updates=updates, weights=self.weights[:workers]
        )

    def plain(self, workers: int) -> None:
        """Decode, mean and step."""
        aggregation.compute(self.inputs(workers), out_state=self.folder / "new", out_momentum=None)

    def hashed(self, workers: int) -> None:
        """The same with all trees."""
        aggregation.aggregate(self.inputs(workers), out_state=self.folder / "new", out_momentum=None)


def records(arrays: list[np.ndarray]) -> list[RecordDict]:  # type: ignore[type-arg]
    """Return Flower's replies of a round."""
    return [
        RecordDict({"a": ArrayRecord({"w": Array(a)}), "m": MetricRecord({"num-examples": 100 + i})})
        for i, a in enumerate(arrays)
    ]


def timed(call: Callable[[], object]) -> np.ndarray:  # type: ignore[type-arg]
    """Wall and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), time.thread_time()
    call()
    return np.array([time.perf_counter() - wall, time.thread_time() - cpu])


def rss_anon() -> int:
    """KiB of anonymous memory of this process."""
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


def growth(call: Callable[[], object]) -> int:
    """KiB by which anonymous memory grows at its highest during a call."""
    start, peak, ended = rss_anon(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.002):
            peak = max(peak, rss_anon())

    watcher = threading.Thread(target=watch)
    watcher.start()
    call()
    ended.set()
    watcher.join()
    return max(0, peak - start)


def check(ours: Ours, flower: ArrayRecord) -> None:
    """Both sides computed the same mean, to within what 20 scale bits round away."""
    mine = numbers.dequantize(state_file.open_state(ours.folder / "new", ours.blocks).values(), SCALE)
    theirs = flower["w"].numpy()
    assert np.allclose(mine[: theirs.size], theirs, atol=4 * 2.0**-SCALE)


def main() -> None:
    """Print a line a repetition, the median ratios and the memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--values", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--encoding", default="raw32")
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    arrays = [rng.normal(0, 0.01, options.values).astype(np.float32) for _ in range(options.workers)]
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(Path(folder), arrays, Encoding.from_name(options.encoding))
        replies = records(arrays)
        del arrays
        print(f"kernels: {kernels.warm()}; {options.workers} x {options.values} values, {options.encoding}")
        run(ours, replies, options.workers, options.repeat)
        for workers in (1, options.workers // 4, options.workers):
            grown = growth(functools.partial(ours.hashed, workers))
            print(f"RssAnon grows by {grown:6d} KiB with {workers} updates")
        grown = growth(lambda: aggregate_arrayrecords(replies, "num-examples"))
        print(f"RssAnon grows by {grown:6d} KiB in Flower")


def run(ours: Ours, replies: list[RecordDict], workers: int, repeat: int) -> None:
    """Time the three, interleaved."""
    plain, hashed = [], []
    ours.plain(workers)
    if ours.step.encoding is Encoding.RAW32:
        check(ours, aggregate_arrayrecords(replies, "num-examples"))
    print("seconds of wall / CPU")
    for _ in range(repeat):
        flower = timed(lambda: aggregate_arrayrecords(replies, "num-examples"))
        mine = timed(lambda: ours.plain(workers))
        trees = timed(lambda: ours.hashed(workers))
        plain.append(flower / mine)
        hashed.append(flower / trees)
        names = ("Flower", "aggregation", "with trees")
        print(
            "   ".join(
                f"{n} {t[0]:.3f} / {t[1]:.3f}" for n, t in zip(names, (flower, mine, trees), strict=True)
            )
        )
    for name, ratios in (("aggregation", plain), ("with all trees", hashed)):
        wall, cpu = np.median(np.array(ratios), axis=0)
        print(f"{name}: {wall:.2f} times as fast as Flower by the wall clock, {cpu:.2f} by CPU time")


if __name__ == "__main__":
    main()
