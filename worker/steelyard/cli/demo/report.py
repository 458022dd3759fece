"""report.json: rounds, accounts and every transaction's hash, for checks against the chain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from steelyard.chain.client import ChainClient
from steelyard.chain.generated import events as ev
from steelyard.chain.generated.structs import Collateral
from steelyard.chain.types import Event
from steelyard.cli.demo.accounts import Actor
from steelyard.cli.demo.progress import DemoProgress
from steelyard.cli.demo.transactions import Transaction, transactions
from steelyard.errors import NodeError
from steelyard.nodes.claims import read_view
from steelyard.nodes.state.view import Opening, update_cid
from steelyard.operations.chain_session import ChainSession

VERSION = 1


async def build(
    session: ChainSession,
    actors: Sequence[Actor],
    progress: DemoProgress,
    sizes: Mapping[str, int],
    **facts: Any,
) -> dict[str, Any]:
    """The report's document.  sizes: bytes of updates and results by CID."""
    client, deployment = session.client, session.client.network.deployment
    if deployment is None:
        raise NodeError("the demo has no deployment", remedy="report this")
    job = int(facts["job"])
    view = await read_view(client, job)
    events = await _events(client)
    numbers = {serial: opening.number for serial, opening in view.openings.items()}
    head = (await client.head(fresh=True)).number
    sent = await transactions(client, deployment, numbers, head)
    rounds = [
        _round(opening, progress, sizes, sent)
        for opening in view.openings.values()
        if opening.post is not None and not opening.void
    ]
    terms = (await client.read(session.contracts.coordinator.terms_of(job))).terms
    return {
        "version": VERSION,
        **facts,
        "head_block": head,
        "coordinator": session.contracts.coordinator.address,
        "vault": session.contracts.vault.address,
        "token": terms.token,
        "manifest": _cid(terms.manifest_codec, terms.manifest_digest),
        "rounds": rounds,
        "convictions": _convictions(events, numbers, progress),
        "accounts": [await _account(session, actor, events, terms.token) for actor in actors],
        "transactions": [vars(each) for each in sent],
        "final": {key: rounds[-1][key] for key in ("round", "state_root", "cid", "accuracy")}
        if rounds
        else None,
    }


async def _events(client: ChainClient) -> list[Event]:
    follower, head = client.follow(confirmations=0), await client.head(fresh=True)
    found: list[Event] = []
    while follower.cursor.number < head.number and (batch := await follower.poll()) is not None:
        found += batch.events
    return found


def _cid(codec: int, digest: bytes) -> str:
    from steelyard.content import Cid

    return str(Cid.from_chain(codec, digest))


def _round(
    opening: Opening, progress: DemoProgress, sizes: Mapping[str, int], sent: Sequence[Transaction]
) -> dict[str, Any]:
    seen, post = progress.rounds.get(opening.number), opening.post
    if post is None:
        raise NodeError(f"round {opening.number} has no result", remedy="report this")
    gas: defaultdict[str, int] = defaultdict(int)
    for each in sent:
        if each.round == opening.number:
            gas[each.what] += each.gas_used
    seconds = None
    if seen and seen.opened_at is not None and seen.posted_at is not None:
        seconds = round(seen.posted_at - seen.opened_at, 2)
    return {
        "round": opening.number,
        "serial": opening.serial,
        "state": "final" if post.final else "posted",
        "result": "0x" + post.id.hex(),
        "state_root": "0x" + post.result.state_root.hex(),
        "cid": str(post.cid),
        "poster": post.result.poster,
        "accuracy": seen.accuracy if seen else None,
        "seconds": seconds,  # from the opening to the result that became final
        "update_bytes": sum(sizes.get(str(update_cid(each)), 0) for each in opening.submissions.values()),
        "result_bytes": sizes.get(str(post.cid), 0),
        "gas": dict(gas),
    }


def _convictions(
    events: Sequence[Event], numbers: Mapping[int, int], progress: DemoProgress
) -> list[dict[str, Any]]:
    slashes = {each.position.transaction: each for each in events if isinstance(each, ev.Slashed)}
    return [
        {
            "round": numbers[each.serial],
            "serial": each.serial,
            "result": "0x" + each.id.hex(),
            "poster": each.poster,
            "prover": each.prover,
            "names": [progress.name(each.poster), progress.name(each.prover)],
            "transaction": each.position.transaction,
            "block": each.position.block,
            "burned_units": slashes[each.position.transaction].burned,
            "rewarded_units": slashes[each.position.transaction].rewarded,
        }
        for each in events
        if isinstance(each, ev.Convicted)
    ]


async def _account(
    session: ChainSession, actor: Actor, events: Sequence[Event], token: str
) -> dict[str, Any]:
    vault, registry = session.contracts.vault, session.contracts.registry
    account = await session.client.read(registry.account_of(actor.address))
    stake = await session.client.read(vault.balance_of(actor.address, Collateral.STAKE))
    bond = await session.client.read(vault.balance_of(actor.address, Collateral.BOND))
    return {
        "name": actor.name,
        "role": actor.role,
        "address": actor.address,
        "tokens_units": await session.client.read(
            (await session.token(token)).calls.balance_of(actor.address)
        ),
        "credit_units": await session.client.read(vault.credit_of(token, actor.address)),
        "stake_units": stake.free + stake.locked + stake.unbonding,
        "bond_units": bond.free + bond.locked + bond.unbonding,
        "reward_units": _reward(events, actor.address),
        "penalty_units": sum(
            each.burned + each.rewarded
            for each in events
            if isinstance(each, ev.Slashed) and each.account == actor.address
        ),
        "reputation": {
            "submitted": account.submitted,
            "included": account.included,
            "slashed": account.slashed,
        },
    }


def _reward(events: Sequence[Event], address: str) -> int:
    """Rewards for work, attesting, posts, and convictions."""
    total = 0
    for each in events:
        if isinstance(each, ev.Claimed) and each.worker == address:
            total += each.work + each.attesting
        elif isinstance(each, ev.AggregatorPaid) and each.account == address:
            total += each.amount
        elif isinstance(each, ev.Slashed) and each.prover == address:
            total += each.rewarded
    return total
