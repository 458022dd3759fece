"""Verification from public data alone: recompute a posted round, download a model and check its root."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from steelyard.chain.client import ChainClient
from steelyard.content import Cid, ContentStore
from steelyard.errors import ConfigError, ContentError, ContentMissing, ExactError
from steelyard.learning.vector import state_to_safetensors
from steelyard.nodes.claims import final_now, read_view
from steelyard.nodes.files.results import Results
from steelyard.nodes.files.updates import Updates
from steelyard.nodes.job_info import JobInfo
from steelyard.nodes.reporting import slots_of
from steelyard.nodes.state.local import LocalState, RebuiltResult, ResultVerdict
from steelyard.nodes.state.view import Post, View, update_cid


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Outcome of recomputing a posted round."""

    verdict: str  # "right", "wrong" or "unverifiable"
    number: int
    serial: int
    id: str  # of the result, 0x-hex
    why: str = ""
    block: int | None = None  # of the first wrong value
    coordinate: int | None = None
    missing: tuple[str, ...] = ()  # CIDs that no peer served


@dataclass(frozen=True, kw_only=True)
class PulledModel:
    """A downloaded and checked model."""

    path: Path
    number: int
    serial: int
    state_root: str  # 0x-hex, as on chain
    cid: Cid


@dataclass(frozen=True, kw_only=True)
class RoundContext:
    """The data and tools of one verification."""

    info: JobInfo
    view: View
    local: LocalState
    updates: Updates
    results: Results
    timeout_s: float


async def verify_round(
    client: ChainClient, store: ContentStore, job: int, number: int | None, *, scratch: Path, timeout_s: float
) -> Verification:
    """Recompute the posted result of a round, the latest by default, from the parent's file and the updates.

    timeout_s: seconds to wait for each file. Raises ConfigError for a round without a post, Unreachable.
    """
    context = await _open(client, store, job, scratch, timeout_s)
    post = _posted(context.view, number)
    missing = await _missing(context, post)
    if missing:
        return _verification(post, "unverifiable", why="files have expired", missing=missing)
    try:
        rebuilt = await context.results.rebuild(context.view, post.id, timeout_s)
    except ContentMissing as error:
        return _verification(post, "unverifiable", why=error.message, missing=(str(post.cid),))
    if rebuilt.verdict is ResultVerdict.RIGHT:
        return _verification(post, "right")
    block, coordinate = rebuilt.fault or (None, None)
    return _verification(post, "wrong", why=rebuilt.why, block=block, coordinate=coordinate)


async def pull_model(
    client: ChainClient,
    store: ContentStore,
    job: int,
    number: int | None,
    out: Path,
    *,
    scratch: Path,
    timeout_s: float,
) -> PulledModel:
    """Write a round's model as float32 safetensors, once its state file has the root that is on chain.

    number: None for the latest final round, 0 for the initial model.
    Raises ConfigError if there is no such result, ContentError if no peer serves its file or the file has
    another root.
    """
    context = await _open(client, store, job, scratch, timeout_s)
    post = None if number == 0 else _final(context.view, number, await client.chain_time())
    rebuilt, cid, root = await _model(context, post)
    if rebuilt.state is None:
        raise ContentError(
            f"the file {cid} of round {number} does not have the root on chain: {rebuilt.why}",
            remedy="this model is not available; choose another round",
        )
    await asyncio.to_thread(state_to_safetensors, rebuilt.state, out, context.info.manifest.tensors)
    return PulledModel(
        path=out,
        number=post.number if post else 0,
        serial=post.serial if post else 0,
        state_root="0x" + root.hex(),
        cid=cid,
    )


async def _model(context: RoundContext, post: Post | None) -> tuple[RebuiltResult, Cid, bytes]:
    """Files, CID and state root of a final result, or of the initial model. Raises ContentError."""
    if post is not None:
        rebuilt = await context.results.trust(post, context.timeout_s)
        return rebuilt, post.cid or Cid(0x55, bytes(32)), post.result.state_root
    initial = context.view.initial or bytes(32)
    rebuilt = await context.results.rebuild(context.view, initial, context.timeout_s)
    return rebuilt, Cid.parse(context.info.manifest.initial.cid), context.info.terms.state_root


async def _open(
    client: ChainClient, store: ContentStore, job: int, scratch: Path, timeout_s: float
) -> RoundContext:
    info = await JobInfo.load(client, store, job, scratch=scratch / "data", timeout_s=timeout_s)
    view = await read_view(client, job)
    local = LocalState(identity="")
    updates = Updates(info, store, scratch / "updates")
    results = Results(info, store, updates, local, scratch / "results")
    return RoundContext(
        info=info, view=view, local=local, updates=updates, results=results, timeout_s=timeout_s
    )


def _posted(view: View, number: int | None) -> Post:
    """The standing result of a round, or else the last one posted. Raises ConfigError if there is none."""
    found = [post for post in view.posts.values() if number in (None, post.number)]
    standing = [post for post in found if post.void is None]
    if not found:
        which = "no round" if number is None else f"round {number}"
        raise ConfigError(
            f"nothing was posted for {which} of job {view.job}",
            remedy="`steelyard job show` lists its rounds",
        )
    return max(standing or found, key=lambda post: (post.number, post.block))


def _final(view: View, number: int | None, now: int) -> Post:
    found = [post for post in final_now(view, now) if number in (None, post.number)]
    if not found:
        which = "no final round" if number is None else f"no final round {number}"
        raise ConfigError(
            f"job {view.job} has {which}",
            remedy="wait until its challenge window is over, or pull --round 0, the initial model",
        )
    return max(found, key=lambda post: post.number)


async def _missing(context: RoundContext, post: Post) -> tuple[str, ...]:
    """Fetch the inputs of a result; returns the CIDs of those that no peer serves."""
    opening = context.view.openings[post.serial]
    slots = slots_of(post.result.included)
    parent = context.view.posts.get(opening.parent)

    async def get_parent() -> RebuiltResult:
        if parent is None:
            return await context.results.rebuild(context.view, opening.parent, context.timeout_s)
        return await context.results.trust(parent, context.timeout_s)

    got = await asyncio.gather(
        get_parent(),
        *(context.updates.open(opening, slot, context.timeout_s) for slot in slots),
        return_exceptions=True,
    )
    cids = [str(parent.cid) if parent else context.info.manifest.initial.cid]
    cids += [str(update_cid(opening.submissions[slot])) for slot in slots]
    missing = []
    for cid, one in zip(cids, got, strict=True):
        if isinstance(one, RebuiltResult) and one.state is not None:
            context.local.rebuilt[opening.parent] = one
        elif isinstance(one, ContentError | RebuiltResult):
            missing.append(cid)
        elif isinstance(one, BaseException) and not isinstance(one, ExactError):
            raise one
    return tuple(missing)


def _verification(
    post: Post,
    verdict: str,
    *,
    why: str = "",
    block: int | None = None,
    coordinate: int | None = None,
    missing: tuple[str, ...] = (),
) -> Verification:
    return Verification(
        verdict=verdict,
        number=post.number,
        serial=post.serial,
        id="0x" + post.id.hex(),
        why=why,
        block=block,
        coordinate=coordinate,
        missing=missing,
    )
