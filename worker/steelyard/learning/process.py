"""The parent's side of the training process: start it, send requests, stop it, detect its death.

The child gets only a short list of the node's environment variables, its own home, no file descriptors except
its pipes, and its own session, so that Ctrl-C in a terminal reaches only the node.
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

PASSED_VARIABLES = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

_MAX_LINE = 1 << 16
_LOG_TAIL = 2000
_KILL_S = 10.0

# -I excludes the environment and the working folder from sys.path; the package's folder is appended to it.
_ROOT = str(Path(__file__).resolve().parents[2])
_BOOTSTRAP = "import sys; sys.path.append(sys.argv[1]); from steelyard.learning.child import main; main()"


@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """Settings of the training process."""

    threads: int = 1
    nice: int = 5  # lower priority than the node, which has deadlines on chain
    memory_bytes: int = 8 << 30  # in addition to what torch maps
    start_timeout_s: float = 120.0  # until torch is imported
    stall_s: float = 120.0  # longest time without a line from a busy child


class ChildDied(TrainingError):
    """The process ended, or was killed because it violated the protocol. A new one may succeed."""


class _DeadlinePassed(TrainingError):
    """The deadline passed."""


class Child:
    """One training process. `ask` is not reentrant."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, settings: TrainerSettings) -> None:
        self._process = process
        self._log = log
        self._settings = settings
        self._ids = itertools.count(1)

    @classmethod
    async def start(cls, scratch: Path, settings: TrainerSettings) -> Child:
        """Start a process and wait until it has imported torch.

        Raises TrainingError if torch is not installed, ChildDied if the process does not start in time.
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
        """False if it is known to have ended."""
        return self._process.returncode is None

    async def ask(
        self, request: dict[str, Any], *, deadline_s: float, progress: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        """Send a request and wait for its metrics. `progress` gets the progress messages.

        Raises TrainingError if the child reports a failure, or after the deadline (and kills the child),
        ChildDied if it ends, is silent for stall_s or sends an invalid reply. If the caller is cancelled, the
        child stops this request and keeps running.
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
                raise self._broken(f"it answered {reply['type'][:40]!r} to a request")
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
        """Kill the process and reap it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _KILL_S)

    async def _ready(self) -> None:
        ends = time.monotonic() + self._settings.start_timeout_s
        try:
            reply = await self._reply(0, ends)
        except _DeadlinePassed:
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
        """Queue a line. A closed pipe is detected when the reply is read."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _reply(self, number: int, ends: float) -> dict[str, Any]:
        """The next line about this request; lines about earlier, cancelled requests are skipped."""
        while True:
            reply = self._parse(await self._line(ends))
            if reply["id"] == number:
                return reply
            if not 0 < reply["id"] < number:
                raise self._broken(f"it answered request {reply['id']}, not {number}")

    async def _line(self, ends: float) -> bytes:
        if self._process.stdout is None:
            raise self._broken("it has no output")
        left, stall_s = ends - time.monotonic(), self._settings.stall_s
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), max(0.0, min(left, stall_s)))
        except TimeoutError:
            if left <= stall_s:
                raise _DeadlinePassed(
                    "training did not end before its deadline",
                    remedy="this machine is too slow for the job's windows: use more threads or less work",
                ) from None
            raise self._broken(f"it was silent for {stall_s:.0f} s") from None
        except ValueError:
            raise self._broken(f"it wrote a line over {_MAX_LINE} bytes") from None
        if not line.endswith(b"\n"):
            raise self._broken(f"it ended with code {await self._code()}")
        return line

    def _parse(self, line: bytes) -> dict[str, Any]:
        try:
            check_depth(line)
            reply = json.loads(line)
        except ValueError:
            reply = None
        if isinstance(reply, dict) and type(reply.get("id")) is int and isinstance(reply.get("type"), str):
            return reply
        raise self._broken(f"it wrote {line[:60]!r}, which is not a reply")

    async def _code(self) -> int | None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _KILL_S)
        return self._process.returncode

    def _broken(self, how: str) -> ChildDied:
        tail = self._log.read_bytes()[-_LOG_TAIL:].decode(errors="replace").strip().splitlines()
        last = f"; last line of its log: {tail[-1][:300]}" if tail else ""
        return ChildDied(f"the training process failed: {how}{last}", remedy=f"see {self._log}")


def child_environment(home: Path, threads: int) -> dict[str, str]:
    """The child's whole environment: locale, library path, its own home, fixed threads, no GPU."""
    passed = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
    fixed = {name: str(threads) for name in THREAD_VARIABLES}
    return {**passed, **fixed, "HOME": str(home), "TMPDIR": str(home), "CUDA_VISIBLE_DEVICES": ""}
