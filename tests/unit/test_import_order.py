"""Imports point one way, between packages and inside them: docs/architecture.md is true of every module."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "worker" / "steelyard"
LAYERS = (
    ("errors",),
    ("util",),
    ("core",),
    ("jobs",),
    ("content",),
    ("sealing",),
    ("chain",),
    ("learning",),
    ("nodes",),
    ("operations",),
    ("cli",),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
MOST_FLOORS = 8
MOST_LINES = 300


def _dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_dotted(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def _named(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, wherever in it: a module, or something in one."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module(name: str) -> str | None:
    """The package's own module that a dotted name is or is in."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or None


GRAPH: Mapping[str, set[str]] = {
    importer: {found for name in _named(path) if (found := _module(name)) and found != importer}
    for importer, path in MODULES.items()
}


def _top(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _packages() -> dict[str, set[str]]:
    """Which of the parts directly below the package import which."""
    edges: dict[str, set[str]] = defaultdict(set)
    for importer, found in GRAPH.items():
        edges[_top(importer)] |= {_top(name) for name in found} - {_top(importer), ""}
    edges.pop("", None)  # the public API
    return edges


def _circle(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [str(name) for name in error.args[1]]
    return []


def test_every_module_has_its_place() -> None:
    tops = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir()}
    assert tops - {"__init__", "__pycache__", "py"} == set(RANK)


def test_no_import_points_up() -> None:
    wrong = [
        f"{importer} imports {name}"
        for importer, found in GRAPH.items()
        for name in found
        if _top(importer) in RANK and _top(name) in RANK and RANK[_top(name)] > RANK[_top(importer)]
    ]
    assert wrong == []


def test_no_module_uses_the_public_facade() -> None:
    assert [importer for importer, found in GRAPH.items() if "steelyard" in found] == []


def test_no_circle_of_modules() -> None:
    assert _circle(GRAPH) == []


def test_no_circle_of_packages() -> None:
    assert _circle(_packages()) == []


def test_a_circle_is_found() -> None:
    assert _circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) != []


def test_the_house_has_few_floors() -> None:
    graph, floors = _packages(), dict[str, int]()
    for name in TopologicalSorter(graph).static_order():
        floors[name] = 1 + max((floors[below] for below in graph.get(name, ())), default=0)
    assert max(floors.values()) <= MOST_FLOORS, floors


def test_torch_is_imported_in_the_training_process_alone() -> None:
    recipes = PACKAGE / "learning" / "recipes"
    allowed = {PACKAGE / "learning" / "child.py", recipes / "optimizers.py", *recipes.glob("*_torch.py")}
    named = {path for path in MODULES.values() for name in _named(path) if name.split(".")[0] == "torch"}
    assert named <= allowed


def test_no_module_is_too_long() -> None:
    written = {module: path for module, path in MODULES.items() if ".generated." not in module}
    lengths = {module: len(path.read_text("utf-8").splitlines()) for module, path in written.items()}
    assert {module: lines for module, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_module_only_forwards() -> None:
    def forwards(path: Path) -> bool:
        body = ast.parse(path.read_text("utf-8")).body
        return not any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            or (isinstance(node, ast.Assign | ast.AnnAssign) and "__all__" not in ast.unparse(node))
            for node in body
        )

    own = [path for path in MODULES.values() if path.stem not in {"__init__", "__main__"}]
    assert [path for path in own if forwards(path)] == []
