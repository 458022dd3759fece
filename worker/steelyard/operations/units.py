"""Token amounts and durations as people write them; steelyard.chain.units prints amounts."""

from __future__ import annotations

import re

from steelyard.errors import ConfigError

SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_AMOUNT = re.compile(r"(\d+(?:_\d+)*)(?:\.(\d+))?")
_DURATION = re.compile(r"(\d+)\s*([smhd]?)")


def parse_amount(text: str, decimals: int) -> int:
    """`12.5` tokens in the smallest unit.  Raises ConfigError for other text, or too many decimals."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{text!r} is not an amount", remedy="write a number of tokens, like 250 or 0.5")
    whole, fraction = found[1].replace("_", ""), (found[2] or "").rstrip("0")
    if len(fraction) > decimals:
        raise ConfigError(f"{text} is finer than the token's {decimals} decimals", remedy="round it")
    return int(whole + fraction.ljust(decimals, "0"))


def parse_duration(value: object, name: str) -> int:
    """`90`, `"90s"`, `"15m"`, `"2h"` or `"7d"` in seconds.  Raises ConfigError, naming the field."""
    found = _DURATION.fullmatch(str(value).strip())
    if isinstance(value, bool) or found is None:
        raise ConfigError(f"{name} is {value!r}", remedy="write seconds, or a number with s, m, h or d")
    return int(found[1]) * SECONDS[found[2]]
