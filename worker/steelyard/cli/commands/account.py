"""`steelyard account`: keystores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steelyard.chain.units import format_ether
from steelyard.cli.output import facts, table
from steelyard.cli.session import current, do
from steelyard.errors import ChainError, ConfigError

app = typer.Typer(name="account", help="Keystores: keys encrypted in V3 files.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the account; its file is NAME.json.")]


@app.command()
def new(
    name: Name,
    light: Annotated[bool, typer.Option(help="Weak key stretching, for throw-away accounts only.")] = False,
) -> None:
    """Make a key and store it, encrypted with a password."""
    session = current()
    password = session.passwords().get(name, confirm=True)
    made = session.keystores().new(name, password, light=light)
    _show_made("made", made.name, made.address, made.path)


@app.command("import")
def import_(
    source: Annotated[
        Path, typer.Argument(help="A V3 keystore (geth, `cast wallet`), or with --mnemonic a text file.")
    ],
    name: Annotated[str, typer.Option(help="Name of the account here; the file's if left out.")] = "",
    mnemonic: Annotated[bool, typer.Option(help="The file holds a BIP-39 phrase, - for stdin.")] = False,
    index: Annotated[int, typer.Option(min=0, help="Which account of the phrase.")] = 0,
    light: Annotated[bool, typer.Option(help="Weak key stretching, for throw-away accounts only.")] = False,
) -> None:
    """Import a keystore of another program, or an account of a BIP-39 phrase. A raw key is never accepted."""
    session = current()
    name = name or source.stem
    keystores = session.keystores()
    if mnemonic:
        phrase = _read_phrase(source)
        password = session.passwords().get(name, confirm=True)
        made = keystores.import_mnemonic(phrase, password, name, index=index, light=light)
    else:
        if not source.is_file():
            raise ConfigError(f"there is no keystore {source}", remedy="give the path of a V3 keystore file")
        made = keystores.import_file(source, session.passwords().get(name), name, light=light)
    _show_made("imported", made.name, made.address, made.path)


@app.command("list")
def list_() -> None:
    """List every account; none is unlocked."""
    session = current()
    accounts = session.keystores().list()
    document = [{"name": each.name, "address": each.address, "path": each.path} for each in accounts]
    rows = [(each.name, each.address or "(not in the file)", each.path) for each in accounts]
    session.out.emit(document, table(("account", "address", "keystore"), rows))
    if not accounts:
        session.out.say(
            f"no account in {session.config.keystore_dir}: `steelyard account new NAME` makes one"
        )


@app.command()
def show(
    who: Annotated[
        str | None, typer.Argument(help="Name or address; the chosen account if left out.")
    ] = None,
) -> None:
    """Address and, if the network answers, balance."""
    do(_show(who))


async def _show(who: str | None) -> None:
    session = current()
    address = session.address_of(who)
    document: dict[str, object] = {"address": address, "network": session.config.network}
    pairs: list[tuple[str, object]] = [("address", address), ("network", session.config.network)]
    try:
        async with session.client() as client:
            wei = await client.balance(address)
        document["balance_wei"] = wei
        pairs.append(("balance", format_ether(wei)))
    except ChainError as error:
        document["balance_error"] = error.message
        pairs.append(("balance", f"unknown: {error.message}"))
    session.out.emit(document, facts(pairs))


def _read_phrase(source: Path) -> str:
    if str(source) == "-":
        return typer.get_text_stream("stdin").read().strip()
    try:
        return source.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{source} cannot be read: {type(error).__name__}", remedy="give a text file, or -"
        ) from None


def _show_made(verb: str, name: str, address: str | None, path: Path) -> None:
    document = {"name": name, "address": address, "path": path}
    current().out.emit(document, facts([(verb, name), ("address", address), ("keystore", path)]))
    current().out.say("keep a copy of the keystore and its password: without both the account is lost")
