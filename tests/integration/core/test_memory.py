"""Peak anonymous memory of an aggregation does not grow with the workers or the model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.core.rules import Rule

CHILD = """
import json, os, sys, threading
from pathlib import Path
import numpy as np
from steelyard.core import aggregation, kernels, state_file, update_file, update_writer
from steelyard.core.encodings import Encoding
from steelyard.core.rules import Rule, AggregationConfig

folder, rounds = Path(sys.argv[1]), json.loads(sys.argv[2])
kernels.warm()
peak, ended = 0, threading.Event()

def rss_anon():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))

def watch():
    global peak
    while not ended.wait(0.0005):
        peak = max(peak, rss_anon())

def run(workers, blocks, rule):
    shape = {"encoding": Encoding.RAW32, "job": 1, "serial": 1, "block_count": blocks}
    terms = {"block_count": blocks, "encoding": Encoding.RAW32, "rule": rule}
    step = AggregationConfig(**terms, beta=58982, bound2=10**15)
    inputs = aggregation.open_inputs(step, state=folder / f"s{blocks}", momentum=folder / f"s{blocks}",
        updates=[update_file.open_update(folder / f"u{blocks}", **shape) for _ in range(workers)],
        weights=[3] * workers)
    aggregation.aggregate(inputs, out_state=folder / "o", out_momentum=folder / "m")

for blocks in {r[1] for r in rounds}:
    values = np.random.default_rng(1).integers(-9999, 9999, blocks * 32).astype(np.int32)
    state_file.write_state(folder / f"s{blocks}", values, blocks)
    shape = {"encoding": Encoding.RAW32, "job": 1, "serial": 1, "block_count": blocks}
    update_writer.write_update(folder / f"u{blocks}", **shape, delta=values)
    del values
threading.Thread(target=watch, daemon=True).start()
peaks = []
for workers, blocks, rule in rounds:
    peak = 0
    run(workers, blocks, Rule(rule))
    peaks.append(peak)
ended.set()
print(json.dumps(peaks))
"""


def _peaks(folder: Path, rounds: list[tuple[int, int, int]]) -> list[int]:
    """KiB of RssAnon at its highest in each of these (workers, blocks, rule), in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), json.dumps(rounds)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    peaks: list[int] = json.loads(done.stdout)
    return peaks


@pytest.mark.parametrize("rule", list(Rule))
def test_anonymous_memory_does_not_grow_with_the_workers(rule: Rule, tmp_path: Path) -> None:
    few, many = _peaks(tmp_path, [(16, 8192, rule), (128, 8192, rule)])
    assert many - few < 4096, (few, many)  # KiB; the 112 updates more are 114,688


def test_anonymous_memory_does_not_grow_with_the_model(tmp_path: Path) -> None:
    small, large = _peaks(tmp_path, [(8, 8192, 0), (8, 16 * 8192, 0)])
    assert large - small < 2048, (small, large)  # KiB; the model grows by 15,360
