"""Imports point one way: the picture in docs/architecture.md is true of every module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "worker" / "steelyard"
LAYERS = (
    ("errors",),
    ("kernels", "hashing", "numbers", "blocks", "trees", "rules"),
    ("sqlite", "updates", "files", "inputs", "transcript", "aggregation", "proofs"),
    ("merkle", "canonical", "manifest_parts", "manifest", "data_manifest"),
    ("content",),
    ("sealing",),
    ("chain",),
    ("learning",),
    ("nodes",),
    ("config",),
    ("cli",),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}


def _imported(path: Path) -> Iterator[str]:
    """Names of the package's own modules that a file imports, wherever in it."""
    inside = path.relative_to(PACKAGE.parent).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(inside[: len(inside) - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield module
            if module == "steelyard":
                yield from (f"steelyard.{alias.name}" for alias in node.names)


def _edges() -> Iterator[tuple[Path, str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        importer = path.relative_to(PACKAGE).with_suffix("").parts[0]
        for name in _imported(path):
            parts = name.split(".")
            if parts[0] == "steelyard" and len(parts) > 1 and parts[1] in RANK and importer in RANK:
                yield path.relative_to(PACKAGE), importer, parts[1]


def test_every_module_has_its_place() -> None:
    tops = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir()}
    assert tops - {"__init__", "__pycache__", "py"} <= set(RANK), tops - set(RANK)


def test_no_import_points_down() -> None:
    wrong = [f"{path}: {what}" for path, importer, what in _edges() if RANK[what] > RANK[importer]]
    assert wrong == []


def test_torch_is_imported_in_the_training_process_alone() -> None:
    recipes = PACKAGE / "learning" / "recipes"
    allowed = {PACKAGE / "learning" / "child.py", recipes / "optimizers.py", *recipes.glob("*_torch.py")}
    named = {
        path for path in PACKAGE.rglob("*.py") for name in _imported(path) if name.split(".")[0] == "torch"
    }
    assert named <= allowed
