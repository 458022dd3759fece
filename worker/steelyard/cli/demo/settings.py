"""The demo's job, members and windows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from steelyard.chain.dev.devnet import Kind
from steelyard.content.kubo.address import DaemonAddress
from steelyard.learning.job_setup import DEMO_TRAINING
from steelyard.learning.recipes.image_cnn import MNIST_ARCHITECTURE
from steelyard.operations.description import DataSection, JobDescription
from steelyard.operations.terms import TermsSection

ROUNDS = 6
CHEAT_ROUND = 3
WORKERS = 4
AGGREGATORS = 2
STAKE, BOND, POOL = 100, 500, 100  # tokens
EPOCH_ROWS = 10_000  # that a worker samples of its shard in a round, or large shards would delay all
MINIMUM_WINDOW_S = 1
UNBONDING_S = 60


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """Options of the demo."""

    chain: Kind = "anvil"
    cheat: bool = True
    keep: bool = False
    report: Path = Path("report.json")
    check: bool = True  # let the independent script check the report at the end
    ipfs: DaemonAddress | None = None  # RPC of an IPFS daemon that all nodes share; None = embedded stores
    poll_s: float = 0.15  # seconds between a node's polls of the chain; 7 nodes share the cores
    deadline_s: float = 600.0  # for everything


def description() -> JobDescription:
    """The job: MNIST, four skewed shards, six rounds."""
    return JobDescription(
        name="MNIST, four shards",
        encoding="bfp8",
        architecture=MNIST_ARCHITECTURE,
        training={**DEMO_TRAINING.json(), "max_rows": EPOCH_ROWS},
        data=DataSection(shards=WORKERS, alpha=0.5, seed=1),
        terms=TermsSection(
            pool=str(POOL),
            rounds=ROUNDS,
            stake=str(STAKE),
            bond=str(BOND),
            submit_window="90s",
            attest_window="20s",
            turn_window="10s",
            post_window="30s",
            challenge_window="6s",
            duration="1d",
            min_updates=WORKERS - 1,
        ),
    )
