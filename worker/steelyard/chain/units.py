"""Amounts of wei and of tokens, written for people."""

from __future__ import annotations

GWEI = 10**9  # wei
ETHER = 10**18  # wei
ETHER_DECIMALS = 18


def format_amount(units: int, decimals: int, symbol: str = "") -> str:
    """An amount of a token's smallest units, exact and without trailing zeros: `1,250.5 TEST`."""
    sign, units = ("-", -units) if units < 0 else ("", units)
    whole, fraction = divmod(units, 10**decimals)
    text = f"{sign}{whole:,}"
    if fraction:
        text += "." + f"{fraction:0{decimals}}".rstrip("0")
    return f"{text} {symbol}".rstrip()


def format_ether(wei: int) -> str:
    """Wei as `0.0015 ETH`, rounded to the gwei; exact below one."""
    shown = wei if abs(wei) < GWEI else round(wei, -9)
    return format_amount(shown, ETHER_DECIMALS, "ETH")


def format_gwei(wei: int) -> str:
    """Wei per gas as `12.5 gwei`, with six significant digits."""
    return f"{wei / GWEI:.6g} gwei"
