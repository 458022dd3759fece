"""Jobs that end, on a chain of their own: its clock is moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steelyard.chain.dev import devnet
from support.yard import Steelyard, Yard, deployed_on, post


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with devnet.running("anvil", accounts=4) as chain:
        yield deployed_on(chain, tmp_path_factory.mktemp("yard"))


def test_a_job_is_started_stopped_and_closed_and_the_money_comes_back(
    steelyard: Steelyard, sponsor: str, folder: Path, workers: list[str], advance: Callable[[int], None]
) -> None:
    job = str(post(steelyard, folder))
    early = steelyard("job", "start", job, account="sponsor").error
    assert early["type"] == "Reverted"
    for name in ("ann", "ben"):
        steelyard("job", "join", job, account=name)
    assert steelyard("job", "start", job, account="sponsor").code == 0
    assert "round 1" in steelyard("job", "show", job).json["phase"]
    assert steelyard("job", "stop", job, account="ann").error["revert"]["name"] == "NotSponsor"
    assert steelyard("job", "stop", job, account="sponsor").code == 0
    assert steelyard("job", "abort", job, account="sponsor").error["revert"]["name"] == "CannotEnd"
    advance(3700)
    assert steelyard("job", "abort", job, account="ann").code == 0
    assert steelyard("job", "show", job).json["status"] == "aborted"
    assert steelyard("rewards", "claim", account="sponsor").json["withdrawn"][0]["units"] == 30 * 10**18
    over = steelyard("job", "join", job, account="cam").error
    assert over["exit_code"] == 2
    assert "aborted" in over["message"]
