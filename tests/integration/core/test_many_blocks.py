"""20,000 random blocks per rule and encoding: files, means, steps, trees and tables equal the reference."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from steelyard.core.encodings import Encoding
from steelyard.core.rules import Rule
from support.core_rounds import check_round, make_round

JOBS, BLOCKS = 10, 2000


@pytest.mark.slow
@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("rule", list(Rule))
def test_20000_blocks_equal_the_reference(rule: Rule, encoding: Encoding, tmp_path: Path) -> None:
    rng = random.Random(1000 * rule + encoding)
    for job in range(JOBS):
        check_round(make_round(rng, tmp_path / str(job), rule, encoding, BLOCKS))
