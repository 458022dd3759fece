"""Connections that commands share: a chain session, the home's store, scratch folders; and their results."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.chain.units import format_ether
from steelyard.cli.session import current
from steelyard.cli.stores import fetching_only
from steelyard.content import EmbeddedStore, make_store
from steelyard.errors import ConfigError
from steelyard.operations.chain_session import ChainSession, PricedTransaction
from steelyard.operations.job_terms import job_terms

if TYPE_CHECKING:
    from rich.console import RenderableType


@asynccontextmanager
async def chain_session(*, signing: bool = False) -> AsyncIterator[ChainSession]:
    """A client of the chosen network.  Raises ConfigError if it has no deployment."""
    command = current()
    if command.network().deployment is None:
        raise ConfigError(
            f"network {command.config.network} has no deployment",
            remedy="give --deployment FILE, or `steelyard network add NAME --deployment FILE`",
        )
    async with command.client(signing=signing) as client:
        yield ChainSession(client=client, dry_run=command.dry_run, progress=command.out.say)


@asynccontextmanager
async def home_store() -> AsyncIterator[EmbeddedStore]:
    """The store of this home, which fetches and serves nobody."""
    async with make_store(fetching_only(current().config)) as store:
        yield store


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """A temporary folder on the disk of this home's store."""
    root = current().config.content_dir
    root.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=root, prefix=f".{name}-"))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@asynccontextmanager
async def job_files(job: int) -> AsyncIterator[tuple[ChainSession, EmbeddedStore, Path]]:
    """For commands that check a job's published files; the path is a scratch folder.

    Raises ConfigError if there is no such job.
    """
    async with chain_session() as session:
        await job_terms(session.client, job)
        with tempfile.TemporaryDirectory(prefix="steelyard-") as scratch:
            async with home_store() as store:
                yield session, store, Path(scratch)


def emit_result(session: ChainSession, document: Mapping[str, Any], *human: RenderableType) -> None:
    """Print a command's result with its transactions, or what they would cost."""
    out = current().out
    document = {**document, "transactions": session.transactions}
    if session.dry_run:
        out.emit({"dry_run": True, **document}, *_lines(session), "nothing was sent")
    else:
        out.emit(document, *human, *_lines(session))


def _lines(session: ChainSession) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for each in session.transactions:
        cost = format_ether(each.cost_wei)
        if isinstance(each, PricedTransaction):
            lines.append(
                f"would {each.what}: {each.gas:,} gas, {cost}, at most {format_ether(each.most_wei)}"
            )
        else:
            lines.append(f"{each.what}: {each.hash}, {each.gas_used:,} gas, {cost}")
    return lines
