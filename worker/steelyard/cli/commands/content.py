"""`steelyard content`: files by CID."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.session import current, do
from steelyard.errors import ConfigError

app = typer.Typer(name="content", help="Files by content identifier (IPFS CIDs).", no_args_is_help=True)

FetchLimit = Annotated[str, typer.Option(help="Refuse more than this, as 500MB or 2GiB.")]
Timeout = Annotated[float | None, typer.Option(min=0.1, help="Seconds to wait; the settings' if left out.")]


@app.command()
def cid(path: Annotated[Path, typer.Argument(help="A file or a folder.")]) -> None:
    """The CID of a file or folder, as Kubo computes it; nothing is stored or sent."""
    from steelyard.content import cid_of_path

    if not path.exists():
        raise ConfigError(f"there is no {path}", remedy="give the path of a file or a folder")
    found = str(cid_of_path(path))
    current().out.emit({"path": path, "cid": found}, found)


@app.command()
def serve(
    listen: Annotated[str, typer.Option(help="host:port; port 0 takes a free one.")] = "",
) -> None:
    """Hand out what this home's store provides (a sponsor's data, say) until Ctrl-C."""
    do(_serve(listen))


@app.command()
def ls(
    place: Annotated[str, typer.Argument(metavar="[CID[/PATH]]", help="A directory's names instead.")] = "",
    timeout: Timeout = None,
) -> None:
    """What this home's store holds, how long it is pinned and whether it is handed out."""
    from steelyard.cli import content

    do(content.names(place, timeout) if place else content.holdings())


@app.command()
def pin(
    cids: Annotated[list[str], typer.Argument(metavar="CID...", help="What is held here.")],
    keep_for: Annotated[str, typer.Option("--for", help="30m, 12h, 7d; for good if left out.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Unpin: the next `gc` may have it.")] = False,
) -> None:
    """Keep files and directories, with all in them, whatever nodes let go."""
    from steelyard.cli import content

    if remove and keep_for:
        raise typer.BadParameter("there is nothing to keep where a pin is removed", param_hint="--for")
    do(content.pin(cids, keep_for, remove=remove))


@app.command()
def gc(
    grace: Annotated[str, typer.Option(help="Spare what came later than this ago.")] = "1h",
) -> None:
    """Delete what no pin keeps. With --dry-run it only says how much that may be."""
    from steelyard.cli import content

    do(content.collect(grace))


@app.command()
def fetch(
    place: Annotated[str, typer.Argument(metavar="CID[/PATH]", help="A file, a folder, or what is in it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File or folder to make.")],
    max_bytes: FetchLimit = "4GiB",
    timeout: Timeout = None,
) -> None:
    """Fetch a file or folder from peers (--peer), theirs, or an IPFS daemon (--ipfs); all of it is checked.

    Cut off, the same command goes on where it was. The file is read-only: the store keeps the same bytes.
    """
    from steelyard.cli import content

    do(content.fetch(place, output, max_bytes, timeout))


@app.command()
def provide(
    what: Annotated[str, typer.Argument(metavar="PATH|CID", help="A file or folder, or what is held here.")],
    withhold: Annotated[bool, typer.Option("--withhold", help="Hand it out no longer; it stays.")] = False,
) -> None:
    """Put a file or folder into this home's store for good, and hand it out while anything serves it."""
    from steelyard.cli import content

    do(content.provide(what, withhold=withhold))


async def _serve(listen: str) -> None:
    from steelyard.cli.signals import stopping
    from steelyard.cli.stores import serving
    from steelyard.content import make_store

    session = current()
    config = session.config
    async with make_store(serving(config, listen)) as store, stopping() as stop:
        session.out.emit({"url": store.url, "content": config.content_dir}, f"serving at {store.url}")
        session.out.say(f"others reach it by `--peer {store.url}`; Ctrl-C ends it")
        await stop.wait()
