"""The scripts behind `make`: what is installed when, how results are counted, what the locks hold."""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

import contract_coverage
import lock_platforms
import run_tests
import setup as setup_script
import soak

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one part, whose installs are counted in a file."""

    def install() -> None:
        (tmp_path / "installs").write_text((tmp_path / "installs").read_text() + "x")

    (tmp_path / "installs").write_text("")
    (tmp_path / "lock").write_text("v1")
    monkeypatch.setattr(setup_script, "ROOT", tmp_path)
    monkeypatch.setattr(setup_script, "CACHE", tmp_path / ".cache")
    monkeypatch.setattr(setup_script, "PARTS", {"part": (install, ("lock",), "holder")})
    return tmp_path


def installs(project: Path) -> int:
    return len((project / "installs").read_text())


def test_nothing_is_installed_twice(project: Path) -> None:
    assert setup_script.main(["part"]) == 0
    assert setup_script.main(["part"]) == 0
    assert installs(project) == 1


def test_a_changed_lock_installs_again(project: Path) -> None:
    setup_script.main(["part"])
    (project / "lock").write_text("v2")
    setup_script.main(["part"])
    assert installs(project) == 2


def test_a_removed_environment_is_made_again(project: Path) -> None:
    setup_script.main(["part"])
    (project / "holder" / ".steelyard-part").unlink()
    setup_script.main(["part"])
    assert installs(project) == 2


def test_an_install_that_fails_is_tried_again(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install = setup_script.PARTS["part"][0]

    def fail() -> None:
        install()
        raise setup_script.SetupError("no room: free some")

    setup_script.PARTS["part"] = (fail, ("lock",), "holder")
    assert setup_script.main(["part"]) == 1
    assert setup_script.main(["part"]) == 1
    assert installs(project) == 2
    assert "setup: no room: free some" in capsys.readouterr().err


def test_an_unknown_part_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup_script.main(["parts"]) == 2
    assert "no part parts; there are part" in capsys.readouterr().err
    assert installs(project) == 0


@pytest.mark.parametrize(
    ("kind", "output", "code", "counts"),
    [
        ("pytest", "=== 12 passed, 2 skipped in 3.10s ===\n", 0, (12, 0, 2)),
        ("pytest", "== 1 failed, 3 passed, 2 errors in 1s ==\n", 1, (3, 3, 0)),
        ("pytest", "12 passed in 3.1s\n", 0, (12, 0, 0)),
        ("pytest", "3 passed in 1s\nTerminating local RPC client...\n", 0, (3, 0, 0)),
        ("pytest", "Killed\n", 137, (0, 1, 0)),
        ("pytest", "no tests ran in 0.01s\n", 5, (0, 1, 0)),
        (
            "forge",
            "Ran 2 test suites: 15 tests passed, 1 failed, 0 skipped (16 total tests)\n",
            1,
            (15, 1, 0),
        ),
        ("forge", "Ran 1 test suite: 1 tests passed, 0 failed, 0 skipped (1 total tests)\n", 0, (1, 0, 0)),
        ("forge", "Error: Compiler run failed\n", 1, (0, 1, 0)),
        ("one", "", 0, (1, 0, 0)),
        ("one", "3 passed", 1, (0, 1, 0)),
    ],
)
def test_counts_are_read_from_the_end_of_a_stage(
    kind: str, output: str, code: int, counts: tuple[int, int, int]
) -> None:
    assert run_tests.read_counts(kind, output, code) == counts


def test_a_stage_that_takes_too_long_is_ended_and_fails() -> None:
    stage = run_tests.Stage(name="slow", command=("sleep", "600"), minutes=0)
    outcome = run_tests.run(stage)
    assert outcome.failed == 1


def _names(wanted: Sequence[run_tests.Phase]) -> list[list[list[str]]]:
    return [[[stage.name for stage in lane] for lane in phase] for phase in wanted]


def _flat(wanted: Sequence[run_tests.Phase]) -> list[str]:
    return [name for phase in _names(wanted) for lane in phase for name in lane]


def test_parts_and_check_are_all_of_the_stages() -> None:
    parts = [_flat(run_tests.chosen([part])) for part in ("unit", "contracts", "integration")]
    assert sorted(["check", *itertools.chain(*parts)]) == sorted(_flat(run_tests.chosen([])))


def test_a_part_keeps_the_order_of_its_stages() -> None:
    assert _names(run_tests.chosen(["contracts"])) == [[["slither"], ["forge", "gas", "brownie", "coverage"]]]
    assert _names(run_tests.chosen(["demo", "unit"])) == [[["unit"]], [["demo"]]]


def test_what_measures_time_runs_alone() -> None:
    (phase,) = [phase for phase in _names(run_tests.chosen([])) if "timing" in itertools.chain(*phase)]
    assert phase == [["timing"]]


def test_an_unknown_stage_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_tests.main(["unit", "units"]) == 2
    assert "no stage units; there are check, unit" in capsys.readouterr().err


def test_lanes_run_beside_each_other_and_all_outcomes_count(tmp_path: Path) -> None:
    """Each stage ends only if the other runs: they wait for each other's file."""

    def stage(name: str, other: str) -> run_tests.Stage:
        wait = f"touch {tmp_path}/{name}; until [ -e {tmp_path}/{other} ]; do sleep 0.05; done"
        return run_tests.Stage(name=name, command=("sh", "-c", wait), minutes=1)

    failing = run_tests.Stage(name="last", command=("false",))
    outcomes = run_tests.run_all([[[stage("a", "b")], [stage("b", "a")]], [[failing]]])
    assert [(each.stage.name, each.passed, each.failed) for each in outcomes] == [
        ("a", 1, 0),
        ("b", 1, 0),
        ("last", 0, 1),
    ]


