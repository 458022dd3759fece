"""scripts/solc: the pinned compiler, native where PATH has it, else the one that npm ships."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import setup as setup_script

ROOT = Path(__file__).resolve().parents[2]
HEAD = "// SPDX-License-Identifier: MIT\npragma solidity 0.8.30;\n"
SOURCE = HEAD + "import {I} from 'lib/I.sol';\ncontract C is I {}"


def solc(
    *words: str, folder: Path, first_on_path: Path | None = None, given: str = ""
) -> subprocess.CompletedProcess[str]:
    path = os.environ["PATH"] if first_on_path is None else f"{first_on_path}:{os.environ['PATH']}"
    return subprocess.run(
        [str(ROOT / "scripts" / "solc"), *words],
        check=False,
        capture_output=True,
        text=True,
        input=given,
        cwd=folder,
        env={**os.environ, "PATH": path},
        timeout=60,
    )


def native(folder: Path, version: str) -> Path:
    """A program named solc that says its version, and otherwise that it was run."""
    program = folder / "solc"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "Version: {version}+commit.1" || echo ran "$@"\n'
    )
    program.chmod(0o755)
    return folder


def test_it_is_the_pinned_version(tmp_path: Path) -> None:
    said = solc("--version", folder=tmp_path)
    assert said.returncode == 0
    assert f"\nVersion: {setup_script.SOLC}+commit." in said.stdout


def test_it_compiles_and_reads_imports_below_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "I.sol").write_text(HEAD + "interface I {}")
    assert "C" in compiled(tmp_path)["contracts"]["C.sol"]


def test_it_reads_nothing_outside(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "I.sol").write_text("interface I {}")
    (inside / "lib").mkdir()
    output = compiled(inside, SOURCE.replace("lib/I.sol", f"{tmp_path}/I.sol"))
    assert "outside the allowed paths" in output["errors"][0]["message"]


def compiled(folder: Path, source: str = SOURCE) -> dict[str, dict[str, dict[str, object]]]:
    selection = {"*": {"*": ["abi"]}}
    document = {
        "language": "Solidity",
        "sources": {"C.sol": {"content": source}},
        "settings": {"outputSelection": selection},
    }
    said = solc("--standard-json", folder=folder, given=json.dumps(document))
    assert said.returncode == 0, said.stderr
    output: dict[str, dict[str, dict[str, object]]] = json.loads(said.stdout)
    return output


def test_a_native_compiler_of_that_version_is_preferred(tmp_path: Path) -> None:
    there = native(tmp_path, setup_script.SOLC)
    assert (
        solc("--standard-json", "x.json", folder=tmp_path, first_on_path=there).stdout
        == "ran --standard-json x.json\n"
    )


def test_a_native_compiler_of_another_version_is_not_used(tmp_path: Path) -> None:
    there = native(tmp_path, "0.8.29")
    assert setup_script.SOLC in solc("--version", folder=tmp_path, first_on_path=there).stdout


@pytest.mark.parametrize("words", [(), ("--bin", "C.sol")])
def test_what_it_cannot_do_is_said(tmp_path: Path, words: tuple[str, ...]) -> None:
    said = solc(*words, folder=tmp_path)
    assert said.returncode == 1
    assert "knows --version and --standard-json, not:" in said.stderr
