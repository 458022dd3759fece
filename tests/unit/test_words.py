"""Names: each class once, no private word, and the list that keeps them out does find them."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

import check_words

PACKAGE = Path(__file__).resolve().parents[2] / "worker" / "steelyard"


def complaints(text: str, name: str = "module.py") -> list[str]:
    return [complaint for _, complaint in check_words.problems(Path(name), text)]


def test_no_file_has_a_word_of_the_list() -> None:
    found = [
        f"{path.relative_to(check_words.ROOT)}:{line}: {complaint}"
        for path in check_words.files()
        for line, complaint in check_words.problems(path, path.read_text("utf-8", errors="replace"))
    ]
    assert found == []


def test_every_class_name_is_defined_once() -> None:
    names = Counter(
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize(
    "text",
    [
        "desk = 1\n",
        "old_desk = 1\n",
        "class NodeDesk:\n    pass\n",
        "self._shelf = 1\n",
        "class Board:\n    pass\n",
        '"""What a node needs."""\n',
        'def f():\n    """Whose turn it is."""\n',
        "# the file is no update\n",
        "# it is sealed anew\n",
        "# a fee, in short.\n",
        "# skipped where there is none\n",
    ],
)
def test_a_private_word_is_found(text: str) -> None:
    assert complaints(text)


def test_a_private_file_name_is_found() -> None:
    assert complaints("", "desk.py")


@pytest.mark.parametrize(
    "text",
    [
        "desktop = 1\n",
        "# there is no other way\n",
        "# it is no longer there\n",
        "years = 1\n",
        '"""A node."""\n',
    ],
)
def test_plain_english_passes(text: str) -> None:
    assert complaints(text) == []
