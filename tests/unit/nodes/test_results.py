"""Checked updates and rebuilt results: held, right, wrong and unbuildable."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from steelyard.chain.contracts import result_id
from steelyard.chain.generated.structs import Result, Submission
from steelyard.content import EmbeddedStore, StoreConfig
from steelyard.core.encodings import Encoding
from steelyard.core.numbers import ONE
from steelyard.core.rules import AggregationConfig
from steelyard.core.state_file import open_state, write_state
from steelyard.core.update_writer import write_update
from steelyard.errors import ContentMissing
from steelyard.jobs.manifest import InitialModel
from steelyard.nodes.files.result_files import ComputedResult
from steelyard.nodes.files.results import Results
from steelyard.nodes.files.updates import Updates
from steelyard.nodes.job_info import JobInfo
from steelyard.nodes.state.local import LocalState, ResultVerdict
from steelyard.nodes.state.view import Opening, Post, View
from support.cheats import wrong_result
from support.job_log import terms, who

BLOCKS = 3
PARENT = bytes([7]) * 32


@dataclass(kw_only=True)
class Bench:
    """One opening with two public updates, a sponsor's store, and a node's components."""

    info: JobInfo
    step: AggregationConfig
    theirs: EmbeddedStore
    ours: EmbeddedStore
    folder: Path
    view: View
    opening: Opening
    updates: Updates
    results: Results
    local: LocalState

    async def sealed(self, slot: int, path: Path, *, root: bytes | None = None, provide: bool = True) -> None:
        """A submission of the file at `path`."""
        if root is None:
            raise ValueError("give the root that the commitment opens to")
        cid = await (self.theirs.add(path) if provide else self.theirs.cid_of(path))
        self.opening.submissions[slot] = Submission(
            job=1, serial=1, slot=slot, worker=who(slot), weight=slot + 1,
            sealed_root=self.info.seal(1, who(slot), root), codec=cid.codec, digest=cid.digest,
        )  # fmt: skip

    async def update(self, slot: int, seed: int, **header: Any) -> tuple[Path, bytes]:
        """An update file with random values."""
        path = self.folder / f"{slot}-{seed}.update"
        shape = {"encoding": self.step.encoding, "job": 1, "serial": 1, "block_count": BLOCKS, **header}
        delta = np.random.default_rng(seed).integers(
            -(2**16), 2**16, shape["block_count"] * 32, dtype=np.int32
        )
        return path, write_update(path, **shape, delta=delta).update_root

    async def posted(self, computed: ComputedResult, **changes: Any) -> Post:
        """The chain shows this result, with some fields changed."""
        cid = await self.theirs.add(computed.published)
        result = Result(
            job=1, serial=1, attempt=0, parent=PARENT, included=3, state_root=computed.roots.state,
            momentum_root=computed.roots.momentum, transcript_root=computed.roots.transcript,
            table=computed.table_hash, codec=cid.codec, digest=cid.digest, poster=who(10),
        )  # fmt: skip
        result = dataclasses.replace(result, **changes)
        post = Post(
            id=result_id(result), result=result, number=1, committee=3, committee_size=2, hold_by=10**10,
            block=1, transaction="0x",
        )  # fmt: skip
        self.view.posts[post.id] = post
        self.opening.post = post
        return post

    async def right(self) -> ComputedResult:
        """The right result."""
        parent = await self.results.rebuild(self.view, PARENT, 2)
        return await self.results.compute(self.opening, 3, parent, 2)

    async def wrong(self, value: int = 1) -> ComputedResult:
        """A result with one wrong number, all roots rebuilt."""
        right = await self.right()
        inputs = await self.results.inputs(
            self.opening, 3, await self.results.rebuild(self.view, PARENT, 2), 2
        )
        return wrong_result(inputs, right, self.folder / "wrong", value)


@pytest.fixture(params=["plain", "momentum"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    beta = ONE // 2 if request.param == "momentum" else 0
    step = AggregationConfig(block_count=BLOCKS, encoding=Encoding.BFP8, beta=beta, bound2=10**10)
    values = np.arange(BLOCKS * 32, dtype=np.int32) * 1000
    root = write_state(tmp_path / "initial", values, BLOCKS)
    async with (
        EmbeddedStore(StoreConfig(root=tmp_path / "theirs", allow_private=True)) as theirs,
        EmbeddedStore(
            StoreConfig(root=tmp_path / "ours", peers=(str(theirs.url),), allow_private=True)
        ) as ours,
    ):
        cid = await theirs.add(tmp_path / "initial")
        contracts = SimpleNamespace(coordinator=SimpleNamespace(address=who(50)))
        info = JobInfo(
            job=1, chain_id=31337, contracts=cast("Any", contracts), terms=terms(state_root=root),
            sponsor=who(60), step=step,
            manifest=cast("Any", SimpleNamespace(initial=InitialModel(cid=str(cid), root=root))),
        )  # fmt: skip
        view, local = View(1), LocalState(identity=who(0))
        opening = Opening(
            serial=1, number=1, parent=PARENT, parent_serial=0, members=3, submit_by=0, block=0, clock=0
        )
        view.openings[1] = opening
        updates = Updates(info, ours, tmp_path / "updates")
        results = Results(info, ours, updates, local, tmp_path / "results")
        made = Bench(
            info=info, step=step, theirs=theirs, ours=ours, folder=tmp_path, view=view, opening=opening,
            updates=updates, results=results, local=local,
        )  # fmt: skip
        for slot in (0, 1):
            path, update_root = await made.update(slot, slot)
            await made.sealed(slot, path, root=update_root)
        yield made


# ---------------------------------------------------------------------- updates
async def test_a_good_update_is_held(bench: Bench) -> None:
    checked = await bench.updates.check(bench.opening, 0, 5)
    assert checked.held
    assert checked.proof is None


async def test_one_that_no_peer_serves_has_no_verdict(bench: Bench) -> None:
    path, root = await bench.update(0, 5)
    await bench.sealed(0, path, root=root, provide=False)
    with pytest.raises(ContentMissing):
        await bench.updates.check(bench.opening, 0, 0.3)


async def test_one_whose_root_does_not_open_the_commitment_is_not_held(bench: Bench) -> None:
    path, _ = await bench.update(0, 5)
    await bench.sealed(0, path, root=bytes(32))
    checked = await bench.updates.check(bench.opening, 0, 5)
    assert (checked.held, checked.proof) == (False, None)
    assert "does not open the submitted commitment" in checked.why


@pytest.mark.parametrize("header", [{"job": 2}, {"serial": 2}])
async def test_one_for_another_job_or_serial_is_not_held(bench: Bench, header: dict[str, int]) -> None:
    path, root = await bench.update(0, 5, **header)
    await bench.sealed(0, path, root=root)
    checked = await bench.updates.check(bench.opening, 0, 5)
    assert (checked.held, checked.proof) == (False, None)


@pytest.mark.parametrize("header", [{"encoding": Encoding.BFP4}, {"block_count": BLOCKS - 1}])
async def test_one_of_another_shape_is_proven_malformed(bench: Bench, header: dict[str, Any]) -> None:
    path, root = await bench.update(0, 5, **header)
    await bench.sealed(0, path, root=root)
    checked = await bench.updates.check(bench.opening, 0, 5)
    assert not checked.held
    assert checked.proof is not None
    assert checked.proof.fault(bench.step.encoding, BLOCKS) == "encoding or block count"


async def test_one_with_a_refused_block_is_proven_malformed(bench: Bench) -> None:
    path, _ = await bench.update(0, 5)
    data = bytearray(path.read_bytes())
    data[33] = 32  # the first block's shift: over 31
    path.unlink()
    path.write_bytes(data)
    inspection = Updates(bench.info, bench.ours, bench.folder)._inspect(path, 1)
    await bench.sealed(0, path, root=inspection.update_root)
    checked = await bench.updates.check(bench.opening, 0, 5)
    assert not checked.held
    assert checked.proof is not None
    assert checked.proof.fault(bench.step.encoding, BLOCKS) == "a refused block"


async def test_one_that_is_too_long_is_not_fetched(bench: Bench) -> None:
    path = bench.folder / "long"
    path.write_bytes(bytes(bench.info.update_bytes + 1))
    await bench.sealed(0, path, root=bytes(32))
    checked = await bench.updates.check(bench.opening, 0, 5)
    assert not checked.held
    assert not checked.path.exists()


async def test_a_submission_without_a_cid_is_not_held(bench: Bench) -> None:
    bench.opening.submissions[0] = dataclasses.replace(bench.opening.submissions[0], codec=1)
    assert not (await bench.updates.check(bench.opening, 0, 5)).held


async def test_a_file_that_was_damaged_on_disk_is_fetched_again(bench: Bench) -> None:
    path = (await bench.updates.check(bench.opening, 0, 5)).path
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.unlink()
    path.write_bytes(data)
    again = Updates(bench.info, bench.ours, bench.folder / "updates")
    assert (await again.check(bench.opening, 0, 5)).held


# ---------------------------------------------------------------------- results
async def test_the_right_result_is_right_and_provided(bench: Bench) -> None:
    post = await bench.posted(await bench.right())
    rebuilt = await bench.results.rebuild(bench.view, post.id, 2)
    assert rebuilt.verdict is ResultVerdict.RIGHT
    assert post.cid is not None
    assert await bench.ours.has(post.cid)


async def test_one_wrong_number_is_found_and_convicts(bench: Bench) -> None:
    post = await bench.posted(await bench.wrong(-3))
    rebuilt = await bench.results.rebuild(bench.view, post.id, 2)
    assert rebuilt.verdict is ResultVerdict.WRONG
    assert rebuilt.fault == (0, 2)
    assert await bench.results.conviction(bench.view, post, 2)


@pytest.mark.parametrize("field", ["state_root", "momentum_root", "transcript_root", "table", "digest"])
@pytest.mark.parametrize("honest", [True, False], ids=["right", "wrong"])
async def test_any_other_wrong_field_is_unbuildable(bench: Bench, field: str, honest: bool) -> None:
    computed = await (bench.right() if honest else bench.wrong())
    post = await bench.posted(computed, **{field: os.urandom(32)})
    if field == "digest" and not honest:
        with pytest.raises(ContentMissing):  # nobody has such a file: no verdict, so no hold
            await bench.results.rebuild(bench.view, post.id, 0.3)
        return
    rebuilt = await bench.results.rebuild(bench.view, post.id, 2)
    assert rebuilt.verdict is ResultVerdict.UNBUILDABLE
    assert rebuilt.state is None


async def test_a_right_result_that_names_another_file_is_unbuildable(bench: Bench) -> None:
    right = await bench.right()
    padded = bench.folder / "padded"
    padded.write_bytes(right.published.read_bytes() + b"\0")
    cid = await bench.theirs.add(padded)
    post = await bench.posted(right, codec=cid.codec, digest=cid.digest)
    assert (await bench.results.rebuild(bench.view, post.id, 2)).verdict is ResultVerdict.UNBUILDABLE


async def test_what_builds_on_a_wrong_result_is_rebuilt_from_it(bench: Bench) -> None:
    post = await bench.posted(await bench.wrong())
    await bench.results.rebuild(bench.view, post.id, 2)
    assert (bench.local.rebuilt[post.id].state or Path()).exists()


async def test_a_final_result_is_taken_by_its_roots(bench: Bench) -> None:
    right = await bench.right()
    post = await bench.posted(right)
    post.final = True
    fresh = Results(
        bench.info, bench.ours, bench.updates, LocalState(identity=who(0)), bench.folder / "fresh"
    )
    rebuilt = await fresh.rebuild(bench.view, post.id, 2)
    assert rebuilt.trusted
    assert rebuilt.state is not None
    assert open_state(rebuilt.state, BLOCKS).root() == right.roots.state
    forged = await bench.posted(right, state_root=bytes(32))
    assert (await fresh.trust(forged, 2)).verdict is ResultVerdict.UNBUILDABLE


async def test_old_results_leave_the_disk(bench: Bench) -> None:
    right = await bench.right()
    bench.results.drop_before(1)
    assert right.state.exists()
    bench.results.drop_before(2)
    assert not right.state.exists()


async def test_old_updates_leave_the_disk(bench: Bench) -> None:
    path = (await bench.updates.check(bench.opening, 0, 5)).path
    bench.updates.drop(2)
    assert path.exists()
    bench.updates.drop(1)
    assert not path.exists()
    assert not path.parent.exists()
