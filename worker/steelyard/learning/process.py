"""The parent's side of the training process: start it, ask it, stop it, notice its death.

The child gets none of the node's environment but a short list of names, a home of its own, no file descriptor
but its pipes, and its own session, so that Ctrl-C in a terminal reaches the node alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.errors import TrainingError
from steelyard.jobs.canonical_json import check_depth

KEPT_VARIABLES = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

_MAX_LINE = 1 << 16
_LOG_TAIL = 2000
_KILL_S = 10.0

# -I keeps the environment and the working folder off the path; the package's own folder goes to its end.
_ROOT = str(Path(__file__).resolve().parents[2])
_BOOTSTRAP = "import sys; sys.path.append(sys.argv[1]); from steelyard.learning.child import main; main()"


@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """How the training process runs."""

    threads: int = 1
    nice: int = 5  # below the node, so that it answers the chain in time while it trains
    memory_bytes: int = 8 << 30  # beside what torch itself maps
    start_timeout_s: float = 120.0  # until torch is imported
    stall_s: float = 120.0  # longest silence of a working child


class ChildDied(TrainingError):
    """The process ended, or was ended because it broke the contract; another one may do better."""


class _Late(TrainingError):
    """The deadline passed."""


class Child:
    """One training process. Use one at a time: `ask` is not reentrant."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, settings: TrainerSettings) -> None:
        self._process = process
        self._log = log
        self._settings = settings
        self._ids = itertools.count(1)

    @classmethod
    async def start(cls, scratch: Path, settings: TrainerSettings) -> Child:
        """Start a process and wait until torch is there.

        Raises TrainingError where torch is not installed, ChildDied where it does not come up in time.
        """
        home = scratch / "home"
        home.mkdir(parents=True, exist_ok=True)
        log = scratch / "trainer.log"
        options = {"threads": settings.threads, "nice": settings.nice, "memory_bytes": settings.memory_bytes}
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-c", _BOOTSTRAP, _ROOT, json.dumps(options)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=child_environment(home, settings.threads),
                cwd=scratch,
                start_new_session=True,
                limit=_MAX_LINE,
            )
        child = cls(process, log, settings)
        try:
            await child._ready()
        except BaseException:
            await child.kill()
            raise
        return child

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return self._process.returncode is None

    async def ask(
        self, request: dict[str, Any], *, deadline_s: float, progress: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        """Send a request and wait for its metrics. `progress` sees the reports on the way.

        Raises TrainingError for what the child reports, or past the deadline (and ends the child), ChildDied
        where it ends, falls silent or answers nonsense. When the caller is cancelled, the child stops and
        stays.
        """
        number = next(self._ids)
        ends = time.monotonic() + deadline_s
        self._send({**request, "id": number})
        try:
            while (reply := await self._reply(number, ends))["type"] == "progress":
                progress(reply)
            if reply["type"] != "failed" and (
                reply["type"] != "done" or type(reply.get("metrics")) is not dict
            ):
                raise self._broke(f"it answered {reply['type'][:40]!r} to a request")
        except asyncio.CancelledError:
            self._send({"op": "stop", "id": number})
            raise
        except TrainingError:
            await self.kill()
            raise
        if reply["type"] == "failed":
            raise TrainingError(str(reply.get("message"))[:500], remedy=str(reply.get("remedy"))[:500])
        metrics: dict[str, Any] = reply["metrics"]
        return metrics

    async def kill(self) -> None:
        """End it at once and reap it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _KILL_S)

    async def _ready(self) -> None:
        ends = time.monotonic() + self._settings.start_timeout_s
        try:
            reply = await self._reply(0, ends)
        except _Late:
            raise ChildDied(
                f"the training process did not start within {self._settings.start_timeout_s:.0f} s",
                remedy="torch is slow to import here: try again, or raise start_timeout_s",
            ) from None
        if reply["type"] == "failed":
            raise TrainingError(
                f"this installation cannot train ({str(reply.get('message'))[:200]})",
                remedy="install the extra: pip install 'steelyard[train]'",
            )

    def _send(self, message: dict[str, Any]) -> None:
        """Queue a line. A pipe that is closed shows when the reply is read."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _reply(self, number: int, ends: float) -> dict[str, Any]:
        """The next line about this request; those about earlier ones, which were cancelled, are skipped."""
        while True:
            reply = self._parse(await self._line(ends))
            if reply["id"] == number:
                return reply
            if not 0 < reply["id"] < number:
                raise self._broke(f"it answered request {reply['id']}, not {number}")

    async def _line(self, ends: float) -> bytes:
        if self._process.stdout is None:
            raise self._broke("it has no output")
        left, stall_s = ends - time.monotonic(), self._settings.stall_s
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), max(0.0, min(left, stall_s)))
        except TimeoutError:
            if left <= stall_s:
                raise _Late(
                    "training did not end before its deadline",
                    remedy="this machine is slow for the job's windows: give it more threads, or less to do",
                ) from None
            raise self._broke(f"it was silent for {stall_s:.0f} s") from None
        except ValueError:
            raise self._broke(f"it wrote a line over {_MAX_LINE} bytes") from None
        if not line.endswith(b"\n"):
            raise self._broke(f"it ended with code {await self._code()}")
        return line

    def _parse(self, line: bytes) -> dict[str, Any]:
        try:
            check_depth(line)
            reply = json.loads(line)
        except ValueError:
            reply = None
        if isinstance(reply, dict) and type(reply.get("id")) is int and isinstance(reply.get("type"), str):
            return reply
        raise self._broke(f"it wrote {line[:60]!r}, which is no reply")

    async def _code(self) -> int | None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _KILL_S)
        return self._process.returncode

    def _broke(self, how: str) -> ChildDied:
        tail = self._log.read_bytes()[-_LOG_TAIL:].decode(errors="replace").strip().splitlines()
        last = f"; its last words: {tail[-1][:300]}" if tail else ""
        return ChildDied(f"the training process broke off: {how}{last}", remedy=f"see {self._log}")


def child_environment(home: Path, threads: int) -> dict[str, str]:
    """All that the child gets: locale, the linker's path, its own home, fixed threads, no GPU."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    fixed = {name: str(threads) for name in THREAD_VARIABLES}
    return {**kept, **fixed, "HOME": str(home), "TMPDIR": str(home), "CUDA_VISIBLE_DEVICES": ""}
