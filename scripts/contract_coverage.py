"""Line and branch coverage of contracts/ by the unit tests in tests/solidity: `make test` fails below 100 %.

The contracts compile without `via_ir`, so forge's counts are exact. Every line and branch that no
test covers is printed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from steelyard.chain.dev.tools import program

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "build" / "lcov.info"


@dataclass(kw_only=True)
class Counts:
    """Coverage of one source."""

    lines: int = 0
    branches: int = 0
    missed_lines: list[int] = field(default_factory=list)
    missed_branches: list[int] = field(default_factory=list)


def read_report(lines: Iterable[str]) -> dict[str, Counts]:
    """Counts by source of an lcov report, only of contracts/."""
    counts: dict[str, Counts] = defaultdict(Counts)
    source = ""
    for line in lines:
        kind, _, rest = line.strip().partition(":")
        if kind == "SF":
            source = rest
        elif not source.startswith("contracts/"):
            continue
        elif kind == "DA":
            number, hits = rest.split(",")[:2]
            counts[source].lines += 1
            counts[source].missed_lines += [int(number)] if hits == "0" else []
        elif kind == "BRDA":
            number, _, _, hits = rest.split(",")
            counts[source].branches += 1
            counts[source].missed_branches += [int(number)] if hits in ("0", "-") else []
    return dict(counts)


def report(counts: dict[str, Counts]) -> bool:
    """Print a line for each source; returns True if all is covered."""
    for source, found in sorted(counts.items()):
        lines, branches = found.lines - len(found.missed_lines), found.branches - len(found.missed_branches)
        print(f"{source:44} lines {lines:4}/{found.lines:<4} branches {branches:4}/{found.branches}")
        if found.missed_lines:
            print("  no test runs line", *found.missed_lines)
        if found.missed_branches:
            print("  no test takes a branch at line", *found.missed_branches)
    return bool(counts) and not any(each.missed_lines or each.missed_branches for each in counts.values())


def main() -> int:
    """Measure and report; returns the exit code."""
    REPORT.parent.mkdir(exist_ok=True)
    settings = {
        "FOUNDRY_OUT": "build/coverage",
        "FOUNDRY_CACHE_PATH": ".cache/coverage",
        "FOUNDRY_PROFILE": "default",
        "FOUNDRY_TEST": "tests/solidity",
    }
    command = [*program("forge"), "coverage", "--report", "lcov", "--report-file", str(REPORT)]
    done = subprocess.run(
        command, check=False, cwd=ROOT, env={**os.environ, **settings}, stdout=subprocess.DEVNULL
    )
    if done.returncode:
        print("the tests fail under coverage: run `forge test` first", file=sys.stderr)
        return 1
    complete = report(read_report(REPORT.read_text("utf-8").splitlines()))
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
