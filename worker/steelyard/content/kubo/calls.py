"""Short calls to the daemon through ipfshttpclient, which blocks: in threads, each with a deadline."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from steelyard.content.cid import DAG_PB, Cid
from steelyard.content.kubo import failures
from steelyard.content.kubo.address import DaemonAddress
from steelyard.content.layout import LEAF_BYTES, LINKS
from steelyard.errors import DaemonError

CALL_S = 15.0
_CONNECT_S = 3.0
_SLOWEST = 4e6  # bytes a second that a daemon takes at the least
_THREADS = 4


class Calls:
    """One daemon's RPC. Methods raise DaemonError, and DiskFull where the daemon has no room."""

    def __init__(self, address: DaemonAddress) -> None:
        self._address = address
        self._pool = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="steelyard-ipfs")
        self._ended = threading.Event()
        self._ipfs = _library()
        self._client = self._ipfs.Client(
            address.multiaddr, chunk_size=LEAF_BYTES, session=True, headers=address.headers
        )
        # A proxy of the environment is for the web; ipfshttpclient has no option for that.
        self._client._client._session.trust_env = False  # noqa: SLF001

    async def close(self) -> None:
        """End what is under way and drop the connections."""
        self._ended.set()
        self._client.close()
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    async def identity(self) -> tuple[str, list[str]]:
        """The daemon's peer id and its addresses. Raises DaemonError where something else answers."""
        found = await self._call("tell who it is", self._client.id)
        peer_id = self._text(found, "ID")
        return peer_id, [str(address) for address in found["Addresses"] or ()]

    async def add(self, path: Path, size: int) -> str:
        """Put a file into the daemon, unpinned; streamed. Returns the CID that the daemon gives it."""
        with path.open("rb") as stream:
            found = await self._call(
                f"take {size} bytes",
                self._client.add,
                _Upload(stream, self._ended),
                chunker=f"size-{LEAF_BYTES}",
                cid_version=1,
                raw_leaves=True,
                pin=False,
                # Daemons that know no such option ignore it: the CID shows whether it was heeded.
                opts={"max-file-links": str(LINKS), "hash": "sha2-256", "quieter": "true"},
                deadline_s=CALL_S + size / _SLOWEST,
            )
        return self._text(found, "Hash")

    async def put_block(self, cid: Cid, data: bytes) -> None:
        """Put one block of known bytes into the daemon, unpinned."""
        opts = {"cid-codec": "dag-pb" if cid.codec == DAG_PB else "raw", "mhtype": "sha2-256"}
        found = await self._call("take a block", self._client.block.put, io.BytesIO(data), opts=opts)
        became = self._text(found, "Key")
        if became != str(cid):
            raise failures.refused(self._address, "take a block", f"{cid} became {became}")

    async def has(self, cid: Cid) -> bool:
        """Whether the block is in the daemon's repository; nobody else is asked."""
        opts = {"offline": "true"}
        return await self._is("look for a block", self._client.block.stat, str(cid), opts=opts)

    async def pin(self, cid: Cid, name: str, deadline_s: float) -> bool:
        """Keep a block and all below it; False where something below does not come in time."""
        opts = {"name": name, "timeout": f"{deadline_s:g}s"}
        return await self._is(
            "pin", self._client.pin.add, str(cid), opts=opts, deadline_s=deadline_s + _CONNECT_S
        )

    async def is_pinned(self, cid: Cid) -> bool:
        """Whether the block itself is pinned with all below it."""
        return await self._is("look for a pin", self._client.pin.ls, str(cid), type="recursive")

    async def unpin(self, cid: Cid) -> bool:
        """Let go of a pin; False where there is none."""
        return await self._is("unpin", self._client.pin.rm, str(cid))

    async def repo(self) -> dict[str, Any]:
        """Size and limit of its repository (RepoSize, StorageMax; bytes), and where it is."""
        found = await self._call("tell its size", self._client.repo.stat)
        self._text(found, "RepoPath")
        return dict(found)

    async def files_root(self) -> str:
        """The CID of the user's own files in the daemon (MFS)."""
        return self._text(await self._call("tell its files", self._client.files.stat, "/"), "Hash")

    def _text(self, found: Any, name: str) -> str:
        """A text in an answer."""
        try:
            value = found[name]
        except (TypeError, KeyError):
            value = None
        if not isinstance(value, str):
            raise failures.foreign(self._address, f"its answer has no {name}")
        return value

    async def _is(self, what: str, function: Callable[..., Any], *args: Any, **options: Any) -> bool:
        """Whether a call is answered other than by a refusal of which there is only one kind."""
        try:
            await self._call(what, function, *args, **options)
        except DaemonError as error:
            if isinstance(error.__cause__, self._ipfs.exceptions.ErrorResponse):
                return False
            raise
        return True

    async def _call(
        self,
        what: str,
        function: Callable[..., Any],
        *args: Any,
        deadline_s: float = CALL_S,
        **options: Any,
    ) -> Any:
        known = self._ipfs.exceptions
        call = partial(function, *args, timeout=(_CONNECT_S, deadline_s), **options)
        try:
            async with asyncio.timeout(deadline_s + _CONNECT_S):
                return await asyncio.get_running_loop().run_in_executor(self._pool, call)
        except (TimeoutError, known.TimeoutError) as error:
            raise failures.late(self._address, what, deadline_s) from error
        except known.ErrorResponse as error:
            raise failures.refused(self._address, what, str(error.args[0])) from error
        except (known.StatusError, known.ProtocolError, known.DecodingError) as error:
            raise self._odd(error) from error
        except (known.Error, OSError) as error:
            raise failures.away(self._address, _first_words(error)) from error

    def _odd(self, error: Exception) -> DaemonError:
        """An answer that is none of the RPC's, or a connection that broke."""
        status = getattr(getattr(error, "original", None), "response", None)
        if status is None and not isinstance(error, self._ipfs.exceptions.DecodingError):
            return failures.away(self._address, _first_words(error))
        if status is not None and status.status_code in (401, 403):
            return failures.locked(self._address, status.status_code)
        code = "" if status is None else f"it answers {status.status_code}"
        return failures.foreign(self._address, code or "its answer is not JSON")


class _Upload:
    """A file as ipfshttpclient reads it; without a name, so that none is sent, and stopped by an event."""

    def __init__(self, stream: io.BufferedReader, ended: threading.Event) -> None:
        self._stream = stream
        self._ended = ended

    def read(self, size: int) -> bytes:
        if self._ended.is_set() or self._stream.closed:
            raise OSError("given up")
        return self._stream.read(size)


def _library() -> Any:
    """ipfshttpclient, imported when an IPFS daemon is wanted.

    Its patch of requests is for sockets that are files, and speaks to urllib3 in a way that goes away.
    """
    os.environ.setdefault("PY_IPFS_HTTP_CLIENT_PATCH_REQUESTS", "no")
    import ipfshttpclient  # noqa: PLC0415 - heavy, and only users of a daemon need it

    return ipfshttpclient


def _first_words(error: Exception) -> str:
    """The innermost cause, without addresses of Python objects."""
    while isinstance(inner := error.__cause__ or error.__context__, Exception):
        error = inner
    return f"{type(error).__name__}: {error}".split(" at 0x")[0].replace("\n", " ")[:160]
