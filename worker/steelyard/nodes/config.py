"""Settings of one node: one key, one job, one or several roles."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from steelyard.chain.networks import Network
from steelyard.chain.passwords import Passwords
from steelyard.content.store import StoreConfig
from steelyard.errors import ConfigError
from steelyard.learning.process import TrainerSettings


class Role(StrEnum):
    """Role of a node in a job. A worker also attests."""

    WORKER = "worker"
    AGGREGATOR = "aggregator"
    CHALLENGER = "challenger"


@dataclass(frozen=True, kw_only=True)
class NodeConfig:
    """All settings of a node. They contain no secret: the password is read when the keystore is opened."""

    network: Network  # with its deployment
    home: Path  # folder of journal and files; used by one process at a time
    keystores: Path  # folder of keystores
    account: str  # name, address or path of the operator key's keystore
    passwords: Passwords = field(default_factory=Passwords)
    job: int
    roles: frozenset[Role]
    store: StoreConfig
    state_dir: Path | None = None  # folder of the key's outbox; None = the user's shared folder
    trainer: TrainerSettings = field(default_factory=TrainerSettings)
    data: Path | None = None  # own rows; None = fetch the shard that the seat names
    enlist: bool = True  # an aggregator takes a seat in the rotation by itself
    evaluate: bool = False  # a worker evaluates each rebuilt model on the manifest's test set
    train_on_held: bool = False  # train on a held result before it is rebuilt here
    attest_wait: float = 0.5  # fraction of the attest window that an attestor waits for missing files
    fetch_s: float = 60.0  # seconds for one attempt to fetch a file
    train_s: float = 3600.0  # greatest training time in seconds, if the submit window is longer
    claim: bool = False  # claim own shares once the job has ended
    linger_s: float = 0.0  # seconds for which files are served after the end of the job
    keep_rounds: int = 2  # final rounds whose files are kept
    keep_s: float = 600.0  # seconds for which earlier rounds' files stay pinned and are served
    hints: bool = True  # publish hints to other nodes and use theirs
    archive: bool = False  # keep all files of the job permanently
    rank_delay_s: float | None = None  # seconds that each rank waits before upkeep; None = by network

    @property
    def effective_rank_delay_s(self) -> float:
        """Seconds that each rank waits before upkeep: `rank_delay_s`, or 20 polls of the network."""
        return self.rank_delay_s if self.rank_delay_s is not None else 20 * self.network.poll_s

    def __post_init__(self) -> None:
        if not self.roles:
            raise ConfigError(
                "a node needs at least one role", remedy="give --role worker, aggregator or challenger"
            )
        if not 0 < self.attest_wait <= 1:
            raise ConfigError(
                f"attest_wait is {self.attest_wait}", remedy="give a fraction above 0 and at most 1"
            )
        if self.keep_rounds < 1 or not 0 <= self.keep_s < float("inf"):
            raise ConfigError(
                f"keep_rounds is {self.keep_rounds} and keep_s {self.keep_s}",
                remedy="give at least 1 round and at least 0 seconds",
            )
        if self.network.deployment is None:
            raise ConfigError(
                f"network {self.network.name} has no deployment",
                remedy="add one: `steelyard network add --deployment <file>`",
            )
