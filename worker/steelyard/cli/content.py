"""Behind `steelyard content`: listing, pinning, deleting, fetching and serving files of the home's store."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from steelyard.cli.context import home_store
from steelyard.cli.output import facts, table
from steelyard.cli.session import current
from steelyard.cli.stores import daemon
from steelyard.cli.units import format_size, parse_size
from steelyard.content import FOREVER, Cid, ContentStore, Entry
from steelyard.core.cid import RAW
from steelyard.errors import CidError, ConfigError, ContentError
from steelyard.operations.units import parse_duration

Document = dict[str, object]


async def list_entries() -> None:
    """Print everything in the store."""
    async with home_store() as store:
        entries, held = await store.ls(), await store.held()
    rows = [
        (e.cid, e.kind, format_size(e.size), "yes" if e.provided else "no", _until(e.pinned_until))
        for e in entries
    ]
    total = (
        f"{held.files} files and {held.directories} directories, {format_size(held.held_bytes)}: "
        f"{format_size(held.pinned_bytes)} pinned, {format_size(held.provided_bytes)} served"
    )
    document = {"entries": [_entry(entry) for entry in entries], "held": dataclasses.asdict(held)}
    listed = [table(("cid", "kind", ">size", "served", "pinned"), rows)] if rows else []
    current().out.emit(document, *listed, total)


async def list_directory(place: str, timeout_s: float | None) -> None:
    """Print a directory's names; it is fetched if needed."""
    cid, path = parse_place(place)
    async with home_store() as store:
        found = await store.listing(cid, path=path, timeout_s=_patience(timeout_s))
    document = {"cid": str(cid), "path": path, "names": {name: str(each) for name, each in found.items()}}
    current().out.emit(document, table(("name", "cid"), list(found.items())))


async def pin(cids: Sequence[str], keep_for: str, *, remove: bool) -> None:
    """Pin or unpin files of the store."""
    wanted = [Cid.parse(text) for text in cids]
    until = time.time() + parse_duration(keep_for, "--for") if keep_for else FOREVER
    async with home_store() as store:
        for cid in wanted:
            if remove:
                await store.unpin(cid)
            else:
                await store.pin(cid, until=until)
    document: Document = {"cids": cids, "pinned_until": None if remove else _json_until(until)}
    result = "unpinned" if remove else f"pinned {_until(until)}"
    current().out.emit(document, *(f"{result}: {cid}" for cid in wanted))


async def collect_garbage(grace: str) -> None:
    """Delete what is not pinned; a dry run prints its size."""
    session, grace_s = current(), parse_duration(grace, "--grace")
    async with home_store() as store:
        if session.dry_run:
            held = await store.held()
            spare = held.held_bytes - held.pinned_bytes
            text = f"{format_size(spare)} of {format_size(held.held_bytes)} are not pinned; none was deleted"
            session.out.emit({"dry_run": True, "unpinned_bytes": spare, "held_bytes": held.held_bytes}, text)
            return
        freed = await store.gc(grace_s=grace_s)
        held = await store.held()
    document = {**dataclasses.asdict(freed), "held_bytes": held.held_bytes}
    gone, left = format_size(freed.freed_bytes), format_size(held.held_bytes)
    session.out.emit(document, f"deleted {freed.entries} entries, {gone}; {left} remain")


async def fetch(place: str, output: Path, max_bytes: str, timeout_s: float | None) -> None:
    """Put a file or a folder at `output`, which must not exist yet."""
    cid, path = parse_place(place)
    _check_free(output)
    limit, patience_s = parse_size(max_bytes, "--max-bytes"), _patience(timeout_s)
    started = time.monotonic()
    async with home_store() as store:
        if await _is_directory(store, cid, path, patience_s):
            for name in path.split("/") if path else ():
                cid = (await store.listing(cid, timeout_s=patience_s))[name]
            await store.get_directory(cid, output, max_bytes=limit, timeout_s=patience_s)
        else:
            await store.get(cid, output, path=path, max_bytes=limit, timeout_s=patience_s)
    taken = time.monotonic() - started
    files, count = _written(output)
    document = {"place": place, "path": output, "files": files, "bytes": count, "seconds": round(taken, 3)}
    pairs = [("written", output), ("files", files), ("size", format_size(count)), ("seconds", f"{taken:.1f}")]
    current().out.emit(document, facts([*pairs, ("checked", f"equal to {place}")]))


