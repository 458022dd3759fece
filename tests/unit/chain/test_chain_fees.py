"""Fee quotes, replacements and the daily spending limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.chain.sending.fees import Fees, bumped, check_spend, quote
from steelyard.errors import SpendLimit


@given(st.integers(0, 10**13), st.integers(0, 10**11), st.integers(1, 10**13))
def test_a_quote_keeps_below_the_ceiling_and_can_be_mined(base_fee: int, tip: int, ceiling: int) -> None:
    if base_fee > ceiling:
        with pytest.raises(SpendLimit):
            quote(base_fee, tip, ceiling)
        return
    fees = quote(base_fee, tip, ceiling)
    assert base_fee <= fees.max_fee <= ceiling
    assert fees.tip <= min(tip, fees.max_fee)


@given(st.integers(1, 10**12), st.integers(0, 10**10), st.integers(1, 10**13))
def test_a_replacement_pays_what_nodes_ask_for_or_is_none(max_fee: int, tip: int, ceiling: int) -> None:
    last = Fees(max_fee=max_fee, tip=min(tip, max_fee))
    raised = bumped(last, last, ceiling)
    if raised is None:
        assert max_fee * 1.125 > ceiling - 1
        return
    assert raised.max_fee * 10 >= last.max_fee * 11
    assert raised.tip * 10 >= last.tip * 11
    assert raised.max_fee <= ceiling


def test_a_replacement_follows_a_market_that_has_risen_more() -> None:
    raised = bumped(Fees(max_fee=10, tip=1), Fees(max_fee=100, tip=7), 1000)
    assert raised == Fees(max_fee=100, tip=7)


def test_the_daily_limit_counts_spent_and_reserved_amounts() -> None:
    check_spend(5, 5, 10)
    check_spend(10**30, 1, 0)
    with pytest.raises(SpendLimit, match="max_spend_per_day"):
        check_spend(5, 6, 10)
