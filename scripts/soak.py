"""Many jobs whose nodes are killed at seeded points: `make soak` writes docs/soak.md.

soak.py                          200 seeds, several at once: most of a job is waiting
soak.py --first 40 --seeds 10    ten of them; writes nothing
soak.py --at-once 1              one job after another
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

ROOT = Path(__file__).resolve().parents[1]
SUMMARY = ROOT / "docs" / "soak.md"
SEEDS = 200
MINUTES_A_SEED = 6
BATCH = 10  # seeds for one pytest process, to share its start-up time
JOBS_A_CPU = 2
ROLES = {"w": "worker", "agg": "aggregator", "challenger": "challenger"}  # by the test's names of nodes
KILLS = re.compile(r"\{'.*\}$")
PASSED = re.compile(r"(\d+) passed")
FAILED = re.compile(r"^(?:FAILED|ERROR) .*\[(\d+)\]")


@dataclass(kw_only=True)
class Tally:
    """The results of a soak."""

    right: int = 0
    wrong: set[int] = field(default_factory=set)  # seeds
    killed: Counter[str] = field(default_factory=Counter)  # by role
    points: Counter[str] = field(default_factory=Counter)  # by place
    survived: int = 0  # nodes that ended before they reached their kill point
    lock: Lock = field(default_factory=Lock)

    def add(self, line: str) -> None:
        """Count a line of the test's output; it prints one for each job."""
        if passed := PASSED.search(line):
            self.right += int(passed[1])
        if failed := FAILED.search(line):
            self.wrong.add(int(failed[1]))
        if shown := KILLS.search(line.strip()):
            for name, (point, kills) in ast.literal_eval(shown[0]).items():
                self.survived += not kills
                self.killed[ROLES[name.rstrip("0123456789")]] += kills
                self.points[point.split(":")[0]] += kills


def run(first: int, seeds: int, at_once: int) -> Tally:
    """Run the seeds from `first` on, `at_once` at a time, and show their output."""
    tally = Tally()
    batch = max(1, min(BATCH, -(-seeds // at_once)))
    starts = range(first, first + seeds, batch)
    with ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(run_batch, tally, at, min(batch, first + seeds - at)) for at in starts]:
            done.result()
    return tally


def run_batch(tally: Tally, first: int, seeds: int) -> None:
    """Run these seeds one after another in one pytest process."""
    command = [sys.executable, "-m", "pytest", "-q", "-s", "tests/integration/nodes/test_crashes.py"]
    settings = {"STEELYARD_CRASH_FIRST": str(first), "STEELYARD_CRASH_SEEDS": str(seeds)}
    command += ["-o", f"timeout={MINUTES_A_SEED * 60}", "-m", ""]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for line in process.stdout or ():
        with tally.lock:
            sys.stdout.write(line)
            sys.stdout.flush()
            tally.add(line)
    process.wait()


def summary(tally: Tally, seeds: int, minutes: float) -> str:
    """The tally as docs/soak.md."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], check=True, cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    roles = "\n".join(f"| {role} | {kills} |" for role, kills in sorted(tally.killed.items()))
    points = "\n".join(f"| `{point}` | {kills} |" for point, kills in sorted(tally.points.items()))
    wrong = f" Wrong: {', '.join(map(str, sorted(tally.wrong)))}." if tally.wrong else ""
    return f"""# Soak

Jobs on anvil with every node in its own process. In each, three nodes are killed with `kill -9` at
points drawn from the seed (journal writes, sends, receipts, batches) and started again, while one
aggregator cheats. A job is right when all its rounds are final, no effect happened twice, nobody but the
cheat was slashed and tokens add up. `make soak` measures and writes this file; CI runs the first 20
seeds.

At commit `{commit}`: **{tally.right} of {seeds} jobs right**, {sum(tally.killed.values())} kills in
{minutes:.0f} minutes.{wrong} {tally.survived} nodes ended before they reached their kill point.

| killed | times |
|---|---:|
{roles}

| where | times |
|---|---:|
{points}
"""


def main() -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Kill nodes at seeded points, many times.")
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N")
    jobs = JOBS_A_CPU * (os.cpu_count() or 1)
    parser.add_argument("--at-once", type=int, default=jobs, metavar="N", help="jobs at a time")
    options = parser.parse_args()
    started = time.monotonic()
    tally = run(options.first, options.seeds, max(options.at_once, 1))
    text = summary(tally, options.seeds, (time.monotonic() - started) / 60)
    print(text)
    if options.first == 0 and options.seeds >= SEEDS:
        SUMMARY.write_text(text, "utf-8")
    return 0 if tally.right == options.seeds else 1


if __name__ == "__main__":
    sys.exit(main())
