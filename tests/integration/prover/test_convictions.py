"""Whatever number of a result is wrong, one proof convicts it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from steelyard.chain.proof_bytes import pack_arithmetic
from steelyard.core.aggregation import PostedResult, roots_of
from steelyard.core.encodings import Encoding
from steelyard.core.proofs import arithmetic_proof, find_fault
from steelyard.core.state_file import StateFile
from support.prover import Prover, arithmetic_call
from support.rounds import Random, Round, random_round, random_step

RESULTS = 2_000
FLIPS_A_ROUND = 10


def with_bit_flipped(random: Random, file: StateFile) -> StateFile:
    """The file with one bit of any value the other way."""
    data = file.data.copy()
    data[int(random.integers(data.shape[0]))] ^= np.uint8(1 << int(random.integers(8)))
    return StateFile(data, file.block_count)


def wrong_result(random: Random, right: PostedResult) -> PostedResult:
    """The result with a bit of its state or of its momentum flipped."""
    if right.momentum is not None and random.integers(2):
        return replace(right, momentum=with_bit_flipped(random, right.momentum))
    return replace(right, state=with_bit_flipped(random, right.state))


def conviction(round_: Round, posted: PostedResult) -> bytes:
    """The call that a challenger makes after it has found the fault and rebuilt the posted roots."""
    fault = find_fault(posted, round_.new)
    assert fault is not None
    proof, roots = arithmetic_proof(round_.inputs, posted, *fault)
    assert roots == roots_of(round_.inputs, posted) != round_.result.roots
    assert proof.convicts(round_.step)
    n = len(round_.inputs.updates)
    return arithmetic_call(round_.step, roots.transcript, round_.result.table_hash, n, pack_arithmetic(proof))


@pytest.mark.slow
def test_2000_results_with_one_bit_flipped_are_all_convicted(prover: Prover, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    calls = []
    for number in range(RESULTS // FLIPS_A_ROUND):
        step = random_step(random, Encoding(number % 3), int(random.choice([1, 2, 3, 5, 8, 9, 40])))
        round_ = random_round(random, tmp_path, step, updates=int(random.integers(1, 7)))
        calls += [conviction(round_, wrong_result(random, round_.new)) for _ in range(FLIPS_A_ROUND)]
    outcomes = prover.outcomes(calls)
    assert len(outcomes) == RESULTS
    assert [i for i, outcome in enumerate(outcomes) if not outcome.returned] == []


def test_a_result_of_256_updates_is_convicted(prover: Prover, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    for encoding in Encoding:
        step = random_step(random, encoding, 3, momentum=True)
        round_ = random_round(random, tmp_path, step, updates=256)
        (outcome,) = prover.outcomes([conviction(round_, wrong_result(random, round_.new))])
        assert outcome.returned
