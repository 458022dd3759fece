"""What may wait or be long, over plain HTTP: it can be given up at any moment, and is never in memory."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from steelyard.content.cid import Cid
from steelyard.content.kubo import bulk, failures
from steelyard.content.kubo.address import DaemonAddress
from steelyard.content.layout import LEAF_BYTES, Layout
from steelyard.content.peer_client import PeerFault, PeerMiss, Put, read_all

_READ_BUFFER = 256 * 1024
_CONNECT_S = 3.0
_LEAF_S = 30.0  # seconds for one MiB, from wherever the daemon gets it
_WALK_S = 60.0  # a daemon with many pins looks through all of them
_DIAL_S = 10.0
_MESSAGE_BYTES = 4096
_AHEAD = 3  # leaves that wait for the disk; one MiB of memory each
_BATCH = 400  # blocks in one call
_ABSENT = ("not found", "offline", "context deadline exceeded")


class Streams:
    """One daemon's RPC, for blocks and bytes of files. What it sends is checked like any peer's."""

    def __init__(self, address: DaemonAddress) -> None:
        self._address = address
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=_READ_BUFFER,
            headers={"Accept-Encoding": "identity", "User-Agent": "steelyard", **address.headers},
        )

    async def close(self) -> None:
        """Drop all connections."""
        await self._session.close()

    async def block(self, cid: Cid, limit: int) -> bytes:
        """One block, equal to its hash, from whoever the daemon finds that has it: it waits on until then.

        Raises PeerMiss where the daemon gives up, PeerFault where it is away or its bytes are wrong.
        """
        async with self._post("block/get", arg=str(cid)) as response:
            await self._expect(response)
            data = await read_all(response.content, limit, self._address.url)
        if not cid.matches(data):
            raise PeerFault(f"{self._address.url} sent bytes unlike the hash of {cid}", lied=True)
        return data

    async def leaves(self, cid: Cid, layout: Layout, span: range, put: Put) -> None:
        """Hand the leaves of `span`, unchecked, to `put` one after the other. Raises PeerMiss, PeerFault."""
        first, end = span.start * LEAF_BYTES, min(layout.size, span.stop * LEAF_BYTES)
        path = f"/api/v0/cat?arg={cid}&offset={first}&length={end - first}"
        ahead = _Ahead(put)
        try:
            sizes = iter([layout.leaf_size(i) for i in span])
            async with bulk.post(self._address, path, sizes) as answer:
                await self._begun(answer)
                for index in span:
                    async with asyncio.timeout(_LEAF_S):
                        leaf = await answer.take()
                    await ahead.put(index, leaf)
            await ahead.finish()
        except (OSError, TimeoutError) as error:
            raise self._fault(error) from error
        finally:
            await ahead.close()

    async def _begun(self, answer: bulk.Bulk) -> None:
        """Wait for the status. Raises PeerMiss, PeerFault for any but 200."""
        async with asyncio.timeout(_LEAF_S):
            status = await answer.status()
            if status != 200:
                raise self._refusal(status, _said(await answer.message()))

    async def remove(self, cids: Sequence[Cid]) -> int:
        """Remove blocks that no pin keeps; returns how many of them are gone. Raises DaemonError."""
        gone = 0
        for start in range(0, len(cids), _BATCH):
            args = [("force", "true"), *(("arg", str(cid)) for cid in cids[start : start + _BATCH])]
            async for line in self._lines("block/rm", args, "remove blocks"):
                gone += "Error" not in line
        return gone

    async def below(self, root: str, wanted: set[Cid]) -> set[Cid]:
        """Those of `wanted` that lie below a root in the daemon's repository. Raises DaemonError."""
        found: set[Cid] = set()
        args = [("arg", root), ("recursive", "true"), ("unique", "true"), ("offline", "true")]
        names = {str(cid): cid for cid in wanted}
        async for line in self._lines("refs", args, "list its files"):
            if line.get("Ref") in names:
                found.add(names[line["Ref"]])
        return found

    async def connect(self, address: str) -> bool:
        """Connect to another daemon; False where it is not reached.

        ipfshttpclient 0.7 sends the letters of the address one by one (client/swarm.py, `connect`).
        """
        try:
            async with (
                asyncio.timeout(_DIAL_S),
                self._post("swarm/connect", arg=address) as at,
            ):
                return at.status == 200
        except (PeerFault, TimeoutError):
            return False

    async def _lines(
        self, path: str, args: list[tuple[str, str]], what: str
    ) -> AsyncIterator[dict[str, Any]]:
        try:
            async with (
                asyncio.timeout(_WALK_S),
                self._session.post(f"{self._address.url}/api/v0/{path}", params=args) as response,
            ):
                if response.status != 200:
                    raise failures.refused(self._address, what, await _message(response))
                async for line in response.content:
                    found = json.loads(line)
                    if isinstance(found, dict):
                        yield found
        except TimeoutError as error:
            raise failures.late(self._address, what, _WALK_S) from error
        except (aiohttp.ClientError, OSError) as error:
            raise failures.away(self._address, f"{type(error).__name__}: {error}") from error
        except ValueError as error:
            raise failures.foreign(self._address, "its answer is not JSON") from error

    @asynccontextmanager
    async def _post(self, path: str, **params: str) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._session.post(f"{self._address.url}/api/v0/{path}", params=params) as response:
                yield response
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise self._fault(error) from error

    async def _expect(self, response: aiohttp.ClientResponse) -> None:
        if response.status == 200:
            return
        raise self._refusal(response.status, await _message(response))

    def _refusal(self, status: int, message: str) -> PeerMiss | PeerFault:
        if any(text in message.lower() for text in _ABSENT):
            return PeerMiss(f"the IPFS daemon finds it nowhere: {message}")
        return PeerFault(f"IPFS daemon at {self._address.url} answers {status}: {message}")

    def _fault(self, error: Exception) -> PeerFault:
        return PeerFault(f"IPFS daemon at {self._address.url}: {type(error).__name__} {error}"[:300])


class _Ahead:
    """Leaves are checked and written while the next ones come: on a busy machine a thread takes its time."""

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
        """Wait for what an error left behind."""
        await asyncio.gather(*self._under_way, return_exceptions=True)


async def _message(response: aiohttp.ClientResponse) -> str:
    """What an error's body says."""
    return _said((await response.content.read(_MESSAGE_BYTES)).decode(errors="replace"))


def _said(text: str) -> str:
    try:
        return str(json.loads(text)["Message"])[:300]
    except (ValueError, KeyError, TypeError):
        return text.strip()[:300]
