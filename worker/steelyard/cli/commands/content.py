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
    """Print the CID of a file or folder, as Kubo computes it; nothing is stored or sent."""
    from steelyard.content import cid_of_path

    if not path.exists():
        raise ConfigError(f"there is no {path}", remedy="give the path of a file or a folder")
    found = str(cid_of_path(path))
    current().out.emit({"path": path, "cid": found}, found)


@app.command()
def serve(
    listen: Annotated[str, typer.Option(help="host:port; port 0 takes a free one.")] = "",
) -> None:
    """Serve what this home's store provides, such as a sponsor's data, until Ctrl-C."""
    do(_serve(listen))


@app.command()
def ls(
    place: Annotated[str, typer.Argument(metavar="[CID[/PATH]]", help="A directory's names instead.")] = "",
    timeout: Timeout = None,
) -> None:
    """List what this home's store holds, until when it is pinned, and whether it is served."""
    from steelyard.cli import content

    do(content.list_directory(place, timeout) if place else content.list_entries())


@app.command()
def pin(
    cids: Annotated[list[str], typer.Argument(metavar="CID...", help="Files or directories in this store.")],
    keep_for: Annotated[str, typer.Option("--for", help="30m, 12h, 7d; permanently if left out.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Unpin: the next `gc` may delete it.")] = False,
) -> None:
    """Keep files and directories with their content, whatever nodes release."""
    from steelyard.cli import content

    if remove and keep_for:
        raise typer.BadParameter("a pin that is removed has no duration", param_hint="--for")
    do(content.pin(cids, keep_for, remove=remove))


@app.command()
def gc(
    grace: Annotated[str, typer.Option(help="Spare what was added within this time.")] = "1h",
) -> None:
    """Delete what is not pinned. With --dry-run, only print its size."""
    from steelyard.cli import content

    do(content.collect_garbage(grace))


@app.command()
def fetch(
    place: Annotated[str, typer.Argument(metavar="CID[/PATH]", help="A file, a folder, or a path in it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File or folder to make.")],
    max_bytes: FetchLimit = "4GiB",
    timeout: Timeout = None,
) -> None:
    """Fetch a file or folder from peers (--peer), their peers, or an IPFS daemon (--ipfs), and check it.

    After an interruption the same command resumes. The file is read-only: the store holds the same bytes.
    """
    from steelyard.cli import content

    do(content.fetch(place, output, max_bytes, timeout))


@app.command()
def provide(
    what: Annotated[
        str, typer.Argument(metavar="PATH|CID", help="A file, a folder, or a CID of this store.")
    ],
    withhold: Annotated[bool, typer.Option("--withhold", help="Stop serving it; it stays stored.")] = False,
) -> None:
    """Add a file or folder to this home's store, pin it, and serve it while a server runs."""
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
