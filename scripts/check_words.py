"""Keep private words out: names and phrases that a newcomer would have to be told the meaning of.

    scripts/check_words.py           every tracked file of ours
    scripts/check_words.py FILE ...  these only

`WORDS` is the list, each with the word to write instead. `PHRASES` hold for prose: docstrings, comments,
messages and documents. Exit code 1 if anything is found.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKED = re.compile(
    r"^(worker|contracts|scripts|tests|benchmarks|examples|docs|README|CONTRIBUTING|SECURITY|Makefile)"
)
SUFFIXES = {".py", ".sol", ".md", ".tree", ".toml", ".sh", ".service", ""}
EXEMPT = {"scripts/check_words.py", "tests/unit/test_words.py", "docs/api.md"}  # the last is generated

# identifiers, in any file: as a whole word, or as a part of a snake_case or CamelCase name
WORDS = {
    "desk": "context",
    "shelf": "local store",
    "getter": "fetcher",
    "telling": "report",
    "tellings": "formatters",
    "purse": "collateral",
    "purses": "collateral",
    "holdings": "content",
    "wishes": "options",
    "ears": "listener",
    "HeldByAll": "ThresholdHeld",
    "JobBook": "Membership",
    "HintDesk": "PeerGossip",
    "TxJournal": "Outbox",
    "Coder": "LabelEncoder",
}
# ... that are good English elsewhere, so only as the name of a class or a module
CLASSES = {
    "Board": "HttpGossip",
    "HeldFile": "StoreTotals",
    "Moments": "RunningStats",
    "Situation": "Snapshot",
    "Parts": "NodeFactories, ClientDeps",
    "Place": "BlockLocation, GossipTopic",
    "Looked": "inspection",
    "Sealed": "Submission",
    "Work": "ChainSession",
    "Budget": "TokenBucket",
    "Dispatch": "a table of handlers",
    "Repairs": "RoundRecovery",
    "Endings": "JobClosure",
}
PHRASES = {
    r"\bin short\.": "drop it",
    r"\bsealed anew\b": "re-encrypted",
    r"\b(hand|hands|handed|handing) out\b": "serve",
    r"\b(let|lets|letting) go\b": "release",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"(?<!there )(?<!There )(?<!that )\bis no (?!longer\b|more\b|room\b|need\b|such\b|other\b)"
    r"(?![a-z]+ (left|for|to|yet|at)\b)[a-zA-Z]+": "is not a",
    r"\bof its own accord\b": "by itself",
    r"\bthereof\b|\bwherein\b|\bwhereof\b": "plain words",
    r"\bgoing fees\b": "fee estimates",
    r"\bdoor to the chain\b": "client",
    r"\bwhere (it|there|they|that) (is|are|has|have)\b": "if",
}
_STARTS = re.compile(r"^(What|Who|Whose)\b")
_WORD = re.compile(  # alone or between underscores, or as a part of a CamelCase name
    rf"(?<![A-Za-z])({'|'.join(map(re.escape, WORDS))})(?![A-Za-z])"
    rf"|({'|'.join(re.escape(word[0].upper() + word[1:]) for word in WORDS)})(?![a-z])"
)
_CLASS = re.compile(r"\b(?:class|contract|library) (" + "|".join(CLASSES) + r")\b")
_PHRASES = {re.compile(pattern, re.IGNORECASE): better for pattern, better in PHRASES.items()}


def files() -> Iterator[Path]:
    """The tracked files that the list holds for."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if CHECKED.match(name) and path.suffix in SUFFIXES and name not in EXEMPT and path.is_file():
            yield path


def problems(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """Line and complaint of each thing found in a file; line 0 is its name."""
    for match in _WORD.finditer(path.stem):
        yield 0, f"a file called {match[0]!r}"
    for number, line in enumerate(text.splitlines(), 1):
        for match in _WORD.finditer(line):
            better = next(new for old, new in WORDS.items() if old.lower() == match[0].lower())
            yield number, f"{match[0]!r}: write {better}"
        for match in _CLASS.finditer(line):
            yield number, f"class {match[1]}: write {CLASSES[match[1]]}"
        for pattern, better in _PHRASES.items():
            for match in pattern.finditer(line):
                yield number, f"{match[0]!r}: write {better!r}"
    if path.suffix == ".py":
        yield from _docstrings(text)


def _docstrings(text: str) -> Iterator[tuple[int, str]]:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            doc = ast.get_docstring(node)
            if doc and _STARTS.match(doc):
                line = 1 if isinstance(node, ast.Module) else node.lineno
                yield line, f"docstring begins with {doc.split()[0]!r}: name the thing"


def main(names: Sequence[str]) -> int:
    """Check the named files, or all; returns the exit code."""
    found = 0
    for path in [Path(name).resolve() for name in names] or files():
        for line, complaint in problems(path, path.read_text("utf-8", errors="replace")):
            found += 1
            print(f"{path.relative_to(ROOT)}:{line}: {complaint}")
    if found:
        print(f"{found} words to replace; the list is in scripts/check_words.py", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
