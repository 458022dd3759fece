"""20,000 random blocks per rule and encoding: files, means, steps, trees and tables equal the reference."""

from __future__ import annotations

import random
from pathlib import Path

import core_reference as ref
import numpy as np
import pytest
from core_rounds import RandomRound, make_round, random_block, random_values, state_bytes

from steelyard.core import encodings
from steelyard.core.encodings import Encoding
from steelyard.core.kernels import Kernels
from steelyard.core.rules import Rule
from steelyard.core.update_file import UpdateFile

JOBS, BLOCKS = 10, 2000


@pytest.mark.slow
@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("rule", list(Rule))
def test_20000_blocks_equal_the_reference(rule: Rule, encoding: Encoding, tmp_path: Path) -> None:
    rng = random.Random(1000 * rule + encoding)
    for job in range(JOBS):
        made = make_round(rng, tmp_path / str(job), rule, encoding, BLOCKS)
        _check(made)


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("rule", list(Rule))
def test_small_models_equal_the_reference_on_both_kernels(
    rule: Rule, encoding: Encoding, core: Kernels, tmp_path: Path
) -> None:
    rng = random.Random(f"{core.NAME} {rule} {encoding}")
    for count in (1, 2, 3, 7, 8, 9, 31, 33, 64):
        _check(make_round(rng, tmp_path / str(count), rule, encoding, count))


def test_256_updates_equal_the_reference(core: Kernels, tmp_path: Path) -> None:
    rng = random.Random(core.NAME)
    for rule in Rule:
        _check(make_round(rng, tmp_path / rule.name, rule, Encoding.BFP8, 5, n=256))


def _check(made: RandomRound) -> None:
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


@pytest.mark.parametrize("encoding", list(Encoding))
def test_20000_blocks_encode_as_the_reference_does(encoding: Encoding, core: Kernels) -> None:
    rng = random.Random(encoding)
    rows = [random_values(rng) for _ in range(20000)]
    coded = encodings.encode(np.array(rows, np.int32), encoding)
    expected = [ref.encode(row, encoding) for row in rows]
    assert coded.payload.tobytes() == b"".join(expected)
    assert coded.present.tolist() == [bool(b) for b in expected]
    assert coded.decoded.tolist() == [ref.counted(b, encoding) for b in expected]


@pytest.mark.parametrize("encoding", list(Encoding))
def test_20000_hostile_blocks_decode_as_the_reference_does(encoding: Encoding, core: Kernels) -> None:
    rng = random.Random(f"hostile {encoding}")
    raw = [b for b in (random_block(rng, encoding) for _ in range(25000)) if b][:20000]
    values, refused = encodings.decode_present(np.frombuffer(b"".join(raw), np.uint8), encoding, len(raw))
    assert values.tolist() == [ref.counted(b, encoding) for b in raw]
    assert refused.tolist() == [ref.decode(b, encoding) is None for b in raw]
