"""Amounts of tokens as people write them, and as the chain counts them."""

from __future__ import annotations

import re

from steelyard.errors import ConfigError

_AMOUNT = re.compile(r"(\d+(?:_\d+)*)(?:\.(\d+))?")
ETHER = 18  # decimals


def parse(text: str, decimals: int) -> int:
    """`12.5` tokens in the smallest unit.  Raises ConfigError where it is no amount, or too fine."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{text!r} is no amount", remedy="write a number of tokens, like 250 or 0.5")
    whole, fraction = found[1].replace("_", ""), (found[2] or "").rstrip("0")
    if len(fraction) > decimals:
        raise ConfigError(f"{text} is finer than the token's {decimals} decimals", remedy="round it")
    return int(whole + fraction.ljust(decimals, "0"))


def show(units: int, decimals: int, symbol: str = "") -> str:
    """An amount for people, exact, without trailing zeros."""
    sign, units = ("-", -units) if units < 0 else ("", units)
    whole, fraction = divmod(units, 10**decimals)
    text = f"{sign}{whole:,}"
    if fraction:
        text += "." + f"{fraction:0{decimals}}".rstrip("0")
    return f"{text} {symbol}".rstrip()


def ether(wei: int) -> str:
    """Wei as ETH with six significant digits."""
    return f"{wei / 10**ETHER:.6g} ETH"
