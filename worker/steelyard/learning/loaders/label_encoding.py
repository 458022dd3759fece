"""Numbers for names: of labels, and of the values of a group column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from steelyard.core.kernels.arrays import Bytes, Int64
from steelyard.errors import ConfigError

MAX_LABELS = 256
MAX_GROUPS = 1 << 20
_SHOWN = 60


class LabelEncoder:
    """Collects names in batches. Memory: each name once, and 4 bytes a row."""

    def __init__(self, noun: str, most: int, known: Sequence[str] = ()) -> None:
        self._noun, self._most, self._fixed = noun, most, bool(known)
        self._numbers: dict[str, int] = {name: number for number, name in enumerate(known)}
        self._parts: list[np.ndarray[tuple[int], np.dtype[np.int32]]] = []

    def add(self, names: Iterable[str | None], indices: Int64) -> None:
        """Add one row named `names[i]` for each i in `indices`.

        Raises ConfigError for an empty name, for too many names, and for one that is not among the known.
        """
        numbers = np.array([self._number(name) for name in names], np.int32)
        self._parts.append(numbers[indices])

    def add_rows(self, name: str, rows: int) -> None:
        """Add `rows` rows of one name."""
        self._parts.append(np.full(rows, self._number(name), np.int32))

    @property
    def row_count(self) -> int:
        """Rows so far."""
        return sum(len(part) for part in self._parts)

    def finish(self) -> tuple[Int64, tuple[str, ...]]:
        """Each row's number, and the names by number: in the given order, else sorted, numbers by value."""
        codes = np.concatenate(self._parts) if self._parts else np.empty(0, np.int32)
        names = list(self._numbers)
        if self._fixed:
            return codes.astype(np.int64), tuple(names)
        order = sorted(names, key=_order(names))
        number = np.zeros(max(len(names), 1), np.int64)
        number[[self._numbers[name] for name in order]] = np.arange(len(order))
        return number[codes], tuple(order)

    def _number(self, name: str | None) -> int:
        if name is None or name == "":
            raise ConfigError(f"a row has no {self._noun}", remedy="fill it in, or remove such rows")
        name = name.strip() or name
        found = self._numbers.get(name)
        if found is not None:
            return found
        shown = name if len(name) <= _SHOWN else name[:_SHOWN] + "…"
        if self._fixed:
            raise ConfigError(
                f"{shown!r} is none of the {len(self._numbers)} known {self._noun}s",
                remedy=f"they are {', '.join(list(self._numbers)[:10])}: correct the rows or the choice",
            )
        if len(self._numbers) == self._most:
            raise ConfigError(
                f"more than {self._most} different {self._noun}s ({shown!r} is one more)",
                remedy="choose a column with fewer values",
            )
        self._numbers[name] = len(self._numbers)
        return self._numbers[name]


def labels_of(codes: Int64) -> Bytes:
    """Class numbers in the type of data files."""
    return codes.astype(np.uint8)


def _order(names: list[str]) -> Callable[[str], tuple[float, str]]:
    """Sort key: by value if all names are numbers, else alphabetical."""
    try:
        values = {name: float(name) for name in names}
    except ValueError:
        return lambda name: (0.0, name)
    return lambda name: (values[name], name)
