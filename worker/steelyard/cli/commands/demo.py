"""`steelyard demo`: everything at once, on a development chain."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.session import begin, current, do


class Chain(StrEnum):
    """Development chains on which the demo runs."""

    ANVIL = "anvil"
    GANACHE = "ganache"


class Store(StrEnum):
    """Stores of published files."""

    EMBEDDED = "embedded"
    KUBO = "kubo"


def install(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("demo")(demo)


def demo(
    chain: Annotated[Chain, typer.Option(envvar="CHAIN", help="Chain to start.")] = Chain.ANVIL,
    cheat: Annotated[bool, typer.Option(envvar="CHEAT", help="Stage a wrong result in round 3.")] = True,
    keep: Annotated[bool, typer.Option(envvar="KEEP", help="Leave chain and nodes up at the end.")] = False,
    store: Annotated[Store | None, typer.Option(envvar="STORE", help="kubo: on your IPFS daemon.")] = None,
    report: Annotated[Path, typer.Option(help="File for the report.")] = Path("report.json"),
    check: Annotated[bool, typer.Option(help="Have the report checked by scripts/verify_report.py.")] = True,
) -> None:
    """Train MNIST with four paid workers on a local chain, and convict a cheat."""
    if store is not None:
        begin(dataclasses.replace(current(), config=dataclasses.replace(current().config, store=store.value)))
    do(_demo(chain, report, cheat=cheat, keep=keep, check=check))


async def _demo(chain: Chain, report: Path, *, cheat: bool, keep: bool, check: bool) -> None:
    from steelyard.cli.demo.run import Demo
    from steelyard.cli.demo.settings import DemoSettings
    from steelyard.cli.signals import stopping
    from steelyard.cli.stores import daemon

    settings = DemoSettings(
        chain=chain.value, cheat=cheat, keep=keep, report=report, check=check, ipfs=daemon(current().config)
    )
    async with stopping() as stop:
        document = await Demo(settings, current().out, stop).play()
    if current().out.json and not keep:
        current().out.document(document)
