"""The client of one IPFS daemon's RPC."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from steelyard.content.kubo import failures
from steelyard.content.kubo.address import DaemonAddress
from steelyard.content.kubo.http import HttpClient, LeafStream, message_of
from steelyard.content.kubo.library import CALL_S, CONNECT_S, LibraryCalls, Upload
from steelyard.content.layout import LEAF_BYTES, LINKS, Layout
from steelyard.content.peer_client import PeerFault, Put, read_all
from steelyard.core.cid import DAG_PB, Cid

_SLOWEST = 4e6  # bytes a second that a daemon accepts at the least
_LEAF_S = 30.0  # seconds for one MiB, from wherever the daemon gets it
_DIAL_S = 10.0
_AHEAD = 3  # leaves that wait for the disk; one MiB of memory each
_BATCH = 400  # blocks in one call


class KuboClient:
    """Short calls go through ipfshttpclient; calls that wait or are long, through one HTTP client.

    Create it in a thread: importing ipfshttpclient is slow. Methods raise DaemonError, and DiskFull if the
    daemon has no room; `block` and `leaves` treat the daemon as a peer and raise PeerMiss and PeerFault.
    """

    def __init__(self, address: DaemonAddress) -> None:
        self._address = address
        self._library = LibraryCalls(address)
        self._rpc = self._library.rpc
        self._http_or_none: HttpClient | None = None

    async def close(self) -> None:
        """End the running calls and close the connections."""
        if self._http_or_none is not None:
            await self._http_or_none.close()
        await self._library.close()

    async def identity(self) -> tuple[str, list[str]]:
        """The daemon's peer id and its addresses. Raises DaemonError if something else answers."""
        found = await self._library.call("report its identity", self._rpc.id)
        peer_id = self._text(found, "ID")
        return peer_id, [str(address) for address in found["Addresses"] or ()]

    async def add(self, path: Path, size: int) -> str:
        """Put a file into the daemon, unpinned; streamed. Returns the CID that the daemon gives it."""
        with path.open("rb") as stream:
            found = await self._library.call(
                f"take {size} bytes",
                self._rpc.add,
                Upload(stream, self._library.ended),
                chunker=f"size-{LEAF_BYTES}",
                cid_version=1,
                raw_leaves=True,
                pin=False,
                # Daemons without these options ignore them: the CID shows whether they were applied.
                opts={"max-file-links": str(LINKS), "hash": "sha2-256", "quieter": "true"},
                deadline_s=CALL_S + size / _SLOWEST,
            )
        return self._text(found, "Hash")

    async def put_block(self, cid: Cid, data: bytes) -> None:
        """Put one block of known bytes into the daemon, unpinned."""
        opts = {"cid-codec": "dag-pb" if cid.codec == DAG_PB else "raw", "mhtype": "sha2-256"}
        found = await self._library.call("take a block", self._rpc.block.put, io.BytesIO(data), opts=opts)
        became = self._text(found, "Key")
        if became != str(cid):
            raise failures.refused(self._address, "take a block", f"{cid} became {became}")

    async def has(self, cid: Cid) -> bool:
        """Whether the block is in the daemon's repository; no other peer is asked."""
        opts = {"offline": "true"}
        return await self._library.succeeds("look for a block", self._rpc.block.stat, str(cid), opts=opts)

    async def pin(self, cid: Cid, name: str, deadline_s: float) -> bool:
        """Keep a block and all below it; False if something below does not come in time."""
        opts = {"name": name, "timeout": f"{deadline_s:g}s"}
        return await self._library.succeeds(
            "pin", self._rpc.pin.add, str(cid), opts=opts, deadline_s=deadline_s + CONNECT_S
        )

    async def is_pinned(self, cid: Cid) -> bool:
        """Whether the block itself is pinned with all below it."""
        return await self._library.succeeds("look for a pin", self._rpc.pin.ls, str(cid), type="recursive")

    async def unpin(self, cid: Cid) -> bool:
        """Remove a pin. Returns False if there is none."""
        return await self._library.succeeds("unpin", self._rpc.pin.rm, str(cid))

    async def repo(self) -> dict[str, Any]:
        """Size and limit of its repository (RepoSize, StorageMax; bytes) and its path (RepoPath)."""
        found = await self._library.call("report its size", self._rpc.repo.stat)
        self._text(found, "RepoPath")
        return dict(found)

    async def files_root(self) -> str:
        """The CID of the user's own files in the daemon (MFS)."""
        return self._text(await self._library.call("report its files", self._rpc.files.stat, "/"), "Hash")

    async def block(self, cid: Cid, limit: int) -> bytes:
        """One block, equal to its hash, from any provider that the daemon finds; waits until then.

        Raises PeerMiss if the daemon gives up, PeerFault if it does not answer or its bytes are wrong.
        """
        async with self._http.post("block/get", arg=str(cid)) as response:
            await self._http.expect(response)
            data = await read_all(response.content, limit, self._address.url)
        if not cid.matches(data):
            raise PeerFault(f"{self._address.url} sent bytes that do not match the hash of {cid}", lied=True)
        return data

    async def leaves(self, cid: Cid, layout: Layout, span: range, put: Put) -> None:
        """Pass the leaves of `span`, unchecked, to `put` in order. Raises PeerMiss, PeerFault."""
        first, end = span.start * LEAF_BYTES, min(layout.size, span.stop * LEAF_BYTES)
        path = f"/api/v0/cat?arg={cid}&offset={first}&length={end - first}"
        ahead = _Ahead(put)
        try:
            sizes = iter([layout.leaf_size(i) for i in span])
            async with self._http.leaf_stream(path, sizes) as answer:
                await self._begun(answer)
                for index in span:
                    async with asyncio.timeout(_LEAF_S):
                        leaf = await answer.next_buffer()
                    await ahead.put(index, leaf)
            await ahead.finish()
        except (OSError, TimeoutError) as error:
            raise self._http.fault(error) from error
        finally:
            await ahead.close()

    async def _begun(self, answer: LeafStream) -> None:
        """Wait for the status. Raises PeerMiss, PeerFault for any but 200."""
        async with asyncio.timeout(_LEAF_S):
            status = await answer.status()
            if status != 200:
                raise self._http.refusal(status, message_of(await answer.message()))

    async def remove(self, cids: Sequence[Cid]) -> int:
        """Remove blocks that no pin keeps; returns how many of them are gone. Raises DaemonError."""
        gone = 0
        for start in range(0, len(cids), _BATCH):
            args = [("force", "true"), *(("arg", str(cid)) for cid in cids[start : start + _BATCH])]
            async for line in self._http.lines("block/rm", args, "remove blocks"):
                gone += "Error" not in line
        return gone

    async def below(self, root: str, wanted: set[Cid]) -> set[Cid]:
        """Those of `wanted` that lie below a root in the daemon's repository. Raises DaemonError."""
        found: set[Cid] = set()
        args = [("arg", root), ("recursive", "true"), ("unique", "true"), ("offline", "true")]
        names = {str(cid): cid for cid in wanted}
        async for line in self._http.lines("refs", args, "list its files"):
            if line.get("Ref") in names:
                found.add(names[line["Ref"]])
        return found

    async def connect(self, address: str) -> bool:
        """Connect to another daemon; False if it is not reached.

        ipfshttpclient 0.7 sends the letters of the address one by one (client/swarm.py, `connect`).
        """
        try:
            async with (
                asyncio.timeout(_DIAL_S),
                self._http.post("swarm/connect", arg=address) as at,
            ):
                return at.status == 200
        except (PeerFault, TimeoutError):
            return False

    def _text(self, found: Any, name: str) -> str:
        """A text in an answer."""
        try:
            value = found[name]
        except (TypeError, KeyError):
            value = None
        if not isinstance(value, str):
            raise failures.foreign(self._address, f"its answer has no {name}")
        return value

    @property
    def _http(self) -> HttpClient:
        """Made on first use, inside the event loop."""
        if self._http_or_none is None:
            self._http_or_none = HttpClient(self._address)
        return self._http_or_none


class _Ahead:
    """Leaves are checked and written while the next ones arrive: on a busy machine threads are slow."""

    def __init__(self, put: Put) -> None:
        self._put = put
        self._under_way: deque[asyncio.Task[None]] = deque()

    async def put(self, index: int, data: bytearray) -> None:
        """Begin with one leaf; raises what went wrong with an earlier one."""
        self._under_way.append(asyncio.ensure_future(self._put(index, data)))
        if len(self._under_way) > _AHEAD:
            await self._under_way.popleft()

    async def finish(self) -> None:
        """Wait for all of them; raises what went wrong."""
        while self._under_way:
            await self._under_way.popleft()

    async def close(self) -> None:
        """Wait for the tasks that an error left running."""
        await asyncio.gather(*self._under_way, return_exceptions=True)
