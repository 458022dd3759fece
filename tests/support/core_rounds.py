"""Random rounds as files, with awkward blocks among them, and what the reference makes of them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from steelyard.core import aggregation, state_file, update_file
from steelyard.core.encodings import Encoding
from steelyard.core.rules import MAX_LR, MAX_WEIGHT, ONE, AggregationConfig, Rule
from steelyard.core.update_file import UpdateFile
from support import core_reference as ref

EXTREMES = (0, 1, -1, 7, 8, 127, 128, -127, -128, 2**31 - 1, -(2**31 - 1), 2**30, 3 << 22)


def random_values(rng: random.Random) -> list[int]:
    kind = rng.randrange(6)
    if kind == 0:
        return [0] * 32
    if kind == 1:
        return [rng.choice(EXTREMES) for _ in range(32)]
    size = 1 << rng.randrange(1, 32)
    return [ref.clamp(rng.randrange(-size, size)) for _ in range(32)]


def random_block(rng: random.Random, encoding: int) -> bytes:
    """A block as an honest worker writes it, or a hostile one: refused, wasteful, zeros but present."""
    kind = rng.randrange(10)
    if kind < 6:
        return ref.encode(random_values(rng), encoding)
    if kind == 6:
        return bytes(ref.SIZES[encoding])
    body = rng.randbytes(ref.SIZES[encoding])
    if encoding == 0:
        return body
    fine = bytes(b if b != 128 and b >> 4 != 8 and b & 15 != 8 else 17 for b in body[1:])
    if kind == 7:
        return bytes([rng.randrange(256)]) + body[1:]
    return bytes([rng.randrange(34)]) + fine


def update_bytes(encoding: Encoding, blocks: list[bytes], job: int = 1, serial: int = 1) -> bytes:
    bits = "".join("1" if b else "0" for b in blocks)
    bits += "0" * (-len(bits) % 8)
    header = b"SYU1" + bytes([encoding]) + bytes(3) + job.to_bytes(8, "big") + serial.to_bytes(8, "big")
    header += len(blocks).to_bytes(4, "big") + bytes(4)
    return header + bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)) + b"".join(blocks)


def state_bytes(blocks: list[list[int]]) -> bytes:
    return b"".join(v.to_bytes(4, "big", signed=True) for block in blocks for v in block)


@dataclass
class RandomRound:
    step: AggregationConfig
    old: list[list[int]]
    old_momentum: list[list[int]]
    blocks: list[list[bytes]]  # [update][block]
    weights: list[int]
    inputs: aggregation.Inputs
    folder: Path

    @cached_property
    def counted(self) -> list[list[list[int]]]:
        """[update][block][value], zeros where a block is refused."""
        return [[ref.counted(b, self.step.encoding) for b in update] for update in self.blocks]

    @cached_property
    def factors(self) -> list[int]:
        energies = [sum(map(ref.energy, update)) for update in self.counted]
        return [ref.factor(e, self.step.bound2) for e in energies]

    def expected(self) -> tuple[list[list[int]], list[list[int]]]:
        """New state and momentum by the reference."""
        step = self.step
        state, momentum = [], []
        for j in range(step.block_count):
            columns = zip(*(update[j] for update in self.counted), strict=True)
            means = [ref.mean(step.rule, step.trim, c, self.weights, self.factors) for c in columns]
            pairs = [
                ref.step(step.beta, step.lr, w, m, a)
                for w, m, a in zip(self.old[j], self.old_momentum[j], means, strict=True)
            ]
            state.append([p[0] for p in pairs])
            momentum.append([p[1] for p in pairs])
        return state, momentum

    def transcript_levels(self, state: list[list[int]], momentum: list[list[int]]) -> list[list[bytes]]:
        leaves = []
        for j in range(self.step.block_count):
            parts = [state_bytes([self.old[j]]), state_bytes([state[j]])]
            if self.step.beta:
                parts += [state_bytes([self.old_momentum[j]]), state_bytes([momentum[j]])]
            leaves.append(ref.transcript_leaf(parts + [update[j] for update in self.blocks]))
        return ref.state_levels(leaves)

    def aggregate(self) -> tuple[aggregation.AggregationResult, aggregation.PostedResult]:
        out, out_m = self.folder / "new", self.folder / "new-momentum" if self.step.beta else None
        result = aggregation.aggregate(self.inputs, out_state=out, out_momentum=out_m)
        count = self.step.block_count
        momentum = None if out_m is None else state_file.open_state(out_m, count)
        return result, aggregation.PostedResult(state=state_file.open_state(out, count), momentum=momentum)


def make_round(
    rng: random.Random, folder: Path, rule: Rule, encoding: Encoding, count: int, **fixed: int
) -> RandomRound:
    """A round of 1 to 9 updates with random blocks, weights, clipping, momentum and learning rate."""
    folder.mkdir(parents=True, exist_ok=True)
    n = fixed.pop("n", rng.randrange(1, 10))
    fields = {
        "trim": rng.randrange((n + 1) // 2) if rule is Rule.TRIMMED_MEAN else 0,
        "beta": rng.choice([0, 0, 1, 58982, ONE]),
        "lr": rng.choice([ONE, rng.randrange(MAX_LR + 1), MAX_LR, 1]),
        "bound2": rng.choice([0, 0, rng.randrange(1, 2**96), rng.randrange(1, 2**70)]),
        **fixed,
    }
    step = AggregationConfig(block_count=count, encoding=encoding, rule=rule, **fields)
    weights = [rng.choice([1, MAX_WEIGHT, rng.randrange(1, MAX_WEIGHT + 1)]) for _ in range(n)]
    old = [random_values(rng) for _ in range(count)]
    old_momentum = [random_values(rng) if step.beta else [0] * 32 for _ in range(count)]
    blocks = [[random_block(rng, encoding) for _ in range(count)] for _ in range(n)]
    (folder / "old").write_bytes(state_bytes(old))
    (folder / "old-momentum").write_bytes(state_bytes(old_momentum))
    opened: list[update_file.UpdateFile] = []
    for i, update in enumerate(blocks):
        (folder / f"u{i}").write_bytes(update_bytes(encoding, update))
        opened.append(
            update_file.open_update(folder / f"u{i}", encoding=encoding, job=1, serial=1, block_count=count)
        )
    inputs = aggregation.open_inputs(
        step,
        state=folder / "old",
        momentum=folder / "old-momentum" if step.beta else None,
        updates=opened,
        weights=weights,
    )
    return RandomRound(step, old, old_momentum, blocks, weights, inputs, folder)


def check_round(made: RandomRound) -> None:
    """Its aggregation equals what the reference makes of the same updates."""
    state, momentum = made.expected()
    result, posted = made.aggregate()
    assert posted.state.data.tobytes() == state_bytes(state)
    assert result.roots.state == ref.state_root([ref.leaf(state_bytes([b])) for b in state])
    if made.step.beta:
        assert posted.momentum is not None
        assert posted.momentum.data.tobytes() == state_bytes(momentum)
        assert result.roots.momentum == ref.state_root([ref.leaf(state_bytes([b])) for b in momentum])
    else:
        assert result.roots.momentum == bytes(32)
    assert result.roots.transcript == made.transcript_levels(state, momentum)[-1][0]
    assert list(result.table.factors) == made.factors
    assert result.table_hash == ref.table(made.weights, made.factors)
    for update, raw, values in zip(made.inputs.updates, made.blocks, made.counted, strict=True):
        _check_update(update, raw, [ref.energy(v) for v in values])


def _check_update(update: UpdateFile, raw: list[bytes], energies: list[int]) -> None:
    encoding = update.encoding
    nodes = list(zip(map(ref.leaf, raw), energies, strict=True))
    tree, energy = ref.update_levels(nodes)[-1][0]
    summary = update.summary
    assert (summary.root.tree_hash, summary.root.energy) == (tree, energy)
    assert summary.update_root == ref.update_root(tree, energy, encoding, len(raw))
    refused = [i for i, b in enumerate(raw) if ref.decode(b, encoding) is None]
    assert summary.refused_count == len(refused)
    assert summary.first_refused == (refused[0] if refused else None)
