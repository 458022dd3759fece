"""Everything that CI runs, stage by stage, with one count at the end: `make test`.

    scripts/run_tests.py                 all stages
    scripts/run_tests.py pytest brownie  these only

A stage that reports counts adds them; one that only passes or fails counts as one test. Jobs spend most of
their time in waiting for windows, so their tests run beside the others, and their output comes at their end.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from steelyard.chain.dev.tools import program

ROOT = Path(__file__).resolve().parents[1]
PYTHON = str(ROOT / ".venv" / "bin" / "python")
WAITING = tuple(f"tests/integration/{name}" for name in ("nodes", "faults", "demo"))
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PYTEST = re.compile(r"(\d+) (passed|failed|error|errors|skipped)\b")
_FORGE = re.compile(r"(\d+) tests? passed, (\d+) failed, (\d+) skipped \(\d+ total")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One command, and how its counts are read."""

    name: str
    command: tuple[str, ...]
    counts: str = "one"  # pytest, forge or one
    minutes: int = 10  # it is ended after so many
    beside: bool = False  # the next one, and shown when it has ended


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a stage came to."""

    stage: Stage
    passed: int
    failed: int
    skipped: int
    seconds: float


def stages() -> list[Stage]:
    """All stages in order: the quick ones first."""
    forge = program("forge")[0]
    pytest = (PYTHON, "-m", "pytest", "--durations=15")
    return [
        Stage(name="check", command=("scripts/check",), minutes=3),
        Stage(name="slither", command=("scripts/slither",)),
        Stage(name="forge", command=(forge, "test"), counts="forge", minutes=25),
        Stage(name="coverage", command=(PYTHON, "scripts/contract_coverage.py")),
        Stage(name="brownie", command=("scripts/brownie", "test"), counts="pytest"),
        Stage(name="gas", command=(PYTHON, "scripts/gas.py", "--check")),
        Stage(name="jobs", command=(*pytest, *WAITING), counts="pytest", minutes=50, beside=True),
        Stage(
            name="pytest",
            command=(*pytest, *(f"--ignore={folder}" for folder in WAITING)),
            counts="pytest",
            minutes=50,
        ),
        Stage(name="demo", command=("make", "--no-print-directory", "demo")),
    ]


def run(stage: Stage) -> Outcome:
    """Run one stage, showing its output as it comes, or at its end where it runs beside another."""
    title = f"\n===== {stage.name}: {' '.join(stage.command)}\n"
    if not stage.beside:
        print(title, end="", flush=True)
    started = time.monotonic()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        stage.command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # so that all of it can be ended at once
    )
    limit = threading.Timer(
        stage.minutes * 60, _end, (process, f"{stage.name} took over {stage.minutes} min")
    )
    limit.start()
    try:
        output = _hear(process, title) if stage.beside else _show(process)
        code = process.wait()
    finally:
        limit.cancel()
        _end(process)
    passed, failed, skipped = read_counts(stage.counts, output, code)
    return Outcome(
        stage=stage, passed=passed, failed=failed, skipped=skipped, seconds=time.monotonic() - started
    )


def _show(process: subprocess.Popen[bytes]) -> str:
    """Pass the process's output on as it comes; returns the end of it, without colours."""
    kept: list[str] = []
    for raw in process.stdout or ():
        line = raw.decode(errors="replace")
        sys.stdout.write(line)
        sys.stdout.flush()
        kept.append(_COLOUR.sub("", line))
        del kept[:-200]
    return "".join(kept)


def _hear(process: subprocess.Popen[bytes], title: str) -> str:
    """Show the process's output once it has ended; returns the end of it, without colours."""
    raw = process.stdout.read() if process.stdout else b""
    text = raw.decode(errors="replace")
    print(title + text, end="", flush=True)
    return _COLOUR.sub("", "".join(text.splitlines(keepends=True)[-200:]))


def _end(process: subprocess.Popen[bytes], reason: str = "") -> None:
    if reason:
        print(f"\n{reason}: ended", flush=True)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def read_counts(kind: str, output: str, code: int) -> tuple[int, int, int]:
    """Passed, failed and skipped tests in the end of a stage's output; a failure without a count is one."""
    passed = failed = skipped = 0
    if kind == "pytest":
        summary = [line for line in output.splitlines() if _PYTEST.search(line) and " in " in line]
        for number, word in _PYTEST.findall(summary[-1] if summary else ""):
            passed += int(number) if word == "passed" else 0
            failed += int(number) if word in ("failed", "error", "errors") else 0
            skipped += int(number) if word == "skipped" else 0
    elif kind == "forge":
        for found in _FORGE.findall(output)[-1:]:
            passed, failed, skipped = (int(number) for number in found)
    elif code == 0:
        passed = 1
    if code != 0 or passed == 0:
        failed = max(failed, 1)
    return passed, failed, skipped


def run_all(stages: Sequence[Stage]) -> list[Outcome]:
    """One after the other, but for those that run beside the next."""
    with ThreadPoolExecutor() as pool:
        running: list[Future[Outcome]] = []
        for stage in stages:
            running.append(pool.submit(run, stage))
            if not stage.beside:
                wait(running)
        return [each.result() for each in running]


def main(names: Sequence[str]) -> int:
    """Run the named stages, or all; returns the exit code."""
    known = {stage.name: stage for stage in stages()}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no stage {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    started = time.monotonic()
    outcomes = run_all([known[name] for name in names or known])

    print(f"\n===== summary, {(time.monotonic() - started) / 60:.1f} min")
    for each in outcomes:
        state = "FAILED" if each.failed else "ok"
        counts = f"{each.passed:6} passed {each.failed:4} failed"
        print(f"{state:7} {each.stage.name:13} {counts} {each.seconds:7.0f} s")
    passed, failed = sum(each.passed for each in outcomes), sum(each.failed for each in outcomes)
    skipped = sum(each.skipped for each in outcomes)
    print(f"\n{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
