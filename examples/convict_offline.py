"""Aggregate three updates, change one number as a cheating aggregator would, and convict it, offline."""

import tempfile
from pathlib import Path

import numpy as np

import steelyard as sy

BLOCKS, BITS = 8, 16  # 8 blocks of 32 values; 16 bits after the binary point
CONFIG = sy.AggregationConfig(block_count=BLOCKS, encoding=sy.Encoding.BFP8)
SHAPE = {"encoding": CONFIG.encoding, "job": 1, "serial": 1, "block_count": BLOCKS}


def convict(folder: Path) -> None:
    """Write the files of one round to `folder`."""
    random = np.random.default_rng(1)
    parent, right, posted = (folder / name for name in ("parent", "right", "posted"))
    sy.write_state(parent, sy.quantize(random.normal(size=256).astype(np.float32), BITS), BLOCKS)
    paths = [folder / f"update-{worker}" for worker in range(3)]
    for path in paths:
        change = random.normal(scale=0.01, size=256).astype(np.float32)
        sy.write_update(path, delta=sy.quantize(change, BITS), **SHAPE)
    updates = [sy.open_update(path, **SHAPE) for path in paths]
    inputs = sy.open_inputs(CONFIG, state=parent, updates=updates, weights=[600, 300, 100])
    honest = sy.aggregate(inputs, out_state=right)

    values = sy.open_state(right, BLOCKS).values()
    values[100] += 1  # the smallest lie: 2^-16 in one weight
    sy.write_state(posted, values, BLOCKS)
    lie, truth = (sy.PostedResult(state=sy.open_state(path, BLOCKS)) for path in (posted, right))
    proof, roots = sy.arithmetic_proof(inputs, lie, *sy.find_fault(lie, truth))
    print("as posted:", roots.transcript == proof.transcript_root() != honest.roots.transcript)
    print(f"block {proof.block_index}, coordinate {proof.coordinate}: convicts: {proof.convicts(CONFIG)}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        convict(Path(name))
