"""Sizes and times for people."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from steelyard.errors import ConfigError

_UNITS = {"": 1, "b": 1}
_UNITS |= {f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)}
_UNITS |= {f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)}
_SIZE = re.compile(r"(\d{1,15})(?:\.(\d{1,3}))?\s*([a-z]{0,3})", re.IGNORECASE)


def parse_size(text: str, name: str) -> int:
    """`4096`, `500MB` or `1.5GiB` in bytes.  Raises ConfigError, naming the option."""
    found = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(found[3].lower()) if found else None
    if found is None or unit is None:
        raise ConfigError(f"{name} is {text!r}", remedy="write bytes, or a number with kB, MB, GB, MiB, GiB")
    return int(float(f"{found[1]}.{found[2] or 0}") * unit) if found[2] else int(found[1]) * unit


def format_size(count: int) -> str:
    """A count of bytes with three significant digits."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"


def format_time(timestamp: int) -> str:
    """A Unix time in UTC, with its distance from now."""
    stamp = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    away = timestamp - time.time()
    return f"{stamp} (in {away:.0f} s)" if away > 0 else f"{stamp} ({-away:.0f} s ago)"
