"""The core's aggregation and the contract's arithmetic give the same bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steelyard.chain.proof_bytes import pack_arithmetic
from steelyard.core.encodings import Encoding
from steelyard.core.proofs import ArithmeticProof
from steelyard.core.rules import AggregationConfig
from support.prover import Prover, arithmetic_call
from support.rounds import Round, random_round, random_step

BLOCKS = 20_000
BLOCKS_A_ROUND = 100


def block_calls(round_: Round) -> list[bytes]:
    """A proof for every block of a round, each as if it were a model of its own: no path is needed."""
    step, new = round_.step, round_.new
    alone = AggregationConfig(
        block_count=1, encoding=step.encoding, beta=step.beta, lr=step.lr, bound2=step.bound2
    )
    calls = []
    for block in range(step.block_count):
        proof = ArithmeticProof(
            block_index=0,
            coordinate=0,
            old_state=round_.inputs.state.block(block),
            new_state=new.state.block(block),
            old_momentum=round_.inputs.momentum.block(block) if round_.inputs.momentum else b"",
            new_momentum=new.momentum.block(block) if new.momentum else b"",
            updates=tuple(update.block(block) for update in round_.inputs.updates),
            table=round_.result.table.to_bytes(),
            path=(),
        )
        n = len(round_.inputs.updates)
        packed = pack_arithmetic(proof)
        calls.append(arithmetic_call(alone, proof.transcript_root(), round_.result.table_hash, n, packed))
    return calls


@pytest.mark.slow
@pytest.mark.parametrize("encoding", list(Encoding))
def test_every_value_of_20000_random_blocks_agrees(
    prover: Prover, encoding: Encoding, tmp_path: Path
) -> None:
    random = np.random.default_rng(1000 + encoding)
    for start in range(0, BLOCKS, BLOCKS_A_ROUND):
        step = random_step(random, encoding, BLOCKS_A_ROUND)
        round_ = random_round(random, tmp_path, step, updates=int(random.choice([1, 2, 3, 5, 10])))
        counts = prover.held(block_calls(round_))
        wrong = [start + i for i, count in enumerate(counts) if count != 32]
        assert len(counts) == BLOCKS_A_ROUND
        assert not wrong, f"{step}: blocks {wrong[:5]} differ"
