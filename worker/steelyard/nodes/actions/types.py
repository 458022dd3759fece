"""What a node may do next.

A decider names what is wanted now; the runner starts what is new and stops what is not. Actions are values:
two that are equal are the same effect, so that wanting one again starts nothing twice. Details that may
change until it happens do not count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """Get and check one update file."""

    serial: int
    slot: int


@dataclass(frozen=True, kw_only=True)
class Rebuild:
    """Find out whether a result follows from public files."""

    id: bytes


@dataclass(frozen=True, kw_only=True)
class Prefetch:
    """Get the file of a posted result that cannot be worked out here yet, before it is needed."""

    id: bytes


@dataclass(frozen=True, kw_only=True)
class Adopt:
    """Build on a final result whose file came ahead, by its roots alone."""

    id: bytes


@dataclass(frozen=True, kw_only=True)
class Compute:
    """Work out a result before anybody posts it."""

    serial: int
    included: int


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train on an opening's parent and write the update."""

    serial: int


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure a rebuilt model on the job's test rows."""

    id: bytes


@dataclass(frozen=True, kw_only=True)
class Submit:
    """Seal the update on chain."""

    serial: int


@dataclass(frozen=True, kw_only=True)
class Provide:
    """Hand out the own update: submissions are over."""

    serial: int
    not_before: int = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class Attest:
    """Say which updates are held."""

    serial: int
    tries: int
    bitmap: int = field(compare=False)
    not_before: int = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Say that a result could be rebuilt, or that a member who was away is back."""

    serial: int
    id: bytes
    awaiting: int = 0  # the opening that is to wait for this member; 0 where it only holds


@dataclass(frozen=True, kw_only=True)
class Publish:
    """Post a result."""

    serial: int
    attempt: int
    included: int = field(compare=False)
    not_before: int = field(compare=False)
    rank: int = field(compare=False)  # 0 whose turn it is; the others wait a little each


@dataclass(frozen=True, kw_only=True)
class Convict:
    """Prove a posted result wrong."""

    id: bytes


@dataclass(frozen=True, kw_only=True)
class ConvictUpdate:
    """Prove a submission malformed."""

    serial: int
    slot: int


@dataclass(frozen=True, kw_only=True)
class Enlist:
    """Take a place in the turns of aggregators."""

    mark: int = 0  # how often it lost its place before


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """An act that is anyone's. `mark` tells two occasions of the same act apart."""

    act: str  # the contract's function
    serial: int
    mark: int
    account: str = ""  # who is to be removed
    not_before: int | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Collect:
    """Ask for what this node has earned: bonds back and posts paid."""

    what: str  # "claimPosts" or "releaseBond"
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
