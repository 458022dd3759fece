"""Results rebuilt from public files: computed, compared with posted ones, stored as later parents."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import defaultdict
from pathlib import Path

from steelyard.chain.generated.structs import Result
from steelyard.chain.proof_bytes import pack_arithmetic
from steelyard.content import ContentStore
from steelyard.core.aggregation import Inputs, Roots, open_inputs, roots_of
from steelyard.core.proofs import arithmetic_proof, find_fault
from steelyard.errors import ContentTooLarge, FormatError, NodeError
from steelyard.nodes.crashpoints import crashpoint
from steelyard.nodes.files.result_files import ComputedResult, ResultFiles
from steelyard.nodes.files.updates import Updates
from steelyard.nodes.job_info import JobInfo
from steelyard.nodes.reporting import slots_of
from steelyard.nodes.state.local import LocalState, RebuiltResult, ResultVerdict
from steelyard.nodes.state.view import Opening, Post, View


class Results:
    """The results of one job. Verdicts are stored in `local.rebuilt`."""

    def __init__(
        self, info: JobInfo, store: ContentStore, updates: Updates, local: LocalState, folder: Path
    ) -> None:
        self._info, self._store, self._updates, self._local = info, store, updates, local
        self._files = ResultFiles(info, store, folder)
        self._locks: defaultdict[object, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._computed: dict[tuple[int, int, bytes], ComputedResult] = {}

    async def rebuild(self, view: View, id_: bytes, timeout_s: float) -> RebuiltResult:
        """Find out whether a result follows from public files.

        Raises ContentError if a file that is needed is not available; that is not a verdict.
        """
        async with self._locks[id_]:
            found = self._local.rebuilt.get(id_)
            if found is None:
                found = await self._rebuild(view, id_, timeout_s)
                self._local.rebuilt[id_] = found
            return found

    async def trust(self, post: Post, timeout_s: float) -> RebuiltResult:
        """Accept a final result by its posted roots, without rebuilding it. Raises ContentError."""
        return dataclasses.replace(await self.as_posted(post, timeout_s), trusted=True)

    async def as_posted(self, post: Post, timeout_s: float) -> RebuiltResult:
        """Fetch the file that a post names and compare its roots with the posted ones. Raises ContentError.

        This does not check that the result follows from the rules.
        """
        async with self._locks["posted", post.id]:
            try:
                state, momentum = await self._files.posted(post, timeout_s)
            except (FormatError, ContentTooLarge) as error:
                return _unbuildable(post, error.message)
            roots = await asyncio.to_thread(self._files.roots, state, momentum)
        if roots != (post.result.state_root, post.result.momentum_root):
            return _unbuildable(post, "its file does not have the posted roots")
        return RebuiltResult(id=post.id, verdict=ResultVerdict.RIGHT, state=state, momentum=momentum)

    async def compute(
        self, opening: Opening, included: int, parent: RebuiltResult, timeout_s: float
    ) -> ComputedResult:
        """Aggregate the included updates on a parent, at most once."""
        key = (opening.serial, included, parent.id)
        async with self._locks[key]:
            if key not in self._computed:
                inputs = await self.inputs(opening, included, parent, timeout_s)
                self._computed[key] = await asyncio.to_thread(self._files.aggregate, inputs, *key)
                crashpoint("aggregate.after")
            return self._computed[key]

    async def inputs(
        self, opening: Opening, included: int, parent: RebuiltResult, timeout_s: float
    ) -> Inputs:
        """Open the parent's files and the included updates. Raises ContentError, FormatError, NodeError."""
        if parent.state is None:
            raise NodeError(
                f"the parent of serial {opening.serial} was not rebuilt: {parent.why}",
                remedy="wait: it becomes void unless enough members hold it",
            )
        slots = slots_of(included)
        opened = await asyncio.gather(*(self._updates.open(opening, slot, timeout_s) for slot in slots))
        return open_inputs(
            self._info.step,
            state=parent.state,
            momentum=parent.momentum,
            updates=opened,
            weights=[opening.submissions[slot].weight for slot in slots],
        )

    async def conviction(self, view: View, post: Post, timeout_s: float) -> bytes:
        """The packed proof against a wrong result. Raises NodeError if it would not convict."""
        opening = view.openings[post.serial]
        parent = await self.rebuild(view, opening.parent, timeout_s)
        wrong = await self.rebuild(view, post.id, timeout_s)
        if wrong.fault is None or wrong.state is None:
            raise NodeError(
                f"result 0x{post.id.hex()} is {wrong.verdict}", remedy="there is nothing to prove"
            )
        inputs = await self.inputs(opening, post.result.included, parent, timeout_s)
        posted = self._files.opened(wrong.state, wrong.momentum)
        proof, roots = await asyncio.to_thread(arithmetic_proof, inputs, posted, *wrong.fault)
        if roots.transcript != post.result.transcript_root or not proof.convicts(self._info.step):
            raise NodeError(
                f"the proof against 0x{post.id.hex()} does not convict",
                remedy="report this; nothing was sent",
            )
        return pack_arithmetic(proof)

    def drop_before(self, serial: int) -> None:
        """Remove the files of results of openings before `serial`."""
        for key in [key for key in self._computed if key[0] < serial]:
            del self._computed[key]
        self._files.drop_before(serial)

    async def _rebuild(self, view: View, id_: bytes, timeout_s: float) -> RebuiltResult:
        post = view.posts.get(id_)
        if post is None:
            state, momentum = await self._files.initial(timeout_s)
            return RebuiltResult(id=id_, verdict=ResultVerdict.RIGHT, state=state, momentum=momentum)
        opening = view.openings[post.serial]
        if post.final and opening.parent not in self._local.rebuilt:
            return await self.trust(post, timeout_s)
        fetching = asyncio.create_task(self._fetch_updates(opening, post.result.included, timeout_s))
        try:
            parent = await self.rebuild(view, opening.parent, timeout_s)
            return await self._rebuild_on(parent, opening, post, timeout_s)
        finally:
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)

    async def _rebuild_on(
        self, parent: RebuiltResult, opening: Opening, post: Post, timeout_s: float
    ) -> RebuiltResult:
        if parent.state is None:
            return _unbuildable(post, f"its parent: {parent.why}")
        try:
            computed = await self.compute(opening, post.result.included, parent, timeout_s)
        except FormatError as error:
            return _unbuildable(post, error.message)
        if _agrees(computed.roots, computed.table_hash, post.result):
            return await self._accept(post, computed)
        return await self._compare(opening, post, parent, computed, timeout_s)

    async def _fetch_updates(self, opening: Opening, included: int, timeout_s: float) -> None:
        """Fetch the updates of a result while its parent is rebuilt. Errors are raised on opening them."""
        slots = slots_of(included)
        await asyncio.gather(
            *(self._updates.open(opening, slot, timeout_s) for slot in slots), return_exceptions=True
        )

    async def _accept(self, post: Post, computed: ComputedResult) -> RebuiltResult:
        if computed.cid != post.cid:
            return _unbuildable(post, f"its roots are right, but its CID is not {computed.cid}")
        await self._store.add(computed.published, provide=True, pin_until=self._info.unsettled_until)
        return RebuiltResult(
            id=post.id, verdict=ResultVerdict.RIGHT, state=computed.state, momentum=computed.momentum
        )

    async def _compare(
        self, opening: Opening, post: Post, parent: RebuiltResult, computed: ComputedResult, timeout_s: float
    ) -> RebuiltResult:
        """The posted roots differ from the computed ones: compare them with the file that the post names."""
        try:
            state, momentum = await self._files.posted(post, timeout_s)
        except (FormatError, ContentTooLarge) as error:
            return _unbuildable(post, error.message)
        inputs = await self.inputs(opening, post.result.included, parent, timeout_s)
        posted = self._files.opened(state, momentum)
        roots = await asyncio.to_thread(roots_of, inputs, posted)
        fault = find_fault(posted, self._files.opened(computed.state, computed.momentum))
        if fault is None or not _agrees(roots, computed.table_hash, post.result):
            return _unbuildable(post, "its file does not have what was posted")
        why = f"block {fault[0]}, coordinate {fault[1]} does not follow from the rules"
        return RebuiltResult(
            id=post.id, verdict=ResultVerdict.WRONG, why=why, state=state, momentum=momentum, fault=fault
        )


def _unbuildable(post: Post, why: str) -> RebuiltResult:
    return RebuiltResult(id=post.id, verdict=ResultVerdict.UNBUILDABLE, why=why)


def _agrees(roots: Roots, table: bytes, result: Result) -> bool:
    return (roots.state, roots.momentum, roots.transcript, table) == (
        result.state_root,
        result.momentum_root,
        result.transcript_root,
        result.table,
    )
