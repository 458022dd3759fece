"""The options that the flags of `steelyard run` become."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.cli import running
from steelyard.cli.app import run
from steelyard.cli.running import RunOptions
from steelyard.cli.settings import Config


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[RunOptions]:
    """Of the commands that are run from here on; none starts a node."""
    found: list[RunOptions] = []

    async def note(wished: RunOptions) -> None:
        found.append(wished)

    monkeypatch.setattr(running, "run_roles", note)
    monkeypatch.setenv("STEELYARD_HOME", str(tmp_path))
    return found


def test_flags_say_how_much_is_kept_and_for_how_long(options: list[RunOptions]) -> None:
    assert run(["run", "--job", "1", "--role", "worker"]) == 0
    assert run(["run", "--job", "1", "--role", "worker", "--keep-rounds", "5", "--keep-for", "2h"]) == 0
    assert run(["run", "--job", "1", "--role", "aggregator", "--archive"]) == 0
    kept = [(each.archive, each.keep_rounds, each.keep_s) for each in options]
    assert kept == [(False, 2, 600.0), (False, 5, 7200.0), (True, 2, 600.0)]


@pytest.mark.parametrize("flags", [["--keep-rounds", "0"], ["--keep-for", "long"]])
def test_impossible_options_are_refused(options: list[RunOptions], flags: list[str]) -> None:
    assert run(["run", "--job", "1", "--role", "worker", *flags, "--json"]) == 2
    assert options == []


def test_hints_are_on_unless_the_settings_say_otherwise(tmp_path: Path) -> None:
    (tmp_path / "steelyard.toml").write_text("hints = false\n")
    assert Config.load({"home": tmp_path}, environ={}, cwd=tmp_path / "elsewhere").hints is False
    assert Config.load({"home": tmp_path / "other"}, environ={}, cwd=tmp_path / "elsewhere").hints is True
