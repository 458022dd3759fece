"""The committed ABI and bytecode are those of the sources, and each contract fits on a chain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import build_contracts
import standard_json
from steelyard.chain.deployment_plan import CONTRACTS


@pytest.fixture(scope="module")
def built() -> dict[str, str]:
    return build_contracts.build_all()


@pytest.mark.slow
def test_committed_files_match_the_sources(built: dict[str, str]) -> None:
    assert build_contracts.stale(built) == [], "run scripts/build_contracts.py and commit what it writes"


@pytest.mark.slow
def test_every_contract_fits_on_a_chain(built: dict[str, str]) -> None:
    sizes = {name: json.loads(text)["deployedSize"] for name, text in built.items()}
    assert set(sizes) == set(CONTRACTS)
    assert max(sizes.values()) < build_contracts.MAX_CODE_BYTES, sizes
    assert min(sizes.values()) > 0, sizes


def test_an_outdated_and_a_surplus_file_are_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_contracts, "ABI_FOLDER", tmp_path)
    for name, text in {"Kept": "same", "Changed": "old", "Removed": "left"}.items():
        (tmp_path / f"{name}.json").write_text(text)
    assert build_contracts.stale({"Kept": "same", "Changed": "new", "Added": "new"}) == [
        "Added",
        "Changed",
        "Removed",
    ]


@pytest.mark.parametrize("contract", CONTRACTS)
def test_an_explorer_gets_every_imported_source(contract: str) -> None:
    document = standard_json.standard_json(contract)
    names = set(document["sources"])
    assert standard_json.source_name(contract) in names
    for name, source in document["sources"].items():
        assert not name.startswith("/"), "a path of this machine"
        imported = standard_json.imports(name, source["content"])
        assert set(imported) <= names


@pytest.mark.slow
@pytest.mark.parametrize("contract", CONTRACTS)
def test_an_explorers_input_alone_gives_the_same_bytecode(built: dict[str, str], contract: str) -> None:
    alone = build_contracts.compile_all([contract])[contract]
    assert build_contracts.render(alone) == built[contract]


def test_a_missing_contract_is_named() -> None:
    with pytest.raises(standard_json.BuildError, match=r"0 files named Nowhere\.sol"):
        standard_json.standard_json("Nowhere")
