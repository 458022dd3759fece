"""What a node answers for, and how long: pins in its store, and the working files of its rounds.

| what | pinned until |
|---|---|
| the initial model, the manifest, the model that an ended job leaves | for good |
| results and updates that are not settled, and of the last `keep_rounds` final rounds | they no longer are |
| results and updates of earlier rounds | `keep_s` seconds after that |
| everything, where `archive` is set | for good |

A pin of a round that is not settled ends by itself a day after the job's deadline: a node that never comes
back leaves nothing pinned but models.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from steelyard.content import FOREVER, Cid
from steelyard.errors import ContentError
from steelyard.nodes.actions.training import TrainingActions
from steelyard.nodes.context import NodeContext
from steelyard.nodes.state.view import Opening, Post, View

NAME = "retention"  # in the journal: how far files were dropped
OUTCOME = "outcome"  # in the journal: the ended job's model is pinned for good
GRACE_S = 60.0  # files younger than this survive a collection: somebody may be using them
AGAIN_S = 10.0  # seconds until a store that failed is asked again
FINISH_S = 30.0  # seconds for the last look of a node that ends


class Retention:
    """Unpins what is settled and expired, in the background; says how much is held."""

    def __init__(self, desk: NodeContext, training: TrainingActions | None) -> None:
        self._desk, self._training = desk, training
        done = desk.journal.intent(NAME)
        self._done_before = int(done.body["before"]) if done else 0
        self._over = desk.journal.intent(OUTCOME) is not None
        self._collect_at = 0.0  # monotonic seconds: pins may have run out since the last node here
        self._not_before = 0.0  # monotonic seconds of the next try after a failure
        self._task: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Start what is due, unless it runs already. Raises what a bug raised in it."""
        if self._task is not None:
            if not self._task.done():
                return
            self._task.result()
            self._task = None
        now = time.monotonic()
        due = self._first() > self._done_before or self._ended() or now >= self._collect_at
        if due and now >= self._not_before:
            self._task = asyncio.create_task(self._pass(), name="retention")

    async def finish(self) -> None:
        """See to the end of the job, as far as that goes in half a minute."""
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=FINISH_S)
        self.look()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=FINISH_S)

    async def close(self) -> None:
        """Stop; what was begun is done again by the next run."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _first(self) -> int:
        """The first serial whose files stay."""
        finals = self._desk.view.final_posts()
        keep = max(self._desk.config.keep_rounds, 1)
        return finals[-keep].serial if len(finals) > keep else 0

    def _ended(self) -> bool:
        return self._desk.view.ended is not None and not self._over

    async def _pass(self) -> None:
        """Everything that is due; a store that fails is told and asked again later."""
        first, ended = self._first(), self._ended()
        try:
            if first > self._done_before:
                await self._settle(first)
            if ended:
                await self._leave()
            self._collect_at = time.monotonic() + max(self._desk.config.keep_s, GRACE_S)
            await self._desk.store.gc(grace_s=GRACE_S)
            await self._tell()
        except ContentError as error:
            self._not_before = time.monotonic() + AGAIN_S
            self._desk.report.say(
                "problem",
                what="retention",
                error=type(error).__name__,
                message=error.message,
                remedy=error.remedy,
            )

    async def _settle(self, first: int) -> None:
        """Drop the working files of rounds before `first`, and let their pins run out."""
        desk, view = self._desk, self._desk.view
        old = range(self._done_before, first)
        for serial in [serial for serial in view.openings if serial in old]:
            desk.updates.drop(serial)
        desk.results.drop_before(first)
        if self._training is not None:
            self._training.drop_before(first)
        self._forget(first)
        await self._release(files_of(view, old) - files_of(view, range(first, _END)))
        self._done_before = first
        desk.journal.write(NAME, {"before": first}, done=True)

    async def _leave(self) -> None:
        """The job has ended: its model is kept for good, all else runs out."""
        view = self._desk.view
        outcome = [post.cid for post in view.final_posts()[-1:] if post.cid is not None]
        for cid in outcome:
            if await self._desk.store.has(cid):
                await self._desk.store.pin(cid, until=FOREVER)
        await self._release(files_of(view, range(self._done_before, _END)) - set(outcome))
        self._over = True
        self._desk.journal.write(OUTCOME, {"cids": [str(cid) for cid in outcome]}, done=True)

    async def _release(self, cids: Iterable[Cid]) -> None:
        """Pin for `keep_s` more and no longer, or for good in an archive."""
        store, config = self._desk.store, self._desk.config
        models = {Cid.parse(self._desk.info.manifest.initial.cid)}
        for cid in sorted(set(cids) - models):
            if not await store.has(cid):
                continue
            if not config.archive:
                await store.unpin(cid)
            await store.pin(cid, until=FOREVER if config.archive else time.time() + config.keep_s)

    def _forget(self, first: int) -> None:
        local = self._desk.local
        for key in [key for key in local.checked if key[0] < first]:
            del local.checked[key]
        local.computed = {key for key in local.computed if key[0] >= first}
        for id_, post in self._desk.view.posts.items():
            if post.serial < first:
                local.rebuilt.pop(id_, None)
                local.ahead.pop(id_, None)

    async def _tell(self) -> None:
        held = await self._desk.store.held()
        self._desk.report.say(
            "holding",
            files=held.files,
            held_bytes=held.held_bytes,
            pinned_bytes=held.pinned_bytes,
            provided_bytes=held.provided_bytes,
            from_serial=self._done_before,
        )


_END = 1 << 62  # beyond every serial


def files_of(view: View, serials: range) -> set[Cid]:
    """Updates and results of openings, as far as what the chain names is a CID."""
    openings: list[Opening] = [each for each in view.openings.values() if each.serial in serials]
    posts: list[Post] = [each for each in view.posts.values() if each.serial in serials]
    found = [sealed.cid for opening in openings for sealed in opening.submissions.values()]
    found += [post.cid for post in posts]
    return {cid for cid in found if cid is not None}
