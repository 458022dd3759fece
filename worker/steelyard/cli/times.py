"""Times of the chain, and durations as people write them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from steelyard.errors import ConfigError

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+)\s*([smhd]?)")


def when(moment: int) -> str:
    """A time with its distance from now."""
    stamp = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    away = moment - time.time()
    return f"{stamp} (in {away:.0f} s)" if away > 0 else f"{stamp} ({-away:.0f} s ago)"


def seconds(value: object, name: str) -> int:
    """`90`, `"90s"`, `"15m"`, `"2h"` or `"7d"` in seconds.  Raises ConfigError, naming the field."""
    found = _DURATION.fullmatch(str(value).strip())
    if isinstance(value, bool) or found is None:
        raise ConfigError(f"{name} is {value!r}", remedy="write seconds, or a number with s, m, h or d")
    return int(found[1]) * UNITS[found[2]]
