"""Jobs whose nodes are killed at seeded points, many of them: `make soak` writes docs/soak.md.

soak.py                          200 seeds
soak.py --first 40 --seeds 10    ten of them, and writes nothing
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
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUMMARY = ROOT / "docs" / "soak.md"
SEEDS = 200
MINUTES_A_SEED = 6
ROLES = {"w": "worker", "agg": "aggregator", "challenger": "challenger"}  # by how the test names its nodes
KILLS = re.compile(r"\{'.*\}$")
PASSED = re.compile(r"(\d+) passed")


@dataclass(kw_only=True)
class Tally:
    """What a soak came to."""

    right: int = 0
    killed: Counter[str] = field(default_factory=Counter)  # by role
    points: Counter[str] = field(default_factory=Counter)  # by where
    survived: int = 0  # nodes that ended before they reached where they were to die

    def add(self, output: Iterable[str]) -> None:
        """Count the lines that the test prints for each job."""
        for line in output:
            if passed := PASSED.search(line):
                self.right += int(passed[1])
            if shown := KILLS.search(line.strip()):
                for name, (point, kills) in ast.literal_eval(shown[0]).items():
                    self.survived += not kills
                    self.killed[ROLES[name.rstrip("0123456789")]] += kills
                    self.points[point.split(":")[0]] += kills


def run(first: int, seeds: int) -> Tally:
    """Run the seeds from `first` on, showing what they print."""
    tally = Tally()
    command = [sys.executable, "-m", "pytest", "-q", "-s", "tests/integration/nodes/test_crashes.py"]
    wanted = {"STEELYARD_CRASH_FIRST": str(first), "STEELYARD_CRASH_SEEDS": str(seeds)}
    command += ["-o", f"timeout={MINUTES_A_SEED * 60}", "-m", ""]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **wanted},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for line in process.stdout or ():
        sys.stdout.write(line)
        tally.add([line])
    process.wait()
    return tally


def summary(tally: Tally, seeds: int, minutes: float) -> str:
    """The tally as docs/soak.md."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], check=True, cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    roles = "\n".join(f"| {role} | {kills} |" for role, kills in sorted(tally.killed.items()))
    points = "\n".join(f"| `{point}` | {kills} |" for point, kills in sorted(tally.points.items()))
    return f"""# Soak

Jobs on anvil with every node in a process of its own. In each, three nodes are killed with `kill -9` at
points drawn from the seed (journal writes, sends, receipts, batches) and started again, while one
aggregator cheats. A job is right when all its rounds are final, no effect happened twice, nobody but the
cheat was slashed and tokens add up. `make soak` measures and writes this file; CI runs the first 20
seeds.

At commit `{commit}`: **{tally.right} of {seeds} jobs right**, {sum(tally.killed.values())} kills in
{minutes:.0f} minutes. {tally.survived} nodes ended before they came to where they were to die.

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
    given = parser.parse_args()
    started = time.monotonic()
    tally = run(given.first, given.seeds)
    text = summary(tally, given.seeds, (time.monotonic() - started) / 60)
    print(text)
    if given.first == 0 and given.seeds >= SEEDS:
        SUMMARY.write_text(text, "utf-8")
    return 0 if tally.right == given.seeds else 1


if __name__ == "__main__":
    sys.exit(main())
