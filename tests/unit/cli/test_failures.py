"""Errors as people and programs read them."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from steelyard import errors
from steelyard.cli import failures
from steelyard.cli.output import Output
from steelyard.core.encodings import Encoding
from steelyard.core.state_file import open_state
from steelyard.core.update_file import open_update
from steelyard.core.update_writer import write_update


def report(error: errors.SteelyardError, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = failures.report(error, Output())
    said = capsys.readouterr()
    assert said.out == ""
    return code, said.err


def test_an_update_of_the_wrong_length_is_told_with_both_lengths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    path = tmp_path / "update"
    ones = np.ones(64, np.int32)
    write_update(path, encoding=Encoding.BFP8, job=1, serial=2, block_count=2, delta=ones)
    right = path.read_bytes()
    for data in (right[:-1], right + b"\0", right[:20], b""):
        path.write_bytes(data)
        with pytest.raises(errors.FormatError) as caught:
            open_update(path, encoding=Encoding.BFP8, job=1, serial=2, block_count=2)
        code, said = report(caught.value, capsys)
        assert code == 3
        assert str(len(data)) in said
        assert "remedy: " in said
        assert path.read_bytes() == data


def test_a_state_of_the_wrong_length_is_told_with_both_lengths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "state"
    path.write_bytes(bytes(127))
    with pytest.raises(errors.FormatError) as caught:
        open_state(path, 1)
    code, said = report(caught.value, capsys)
    assert code == 3
    assert "127" in said
    assert "128" in said


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.ConfigError, 2),
        (errors.FormatError, 3),
        (errors.ManifestError, 4),
        (errors.ContentMissing, 5),
        (errors.Unreachable, 6),
        (errors.WrongPassword, 7),
        (errors.TrainingError, 8),
        (errors.JournalError, 9),
        (errors.Unverifiable, 10),
    ],
)
def test_each_kind_of_error_has_its_exit_code(
    kind: type[errors.SteelyardError], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(kind("it broke", remedy="fix it"), capsys) == (code, "error: it broke\nremedy: fix it\n")
    assert failures.report(kind("it broke", remedy="fix it"), Output(json=True)) == code
    said = json.loads(capsys.readouterr().out)["error"]
    assert said == {"type": kind.__name__, "exit_code": code, "message": "it broke", "remedy": "fix it"}


def test_the_exit_codes_of_the_tree_and_of_the_command_line_do_not_collide() -> None:
    def codes(kind: type[errors.SteelyardError]) -> set[int]:
        return {kind.exit_code}.union(*(codes(each) for each in kind.__subclasses__()))

    assert not codes(errors.SteelyardError) & {
        failures.WRONG_RESULT,
        failures.INTERRUPTED,
        failures.BROKEN_PIPE,
    }


def test_a_full_disk_is_told_as_such() -> None:
    error = failures.from_system(OSError(errno.ENOSPC, "No space left on device", "/data/x"))
    assert isinstance(error, errors.DiskFull)
    assert "/data/x" in error.message
    other = failures.from_system(PermissionError(errno.EACCES, "Permission denied", "/data/x"))
    assert other.exit_code == 1
    assert other.remedy


def test_what_a_peer_says_is_never_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    from steelyard.cli.output import facts, table

    Output().emit({}, facts([("name", "[red]x[/red]")]), table(("a",), [("[bold]y",)]))
    said = capsys.readouterr().out
    assert "[red]x[/red]" in said
    assert "[bold]y" in said
