"""A job's terms, money, members, rounds and present phase, as documents and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steelyard.chain.generated.structs import JobState, JobTerms
from steelyard.cli.output import facts, table
from steelyard.cli.units import format_time
from steelyard.content import Cid
from steelyard.jobs.manifest import MEMBERSHIPS
from steelyard.nodes.claims import read_view
from steelyard.nodes.state import committee
from steelyard.nodes.state.view import Opening, Post, View
from steelyard.operations.chain_session import ChainSession, Token
from steelyard.operations.job_terms import JOB_STATUS, job_terms

if TYPE_CHECKING:
    from rich.console import RenderableType


async def show(session: ChainSession, job: int) -> tuple[dict[str, Any], list[RenderableType]]:
    """Document and tables of one job.  Raises ConfigError for an unknown one."""
    found = await job_terms(session.client, job)
    terms, coordinator = found.terms, session.contracts.coordinator
    state = await session.client.read(coordinator.state_of(job))
    escrow = await session.client.read(session.contracts.vault.escrow_of(job))
    token, own = await session.token(terms.token), await session.deployment_token()
    view = await read_view(session.client, job)
    now = await session.client.chain_time()
    phase = phase_of(view, terms, now)
    manifest = str(Cid.from_chain(terms.manifest_codec, terms.manifest_digest))
    document = {
        "job": job,
        "status": JOB_STATUS[state.status],
        "phase": phase,
        "sponsor": found.sponsor,
        "manifest": manifest,
        "terms": terms,
        "escrow_units": escrow.amount,
        "final_rounds": state.settled_number,
        "failures": state.failures,
        "members": [_member(view, worker) for worker in view.seats],
        "aggregators": list(view.aggregators.values()),
        "rounds": [_round(opening) for opening in view.openings.values()],
    }
    head = [
        ("job", f"{job}, {JOB_STATUS[state.status]}"),
        ("now", phase),
        ("sponsor", found.sponsor),
        ("manifest", manifest),
        ("escrow", f"{token.format(escrow.amount)} left; {token.format(terms.pool)} a round"),
        *_terms(terms, state, own),
    ]
    return document, [facts(head), *_tables(view)]


async def overview(session: ChainSession) -> tuple[list[dict[str, Any]], list[tuple[object, ...]]]:
    """Document and rows of every job."""
    coordinator = session.contracts.coordinator
    count = await session.client.read(coordinator.job_count())
    terms = await session.client.read_all([coordinator.terms_of(job) for job in range(1, count + 1)])
    states = await session.client.read_all([coordinator.state_of(job) for job in range(1, count + 1)])
    tokens = {address: await session.token(address) for address in {each.terms.token for each in terms}}
    document: list[dict[str, Any]] = []
    rows: list[tuple[object, ...]] = []
    for job, (found, state) in enumerate(zip(terms, states, strict=True), start=1):
        status, membership = JOB_STATUS[state.status], MEMBERSHIPS[found.terms.admission]
        document.append(
            {
                "job": job,
                "status": status,
                "final_rounds": state.settled_number,
                "rounds": found.terms.rounds,
                "pool_units": found.terms.pool,
                "token": found.terms.token,
                "membership": membership,
                "sponsor": found.sponsor,
            }
        )
        rounds = f"{state.settled_number}/{found.terms.rounds}"
        pool = tokens[found.terms.token].format(found.terms.pool)
        rows.append((job, status, rounds, pool, membership, found.sponsor))
    return document, rows


def phase_of(view: View, terms: JobTerms, now: int) -> str:
    """The job's present phase in a few words."""
    if view.ended is not None:
        return "ended"
    head = view.head
    if head is None:
        return f"{len(view.seats)} of {terms.min_updates} members that a round needs; no round is open"
    if head.post is not None:
        return f"round {head.number} is posted; no round is open"
    if not committee.submissions_over(head, now):
        count = f"{len(head.submissions)} of {head.members.bit_count()}"
        return f"round {head.number}: {count} have submitted, until {format_time(head.submit_by)}"
    windows = committee.CommitteeWindows.of(head, terms)
    heard = f"{len(head.attestations)} heard"
    return f"round {head.number}: attesting and aggregating, {heard}" + (
        f", post by {format_time(windows.post_by)}" if windows else ""
    )


def _terms(terms: JobTerms, state: JobState, own: Token) -> list[tuple[str, object]]:
    split = f"workers {terms.worker_bps / 100:g} %, aggregator {terms.aggregator_bps / 100:g} %"
    windows = [
        f"{name} {getattr(terms, f'{name}_window')} s"
        for name in ("submit", "attest", "turn", "post", "challenge")
    ]
    return [
        ("split", f"{split}, attestors {terms.attestor_bps / 100:g} %"),
        ("rounds", f"{state.settled_number} final of {terms.rounds}, {state.failures} failures"),
        ("stake, bond", f"{own.format(terms.stake)} a member, {own.format(terms.bond)} a result"),
        ("membership", f"{MEMBERSHIPS[terms.admission]}, at most {terms.max_members}"),
        ("windows", ", ".join(windows)),
        ("deadline", format_time(terms.deadline)),
    ]


def _tables(view: View) -> list[RenderableType]:
    members = [
        (seat.slot, seat.worker, seat.weight, "leaving" if seat.leaving else "")
        for seat in view.seats.values()
    ]
    drawn: list[RenderableType] = []
    if members:
        drawn.append(table((">slot", "member", ">weight", ""), members))
    if view.aggregators:
        drawn.append(table((">seat", "aggregator"), view.aggregators.items()))
    rounds = [
        (opening.number, opening.serial, len(opening.submissions), _result(opening.post), _state(opening))
        for opening in view.openings.values()
    ]
    if rounds:
        drawn.append(table((">round", ">serial", ">updates", "result", "state"), rounds))
    return drawn


def _state(opening: Opening) -> str:
    if opening.void:
        return "void"
    if opening.post is None:
        return "open"
    if opening.post.final:
        return "final"
    return "held" if opening.post.final_at else "posted"


def _result(post: Post | None) -> str:
    return f"0x{post.id.hex()[:12]}… by {post.result.poster}" if post else ""


def _member(view: View, worker: str) -> dict[str, Any]:
    seat = view.seats[worker]
    return {
        "worker": worker,
        "operator": seat.operator,
        "slot": seat.slot,
        "weight": seat.weight,
        "shard": seat.shard,
        "data": str(seat.cid) if seat.cid else None,
        "leaving": seat.leaving,
    }


def _round(opening: Opening) -> dict[str, Any]:
    post = opening.post
    return {
        "round": opening.number,
        "serial": opening.serial,
        "state": _state(opening),
        "submitted": [each.worker for each in opening.submissions.values()],
        "result": post.id if post else None,
        "poster": post.result.poster if post else None,
        "state_root": post.result.state_root if post else None,
        "cid": str(post.cid) if post else None,
        "final_at": post.final_at if post else None,
    }
