"""Write docs/api.md from the docstrings of the public API, or check that it is current.

    scripts/build_api_docs.py            writes it
    scripts/build_api_docs.py --check    fails if it is not what would be written

Griffe reads signatures and docstrings from the source files; nothing of the package is run.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import griffe

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "api.md"
PACKAGE = "steelyard"
HEAD = """# Python API

Written by `make docs` from the docstrings; do not edit. Shapes are those of NumPy arrays; amounts are
integers in a token's smallest unit unless a name says otherwise, and times are in seconds.
"""


def main() -> int:
    """Write or check the file. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Write docs/api.md from the docstrings.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is not current")
    given = parser.parse_args()
    text = render(griffe.load(PACKAGE, search_paths=[str(ROOT / "worker")], resolve_aliases=True))
    if not given.check:
        TARGET.write_text(text, "utf-8")
        return 0
    if TARGET.is_file() and TARGET.read_text("utf-8") == text:
        return 0
    print(f"{TARGET.relative_to(ROOT)} is not current: run `make docs` and commit it", file=sys.stderr)
    return 1


def groups() -> Mapping[str, tuple[str, ...]]:
    """Public names by the heading of their group, in order, from the facade's table."""
    source = (ROOT / "worker" / PACKAGE / "__init__.py").read_text("utf-8")
    for node in ast.parse(source).body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id == "_NAMES"
        ):
            table = ast.literal_eval(node.value) if node.value else {}
            return {
                title: tuple(name for names in modules.values() for name in names.split())
                for title, modules in table.items()
            }
    raise LookupError("the facade has no table _NAMES")


def render(package: griffe.Object | griffe.Alias) -> str:
    """The whole document."""
    parts = [HEAD, _text(package)]
    for title, names in groups().items():
        parts += [f"## {title}\n", *(_entry(name, package[name]) for name in names)]
    return "\n".join(parts).rstrip("\n") + "\n"


def _entry(name: str, found: griffe.Object | griffe.Alias) -> str:
    """A class, function or alias of a type."""
    place = found.canonical_path.rpartition(".")[0]
    lines = [f"### {name}\n", f"*{found.kind.value} in `{place}`*\n"]
    if found.is_class:
        lines += [_code(_class_lines(found)), _text(found)]
        lines += [text for member in _documented(found) for text in _member(member)]
    else:
        lines += [_code([_signature(name, found)]), _text(found)]
    return "\n".join(line for line in lines if line)


def _class_lines(found: griffe.Object | griffe.Alias) -> list[str]:
    """The class statement and its fields with their comments."""
    bases = ", ".join(str(base) for base in found.bases)
    return [f"class {found.name}({bases})" if bases else f"class {found.name}", *_fields(found)]


def _fields(found: griffe.Object | griffe.Alias) -> Iterator[str]:
    """Annotated fields, and values of an enumeration, as they are in the source file."""
    source = found.lines_collection[found.filepath]
    for member in found.members.values():
        if member.is_attribute and not member.name.startswith("_") and member.lineno == member.endlineno:
            line = source[(member.lineno or 1) - 1].strip()
            if line.startswith((f"{member.name}:", f"{member.name} =")):
                yield f"    {line}"


def _documented(found: griffe.Object | griffe.Alias) -> Iterator[griffe.Object | griffe.Alias]:
    """Public methods and properties that have a docstring."""
    for member in found.members.values():
        method = member.is_function or "property" in member.labels
        if method and not member.name.startswith("_") and member.docstring:
            yield member


def _member(member: griffe.Object | griffe.Alias) -> Iterator[str]:
    name = f"{member.parent.name}.{member.name}" if member.parent else member.name
    yield f"#### {name}\n"
    yield _code(
        [f"{member.name}: {member.annotation}" if member.is_attribute else _signature(member.name, member)]
    )
    yield _text(member)


def _signature(name: str, function: griffe.Object | griffe.Alias) -> str:
    """The `def` line, one parameter a line if it is long."""
    decorators = "".join(f"@{each.value}\n" for each in function.decorators if str(each.value) in _SHOWN)
    start = "async def " if "async" in function.labels else "def "
    parts = list(_parameters(function.parameters))
    result = f" -> {function.returns}" if function.returns else ""
    line = f"{start}{name}({', '.join(parts)}){result}"
    if len(line) > 100:
        line = f"{start}{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){result}"
    return decorators + line


_SHOWN = frozenset({"classmethod", "staticmethod", "contextlib.contextmanager", "asynccontextmanager"})
_STARS = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}


def _parameters(parameters: griffe.Parameters) -> Iterator[str]:
    starred = False
    for each in parameters:
        if each.name in ("self", "cls"):
            continue
        if each.kind is griffe.ParameterKind.keyword_only and not starred:
            yield "*"
        starred = starred or each.kind in (
            griffe.ParameterKind.keyword_only,
            griffe.ParameterKind.var_positional,
        )
        text = _STARS.get(each.kind, "") + each.name
        text += f": {each.annotation}" if each.annotation else ""
        plain = each.kind not in _STARS and each.default is not None
        yield text + (f" = {each.default}" if plain else "")


def _code(lines: list[str]) -> str:
    return "\n".join(["```python", *lines, "```", ""])


def _text(found: griffe.Object | griffe.Alias) -> str:
    return found.docstring.value.strip() + "\n" if found.docstring else ""


if __name__ == "__main__":
    sys.exit(main())
