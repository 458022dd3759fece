"""`steelyard content`: files by CID."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.session import current, do
from steelyard.errors import ConfigError

app = typer.Typer(name="content", help="Files by content identifier (IPFS CIDs).", no_args_is_help=True)


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


async def _serve(listen: str) -> None:
    from steelyard.cli.signals import stopping
    from steelyard.cli.stores import serving
    from steelyard.content import EmbeddedStore

    session = current()
    config = session.config
    async with EmbeddedStore(serving(config, listen)) as store, stopping() as stop:
        session.out.emit({"url": store.url, "content": config.content_dir}, f"serving at {store.url}")
        session.out.say(f"others reach it by `--peer {store.url}`; Ctrl-C ends it")
        await stop.wait()
