"""Random blocks by rule and encoding: files, means, steps, trees and tables equal the reference."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from steelyard.core import encodings
from steelyard.core.encodings import Encoding
from steelyard.core.kernels import Kernels
from steelyard.core.rules import Rule
from support import core_reference as ref
from support.core_rounds import check_round, make_round, random_block, random_values


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("rule", list(Rule))
def test_small_models_equal_the_reference_on_both_kernels(
    rule: Rule, encoding: Encoding, core: Kernels, tmp_path: Path
) -> None:
    rng = random.Random(f"{core.NAME} {rule} {encoding}")
    for count in (1, 2, 3, 7, 8, 9, 31, 33, 64):
        check_round(make_round(rng, tmp_path / str(count), rule, encoding, count))


def test_256_updates_equal_the_reference(core: Kernels, tmp_path: Path) -> None:
    rng = random.Random(core.NAME)
    for rule in Rule:
        check_round(make_round(rng, tmp_path / rule.name, rule, Encoding.BFP8, 5, n=256))


@cache
def _encoded(encoding: Encoding) -> tuple[list[list[int]], list[bytes], list[list[int]]]:
    """20,000 rows of values, the reference's blocks of them, and what it decodes of these."""
    rng = random.Random(encoding)
    rows = [random_values(rng) for _ in range(20000)]
    expected = [ref.encode(row, encoding) for row in rows]
    return rows, expected, [ref.counted(block, encoding) for block in expected]


@cache
def _hostile(encoding: Encoding) -> tuple[list[bytes], list[list[int]], list[bool]]:
    """20,000 blocks, what the reference counts them as, and whether it refuses them."""
    rng = random.Random(f"hostile {encoding}")
    raw = [block for block in (random_block(rng, encoding) for _ in range(25000)) if block][:20000]
    counted = [ref.counted(block, encoding) for block in raw]
    return raw, counted, [ref.decode(block, encoding) is None for block in raw]


@pytest.mark.parametrize("encoding", list(Encoding))
def test_20000_blocks_encode_as_the_reference_does(encoding: Encoding, core: Kernels) -> None:
    rows, expected, counted = _encoded(encoding)
    coded = encodings.encode(np.array(rows, np.int32), encoding)
    assert coded.payload.tobytes() == b"".join(expected)
    assert coded.present.tolist() == [bool(b) for b in expected]
    assert coded.decoded.tolist() == counted


@pytest.mark.parametrize("encoding", list(Encoding))
def test_20000_hostile_blocks_decode_as_the_reference_does(encoding: Encoding, core: Kernels) -> None:
    raw, counted, refuses = _hostile(encoding)
    values, refused = encodings.decode_present(np.frombuffer(b"".join(raw), np.uint8), encoding, len(raw))
    assert values.tolist() == counted
    assert refused.tolist() == refuses
