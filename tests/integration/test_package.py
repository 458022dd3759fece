"""The wheel: complete, and everything but training runs where torch is not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from steelyard.chain.deployment_plan import CONTRACTS

ROOT = Path(__file__).resolve().parents[2]
NO_TORCH = "import sys\nsys.modules['torch'] = None\n"
IMPORT_ALL = """
import importlib, pkgutil, steelyard
assert "unpacked" in steelyard.__file__, steelyard.__file__
refused = []
for module in pkgutil.walk_packages(steelyard.__path__, "steelyard."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        assert error.name == "torch", (module.name, error)
        refused.append(module.name)
print(*refused)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that nothing is left in the checkout."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (copy / name).write_bytes((ROOT / name).read_bytes())
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "worker", copy / "worker", ignore=left_out)
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(copy / "out"),
        str(copy),
    ]
    built = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    return next((copy / "out").glob("*.whl"))


@pytest.fixture(scope="module")
def without_torch(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the wheel's files come first and torch cannot be imported.

    Kernels are left uncompiled: a new place has no compiled ones, and compiling them takes long.
    """
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    (folder / "sitecustomize.py").write_text(NO_TORCH)
    return {**os.environ, "PYTHONPATH": str(folder), "NUMBA_DISABLE_JIT": "1"}


def test_the_wheel_has_types_and_every_contract(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "steelyard/py.typed" in names
    assert {f"steelyard/chain/abi/{contract}.json" for contract in CONTRACTS} <= names
    copy = wheel.parents[1] / "worker"
    sources = {path.relative_to(copy).as_posix() for path in copy.rglob("*.py")}
    assert sources <= names
    assert all(name.startswith(("steelyard/", "steelyard-")) for name in names)


def test_the_command_line_runs_without_torch(without_torch: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; from steelyard.cli import main; sys.exit(main())", "--help"]
    said = subprocess.run(
        command, check=False, capture_output=True, text=True, env=without_torch, cwd=tmp_path, timeout=60
    )
    assert said.returncode == 0, said.stderr
    assert "steelyard" in said.stdout


def test_only_training_modules_need_torch(without_torch: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", IMPORT_ALL]
    said = subprocess.run(
        command, check=False, capture_output=True, text=True, env=without_torch, cwd=tmp_path, timeout=120
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.split(), "some module trains"
    assert all(name.startswith("steelyard.learning.recipes.") for name in said.stdout.split())
