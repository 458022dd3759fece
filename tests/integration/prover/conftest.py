"""An anvil without limits on a call's gas and size, with the fault prover in place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from steelyard.chain.dev import devnet
from support.prover import ANVIL_FLAGS, Prover


@pytest.fixture(scope="package")
def prover() -> Iterator[Prover]:
    """One for all tests of the prover; none of them leaves anything behind."""
    with devnet.running("anvil", extra=ANVIL_FLAGS) as chain:
        yield Prover.on(chain)
