"""Run by `test_tables` with a copy of the package that has an encoding `bfp6` and a rule `midrange` more."""

from __future__ import annotations

import functools
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.core import aggregation, encodings, kernels, rules, state_file
from steelyard.core.encoding_spec import Encoding
from steelyard.core.kernels import compiled, fallback
from steelyard.core.rules import Rule
from steelyard.jobs.canonical_json import JsonNode
from steelyard.jobs.schema import ENCODING_NAMES, RULE_NAMES, read_step, step_json
from support import core_reference as ref
from support.core_rounds import make_round, random_values


def check_encoding() -> None:
    bfp6 = Encoding.from_name("bfp6")
    assert "bfp6" in ENCODING_NAMES
    assert (bfp6.size, bfp6.spec.largest) == (25, 31)
    rng, seen = random.Random(1), []
    values = np.array([random_values(rng) for _ in range(500)], np.int32)
    hostile = np.frombuffer(rng.randbytes(25 * 400), np.uint8).copy()
    hostile[::25] %= 40  # shifts, some of them too large
    for core in (compiled, fallback):
        kernels.get = functools.cache(lambda core=core: core)
        made = encodings.encode(values, bfp6)
        decoded, refused = encodings.decode_present(made.payload, bfp6, int(made.present.sum()))
        assert not refused.any()
        assert (decoded == made.decoded[made.present]).all()
        for row, got in zip(values.tolist(), made.decoded.tolist(), strict=True):
            assert got == _rounded(row, 31)
        spoilt = encodings.decode_present(hostile, bfp6, 400)
        seen.append((made.payload.tobytes(), *(part.tolist() for part in spoilt)))
    assert seen[0] == seen[1]


def _rounded(row: list[int], limit: int) -> list[int]:
    shift = 0
    while ref.rdiv(max(map(abs, row)), 2**shift) > limit:
        shift += 1
    return [ref.clamp(ref.rdiv(value, 2**shift) << shift) for value in row]


def check_rule(folder: Path) -> None:
    assert "midrange" in RULE_NAMES
    fixed = {"n": 5, "bound2": 0, "trim": 1, "beta": 0}
    made = make_round(random.Random(3), folder, Rule["MIDRANGE"], Encoding.BFP8, 9, **fixed)
    aggregation.aggregate(made.inputs, out_state=folder / "new", out_momentum=None)
    new = state_file.open_state(folder / "new", 9).values().reshape(9, 32).tolist()
    table = made.inputs.table()
    for j, k in np.ndindex(9, 32):
        column = [update[j][k] for update in made.counted]
        mean = rules.mean_of(made.step, column, table)
        assert mean == ref.rdiv(sorted(column)[1] + sorted(column)[3], 2)
        assert new[j][k] == rules.step_value(made.step, made.old[j][k], 0, mean)[0]
    document: Any = step_json(made.step)
    assert read_step(JsonNode(document, "step")) == made.step


if __name__ == "__main__":
    check_encoding()
    check_rule(Path(sys.argv[1]))
    sys.stdout.write("added\n")
