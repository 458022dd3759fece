"""Canonical JSON, and a reader for hostile JSON.

Canonical: UTF-8, keys sorted, no spaces, no floats, no newline at the end. A document has one encoding, so
it has one CID. `load` bounds size and depth; `JsonNode` bounds every value that is read and names its path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import NoReturn

from steelyard.errors import ManifestError

MAX_BYTES = 4 << 20
MAX_DEPTH = 8
MAX_VALUES = 1 << 18  # each takes up to 200 bytes of memory once it is parsed, and 3 in the file

# A string, closed or not, or a bracket. No part can fail after it began, so the scan takes linear time.
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+\\?(?:"|\Z)|[\[\]{}]', re.DOTALL)
_STEPS = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}


def dump(value: object) -> bytes:
    """The canonical bytes of a value made of dicts, lists, strings, integers and booleans."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def load(data: bytes, *, what: str, max_bytes: int = MAX_BYTES) -> JsonNode:
    """Parse canonical JSON of at most `max_bytes` bytes, MAX_VALUES values and MAX_DEPTH levels.

    Raises ManifestError for anything else: too large, too deep, a float, a repeated key, not canonical.
    """
    if len(data) > max_bytes:
        raise ManifestError(
            f"{what} is {len(data)} bytes long, over the limit of {max_bytes}",
            remedy="list fewer shards or tensors",
        )
    try:
        check_count(data)
        check_depth(data)
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_no_repeats,
            parse_float=_no_float,
            parse_constant=_no_float,
        )
        again = dump(value)
    except ValueError as error:  # UnicodeError and JSONDecodeError are ValueErrors
        raise ManifestError(f"{what} is not JSON that is accepted here ({error})", remedy=_REWRITE) from None
    if again != data:
        raise ManifestError(f"{what} is not canonical JSON (sorted keys, no spaces, UTF-8)", remedy=_REWRITE)
    return JsonNode(value, what)


_REWRITE = "have its author write it with `steelyard job create`"


def check_count(data: bytes) -> None:
    """Raise ValueError if there may be more than MAX_VALUES values; commas in strings count too."""
    most = 1 + sum(data.count(byte) for byte in (b",", b"[", b"{"))
    if most > MAX_VALUES:
        raise ValueError(f"it has up to {most} values, over the limit of {MAX_VALUES}")


def check_depth(data: bytes) -> None:
    """Raise ValueError if brackets nest deeper than MAX_DEPTH.

    Python's parser stops at the interpreter's recursion limit; some libraries raise it beyond the stack.
    """
    depth = 0
    for token in _TOKENS.finditer(data):
        depth += _STEPS.get(token.group(), 0)
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")


def _no_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key is repeated")
    return fields


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"the number {text[:40]} is not an integer: write it as a string")


class JsonNode:
    """One value of a parsed document with the path that leads to it; every accessor raises ManifestError."""

    def __init__(self, value: object, path: str) -> None:
        self.value = value
        self.path = path

    def fail(self, cause: str) -> NoReturn:
        """Raise: `path` is wrong because of `cause`."""
        raise ManifestError(f"{self.path} {cause}", remedy="ask the sponsor for a correct file; do not join")

    def fields(self, names: Collection[str], *, optional: Collection[str] = ()) -> dict[str, JsonNode]:
        """The members of an object that has exactly these keys (and perhaps the optional ones)."""
        if not isinstance(self.value, dict):
            self.fail(f"is {_shown(self.value)}, not an object")
        missing = sorted(set(names) - set(self.value))
        unknown = sorted(set(self.value) - set(names) - set(optional))
        if missing:
            self.fail(f"lacks {', '.join(missing)}")
        if unknown:
            self.fail(f"has the unknown key {_shown(unknown[0])}")
        return {name: JsonNode(value, f"{self.path}.{name}") for name, value in self.value.items()}

    def pairs(self, most: int) -> list[tuple[str, JsonNode]]:
        """The members of an object with free keys, at most `most` of them."""
        if not isinstance(self.value, dict) or len(self.value) > most:
            self.fail(f"is not an object of at most {most} keys")
        return [(name, JsonNode(value, f"{self.path}.{name[:40]}")) for name, value in self.value.items()]

    def items(self, most: int) -> list[JsonNode]:
        """The elements of an array of at most `most`."""
        if not isinstance(self.value, list):
            self.fail(f"is {_shown(self.value)}, not an array")
        if len(self.value) > most:
            self.fail(f"has {len(self.value)} elements, over the limit of {most}")
        return [JsonNode(value, f"{self.path}[{position}]") for position, value in enumerate(self.value)]

    def integer(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            self.fail(f"is {_shown(self.value)}, not an integer")
        if not low <= self.value <= high:
            self.fail(f"is {_shown(self.value)}, outside {low} to {high}")
        return self.value

    def text(self, pattern: re.Pattern[str], meaning: str) -> str:
        """A string that `pattern` matches from end to end; `meaning` says what it should have been."""
        if not isinstance(self.value, str) or not pattern.fullmatch(self.value):
            self.fail(f"is {_shown(self.value)}, not {meaning}")
        return self.value

    def choice(self, names: Collection[str]) -> str:
        """One of `names`."""
        if not isinstance(self.value, str) or self.value not in names:
            self.fail(f"is {_shown(self.value)}, not one of {', '.join(names)}")
        return self.value


def _shown(value: object) -> str:
    """A value for an error message, cut so that a hostile one cannot flood a terminal or a log."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "an array"
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."
