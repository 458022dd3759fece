"""Access rights to private shards, from the sponsor's grants and withdrawals on chain. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from steelyard.chain.generated.events import AccessGranted, AccessWithdrawn

Entry = AccessGranted | AccessWithdrawn


@dataclass
class AccessLog:
    """A job's grants and withdrawals, oldest first."""

    entries: list[Entry] = field(default_factory=list)

    def last(self, worker: str, shard: int) -> Entry | None:
        """The latest grant or withdrawal for a worker and a shard; None if there is none."""
        entries = [entry for entry in self.entries if entry.worker == worker and entry.shard == shard]
        return entries[-1] if entries else None

    def live(self, worker: str, shard: int) -> AccessGranted | None:
        """The grant in force for a worker and a shard; None if there is none."""
        entry = self.last(worker, shard)
        return entry if isinstance(entry, AccessGranted) else None

    def readers(self, shard: int) -> list[AccessGranted]:
        """The grants of a shard that are in force."""
        workers = dict.fromkeys(entry.worker for entry in self.entries if entry.shard == shard)
        return [grant for worker in workers if (grant := self.live(worker, shard)) is not None]

    def shards_of(self, worker: str) -> list[int]:
        """Indices of the shards that a worker may read now."""
        shards = dict.fromkeys(entry.shard for entry in self.entries if entry.worker == worker)
        return sorted(shard for shard in shards if self.live(worker, shard) is not None)

    def around_withdrawal(self, shard: int) -> tuple[AccessGranted | None, AccessGranted | None, bool]:
        """Last grant of a shard before its last withdrawal, last grant after it, whether one was withdrawn.

        A worker that lost access has read the content that was granted before the withdrawal, so later grants
        need new content.
        """
        entries: Sequence[Entry] = [entry for entry in self.entries if entry.shard == shard]
        withdrawals = (i for i, entry in enumerate(entries) if isinstance(entry, AccessWithdrawn))
        cut = max(withdrawals, default=-1)
        before = [entry for entry in entries[: cut + 1] if isinstance(entry, AccessGranted)]
        after = [entry for entry in entries[cut + 1 :] if isinstance(entry, AccessGranted)]
        return (before[-1] if before else None), (after[-1] if after else None), cut >= 0
