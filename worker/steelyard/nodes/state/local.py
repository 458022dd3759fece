"""What a node knows beyond what the chain says; in memory, for all of it is found again after a restart."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from steelyard.core.proofs import MalformedProof


class ResultVerdict(StrEnum):
    """What became of rebuilding a result from public files."""

    RIGHT = "right"  # every root, the table and the CID are what the rules give
    WRONG = "wrong"  # rebuilt from the files that it names, and its arithmetic is not the rules'
    UNBUILDABLE = "unbuildable"  # something posted fits no files that there are


@dataclass(frozen=True, kw_only=True)
class RebuiltResult:
    """A result's verdict, and its files where they were rebuilt."""

    id: bytes
    verdict: ResultVerdict
    why: str = ""
    state: Path | None = None
    momentum: Path | None = None
    fault: tuple[int, int] | None = None  # block and coordinate of the first wrong value
    trusted: bool = False  # final, so taken by its roots alone


@dataclass(frozen=True, kw_only=True)
class UpdateCheck:
    """An update file that was fetched: held, or what is wrong with it."""

    path: Path
    held: bool
    why: str = ""
    update_root: bytes = b""  # where its root opens the seal
    proof: MalformedProof | None = None  # where it can be proven malformed


@dataclass(kw_only=True)
class LocalState:
    """One node's own facts."""

    identity: str
    rebuilt: dict[bytes, RebuiltResult] = field(default_factory=dict)
    ahead: dict[bytes, RebuiltResult] = field(default_factory=dict)  # fetched as posted, not rebuilt yet
    checked: dict[tuple[int, int], UpdateCheck] = field(default_factory=dict)  # by serial and slot
    prepared: set[int] = field(default_factory=set)  # serials whose update is written
    provided: set[int] = field(default_factory=set)  # serials whose own update is handed out
    computed: set[tuple[int, int]] = field(default_factory=set)  # serial and included
    evaluated: set[bytes] = field(default_factory=set)
    had_turns: bool = False  # an aggregator's seat was seen by this process
    free_bond: int | None = None  # an aggregator's, as last read; None = not yet
    given_up: set[int] = field(default_factory=set)  # serials that were too hard to train

    def holds(self, serial: int) -> int:
        """Bitmap of the updates of an opening that are held."""
        return sum(1 << slot for (at, slot), one in self.checked.items() if at == serial and one.held)

    def looked_at(self, serial: int) -> int:
        """Bitmap of the updates of an opening whose file is known, good or bad."""
        return sum(1 << slot for (at, slot) in self.checked if at == serial)

    def forget_lost(self) -> None:
        """After a reorganisation: what stands again, and lost its files meanwhile, is found anew."""
        for found in (self.rebuilt, self.ahead):
            for one in list(found.values()):
                if one.state is not None and not one.state.exists():
                    del found[one.id]
        for key in [key for key, one in self.checked.items() if one.held and not one.path.exists()]:
            del self.checked[key]
