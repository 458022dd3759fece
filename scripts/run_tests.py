"""Everything that CI runs, stage by stage, with one count at the end: `make test`.

    scripts/run_tests.py                 all stages
    scripts/run_tests.py unit brownie    these only
    scripts/run_tests.py contracts       a part: its stages

A stage that reports counts adds them; one that only passes or fails counts as one test. Stages stand in
phases, which run one after the other. A phase has lanes that run beside each other: two for what computes,
three for tests that mostly wait for a job's windows. The first lane's output is shown as it comes, the
others' when a stage has ended. Tests that assert how long something takes have a phase of their own, last
but for the demo.
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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from steelyard.chain.dev.tools import program

ROOT = Path(__file__).resolve().parents[1]
PYTHON = str(ROOT / ".venv" / "bin" / "python")
INTEGRATION = "tests/integration"
CORE = f"{INTEGRATION}/core"
JOBS = (f"{INTEGRATION}/nodes",)
FAULTS = (f"{INTEGRATION}/faults", f"{INTEGRATION}/demo")
PARTS = {
    "contracts": ("forge", "gas", "slither", "coverage", "brownie"),
    "integration": ("core", "jobs", "faults", "integration", "timing", "demo"),
}  # `make test-contracts` and so on; `unit` is a part and a stage
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


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of a stage."""

    stage: Stage
    passed: int
    failed: int
    skipped: int
    seconds: float


Lane = Sequence[Stage]
Phase = Sequence[Lane]


def phases() -> list[Phase]:
    """All stages: phases in order, each with its lanes, each with its stages in order.

    Stages of different lanes share no output folder: forge, Slither, coverage and Brownie build apart, and
    `gas` follows `forge` because it uses the same build.
    """
    forge = program("forge")[0]
    pytest = (PYTHON, "-m", "pytest", "--durations=15")
    rest = tuple(f"--ignore={folder}" for folder in (CORE, *JOBS, *FAULTS))
    return [
        [[Stage(name="check", command=("scripts/check",), minutes=3)]],
        [
            [
                Stage(name="unit", command=(*pytest, "tests/unit"), counts="pytest", minutes=20),
                Stage(name="core", command=(*pytest, CORE), counts="pytest", minutes=20),
                Stage(name="slither", command=("scripts/slither",), minutes=20),
            ],
            [
                Stage(name="forge", command=(forge, "test"), counts="forge", minutes=40),
                Stage(name="gas", command=(PYTHON, "scripts/gas.py", "--check")),
                Stage(name="brownie", command=("scripts/brownie", "test"), counts="pytest"),
                Stage(name="coverage", command=(PYTHON, "scripts/contract_coverage.py"), minutes=20),
            ],
        ],
        [
            [Stage(name="integration", command=(*pytest, INTEGRATION, *rest), counts="pytest", minutes=50)],
            [
                Stage(name="jobs", command=(*pytest, *JOBS), counts="pytest", minutes=50),
                Stage(name="faults", command=(*pytest, *FAULTS), counts="pytest", minutes=50),
            ],
        ],
        [[Stage(name="timing", command=(*pytest, "-m", "timing"), counts="pytest")]],
        [[Stage(name="demo", command=("make", "--no-print-directory", "demo"))]],
    ]


def run(stage: Stage, *, live: bool = True) -> Outcome:
    """Run one stage. live: show its output as it comes, not when it has ended."""
    title = f"\n===== {stage.name}: {' '.join(stage.command)}\n"
    if live:
        print(title, end="", flush=True)
    started = time.monotonic()
    process = subprocess.Popen(
        stage.command,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
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
        output = _show(process) if live else _collect(process, title)
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
    end: list[str] = []
    for raw in process.stdout or ():
        line = raw.decode(errors="replace")
        sys.stdout.write(line)
        sys.stdout.flush()
        end.append(_COLOUR.sub("", line))
        del end[:-200]
    return "".join(end)


def _collect(process: subprocess.Popen[bytes], title: str) -> str:
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


def chosen(names: Sequence[str]) -> list[Phase]:
    """The phases of the named stages and parts, or all. Raises KeyError with an unknown name."""
    known = {stage.name for phase in phases() for lane in phase for stage in lane}
    wanted: set[str] = set()
    for name in names:
        if name not in known and name not in PARTS:
            raise KeyError(name)
        wanted |= set(PARTS.get(name, [name]))
    wanted = wanted or known
    lanes = [[[each for each in lane if each.name in wanted] for lane in phase] for phase in phases()]
    return [kept for phase in lanes if (kept := [lane for lane in phase if lane])]


def _run_lane(lane: Lane, live: bool) -> list[Outcome]:
    return [run(stage, live=live) for stage in lane]


def run_all(wanted: Sequence[Phase]) -> list[Outcome]:
    """Phases one after the other, the lanes of each beside each other."""
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor() as pool:
        for phase in wanted:
            running = [pool.submit(_run_lane, lane, number == 0) for number, lane in enumerate(phase)]
            outcomes += [outcome for lane in running for outcome in lane.result()]
    return outcomes


def main(names: Sequence[str]) -> int:
    """Run the named stages and parts, or all; returns the exit code."""
    try:
        wanted = chosen(names)
    except KeyError as unknown:
        stages = [stage.name for phase in phases() for lane in phase for stage in lane]
        print(f"no stage {unknown.args[0]}; there are {', '.join((*stages, *PARTS))}", file=sys.stderr)
        return 2
    started = time.monotonic()
    outcomes = run_all(wanted)

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
