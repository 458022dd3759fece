"""Settings of one node: one key, one job, one or several roles."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from steelyard.chain.networks import Network
from steelyard.chain.passwords import Passwords
from steelyard.content.config import StoreConfig
from steelyard.errors import ConfigError
from steelyard.learning.process import TrainerSettings


class Role(StrEnum):
    """What a node does in a job. A worker attests too."""

    WORKER = "worker"
    AGGREGATOR = "aggregator"
    CHALLENGER = "challenger"


@dataclass(frozen=True, kw_only=True)
class NodeConfig:
    """Everything that a node needs to know.

    Holds no secret: the password is read when the keystore is opened.
    """

    network: Network  # with its deployment
    home: Path  # journal and files; one process at a time
    keystores: Path  # folder of keystores
    account: str  # name, address or path of the operator key's keystore
    passwords: Passwords = field(default_factory=Passwords)
    job: int
    roles: frozenset[Role]
    store: StoreConfig
    state_dir: Path | None = None  # outbox of the key; None = where this user's programs share it
    trainer: TrainerSettings = field(default_factory=TrainerSettings)
    data: Path | None = None  # own rows, where the seat names no CID; else the shard is fetched
    enlist: bool = True  # an aggregator takes a place in the turns by itself
    evaluate: bool = False  # a worker evaluates each model that it rebuilt on the manifest's test set
    train_on_held: bool = False  # start from a result that is held before it is rebuilt here
    attest_wait: float = (
        0.5  # fraction of the attest window after which an attestor says what it holds so far
    )
    fetch_s: float = 60.0  # seconds for a file that no window limits
    train_s: float = 3600.0  # seconds of training at most, where the submit window is longer
    claim: bool = False  # claim own shares once the job has ended
    linger_s: float = 0.0  # seconds to go on handing out files once the job has ended
    keep_rounds: int = 2  # final rounds whose files are kept
    keep_s: float = 600.0  # seconds for which earlier rounds' files stay pinned and handed out
    hints: bool = True  # tell others what is ready and where, and listen to them; only ever a hint
    archive: bool = False  # keep what was ever held of the job for good
    turn_s: float | None = (
        None  # seconds by which each next node waits with what is anyone's; None by network
    )

    @property
    def wait_turn_s(self) -> float:
        """Seconds by which each next node waits with what is anyone's."""
        return self.turn_s if self.turn_s is not None else 20 * self.network.poll_s

    def __post_init__(self) -> None:
        if not self.roles:
            raise ConfigError("a node without a role", remedy="give --role worker, aggregator or challenger")
        if not 0 < self.attest_wait <= 1:
            raise ConfigError(
                f"attest_wait is {self.attest_wait}", remedy="give a fraction above 0, at most 1"
            )
        if self.keep_rounds < 1 or not 0 <= self.keep_s < float("inf"):
            raise ConfigError(
                f"keep_rounds is {self.keep_rounds} and keep_s {self.keep_s}",
                remedy="keep one round at least, and some seconds, 0 at least",
            )
        if self.network.deployment is None:
            raise ConfigError(
                f"network {self.network.name} names no deployment",
                remedy="add one: `steelyard network add --deployment <file>`",
            )
