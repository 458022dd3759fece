"""100,000 mangled files and manifests: each is read or refused in no time, and nothing is executed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

INPUTS = 100_000
LONGEST_S = 0.5  # of processor time for one input; a machine that tests is busy
TESTS = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_100_000_mangled_files_are_read_or_refused_and_execute_nothing(tmp_path: Path) -> None:
    """Held by an audit hook in a process of its own; `-v` shows the counts of each kind where it fails."""
    done = subprocess.run(
        [sys.executable, str(TESTS / "support" / "fuzz_process.py"), str(tmp_path), str(INPUTS), "1"],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    kinds = said["kinds"]
    assert {name: told["other"] for name, told in kinds.items()} == {name: [] for name in kinds}
    assert said["seen"] == []
    assert said["armed"], "the audit hook sees nothing"
    assert sum(told["read"] + told["refused"] for told in kinds.values()) >= INPUTS
    assert {name: told["longest"] for name, told in kinds.items() if told["longest"] > LONGEST_S} == {}
    for name, told in kinds.items():
        assert min(told["read"], told["refused"]) > 100, f"{name} saw too little: {told}"
