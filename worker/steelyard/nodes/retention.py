"""What a node keeps on disk: everything that is not settled, and the last final rounds."""

from __future__ import annotations

from steelyard.content import Cid
from steelyard.errors import ContentError
from steelyard.nodes.desk import Desk
from steelyard.nodes.training import Training

NAME = "retention"  # in the journal: how far files were dropped
GRACE_S = 60.0  # files younger than this survive a collection: somebody may be using them


class Retention:
    """Drops the files of rounds that are settled for longer than the configuration asks."""

    def __init__(self, desk: Desk, training: Training | None) -> None:
        self._desk, self._training = desk, training
        done = desk.journal.intent(NAME)
        self._done_before = int(done.body["before"]) if done else 0

    async def look(self) -> None:
        """Drop what has become old; cheap where nothing has."""
        desk = self._desk
        finals = desk.view.final_posts()
        keep = max(desk.config.keep_rounds, 1)
        if len(finals) <= keep:
            return
        first = finals[-keep].serial
        if first <= self._done_before:
            return
        old = [o for o in desk.view.openings.values() if self._done_before <= o.serial < first]
        cids = [sealed.cid for opening in old for sealed in opening.submissions.values() if sealed.cid]
        posts = [p for p in desk.view.posts.values() if self._done_before <= p.serial < first]
        cids += [post.cid for post in posts if post.cid]
        for opening in old:
            desk.updates.drop(opening.serial)
        desk.results.drop_before(first)
        if self._training is not None:
            self._training.drop_before(first)
        self._forget(first)
        await self._unpin(cids)
        self._done_before = first
        self._desk.journal.write(NAME, {"before": first}, done=True)

    def _forget(self, first: int) -> None:
        local = self._desk.local
        for key in [key for key in local.checked if key[0] < first]:
            del local.checked[key]
        local.computed = {key for key in local.computed if key[0] >= first}
        for id_, post in self._desk.view.posts.items():
            if post.serial < first:
                local.rebuilt.pop(id_, None)

    async def _unpin(self, cids: list[Cid]) -> None:
        store = self._desk.store
        for cid in cids:
            if await store.has(cid):
                await store.unpin(cid)
        try:
            await store.gc(grace_s=GRACE_S)
        except ContentError as error:
            self._desk.report.say("problem", what="gc", error=type(error).__name__, message=error.message)
