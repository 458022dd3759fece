"""TOML files and their values, converted to the types of a dataclass's fields."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from steelyard.errors import ConfigError


def read_toml(path: Path, *, if_missing: str) -> dict[str, Any]:
    """The parsed file.  if_missing: remedy if it does not exist.  Raises ConfigError."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"there is no {path}", remedy=if_missing) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", remedy="fix it; it is a TOML file") from error


def annotations_of(kind: type) -> dict[str, str]:
    """Names and annotations of a dataclass's fields, in order."""
    return {item.name: str(item.type) for item in fields(kind)}


def table_values(
    kind: type, table: Any, source: str, *, without: tuple[str, ...] = (), noun: str = "key"
) -> dict[str, Any]:
    """The values of a TOML table, converted to the fields of the dataclass `kind`.

    without: fields that the table cannot set.  Raises ConfigError for unknown keys and for wrong types.
    """
    known = {name: text for name, text in annotations_of(kind).items() if name not in without}
    if not isinstance(table, Mapping):
        raise ConfigError(f"{source} is {table!r}", remedy="write a table")
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise ConfigError(
            f"{source} has no {noun} {', '.join(unknown)}", remedy=f"the {noun}s are {', '.join(known)}"
        )
    return {key: convert(value, known[key], f"{key} in {source}") for key, value in table.items()}


def convert(value: Any, annotation: str, source: str, *, lenient: bool = False) -> Any:
    """A value as a field's annotation says: `str | int`, `Path | None`, `tuple[str, ...]` and so on.

    source: where it was written, for the error.  lenient: text is parsed (`"yes"`, `"5"`, `"a,b"`), as it is
    all that an environment variable holds.  Raises ConfigError.
    """
    kinds = annotation.split(" | ")
    try:
        return _lenient(value, kinds[0]) if lenient else _strict(value, kinds)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{source} is {value!r}", remedy=f"it must be a {_written(kinds)}") from error


def _written(kinds: list[str]) -> str:
    """The types as a person writes them in TOML."""
    plain = {"Path": "path", "tuple[str, ...]": "list of texts", "tuple[int, ...]": "list of numbers"}
    names = [plain.get(kind, kind) for kind in kinds if kind != "None"]
    return " or ".join("table" if name.startswith("Mapping") else name for name in names)


def _strict(value: Any, kinds: list[str]) -> Any:
    kind = kinds[0]
    if kind == "Path":
        return Path(_text(value))
    if kind.startswith("tuple"):
        return _items(value, kind)
    if kind.startswith("Mapping") and isinstance(value, Mapping):
        return value
    if kind == "float" and type(value) is int:
        return float(value)
    if type(value).__name__ not in kinds:
        raise TypeError(value)
    return value


def _lenient(value: Any, kind: str) -> Any:
    if kind == "Path":
        return Path(_text(value)).expanduser()
    if kind.startswith("tuple"):
        return _items(value.split(",") if isinstance(value, str) else value, kind)
    if kind == "float":
        return float(value)
    return _boolean(value) if kind == "bool" else _text(value)


def _items(value: Any, kind: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError(value)
    return tuple(_text(item) if kind.startswith("tuple[str") else int(item) for item in value)


def _text(value: Any) -> str:
    if not isinstance(value, str | Path):
        raise TypeError(value)
    return str(value)


def _boolean(value: Any) -> bool:
    text = str(value).lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise ValueError(value)
