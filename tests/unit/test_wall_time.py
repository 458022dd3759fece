"""Tests hold on a busy machine: only those marked `timing` say how long something may take."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
CLOCKS = {"monotonic", "perf_counter", "time"}
WAITS = {"timeout": 0, "wait_for": 1}  # of asyncio, and which argument is the deadline
HANG_S = 60  # a deadline that is only there so that nothing hangs


def _clock(node: ast.expr) -> bool:
    """Whether it reads a wall clock of `time`."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="time"), attr=name)):
            return name in CLOCKS
    return False


def _marked(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(each).startswith("pytest.mark.timing") for each in decorators)


def _expects_timeout(node: ast.AST) -> bool:
    return isinstance(node, ast.With) and any(
        ast.unparse(item.context_expr).startswith("pytest.raises(TimeoutError") for item in node.items
    )


def _tight(node: ast.AST) -> bool:
    """Whether it measures a duration, or gives an awaited success less than HANG_S."""
    match node:
        case ast.BinOp(op=ast.Sub(), left=left, right=right):
            return _clock(left) and not isinstance(right, ast.Constant)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="asyncio"), attr=name), args=arguments):
            if name in WAITS and len(arguments) > WAITS[name]:
                deadline = arguments[WAITS[name]]
                return isinstance(deadline, ast.Constant) and float(str(deadline.value)) < HANG_S
    return False


def tight(source: str) -> Iterator[int]:
    """Lines that tie a test to wall time without its being marked."""
    pending: list[ast.AST] = [ast.parse(source)]
    while pending:
        node = pending.pop()
        if _marked(node) or _expects_timeout(node):
            continue
        if _tight(node):
            yield getattr(node, "lineno", 0)
        pending += ast.iter_child_nodes(node)


def test_no_unmarked_test_asserts_wall_time() -> None:
    paths = [path for folder in ("unit", "integration") for path in (TESTS / folder).rglob("*.py")]
    found = [f"{path.relative_to(TESTS)}:{line}" for path in paths for line in tight(path.read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def test():\n    assert time.monotonic() - start < 5", [2]),
        ("def test():\n    took = time.perf_counter() - begun", [2]),
        ("@pytest.mark.timing\ndef test():\n    assert time.monotonic() - start < 5", []),
        ("def test():\n    pin(until=time.time() - 5)", []),
        ("def test():\n    while time.monotonic() < until:\n        pass", []),
        ("async def test():\n    async with asyncio.timeout(5):\n        pass", [2]),
        ("async def test():\n    async with asyncio.timeout(60):\n        pass", []),
        ("async def test():\n    await asyncio.wait_for(task, 0.5)", [2]),
        (
            "with pytest.raises(TimeoutError):\n    await asyncio.wait_for(task, 0.5)",
            [],
        ),
    ],
)
def test_a_measured_duration_and_a_tight_deadline_are_found(source: str, found: list[int]) -> None:
    assert list(tight(source)) == found
