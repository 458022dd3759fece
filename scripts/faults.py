"""Jobs on three machines that crash, are cut off or have a full disk: `make faults` writes docs/faults.md.

faults.py                 every fault in every phase, on embedded stores
faults.py --store kubo    ... with an IPFS daemon for each machine; STEELYARD_IPFS names the program
faults.py --only post     faults of one phase; writes nothing
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "faults.md"
PHASES = ("opened", "submission", "post", "held")
LINE = re.compile(r"FAULT \| (.+) \| (.+) \| (\d+) \| (\d+) \| (\d+) \|")
MACHINES = re.compile(r"m\d(, m\d)*")
MINUTES = 6  # for one job


@dataclass(kw_only=True)
class Row:
    """Jobs with the same kind of fault in the same phase."""

    jobs: int = 0
    final: int = 0  # rounds
    void: int = 0  # results
    longest_s: int = 0


@dataclass(kw_only=True)
class Outcome:
    """The results of all runs."""

    rows: dict[tuple[str, str], Row] = field(default_factory=lambda: defaultdict(Row))
    failed: list[str] = field(default_factory=list)

    def add(self, output: str) -> None:
        """Count the lines that the tests print."""
        for fault, moment, final, void, seconds in LINE.findall(output):
            row = self.rows[kind_of(fault), moment]
            row.jobs += 1
            row.final += int(final)
            row.void += int(void)
            row.longest_s = max(row.longest_s, int(seconds))
        self.failed += re.findall(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", output, re.MULTILINE)


def kind_of(fault: str) -> str:
    """A fault without the names of its machines."""
    if "killed" in fault:
        return re.sub(r" \(.*\)", "", fault)
    count = len(re.findall(r"m\d", fault))
    return MACHINES.sub(f"{count} of 3", fault, count=1) if count else fault


def run(phase: str, store: str) -> str:
    """Run every fault of one phase; returns pytest's output."""
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-rfE", "-o", f"timeout={MINUTES * 60}"]
    settings = {"STEELYARD_FAULTS": "all", "STEELYARD_FAULTS_STORE": store}
    done = subprocess.run(
        [*command, "tests/integration/faults", "-k", phase],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(f"{phase}: {done.stdout.strip().splitlines()[-1]}", flush=True)
    if done.returncode not in (0, 1):
        raise SystemExit(done.stdout)
    return done.stdout


def table(outcome: Outcome, store: str, minutes: float) -> str:
    """The section of one store in docs/faults.md."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], check=True, cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    jobs = sum(row.jobs for row in outcome.rows.values())
    lines = [
        f"| {fault} | {moment} | {row.jobs} | {row.final} | {row.void} | {row.longest_s} s |"
        for (fault, moment), row in sorted(outcome.rows.items())
    ]
    wrong = "".join(f"\n- `{name}`" for name in outcome.failed)
    return f"""
## {store.capitalize()}

At commit `{commit}`: {jobs} jobs right, {len(outcome.failed)} wrong, in {minutes:.0f} minutes.{wrong}

| fault | when | jobs right | rounds final | results void | longest |
|---|---|---:|---:|---:|---:|
{chr(10).join(lines)}
"""


HEAD = """# Faults

Three machines, each a process with a worker, an aggregator and a content store, do a job of three rounds on
anvil. The fault happens in the second round. A job is right when it ends by itself, all its rounds are final,
no result that enough machines held was lost, nobody was slashed, no effect happened twice and tokens add up.
A temporary fault lasts 8 s, longer than any of the job's windows. "Results void" were posted and then not
held by enough machines in time; the round was repeated. "Longest" is until the last machine has ended: one
that comes back after the end of the job looks for the last model, which nobody serves any more.
`make faults` and `make faults STORE=kubo` measure and write this file; CI runs one fault of each kind.
"""


def write(part: str, store: str) -> None:
    """Replace one store's section of the file."""
    old = TABLE.read_text("utf-8") if TABLE.exists() else ""
    parts = dict(re.findall(r"\n## (\w+)\n(.*?)(?=\n## |\Z)", old, re.DOTALL))
    parts[store.capitalize()] = part.split("\n", 2)[2]
    body = "".join(f"\n## {name}\n{parts[name].rstrip()}\n" for name in sorted(parts))
    TABLE.write_text(HEAD + body, "utf-8")


def main() -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Measure jobs whose machines fail.")
    parser.add_argument("--store", choices=("embedded", "kubo"), default="embedded")
    parser.add_argument("--only", choices=PHASES)
    parser.add_argument("--at-once", type=int, default=2, metavar="N", help="jobs at a time")
    options = parser.parse_args()
    started = time.monotonic()
    outcome = Outcome()
    with ThreadPoolExecutor(max(options.at_once, 1)) as pool:
        phases = (options.only,) if options.only else PHASES
        for output in pool.map(run, phases, [options.store] * len(phases)):
            outcome.add(output)
    part = table(outcome, options.store, (time.monotonic() - started) / 60)
    print(part)
    if not options.only:
        write(part, options.store)
    return 1 if outcome.failed or not outcome.rows else 0


if __name__ == "__main__":
    sys.exit(main())
