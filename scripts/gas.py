"""The worst-case gas of each function, as docs/gas.md.

gas.py            measures and writes docs/gas.md
gas.py --check    measures and compares; exit code 1 if the table is stale or a limit is exceeded
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from steelyard.chain.dev.tools import program

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "gas.md"
LINE = re.compile(r"gas\|(?P<case>[^|]+)\|(?P<gas>\d+)")
DEADLINE_S = 900

# By the start of a case's name; the longest match counts.
LIMITS = {
    "submit": 72_000,
    "attest": 60_000,
    "post: opens the next round, 4 attestors": 170_000,
    "post: opens the next round, 16 attestors": 220_000,
    "claim: first ever": 105_000,
    "claim: the slots exist": 75_000,
    "claim: ten rounds at once": 350_000,
    "convict: 10 workers": 260_000,
    "convict: 64 workers": 560_000,
    "convict: 256 workers": 2_000_000,
    "convictUpdate: depth 18, raw32": 220_000,
}
HEAD = """# Gas

The worst case of each function as a whole transaction: intrinsic gas and calldata included, on a cold
state. `make gas` measures and writes this file and CI compares; the cases are those of
`tests/solidity/Coordinator/Gas.t.sol`. *rewarded* means with an earlier `commit`.

| case | gas | limit |
|---|---:|---:|
"""


def measure() -> dict[str, int]:
    """Gas by case, as the forge test prints it."""
    run = subprocess.run(
        [*program("forge"), "test", "--match-contract", "GasTest", "--isolate", "-vv"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    found = {match["case"]: int(match["gas"]) for match in LINE.finditer(run.stdout)}
    if run.returncode or not found:
        sys.exit(f"the gas test failed:\n{run.stdout[-3000:]}{run.stderr[-3000:]}")
    return found


def limit_of(case: str) -> int | None:
    """The limit of a case, if it has one."""
    matching = [start for start in LIMITS if case.startswith(start)]
    return LIMITS[max(matching, key=len)] if matching else None


def render(found: dict[str, int]) -> str:
    """The text of docs/gas.md."""
    rows = []
    for case, gas in sorted(found.items()):
        limit = limit_of(case)
        rows.append(f"| {case} | {gas:,} | {f'{limit:,}' if limit else ''} |\n")
    return HEAD + "".join(rows)


def main() -> int:
    """Write or compare the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare and write nothing")
    arguments = parser.parse_args()
    found = measure()
    over = [f"{case}: {gas:,} gas" for case, gas in found.items() if gas > (limit_of(case) or gas)]
    if over:
        print("over the limit:", *over, sep="\n  ")
        return 1
    table = render(found)
    if not arguments.check:
        TABLE.write_text(table)
        print(table)
        return 0
    if not TABLE.exists() or TABLE.read_text() != table:
        print("docs/gas.md is stale; run `make gas`. Measured now:\n" + table)
        return 1
    print(f"docs/gas.md holds for {len(found)} cases")
    return 0


if __name__ == "__main__":
    sys.exit(main())
