"""The `.tree` files of the Solidity tests, and whether they agree with the tests beside them.

A tree names its function in its first line, then branches, and what happens in each branch as its leaves.
The name of a leaf's test follows from it: `test` (or `testFuzz`), the function, each branch and the leaf, in
words that begin with a capital letter, joined by `_`. `2^20` reads `2To20`. A refusal leaf also names its
errors, which are not in the test's name:

    Coordinator.submit                          test_submit_WhenTheWindowIsOver_ItRefuses
    └── when the window is over
        └── it refuses with SubmissionClosed
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

# Tests that need no leaf: whole files of scenarios, properties over all inputs, and ceilings for gas.
SCENARIO_FILES = ("Gas.t.sol", "Attacks.t.sol")
LEAFLESS = re.compile(r"testFuzz_|test_\w+_Of\d+CostsLessThan\d+Gas$")

_BRANCH = re.compile(r"(?P<indent>(?:│   |    )*)(?:├── |└── )(?P<words>.+)")
_REFUSAL = re.compile(
    r"(?P<verb>it (?:refuses|reverts))\b(?: with (?P<errors>[A-Z]\w*(?:(?:, | or )[A-Z]\w*)*))?"
)
_FUNCTION = re.compile(r"^    function (?P<name>\w+)\((?P<rest>.*?^    \}$)", re.MULTILINE | re.DOTALL)
_CALL = re.compile(r"(?<![\w.])(\w+)\(")
_SELECTOR = re.compile(r"\.(\w+)\.selector\b")


def _camel(words: str) -> str:
    parts = re.split(r"[^A-Za-z0-9]+", words.replace("^", " to ").replace("'", ""))
    return "".join(part[0].upper() + part[1:] for part in parts if part)


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """One path through a tree: its function, and the words from the first branch to what happens."""

    function: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.function}: {': '.join(self.path)}"

    @cached_property
    def _refusal(self) -> re.Match[str] | None:
        return _REFUSAL.match(self.path[-1])

    @property
    def refuses(self) -> bool:
        return self._refusal is not None

    @property
    def errors(self) -> frozenset[str]:
        """The errors that a refusal names."""
        named = self._refusal and self._refusal["errors"]
        return frozenset(re.split(r", | or ", named)) if named else frozenset()

    @property
    def names(self) -> tuple[str, str]:
        """The two names that the leaf's test may have: of one case, or of many."""
        path = self.path
        if self._refusal is not None:
            path = (*path[:-1], self._refusal["verb"] + path[-1][self._refusal.end() :])
        name = "_".join((self.function, *map(_camel, path)))
        return f"test_{name}", f"testFuzz_{name}"


def leaves(text: str) -> Iterator[Leaf]:
    """The leaves of a tree. Raises ValueError if a line is not one of a tree."""
    title, *lines = text.splitlines()
    function = title.partition(".")[2]
    nodes = []
    for line in lines:
        found = _BRANCH.fullmatch(line)
        if found is None:
            raise ValueError(f"{title}: {line!r} is not a branch: draw it with ├──, └── and │")
        nodes.append((len(found["indent"]) // 4, found["words"]))
    path: list[str] = []
    for (depth, words), (following, _) in zip(nodes, [*nodes[1:], (0, "")], strict=True):
        path[depth:] = [words]
        if following <= depth:
            yield Leaf(function=function, path=tuple(path))


def functions(source: str) -> dict[str, str]:
    """Text of each function of a Solidity file by name, overloads one after the other."""
    found: dict[str, str] = {}
    for each in _FUNCTION.finditer(source):
        found[each["name"]] = found.get(each["name"], "") + each["rest"]
    return found


def expected_errors(name: str, known: Mapping[str, str]) -> frozenset[str]:
    """Errors whose selectors a function names, itself or through the functions it calls."""
    seen, open_names, errors = set(), [name], set[str]()
    while open_names:
        body = known.get(current := open_names.pop(), "")
        seen.add(current)
        errors |= set(_SELECTOR.findall(body))
        open_names += [call for call in _CALL.findall(body) if call in known and call not in seen]
    return frozenset(errors)


def disagreements(folder: Path, support: Iterable[Path], declared: frozenset[str]) -> list[str]:
    """Where the trees of a folder and the tests beside them differ; empty if they agree.

    support: files with functions that the tests inherit. declared: names of the errors that exist.
    """
    found: list[str] = []
    inherited = functions("\n".join(path.read_text("utf-8") for path in support))
    tests: dict[str, dict[str, str]] = {}  # what a test may call, by its name
    for path in sorted(folder.glob("*.t.sol")):
        if path.name not in SCENARIO_FILES:
            own = functions(path.read_text("utf-8"))
            tests |= {name: inherited | own for name in own if name.startswith("test")}

    claimed: Counter[str] = Counter()
    for tree in sorted(folder.glob("*.tree")):
        text = tree.read_text("utf-8")
        if text.splitlines()[0] != (title := f"{folder.name}.{tree.stem}"):
            found.append(f"{tree.name}: its first line is not {title}")
        for leaf in leaves(text):
            present = [name for name in leaf.names if name in tests]
            claimed.update(present)
            if len(present) != 1:
                found.append(f"{leaf}: has {len(present)} tests, not one: {leaf.names[0]}")
            elif leaf.refuses:
                found += _refusal_faults(leaf, expected_errors(present[0], tests[present[0]]), declared)

    found += [f"{name}: {count} leaves have this test" for name, count in claimed.items() if count > 1]
    found += [f"{name}: has no leaf" for name in tests if name not in claimed and not LEAFLESS.match(name)]
    return found


def _refusal_faults(leaf: Leaf, expected: frozenset[str], declared: frozenset[str]) -> Iterator[str]:
    if not leaf.errors:
        yield f"{leaf}: names no error; its test expects {', '.join(sorted(expected)) or 'none either'}"
    elif leaf.errors != expected:
        yield f"{leaf}: its test expects {', '.join(sorted(expected)) or 'no error by name'}"
    for error in sorted(leaf.errors - declared):
        yield f"{leaf}: no contract declares {error}"
