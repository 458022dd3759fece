"""JSON-RPC over web3.py's HTTP provider: bounded retries, and no API key in any message."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientConnectorError, ClientError, ClientResponseError
from web3.exceptions import Web3Exception

from steelyard.chain.transport import Transport
from steelyard.errors import ChainError, Unreachable

log = logging.getLogger(__name__)
logging.getLogger("web3").setLevel(logging.WARNING)  # at DEBUG it prints the URL with its API key

_BUSY = (
    "rate limit",
    "too many requests",
    "request count exceeded",
    "capacity",
    "throughput",
    "try again",
    "indexing is in progress",
)
_FATAL_STATUS = (400, 401, 403, 404, 405)  # not retried
_TRANSIENT = (ClientError, OSError, TimeoutError, ValueError, TypeError, KeyError, Web3Exception)


class RpcRefused(ChainError):
    """The node answered with an error. `code` and `data` are JSON-RPC's."""

    def __init__(self, method: str, error: Any) -> None:
        fields = error if isinstance(error, dict) else {"message": str(error)}
        self.method = method
        self.code = fields.get("code")
        self.reason = str(fields.get("message", ""))
        self.data = fields.get("data")
        super().__init__(f"the node refused {method}: {self.reason} (code {self.code})")

    @property
    def busy(self) -> bool:
        """Whether the request may succeed later."""
        reason = self.reason.lower()
        return self.code == 429 or any(word in reason for word in _BUSY)


def redact(url: str) -> str:
    """Scheme, host and port of `url`: paths and queries of RPC URLs often contain API keys."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}:{parts.port}" if parts.port else f"{parts.scheme}://{host}"


class Rpc:
    """One endpoint.

    A failed request is retried, at least once and with backoff, for `outage_s`; then Unreachable is raised.
    """

    def __init__(self, url: str, *, timeout_s: float, outage_s: float) -> None:
        self.name = redact(url)
        self.outage_s = outage_s
        self.requests = 0
        self._batches = True
        self._transport = Transport(url, timeout_s=timeout_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.disconnect()

    async def call(self, method: str, *params: Any, patience_s: float | None = None) -> Any:
        """The `result` of one request.

        patience_s: seconds of retries if the node is away or busy; `outage_s` if None.
        Raises RpcRefused with the node's error, Unreachable.
        """
        return (await self.batch([(method, params)], patience_s=patience_s))[0]

    async def number(self, method: str, *params: Any) -> int:
        """The result of a request for a number.  Raises as `call`; ChainError if it is not a number."""
        answer = await self.call(method, *params)
        try:
            return int(answer, 16)
        except (TypeError, ValueError) as error:
            raise ChainError(
                f"{self.name} answered {method} with {str(answer)[:80]!r}, which is not a number",
                remedy="use another RPC",
            ) from error

    async def batch(
        self, requests: Sequence[tuple[str, Sequence[Any]]], *, patience_s: float | None = None
    ) -> list[Any]:
        """The results of several requests in one round trip.  Raises as `call`, for the first that fails."""
        until = time.monotonic() + (self.outage_s if patience_s is None else patience_s)
        tries = 0
        while True:
            try:
                return await self._once(requests)
            except _TRANSIENT as error:
                problem: Exception = error
                if isinstance(error, ClientResponseError) and error.status in _FATAL_STATUS:
                    raise self._unreachable(requests[0][0], error, tries + 1) from error
            except RpcRefused as error:
                if not error.busy:
                    raise
                problem = error
            tries += 1
            pause = min(2.0, 0.05 * 2 ** min(tries, 10)) * (0.5 + random.random())
            # at least two tries: the request of a process that was stopped meanwhile has timed out
            if tries > 1 and time.monotonic() + pause > until:
                raise self._unreachable(requests[0][0], problem, tries) from problem
            level = logging.WARNING if tries == 1 else logging.INFO  # one warning per outage
            log.log(level, "%s: %s; trying again", self.name, self._describe(problem))
            await asyncio.sleep(pause)

    async def _once(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        answers: list[Any] = []
        if len(requests) > 1 and self._batches:
            answers = await self._many(requests)
        if not answers:
            for method, params in requests:
                self.requests += 1
                answers.append(await self._transport.post(method, list(params)))
        results = []
        for (method, _), answer in zip(requests, answers, strict=True):
            if not isinstance(answer, dict) or ("error" not in answer and "result" not in answer):
                raise ValueError("not a JSON-RPC answer")
            if answer.get("error") is not None:
                raise RpcRefused(method, answer["error"])
            results.append(answer.get("result"))
        return results

    async def _many(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The answers to a batch; empty if the node refuses batches, which is remembered."""
        self.requests += 1
        answers = await self._transport.post_batch([(method, list(params)) for method, params in requests])
        if not isinstance(answers, list):
            log.info("%s refuses batches: %s", self.name, answers.get("error"))
            self._batches = False
            return []
        if len(answers) != len(requests):
            raise ValueError(f"{len(answers)} answers to {len(requests)} requests")
        return answers

    def _describe(self, problem: Exception) -> str:
        if isinstance(problem, ClientResponseError):
            return f"HTTP {problem.status} {problem.message}".rstrip()
        if isinstance(problem, TimeoutError):
            return "no answer in time"
        if isinstance(problem, ClientConnectorError) and (number := problem.os_error.errno or 0) > 0:
            return os.strerror(number)
        text = str(problem) or type(problem).__name__
        return text if "://" not in text else type(problem).__name__

    def _unreachable(self, method: str, problem: Exception, tries: int) -> Unreachable:
        return Unreachable(
            f"the RPC at {self.name} did not answer {method} ({tries} tries): {self._describe(problem)}",
            remedy="start the chain, or set another `rpc_url` for this network",
        )
