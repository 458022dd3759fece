"""Each leaf of a `.tree` file is one test of the file beside it, and each refusal names its error."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support.solidity_trees import disagreements, leaves

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests" / "solidity"
SUPPORT = sorted((TESTS / "support").glob("*.sol"))
FOLDERS = sorted({path.parent for path in TESTS.rglob("*.t.sol")})


@pytest.fixture(scope="module")
def declared() -> frozenset[str]:
    """Errors that contracts/ declares, and those of OpenZeppelin that the compiled contracts can end with."""
    names = {
        name
        for path in (ROOT / "contracts").rglob("*.sol")
        for name in re.findall(r"^\s*error (\w+)\(", path.read_text("utf-8"), re.MULTILINE)
    }
    for path in (ROOT / "worker" / "steelyard").rglob("abi/*.json"):
        compiled = json.loads(path.read_text("utf-8"))
        entries = compiled if isinstance(compiled, list) else compiled["abi"]
        names |= {entry["name"] for entry in entries if entry["type"] == "error"}
    return frozenset(names)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_trees_and_tests_agree(folder: Path, declared: frozenset[str]) -> None:
    assert not disagreements(folder, SUPPORT, declared)


def test_each_folder_of_tests_has_trees() -> None:
    assert len(FOLDERS) >= 12
    for folder in FOLDERS:
        assert list(folder.glob("*.tree")), folder.name


TREE = """\
Gate.open
├── when it is open
│   └── it refuses with AlreadyOpen
├── when 2^20 or more wait
│   └── it refuses with Full, also at night
└── when the owner's key fits
    └── it opens
"""
SOURCE = """\
contract GateTest is Test {
    function _full(uint256 n) private {
        refused(abi.encodeWithSelector(IGate.Full.selector, n));
    }

    function test_open_WhenItIsOpen_ItRefuses() public {
        vm.expectRevert(IGate.AlreadyOpen.selector);
    }

    function test_open_When2To20OrMoreWait_ItRefusesAlsoAtNight() public {
        _full(1);
    }

    function testFuzz_open_WhenTheOwnersKeyFits_ItOpens(uint256 key) public {
        assertEq(key, key);
    }

    function testFuzz_open_HoldsForAll(uint256 key) public {
        assertEq(key, key);
    }

    function test_open_Of16CostsLessThan8000Gas() public {
        assertLt(1, 2);
    }
}
"""


def _gate(folder: Path, *, tree: tuple[str, str] = ("", ""), source: tuple[str, str] = ("", "")) -> list[str]:
    """Findings in a folder that agrees except for one replaced text."""
    assert tree[0] in TREE
    assert source[0] in SOURCE
    gate = folder / "Gate"
    gate.mkdir()
    (gate / "open.tree").write_text(TREE.replace(*tree, 1) if tree[0] else TREE)
    (gate / "Gate.t.sol").write_text(SOURCE.replace(*source, 1) if source[0] else SOURCE)
    return disagreements(gate, [], frozenset({"AlreadyOpen", "Full"}))


def test_a_folder_that_agrees_has_nothing_to_find(tmp_path: Path) -> None:
    assert _gate(tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("when it is open", "when it is ajar", "has 0 tests"),
        (" with AlreadyOpen", "", "names no error; its test expects AlreadyOpen"),
        (" with AlreadyOpen", " with Full", "its test expects AlreadyOpen"),
        (" with AlreadyOpen", " with AlreadyOpen or Full", "its test expects AlreadyOpen"),
        (" with AlreadyOpen", " with Ajar", "no contract declares Ajar"),
        ("Gate.open", "Door.open", "its first line is not Gate.open"),
    ],
)
def test_a_wrong_tree_is_found(tmp_path: Path, old: str, new: str, finding: str) -> None:
    assert any(finding in each for each in _gate(tmp_path, tree=(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("test_open_WhenItIsOpen_ItRefuses", "test_open_WhenItIsOpen_ItCloses", "has no leaf"),
        ("vm.expectRevert(IGate.AlreadyOpen.selector)", "vm.expectRevert()", "expects no error by name"),
        ("IGate.Full.selector", "IGate.AlreadyOpen.selector", "its test expects AlreadyOpen"),
        ("testFuzz_open_HoldsForAll", "test_open_HoldsForAll", "test_open_HoldsForAll: has no leaf"),
        ("testFuzz_open_HoldsForAll", "test_open_WhenTheOwnersKeyFits_ItOpens", "has 2 tests"),
        ("test_open_Of16CostsLessThan8000Gas", "test_open_IsCheap", "test_open_IsCheap: has no leaf"),
    ],
)
def test_a_wrong_test_is_found(tmp_path: Path, old: str, new: str, finding: str) -> None:
    assert any(finding in each for each in _gate(tmp_path, source=(old, new)))


def test_a_leaf_of_two_places_is_found(tmp_path: Path) -> None:
    twice = "└── when the owner's key fits\n    └── it opens\n"
    found = _gate(
        tmp_path, tree=(twice, twice.replace("└── when", "├── when").replace("    └", "│   └") + twice)
    )
    assert any("2 leaves have this test" in each for each in found)


def test_a_line_that_is_not_of_a_tree_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a branch"):
        list(leaves("Gate.open\n- when it is open\n"))
