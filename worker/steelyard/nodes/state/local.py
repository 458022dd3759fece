"""A node's local state beside the chain's. In memory: all of it is rebuilt after a restart."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from steelyard.core.proofs import MalformedProof


class ResultVerdict(StrEnum):
    """Outcome of rebuilding a result from public files."""

    RIGHT = "right"  # every root, the table and the CID follow from the rules
    WRONG = "wrong"  # it matches the file that it names, but its arithmetic breaks the rules
    UNBUILDABLE = "unbuildable"  # no available file has what was posted


@dataclass(frozen=True, kw_only=True)
class RebuiltResult:
    """A result's verdict, and its files if they are available."""

    id: bytes
    verdict: ResultVerdict
    why: str = ""
    state: Path | None = None
    momentum: Path | None = None
    fault: tuple[int, int] | None = None  # block and coordinate of the first wrong value
    trusted: bool = False  # final, so accepted if its file has the posted roots


@dataclass(frozen=True, kw_only=True)
class UpdateCheck:
    """The check of a fetched update file: held, or the reason why not."""

    path: Path
    held: bool
    why: str = ""
    update_root: bytes = b""  # set if it opens the submitted commitment
    proof: MalformedProof | None = None  # set if it can be proven malformed


@dataclass(kw_only=True)
class LocalState:
    """Local state of one node in one job."""

    identity: str
    rebuilt: dict[bytes, RebuiltResult] = field(default_factory=dict)
    prefetched: dict[bytes, RebuiltResult] = field(default_factory=dict)  # fetched as posted, not rebuilt
    checked: dict[tuple[int, int], UpdateCheck] = field(default_factory=dict)  # by serial and slot
    prepared: set[int] = field(default_factory=set)  # serials whose own update is written
    provided: set[int] = field(default_factory=set)  # serials whose own update is provided
    computed: set[tuple[int, int]] = field(default_factory=set)  # serial and bitmap of included updates
    evaluated: set[bytes] = field(default_factory=set)  # ids of results
    was_enlisted: bool = False  # this process has seen its own aggregator seat
    free_bond: int | None = None  # an aggregator's, in token base units, as last read; None = not read yet
    untrainable: set[int] = field(default_factory=set)  # serials whose training failed repeatedly

    def held_updates(self, serial: int) -> int:
        """Bitmap of the updates of an opening that are held."""
        return sum(1 << slot for (of, slot), check in self.checked.items() if of == serial and check.held)

    def inspected(self, serial: int) -> int:
        """Bitmap of the updates of an opening whose file was checked, held or not."""
        return sum(1 << slot for (of, slot) in self.checked if of == serial)

    def forget_lost(self) -> None:
        """Drop entries whose files were deleted, so that they are fetched again after a reorganisation."""
        for results in (self.rebuilt, self.prefetched):
            for result in list(results.values()):
                if result.state is not None and not result.state.exists():
                    del results[result.id]
        for key in [key for key, check in self.checked.items() if check.held and not check.path.exists()]:
            del self.checked[key]