def test_every_platforms_tools_are_locked() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert lock_platforms.complete(lock) == []


def test_a_platform_that_npm_left_out_is_added() -> None:
    lock = {
        "packages": {"node_modules/a": {"optionalDependencies": {"@foundry-rs/anvil-darwin-arm64": "1.7.1"}}}
    }
    assert lock_platforms.complete(lock) == ["@foundry-rs/anvil-darwin-arm64"]
    assert lock["packages"]["node_modules/@foundry-rs/anvil-darwin-arm64"] == {
        "version": "1.7.1",
        "cpu": ["arm64"],
        "optional": True,
        "os": ["darwin"],
    }


@pytest.mark.parametrize("name", ["run", "dev", "brownie", "slither", "benchmarks"])
def test_locks_have_a_hash_for_every_version_and_name_no_index(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    pinned = re.findall(r"^[a-z0-9][^\n]*==[^\n]*\\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 10
    assert "://" not in text
    assert "index-url" not in text


def test_locks_hold_what_the_package_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for lock, extras in {"run": ("train",), "dev": ("train", "data", "dev")}.items():
        text = (ROOT / "requirements" / f"{lock}.txt").read_text()
        locked = set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
        asked = project["dependencies"] + [
            each for extra in extras for each in project["optional-dependencies"][extra]
        ]
        assert {re.split(r"[<>=~![]", each)[0].replace("_", "-") for each in asked} <= locked


def test_tools_and_the_run_environment_agree_on_every_version() -> None:
    def versions(name: str) -> set[str]:
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        return set(re.findall(r"^[a-z0-9-]+==[^ ;]+", text, re.MULTILINE))

    assert versions("run") <= versions("dev")


def test_setup_and_package_json_pin_the_same_compiler() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    assert package["devDependencies"]["solc"] == setup_script.SOLC


LCOV = """TN:
SF:contracts/A.sol
DA:3,1
DA:4,0
BRDA:4,0,0,2
BRDA:4,0,1,-
BRDA:9,1,0,0
end_of_record
SF:tests/T.sol
DA:1,0
end_of_record
"""


def test_uncovered_lines_and_branches_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    counts = contract_coverage.read_report(LCOV.splitlines())
    assert contract_coverage.report(counts) is False
    said = capsys.readouterr().out
    assert "no test runs line 4\n" in said
    assert "no test takes a branch at line 4 9\n" in said
    assert "tests/" not in said


def test_all_taken_is_complete_and_an_empty_report_is_not() -> None:
    assert contract_coverage.report(
        contract_coverage.read_report(["SF:contracts/A.sol", "DA:3,1", "BRDA:3,0,0,1"])
    )
    assert not contract_coverage.report({})


def test_a_soak_counts_kills_by_role_and_place() -> None:
    tally = soak.Tally()
    for line in (
        "seed 7: {'w0': ('send.after:2', 1), 'agg0': ('*:7', 2), 'challenger': ('tx.sent:3', 0)}\n",
        ".seed 8: {'w0': ('send.after:4', 1)}\n",
        "FAILED tests/integration/nodes/test_crashes.py::test_a_job_ends[9] - TimeoutError\n",
        "1 failed, 2 passed in 63.56s (0:01:03)\n",
    ):
        tally.add(line)
    assert tally.right == 2
    assert tally.wrong == {9}
    assert tally.killed == {"worker": 2, "aggregator": 2, "challenger": 0}
    assert tally.points == {"send.after": 2, "*": 2, "tx.sent": 0}
    assert tally.survived == 1
    said = soak.summary(tally, 3, 1.0)
    assert "**2 of 3 jobs right**, 4 kills" in said
    assert "Wrong: 9." in said
