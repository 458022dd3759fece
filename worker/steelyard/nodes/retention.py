"""Pinning and cleanup policy of a node.

| content | pinned until |
|---|---|
| the initial model, the manifest, the final model of an ended job | permanently |
| results and updates of unsettled rounds and of the last `keep_rounds` final rounds | they are older |
| results and updates of earlier rounds | `keep_s` seconds after that |
| everything, if `archive` is set | permanently |

Pins of unsettled rounds expire a day after the job's deadline: a node that never restarts leaves only models
pinned.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from steelyard.content import FOREVER, Cid
from steelyard.errors import ContentError
from steelyard.nodes.actions.training import TrainingActions
from steelyard.nodes.context import NodeContext
from steelyard.nodes.state.view import Opening, Post, View, update_cid

PROGRESS_INTENT = "retention"  # in the journal: serial before which files were dropped
OUTCOME_INTENT = "outcome"  # in the journal: the ended job's model is pinned permanently
GRACE_S = 60.0  # seconds for which new files survive a garbage collection
RETRY_S = 10.0  # seconds until the next attempt after a failure of the store
FINISH_S = 30.0  # seconds for the last pass of a node that ends


class Retention:
    """Drops files and pins of settled rounds in the background, and reports the use of the store."""

    def __init__(self, context: NodeContext, training: TrainingActions | None) -> None:
        self._context, self._training = context, training
        done = context.journal.intent(PROGRESS_INTENT)
        self._done_before = int(done.body["before"]) if done else 0
        self._outcome_pinned = context.journal.intent(OUTCOME_INTENT) is not None
        self._collect_at = 0.0  # monotonic seconds; pins may have expired since the last run
        self._not_before = 0.0  # monotonic seconds of the next attempt after a failure
        self._task: asyncio.Task[None] | None = None

    def schedule(self) -> None:
        """Start a pass if one is due and none runs. Raises an unexpected error of the last pass."""
        if self._task is not None:
            if not self._task.done():
                return
            self._task.result()
            self._task = None
        now = time.monotonic()
        due = self._first_kept() > self._done_before or self._outcome_due() or now >= self._collect_at
        if due and now >= self._not_before:
            self._task = asyncio.create_task(self._run_pass(), name="retention")

    async def finish(self) -> None:
        """Run the last pass of a node, within FINISH_S seconds for each step."""
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=FINISH_S)
        self.schedule()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=FINISH_S)

    async def close(self) -> None:
        """Stop. The next run repeats an unfinished pass."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _first_kept(self) -> int:
        """The first serial whose files are kept."""
        finals = self._context.view.final_posts()
        keep = max(self._context.config.keep_rounds, 1)
        return finals[-keep].serial if len(finals) > keep else 0

    def _outcome_due(self) -> bool:
        return self._context.view.ended is not None and not self._outcome_pinned

    async def _run_pass(self) -> None:
        """Do what is due. An error of the store is reported and the pass is repeated later."""
        first, outcome_due = self._first_kept(), self._outcome_due()
        try:
            if first > self._done_before:
                await self._drop_rounds(first)
            if outcome_due:
                await self._pin_outcome()
            self._collect_at = time.monotonic() + max(self._context.config.keep_s, GRACE_S)
            await self._context.store.gc(grace_s=GRACE_S)
            await self._report_usage()
        except ContentError as error:
            self._not_before = time.monotonic() + RETRY_S
            self._context.report.emit(
                "problem",
                what="retention",
                error=type(error).__name__,
                message=error.message,
                remedy=error.remedy,
            )

    async def _drop_rounds(self, first: int) -> None:
        """Drop the working files of openings before `first`, and let their pins expire."""
        context, view = self._context, self._context.view
        old = range(self._done_before, first)
        for serial in [serial for serial in view.openings if serial in old]:
            context.updates.drop(serial)
        context.results.drop_before(first)
        if self._training is not None:
            self._training.drop_before(first)
        self._forget(first)
        await self._expire(files_of(view, old) - files_of(view, range(first, _END)))
        self._done_before = first
        context.journal.write(PROGRESS_INTENT, {"before": first}, done=True)

    async def _pin_outcome(self) -> None:
        """The job has ended: pin its model permanently and let all other pins expire."""
        view = self._context.view
        outcome = [post.cid for post in view.final_posts()[-1:] if post.cid is not None]
        for cid in outcome:
            if await self._context.store.has(cid):
                await self._context.store.pin(cid, until=FOREVER)
        await self._expire(files_of(view, range(self._done_before, _END)) - set(outcome))
        self._outcome_pinned = True
        self._context.journal.write(OUTCOME_INTENT, {"cids": [str(cid) for cid in outcome]}, done=True)

    async def _expire(self, cids: Iterable[Cid]) -> None:
        """Pin for another `keep_s` seconds, or permanently in an archive."""
        store, config = self._context.store, self._context.config
        models = {Cid.parse(self._context.info.manifest.initial.cid)}
        for cid in sorted(set(cids) - models):
            if not await store.has(cid):
                continue
            if not config.archive:
                await store.unpin(cid)
            await store.pin(cid, until=FOREVER if config.archive else time.time() + config.keep_s)

    def _forget(self, first: int) -> None:
        local = self._context.local
        for key in [key for key in local.checked if key[0] < first]:
            del local.checked[key]
        local.computed = {key for key in local.computed if key[0] >= first}
        for id_, post in self._context.view.posts.items():
            if post.serial < first:
                local.rebuilt.pop(id_, None)
                local.prefetched.pop(id_, None)

    async def _report_usage(self) -> None:
        held = await self._context.store.held()
        self._context.report.emit(
            "holding",
            files=held.files,
            held_bytes=held.held_bytes,
            pinned_bytes=held.pinned_bytes,
            provided_bytes=held.provided_bytes,
            from_serial=self._done_before,
        )


_END = 1 << 62  # beyond every serial


def files_of(view: View, serials: range) -> set[Cid]:
    """CIDs of the updates and results of openings; values that are not CIDs are left out."""
    openings: list[Opening] = [each for each in view.openings.values() if each.serial in serials]
    posts: list[Post] = [each for each in view.posts.values() if each.serial in serials]
    found = [update_cid(each) for opening in openings for each in opening.submissions.values()]
    found += [post.cid for post in posts]
    return {cid for cid in found if cid is not None}
