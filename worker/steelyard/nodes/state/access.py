"""Who may read which private shard, as the sponsor's grants and withdrawals on chain tell it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from steelyard.chain.generated.events import AccessGranted, AccessWithdrawn
from steelyard.content.cid import DAG_PB, RAW, Cid

if TYPE_CHECKING:
    from steelyard.nodes.state.view import View

Entry = AccessGranted | AccessWithdrawn


@dataclass
class AccessLog:
    """A job's grants and withdrawals, oldest first."""

    entries: list[Entry] = field(default_factory=list)

    def last(self, worker: str, shard: int) -> Entry | None:
        """What was last said of a worker and a shard."""
        said = [entry for entry in self.entries if entry.worker == worker and entry.shard == shard]
        return said[-1] if said else None

    def live(self, worker: str, shard: int) -> AccessGranted | None:
        """The grant that stands."""
        entry = self.last(worker, shard)
        return entry if isinstance(entry, AccessGranted) else None

    def readers(self, shard: int) -> list[AccessGranted]:
        """The grants of a shard that stand."""
        workers = dict.fromkeys(entry.worker for entry in self.entries if entry.shard == shard)
        return [grant for worker in workers if (grant := self.live(worker, shard)) is not None]

    def shards_of(self, worker: str) -> list[int]:
        """The shards that a worker may read now."""
        shards = dict.fromkeys(entry.shard for entry in self.entries if entry.worker == worker)
        return sorted(shard for shard in shards if self.live(worker, shard) is not None)

    def around_withdrawal(self, shard: int) -> tuple[AccessGranted | None, AccessGranted | None, bool]:
        """The last grant before the last withdrawal of a shard, the last one after it, whether there is one.

        What was granted before a withdrawal has been read by somebody who may no longer: new grants need new
        content.
        """
        mine: Sequence[Entry] = [entry for entry in self.entries if entry.shard == shard]
        cut = max((at for at, entry in enumerate(mine) if isinstance(entry, AccessWithdrawn)), default=-1)
        before = [entry for entry in mine[: cut + 1] if isinstance(entry, AccessGranted)]
        after = [entry for entry in mine[cut + 1 :] if isinstance(entry, AccessGranted)]
        return (before[-1] if before else None), (after[-1] if after else None), cut >= 0


def note_access(view: View, event: Entry) -> None:
    """Take one event, in the chain's order."""
    view.access.entries.append(event)


def envelope_of(grant: AccessGranted) -> Cid | None:
    """The CID that a grant names; the contract does not check it, so it may be none."""
    return Cid.from_chain(grant.codec, grant.digest) if grant.codec in (RAW, DAG_PB) else None
