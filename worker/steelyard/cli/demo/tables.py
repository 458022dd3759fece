"""The demo's closing tables, from its report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from steelyard.chain.units import format_amount
from steelyard.cli.output import table

if TYPE_CHECKING:
    from rich.console import RenderableType

SUMS = ("stake", "bond", "reward", "penalty", "tokens")  # columns of the accounts' table
KINDS = ("submit", "attest", "post", "hold", "convict")  # columns of the rounds' table


def tables(report: Mapping[str, Any], decimals: int) -> list[RenderableType]:
    """Rounds, gas by kind of transaction, accounts."""
    names = {each["address"]: each["name"] for each in report["accounts"]}
    return [_rounds(report, names), _gas(report), _accounts(report, decimals)]


def _rounds(report: Mapping[str, Any], names: Mapping[str, str]) -> RenderableType:
    columns = (
        ">round",
        ">accuracy",
        ">time",
        ">update bytes",
        ">model bytes",
        "poster",
        *(f">{k} gas" for k in KINDS),
    )
    rows = [
        (
            each["round"],
            f"{each['accuracy']:.2%}" if each["accuracy"] is not None else "",
            f"{each['seconds']:.1f} s" if each["seconds"] is not None else "",
            f"{each['update_bytes']:,}",
            f"{each['result_bytes']:,}",
            names.get(each["poster"], each["poster"]),
            *(f"{each['gas'][kind]:,}" if kind in each["gas"] else "" for kind in KINDS),
        )
        for each in report["rounds"]
    ]
    return table(columns, rows, title="Rounds")


def _gas(report: Mapping[str, Any]) -> RenderableType:
    by_kind: defaultdict[str, list[int]] = defaultdict(list)
    for each in report["transactions"]:
        by_kind[each["what"]].append(each["gas_used"])
    rows = [
        (kind, len(gas), f"{min(gas):,}", f"{max(gas):,}", f"{sum(gas):,}")
        for kind, gas in sorted(by_kind.items(), key=lambda item: -sum(item[1]))
    ]
    rows.append(("all", sum(r[1] for r in rows), "", "", f"{sum(map(sum, by_kind.values())):,}"))
    return table(("transaction", ">sent", ">least gas", ">most gas", ">gas in all"), rows, title="Gas")


def _accounts(report: Mapping[str, Any], decimals: int) -> RenderableType:
    columns = ("account", "address", ">stake", ">bond", ">reward", ">penalty", ">in hand", "reputation")
    rows = [
        (
            each["name"],
            each["address"],
            *(
                _amount(each[f"{key}_units"], decimals)
                for key in ("stake", "bond", "reward", "penalty", "tokens")
            ),
            _reputation(each["reputation"]),
        )
        for each in report["accounts"]
    ]
    return table(columns, rows, title="Accounts (tokens)")


def _amount(units: int, decimals: int) -> str:
    return format_amount(units, decimals) if units else ""


def _reputation(counts: Mapping[str, int]) -> str:
    if not any(counts.values()):
        return ""
    text = f"{counts['included']}/{counts['submitted']} included"
    return f"{text}, {counts['slashed']} convictions" if counts["slashed"] else text
