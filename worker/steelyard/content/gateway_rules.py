"""Request parsing and response headers of the gateway (IPFS trustless gateway specification)."""

from __future__ import annotations

import re

from aiohttp import web

from steelyard.core.cid import Cid
from steelyard.errors import ContentError

RAW_TYPE = "application/vnd.ipld.raw"
COMMON = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Range, User-Agent, X-Requested-With",
    "Access-Control-Expose-Headers": "Content-Length, Content-Range, X-Ipfs-Path, X-Ipfs-Roots",
    "X-Content-Type-Options": "nosniff",
}
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class Unsupported(ContentError):
    """A form of the content that this gateway does not give."""


def wants_raw(request: web.Request) -> bool:
    """Whether one block is asked for. Raises Unsupported for CAR files and other forms."""
    form = request.query.get("format")
    accept = request.headers.get("Accept", "")
    if form is None and RAW_TYPE in accept:
        return True
    if form not in (None, "raw") or (form is None and "application/vnd.ipld." in accept):
        raise Unsupported(f"{(form or accept)[:80]!r} is not given: ask for raw, or the whole file")
    return form == "raw"


def block_headers(request: web.Request, cid: Cid) -> dict[str, str]:
    """Headers of one block."""
    return _headers(request, cid, f'"{cid}.raw"') | {"Content-Type": RAW_TYPE}


def file_headers(request: web.Request, cid: Cid) -> dict[str, str]:
    """Headers of a whole file or a range of it."""
    plain = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
    return _headers(request, cid, f'"{cid}"') | plain


def _headers(request: web.Request, cid: Cid, etag: str) -> dict[str, str]:
    return COMMON | {
        "Etag": etag,
        "Cache-Control": "public, max-age=29030400, immutable",
        "Content-Disposition": f'attachment; filename="{cid}.bin"',
        "X-Ipfs-Path": request.rel_url.raw_path,
        "X-Ipfs-Roots": str(cid),
    }


def is_unchanged(request: web.Request, etag: str) -> bool:
    """Whether the client has these bytes already."""
    known = request.headers.get("If-None-Match", "")
    return known.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in known.split(","))


def byte_range(request: web.Request, size: int, etag: str) -> tuple[int, int, int]:
    """(start, stop, status) of what to send. Several ranges and malformed ones give the whole file.

    Raises ValueError for one that lies outside of the file.
    """
    match = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if match is None or request.headers.get("If-Range", etag) != etag or match[0] == "bytes=-":
        return 0, size, 200
    first, last = match[1], match[2]
    if first:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return 0, size, 200
    else:
        start, stop = max(0, size - int(last)), size
    if start >= stop:
        raise ValueError("range outside of the file")
    return start, stop, 206


def refuse(status: int, why: str) -> web.Response:
    """An error for a client; nothing may cache it, for the file may come."""
    return web.Response(status=status, text=why + "\n", headers=COMMON | {"Cache-Control": "no-store"})
