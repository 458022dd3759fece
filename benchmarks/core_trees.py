"""Time of the state tree over 10 M parameters on one thread, beside safe-pysha3 if it is installed.

    PYTHONPATH=worker .venv-flwr/bin/python benchmarks/core_trees.py

Each repetition runs one after the other; the ratio is the median of the repetitions' ratios, so that a busy
machine slows both sides of it. CPU time is printed beside wall time for the same reason.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from steelyard.core import kernels
from steelyard.core.trees import EMPTY_LEAF, state_root


def timed(call: Callable[[], bytes]) -> tuple[float, float, bytes]:
    """Wall and CPU milliseconds of one call, and its result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3, result


def pysha3_root(data: bytes, blocks: int) -> bytes:
    """Return the same root with one call of safe-pysha3 a hash."""
    import sha3  # type: ignore[import-not-found]  # noqa: PLC0415

    new = sha3.keccak_256
    level = [new(b"\x00" + data[i : i + 128]).digest() for i in range(0, len(data), 128)]
    level += [EMPTY_LEAF] * ((1 << (blocks - 1).bit_length()) - blocks)
    while len(level) > 1:
        level = [new(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level), 2)]
    return level[0]


def main() -> None:
    """Print a line a repetition and the medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parameters", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=9)
    options = parser.parse_args()
    blocks = -(-options.parameters // 32)
    data = np.random.default_rng(1).integers(0, 256, blocks * 128, dtype=np.uint8)
    raw = data.tobytes()
    try:
        import sha3  # type: ignore[import-not-found]  # noqa: F401, PLC0415
    except ImportError:
        print("safe-pysha3 is not installed here: no ratio")
        other = None
    else:
        other = pysha3_root
    print(f"kernels: {kernels.warm()}; {blocks} blocks")
    walls, cpus, ratios = [], [], []
    for _ in range(options.repeat):
        wall, cpu, root = timed(lambda: state_root(data, blocks))
        walls.append(wall)
        cpus.append(cpu)
        line = f"state tree {wall:7.1f} ms wall {cpu:7.1f} ms CPU"
        if other is not None:
            _, other_cpu, expected = timed(lambda: other(raw, blocks))
            assert root == expected
            ratios.append(other_cpu / cpu)
            line += f"   safe-pysha3 {other_cpu:7.1f} ms CPU   ratio {ratios[-1]:5.1f}"
        print(line)
    wall, cpu = statistics.median(walls), statistics.median(cpus)
    print(f"median {wall:.1f} ms wall, {cpu:.1f} ms CPU; best {min(walls):.1f} ms wall")
    if ratios:
        print(f"median of the ratios to safe-pysha3: {statistics.median(ratios):.1f}x")


if __name__ == "__main__":
    main()
