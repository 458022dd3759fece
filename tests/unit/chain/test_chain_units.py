"""Amounts written for people."""

from __future__ import annotations

from steelyard.chain.units import format_ether, format_gwei


def test_ether_is_rounded_to_the_gwei_and_exact_below() -> None:
    amounts = {
        0: "0 ETH",
        1: "0.000000000000000001 ETH",
        10**18: "1 ETH",
        15 * 10**14: "0.0015 ETH",
        10**9 + 1: "0.000000001 ETH",
        12_345 * 10**18 + 1: "12,345 ETH",
    }
    assert {wei: format_ether(wei) for wei in amounts} == amounts
    assert format_gwei(1_234_567_891) == "1.23457 gwei"
