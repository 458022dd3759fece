"""The actions of a node, as values.

Decisions return the actions that are wanted now. `Tasks` starts the new ones and stops those that are no
longer wanted. Equal actions have the same effect, so an action is not started twice. Fields that may change
before it is performed are not compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """Fetch and check one update file."""

    serial: int
    slot: int


@dataclass(frozen=True, kw_only=True)
class Rebuild:
    """Check whether a result follows from public files."""

    id: bytes


@dataclass(frozen=True, kw_only=True)
class Prefetch:
    """Fetch the file of a posted result that cannot be rebuilt here yet."""

    id: bytes


@dataclass(frozen=True, kw_only=True)
class Adopt:
    """Accept a final result whose file was prefetched, by its posted roots."""

    id: bytes


@dataclass(frozen=True, kw_only=True)
class Compute:
    """Compute a result before it is posted."""

    serial: int
    included: int  # bitmap of updates


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train from an opening's parent and write the update."""

    serial: int


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure a rebuilt model on the job's test rows."""

    id: bytes


@dataclass(frozen=True, kw_only=True)
class Submit:
    """Submit the commitment of the update."""

    serial: int


@dataclass(frozen=True, kw_only=True)
class Provide:
    """Serve the own update, once submissions are over."""

    serial: int
    not_before: int = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class Attest:
    """Attest which updates are held."""

    serial: int
    tries: int
    bitmap: int = field(compare=False)
    not_before: int = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Record that a result was rebuilt, or that a member that was away is back."""

    serial: int
    id: bytes
    awaiting: int = 0  # serial of the opening that should wait for this member; 0 for none


@dataclass(frozen=True, kw_only=True)
class Publish:
    """Post a result."""

    serial: int
    attempt: int
    included: int = field(compare=False)
    not_before: int = field(compare=False)
    rank: int = field(compare=False)  # position in the rotation; each waits one rank delay more


@dataclass(frozen=True, kw_only=True)
class Convict:
    """Prove that a posted result is wrong."""

    id: bytes


@dataclass(frozen=True, kw_only=True)
class ConvictUpdate:
    """Prove that a submission is malformed."""

    serial: int
    slot: int


@dataclass(frozen=True, kw_only=True)
class Enlist:
    """Take a seat in the aggregator rotation."""

    occasion: int = 0  # number of earlier retirements


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """Call a function that anyone may call and that keeps the job running."""

    function: str  # of the contract
    serial: int
    occasion: int  # tells repeated calls of the same function apart
    account: str = ""  # to be removed
    not_before: int | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Collect:
    """Claim the payment of posts, or release a bond."""

    function: str  # "claimPosts" or "releaseBond"
    number: int  # the first post's serial, or the bond's round
    serials: tuple[int, ...] = field(default=(), compare=False)


Action: TypeAlias = (
    Fetch
    | Rebuild
    | Prefetch
    | Adopt
    | Compute
    | Train
    | Evaluate
    | Submit
    | Provide
    | Attest
    | Hold
    | Publish
    | Convict
    | ConvictUpdate
    | Enlist
    | Upkeep
    | Collect
)
