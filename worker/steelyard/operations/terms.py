"""A job's offer and conditions: the `[terms]` of a description, and the contract's struct."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from steelyard.chain.generated.structs import JobTerms
from steelyard.chain.generated.structs import Step as ChainStep
from steelyard.content import Cid
from steelyard.jobs.manifest import MEMBERSHIPS, Manifest
from steelyard.operations.chain_session import Token
from steelyard.operations.toml_values import table_values
from steelyard.operations.units import parse_amount, parse_duration

MAX_MEMBERS = 256
WINDOWS = ("submit_window", "attest_window", "turn_window", "post_window", "challenge_window")


@dataclass(frozen=True, kw_only=True)
class TermsSection:
    """The table `[terms]`. Money in tokens as text, durations as `"10m"` or seconds."""

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
    def parse(cls, table: Any, source: str) -> TermsSection:
        """From a parsed table.  source: its name, for errors.  Raises ConfigError, naming the key."""
        return cls(**table_values(cls, table, source))

    def for_chain(self, manifest: Manifest, cid: Cid, *, bounty: Token, own: Token, now: int) -> JobTerms:
        """The contract's struct.

        cid: of the manifest.  bounty: token of the pool.  own: token of stakes and bonds.  now: chain time.
        Raises ConfigError for an amount or a duration that cannot be read.
        """
        codec, digest = cid.to_chain()
        step = {item.name: int(getattr(manifest.step, item.name)) for item in dataclasses.fields(ChainStep)}
        windows = {name: parse_duration(getattr(self, name), name) for name in WINDOWS}
        same = ("worker_bps", "aggregator_bps", "attestor_bps", "rounds", "min_updates", "max_tries")
        return JobTerms(
            step=ChainStep(**step),
            **windows,
            **{name: getattr(self, name) for name in same},
            max_failures=self.max_failures,
            auto_open=self.auto_open,
            min_included=self.min_included,
            max_slashed=self.max_slashed,
            max_members=self.max_members or min(len(manifest.shards) or MAX_MEMBERS, MAX_MEMBERS),
            deadline=now + parse_duration(self.duration, "duration"),
            token=bounty.address,
            pool=parse_amount(self.pool, bounty.decimals),
            stake=parse_amount(self.stake, own.decimals),
            bond=parse_amount(self.bond, own.decimals),
            admission=MEMBERSHIPS.index(manifest.membership),
            admission_root=manifest.member_root(),
            manifest_codec=codec,
            manifest_digest=digest,
            state_root=manifest.initial.root,
        )
