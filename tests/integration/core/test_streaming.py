"""The same bits for every size of chunk, whether files are read, aggregated, hashed or written."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from steelyard.core import (
    aggregation,
    inputs,
    numbers,
    proofs,
    state_file,
    transcript,
    update_file,
    update_writer,
)
from steelyard.core.encodings import Encoding
from steelyard.core.kernels import Kernels
from steelyard.core.rules import Rule
from support.core_rounds import make_round

CHUNKS = (8, 24, 64, 4096)


def _cut(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    for module in (inputs, state_file, transcript, update_file):
        monkeypatch.setattr(module, "CHUNK_BLOCKS", chunk)


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("rule", list(Rule))
def test_results_and_proofs_do_not_depend_on_the_chunk(
    rule: Rule, encoding: Encoding, core: Kernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_round(random.Random(f"{rule} {encoding}"), tmp_path, rule, encoding, 203, n=5, beta=58982)
    seen = set()
    for chunk in CHUNKS:
        _cut(monkeypatch, chunk)
        result, posted = made.aggregate()
        assert posted.momentum is not None
        proof, roots = proofs.arithmetic_proof(made.inputs, posted, 137, 5)
        assert roots == result.roots
        assert proof.transcript_root() == roots.transcript
        files_read = posted.state.data.tobytes() + posted.momentum.data.tobytes()
        roots_read = tuple(update_file.UpdateFile.summary.func(u).update_root for u in made.inputs.updates)
        seen.add((files_read, result.table_hash, proof, roots_read))
    assert len(seen) == 1
    assert proof.updates == tuple(update[137] for update in made.blocks)


def test_a_small_working_set_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_round(random.Random(8), tmp_path, Rule.MEDIAN, Encoding.BFP8, 203, n=9)
    expected = made.aggregate()[0]
    monkeypatch.setattr(inputs, "WORKING_SET", 1)
    assert inputs.rows_for(1000) == 8
    assert made.aggregate()[0] == expected


@pytest.mark.parametrize("encoding", list(Encoding))
def test_written_updates_do_not_depend_on_the_chunk(
    encoding: Encoding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delta = np.random.default_rng(1).integers(-9999, 9999, 203 * 32).astype(np.int32)
    delta[64 * 32 : 80 * 32] = 0
    shape = {"encoding": encoding, "job": 1, "serial": 1, "block_count": 203}
    seen = set()
    for chunk in CHUNKS:
        _cut(monkeypatch, chunk)
        written = update_writer.write_update(
            tmp_path / "u", **shape, delta=delta, new_residual=tmp_path / "k"
        )
        seen.add((written, (tmp_path / "u").read_bytes(), (tmp_path / "k").read_bytes()))
    assert len(seen) == 1


def test_more_blocks_than_a_chunk_holds(tmp_path: Path) -> None:
    made = make_round(
        random.Random(9), tmp_path, Rule.FEDAVG, Encoding.BFP4, 2 * numbers.CHUNK_BLOCKS + 5, n=2, beta=0
    )
    state, _ = made.expected()
    result, posted = made.aggregate()
    assert posted.state.values().reshape(-1, 32).tolist() == state
    assert aggregation.roots_of(made.inputs, posted) == result.roots
