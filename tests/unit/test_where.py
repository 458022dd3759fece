"""docs/where.md sends a reader to places that exist and hold what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (?P<question>[^|]+) \| `(?P<path>[^`]+)` \| `(?P<name>[^`]+)` \|$")
LINES = (ROOT / "docs" / "where.md").read_text("utf-8").splitlines()
ROWS = [found.groupdict() for line in LINES if (found := ROW.match(line))]
REQUIRED = (
    "error feedback", "block's hash", "threshold K", "fee bump", "HTTP 429", "slash", "when to submit",
    "safetensors", "hint's signature", "job.toml",
)  # fmt: skip


def test_every_row_is_read() -> None:
    table = [line for line in LINES if line.startswith("|")]
    assert len(ROWS) == len(table) - 2 * sum(line.startswith("| question") for line in table)
    assert len(ROWS) >= 30


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["question"])
def test_the_place_is_there(row: dict[str, str]) -> None:
    path = ROOT / row["path"]
    assert path.is_file()
    assert re.search(rf"\b{re.escape(row['name'])}\b", path.read_text("utf-8"))


@pytest.mark.parametrize("subject", REQUIRED)
def test_the_question_is_answered(subject: str) -> None:
    assert any(subject in row["question"] for row in ROWS)