async def provide(what: str, *, withhold: bool) -> None:
    """Add a path and serve it, or start or stop serving a CID of the store."""
    path, kind = Path(what), _kind(Path(what))
    if kind and withhold:
        raise ConfigError(f"{what} is a path", remedy="give the CID that it was provided under")
    async with home_store() as store:
        if kind == "directory":
            cid = await store.add_directory(path, provide=True, pin_until=FOREVER)
        elif kind == "file":
            cid = await store.add(path, provide=True, pin_until=FOREVER)
        else:
            cid = _cid_or_path(what)
            await (store.withhold(cid) if withhold else store.provide(cid))
    current().out.emit(
        {"cid": str(cid), "provided": not withhold}, f"{cid} {_serving_state(withhold=withhold)}"
    )


def _serving_state(*, withhold: bool) -> str:
    """A line on who serves it now."""
    ipfs = daemon(current().config)
    if ipfs is None:
        return "is no longer served" if withhold else "is served while a node or `content serve` runs"
    if withhold:
        return f"is no longer served; the IPFS daemon at {ipfs.url} drops it unless it has another pin"
    return f"is pinned in the IPFS daemon at {ipfs.url}, which serves it"


def parse_place(place: str) -> tuple[Cid, str]:
    """A CID and the path in it, from CID, CID/path, /ipfs/CID/path or ipfs://CID/path. Raises CidError."""
    for prefix in ("/ipfs/", "ipfs://"):
        place = place.removeprefix(prefix)
    root, _, path = place.partition("/")
    return Cid.parse(root), path.rstrip("/")


async def _is_directory(store: ContentStore, cid: Cid, path: str, timeout_s: float) -> bool:
    """True for a directory.  Raises ContentMissing if nobody serves it."""
    if cid.codec == RAW:
        return False
    try:
        await store.listing(cid, path=path, timeout_s=timeout_s)
    except ContentError as error:
        if type(error) is not ContentError:  # this class itself means that it is a file
            raise
        return False
    return True


def _check_free(output: Path) -> None:
    """Raise ConfigError if the name is taken: nothing is overwritten."""
    if output.exists() or output.is_symlink():
        raise ConfigError(f"{output} exists", remedy="give a name that is free")


def _written(output: Path) -> tuple[int, int]:
    """Files and bytes at a path."""
    files = [each for each in output.rglob("*") if each.is_file()] if output.is_dir() else [output]
    return len(files), sum(each.stat().st_size for each in files)


def _kind(path: Path) -> str:
    if not path.exists():
        return ""
    return "directory" if path.is_dir() else "file"


def _cid_or_path(text: str) -> Cid:
    try:
        return Cid.parse(text)
    except CidError:
        raise ConfigError(
            f"{text} is not a path that exists, nor a CID", remedy="check its spelling"
        ) from None


def _patience(timeout_s: float | None) -> float:
    return current().config.fetch_timeout_s if timeout_s is None else timeout_s


def _entry(entry: Entry) -> Document:
    return {
        "cid": str(entry.cid),
        "kind": entry.kind,
        "size": entry.size,
        "provided": entry.provided,
        "pinned_until": _json_until(entry.pinned_until),
        "added": entry.added,
    }


def _json_until(until: float | None) -> float | str | None:
    return "forever" if until == FOREVER else until


def _until(until: float | None) -> str:
    if until is None:
        return "no"
    if until == FOREVER:
        return "permanently"
    return f"until {datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M:%S} UTC"
