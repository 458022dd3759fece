"""web3.py's HTTP provider on one pool of persistent connections.

The provider's own session manager opens a connection per request and takes a lock in a thread; a node polls
its chain 40 times a second.
"""

from __future__ import annotations

from typing import Any

from aiohttp import ClientSession, ClientTimeout, TCPConnector
from eth_typing import URI
from web3 import AsyncHTTPProvider
from web3.types import RPCEndpoint

MAX_CONNECTIONS = 16


class Transport(AsyncHTTPProvider):
    """Requests and answers in web3.py's encoding, for the event loop that first uses it."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        super().__init__(url, exception_retry_configuration=None)
        self._timeout = ClientTimeout(total=timeout_s)
        self._session: ClientSession | None = None

    async def post(self, method: str, params: list[Any]) -> Any:
        """The decoded answer to one request.  Raises aiohttp's errors, ValueError if it is not JSON."""
        body = self.encode_rpc_request(RPCEndpoint(method), params)
        return self.decode_rpc_response(await self._make_request(RPCEndpoint(method), body))

    async def post_batch(self, requests: list[tuple[str, list[Any]]]) -> Any:
        """The answers to several requests, in order; the node's single error if it refuses batches."""
        body = self.encode_batch_rpc_request([(RPCEndpoint(method), params) for method, params in requests])
        answer: Any = self.decode_rpc_response(await self._make_request(RPCEndpoint("batch"), body))
        if isinstance(answer, list):
            answer.sort(key=lambda entry: entry["id"])
        return answer

    async def _make_request(self, method: RPCEndpoint, request_data: bytes) -> bytes:  # noqa: ARG002
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=4.0),
                timeout=self._timeout,
                headers={"Content-Type": "application/json"},
            )
        url = str(self.endpoint_uri or URI(""))
        async with self._session.post(url, data=request_data) as answer:
            body = await answer.read()
            if answer.status == 429 or (answer.status >= 400 and not self._is_rpc_error(body)):
                answer.raise_for_status()
            return body

    def _is_rpc_error(self, body: bytes) -> bool:
        """Whether the body is a JSON-RPC error: some services send these with status 400."""
        try:
            answer: Any = self.decode_rpc_response(body)
        except ValueError:
            return False
        return isinstance(answer, dict) and isinstance(answer.get("error"), dict)

    async def disconnect(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
