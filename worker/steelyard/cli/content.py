"""Behind `steelyard content`: what the home's store holds, keeps, lets go, fetches and hands out."""

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
from steelyard.content.cid import RAW
from steelyard.errors import CidError, ConfigError, ContentError
from steelyard.operations.units import parse_duration

Document = dict[str, object]


async def holdings() -> None:
    """List everything."""
    async with home_store() as store:
        entries, held = await store.ls(), await store.held()
    rows = [
        (e.cid, e.kind, format_size(e.size), "yes" if e.provided else "no", _until(e.pinned_until))
        for e in entries
    ]
    total = (
        f"{held.files} files and {held.directories} directories, {format_size(held.held_bytes)}: "
        f"{format_size(held.pinned_bytes)} pinned, {format_size(held.provided_bytes)} handed out"
    )
    document = {"entries": [_entry(entry) for entry in entries], "held": dataclasses.asdict(held)}
    listed = [table(("cid", "kind", ">size", "handed out", "pinned"), rows)] if rows else []
    current().out.emit(document, *listed, total)


async def names(place: str, timeout_s: float | None) -> None:
    """List a directory, fetched if need be."""
    cid, path = parse(place)
    async with home_store() as store:
        found = await store.listing(cid, path=path, timeout_s=_patience(timeout_s))
    document = {"cid": str(cid), "path": path, "names": {name: str(each) for name, each in found.items()}}
    current().out.emit(document, table(("name", "cid"), list(found.items())))


async def pin(cids: Sequence[str], keep_for: str, *, remove: bool) -> None:
    """Pin or unpin what is held."""
    wanted = [Cid.parse(text) for text in cids]
    until = time.time() + parse_duration(keep_for, "--for") if keep_for else FOREVER
    async with home_store() as store:
        for cid in wanted:
            if remove:
                await store.unpin(cid)
            else:
                await store.pin(cid, until=until)
    document: Document = {"cids": cids, "pinned_until": None if remove else _json_until(until)}
    said = "unpinned" if remove else f"pinned {_until(until)}"
    current().out.emit(document, *(f"{said}: {cid}" for cid in wanted))


async def collect(grace: str) -> None:
    """Delete what nothing keeps, or say how much there is."""
    session, grace_s = current(), parse_duration(grace, "--grace")
    async with home_store() as store:
        if session.dry_run:
            held = await store.held()
            spare = held.held_bytes - held.pinned_bytes
            said = f"no pin keeps {format_size(spare)} of {format_size(held.held_bytes)}; nothing was deleted"
            session.out.emit({"dry_run": True, "unpinned_bytes": spare, "held_bytes": held.held_bytes}, said)
            return
        freed = await store.gc(grace_s=grace_s)
        held = await store.held()
    document = {**dataclasses.asdict(freed), "held_bytes": held.held_bytes}
    gone, left = format_size(freed.freed_bytes), format_size(held.held_bytes)
    session.out.emit(document, f"deleted {freed.entries} entries, {gone}; {left} are left")


async def fetch(place: str, output: Path, max_bytes: str, timeout_s: float | None) -> None:
    """Put a file or a folder at `output`, which must not exist yet."""
    cid, path = parse(place)
    _see_free(output)
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
    """Add a path, or hand out (or no longer) what is held."""
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
    current().out.emit({"cid": str(cid), "provided": not withhold}, f"{cid} {_told(withhold=withhold)}")


def _told(*, withhold: bool) -> str:
    """What is true of it now, on the store that there is."""
    ipfs = daemon(current().config)
    if ipfs is None:
        return "is no longer handed out" if withhold else "is handed out while a node or `content serve` runs"
    if withhold:
        return (
            f"is no longer handed out, and out of the IPFS daemon at {ipfs.url} unless another pin keeps it"
        )
    return f"is pinned in the IPFS daemon at {ipfs.url}, which hands it out"


def parse(place: str) -> tuple[Cid, str]:
    """A CID and the path in it, from CID, CID/path, /ipfs/CID/path or ipfs://CID/path. Raises CidError."""
    for prefix in ("/ipfs/", "ipfs://"):
        place = place.removeprefix(prefix)
    root, _, path = place.partition("/")
    return Cid.parse(root), path.rstrip("/")


async def _is_directory(store: ContentStore, cid: Cid, path: str, timeout_s: float) -> bool:
    """Whether a folder lies there. Raises ContentMissing where nobody hands it out."""
    if cid.codec == RAW:
        return False
    try:
        await store.listing(cid, path=path, timeout_s=timeout_s)
    except ContentError as error:
        if type(error) is not ContentError:  # that itself is said of a file alone
            raise
        return False
    return True


def _see_free(output: Path) -> None:
    """Raise ConfigError for a name that is taken: nothing of a person's is written over."""
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
        raise ConfigError(f"{text} is no path that exists and no CID", remedy="check its spelling") from None


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
        return "for good"
    return f"until {datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M:%S} UTC"
