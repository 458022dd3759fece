"""What a sponsor offers and asks, from a description's `[terms]` to the contract's struct."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steelyard.chain.generated.structs import JobTerms
from steelyard.chain.generated.structs import Step as ChainStep
from steelyard.cli.amounts import parse
from steelyard.cli.times import seconds
from steelyard.content import Cid
from steelyard.errors import ConfigError
from steelyard.jobs.manifest import MEMBERSHIPS, Manifest

if TYPE_CHECKING:
    from steelyard.cli.context import Token

MOST_MEMBERS = 256


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Money in tokens as text, durations as `"10m"` or seconds."""

    token: str = ""  # of the bounty; the deployment's if empty
    pool: str = "10"  # for each final round; pool times rounds is paid in at once
    rounds: int = 10
    worker_bps: int = 8000  # 1 = 0.01 % of the pool
    aggregator_bps: int = 1500
    attestor_bps: int = 500
    stake: str = "100"  # that a member locks
    bond: str = "100"  # that each posted result locks
    submit_window: str | int = "10m"
    attest_window: str | int = "2m"
    turn_window: str | int = "1m"
    post_window: str | int = "5m"
    challenge_window: str | int = "30m"
    duration: str | int = "7d"  # until the absolute deadline
    min_updates: int = 2
    max_members: int = 0  # 0 = one a shard, or 256
    max_tries: int = 3
    max_failures: int = 3
    auto_open: bool = True
    min_included: int = 0
    max_slashed: int = 0

    @classmethod
    def of(cls, values: Any, source: str) -> Terms:
        """From a parsed table.  Raises ConfigError, naming the key."""
        types = {item.name: str(item.type) for item in dataclasses.fields(cls)}
        if not isinstance(values, Mapping):
            raise ConfigError(f"{source} is {values!r}", remedy="write a table")
        for key, value in values.items():
            if key not in types:
                raise ConfigError(f"{source} has no key {key}", remedy=f"the keys are {', '.join(types)}")
            if type(value).__name__ not in types[key].split(" | "):
                raise ConfigError(f"{key} in {source} is {value!r}", remedy=f"it must be {types[key]}")
        return cls(**values)

    def for_chain(self, manifest: Manifest, cid: Cid, *, bounty: Token, own: Token, now: int) -> JobTerms:
        """The contract's struct.  bounty: token of the pool. own: of stakes and bonds. now: chain time."""
        codec, digest = cid.to_chain()
        step = manifest.step
        windows = {
            name: seconds(getattr(self, name), name)
            for name in ("submit_window", "attest_window", "turn_window", "post_window", "challenge_window")
        }
        same = ("worker_bps", "aggregator_bps", "attestor_bps", "rounds", "min_updates", "max_tries")
        return JobTerms(
            step=ChainStep(
                **{item.name: int(getattr(step, item.name)) for item in dataclasses.fields(ChainStep)}
            ),
            **windows,
            **{name: getattr(self, name) for name in same},
            max_failures=self.max_failures,
            auto_open=self.auto_open,
            min_included=self.min_included,
            max_slashed=self.max_slashed,
            max_members=self.max_members or min(len(manifest.shards) or MOST_MEMBERS, MOST_MEMBERS),
            deadline=now + seconds(self.duration, "duration"),
            token=bounty.address,
            pool=parse(self.pool, bounty.decimals),
            stake=parse(self.stake, own.decimals),
            bond=parse(self.bond, own.decimals),
            admission=MEMBERSHIPS.index(manifest.membership),
            admission_root=manifest.member_root(),
            manifest_codec=codec,
            manifest_digest=digest,
            state_root=manifest.initial.root,
        )
