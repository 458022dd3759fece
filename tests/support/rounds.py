"""Random rounds for the exact core: aggregation parameters, parent, updates and the right result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steelyard.core.aggregation import AggregationResult, Inputs, PostedResult, aggregate
from steelyard.core.encodings import Encoding, encode
from steelyard.core.kernels.arrays import Bytes, Int32
from steelyard.core.numbers import BLOCK_VALUES, INT_MAX, ONE
from steelyard.core.rules import MAX_LR, MAX_WEIGHT, AggregationConfig
from steelyard.core.state_file import StateFile, open_state
from steelyard.core.update_file import UpdateFile, header_of, parse_update

JOB, SERIAL = 7, 9
Random = np.random.Generator


@dataclass(frozen=True)
class Round:
    """A right result with its inputs."""

    inputs: Inputs
    result: AggregationResult
    new: PostedResult

    @property
    def step(self) -> AggregationConfig:
        """The job's aggregation parameters."""
        return self.inputs.step


def random_step(
    random: Random, encoding: Encoding, block_count: int, *, momentum: bool | None = None
) -> AggregationConfig:
    """Random aggregation parameters, with or without momentum and clipping, including extremes."""
    if momentum is None:
        momentum = bool(random.integers(2))
    beta = int(random.choice([1, ONE // 2, 58982, ONE, int(random.integers(1, ONE + 1))])) if momentum else 0
    lr = int(random.choice([0, 1, ONE, ONE, ONE // 3, MAX_LR, int(random.integers(MAX_LR))]))
    bound2 = int(random.choice([0, 1])) and int(2 ** random.uniform(1, 80))
    return AggregationConfig(block_count=block_count, encoding=encoding, beta=beta, lr=lr, bound2=bound2)


def random_round(random: Random, folder: Path, step: AggregationConfig, updates: int) -> Round:
    """A round on random blocks, aggregated by the core into `folder`."""
    made = tuple(random_update(random, step) for _ in range(updates))
    weights = tuple(
        int(w) for w in random.choice([1, 2, 60000, MAX_WEIGHT, int(random.integers(1, MAX_WEIGHT))], updates)
    )
    inputs = Inputs(
        step=step,
        state=random_state(random, step.block_count),
        momentum=random_state(random, step.block_count) if step.momentum else None,
        updates=made,
        weights=weights,
    )
    out = folder / "momentum" if step.momentum else None
    result = aggregate(inputs, out_state=folder / "state", out_momentum=out)
    new = PostedResult(
        state=_copied(folder / "state", step.block_count),
        momentum=_copied(out, step.block_count) if out else None,
    )
    return Round(inputs, result, new)


def random_state(random: Random, block_count: int) -> StateFile:
    """A state of random values."""
    values = random_values(random, block_count)
    return StateFile(np.frombuffer(values.astype(">i4").tobytes(), np.uint8), block_count)


def random_update(random: Random, step: AggregationConfig) -> UpdateFile:
    """An update of encoded blocks and of arbitrary blocks, some of them invalid."""
    coded = encode(random_values(random, step.block_count), step.encoding)
    honest = coded.payload.reshape(-1, step.encoding.size)
    blocks = np.zeros((step.block_count, step.encoding.size), np.uint8)
    blocks[coded.present] = honest
    odd = random.random(step.block_count) < 0.3
    blocks[odd] = random.integers(0, 256, (int(odd.sum()), step.encoding.size), np.uint8)
    if step.encoding is not Encoding.RAW32:
        tame = odd & (random.random(step.block_count) < 0.7)
        blocks[tame, 0] = random.integers(0, 34, int(tame.sum()))
        lowest = 0x80 if step.encoding is Encoding.BFP8 else 0x88
        blocks[tame, 1:] = np.where(blocks[tame, 1:] == lowest, 1, blocks[tame, 1:])
        if step.encoding is Encoding.BFP4:
            blocks[tame, 1:] &= 0x77
    present = (coded.present | odd) & (random.random(step.block_count) < 0.9)
    return update_of(step, blocks, present)


def update_of(
    step: AggregationConfig, blocks: Bytes, present: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> UpdateFile:
    """The update file with these blocks. blocks: (block_count, size); present: (block_count,)."""
    header = header_of(encoding=step.encoding, job=JOB, serial=SERIAL, block_count=step.block_count)
    data = header + np.packbits(present).tobytes() + blocks[present].tobytes()
    return parse_update(
        np.frombuffer(data, np.uint8),
        encoding=step.encoding,
        job=JOB,
        serial=SERIAL,
        block_count=step.block_count,
    )


def random_values(random: Random, rows: int) -> Int32:
    """Values of all magnitudes: zeros, small, large, and the limits. Returns (rows, 32)."""
    magnitude = 2.0 ** random.uniform(0, 31, (rows, 1))
    values = np.rint(random.uniform(-1, 1, (rows, BLOCK_VALUES)) * magnitude).astype(np.int64)
    values[random.random(rows) < 0.05] = 0
    extremes = random.random((rows, BLOCK_VALUES)) < 0.02
    values[extremes] = random.choice([-INT_MAX, INT_MAX, -1, 1], int(extremes.sum()))
    return np.clip(values, -INT_MAX, INT_MAX).astype(np.int32)


def _copied(path: Path, block_count: int) -> StateFile:
    """A state file copied to memory, so that its folder can be reused."""
    return StateFile(open_state(path, block_count).data.copy(), block_count)
