"""Options behind commands, and amounts of tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.chain.units import format_amount
from steelyard.cli.arguments import forward
from steelyard.errors import ConfigError
from steelyard.operations.units import parse_amount


def test_options_of_the_root_may_stand_behind_a_command() -> None:
    got = forward(["job", "show", "1", "--json", "--network", "base", "--account=bob"])
    assert got == ["--json", "--network", "base", "--account=bob", "job", "show", "1"]


def test_what_follows_two_dashes_stays_where_it_is() -> None:
    assert forward(["content", "cid", "--", "--json"]) == ["content", "cid", "--", "--json"]


def test_an_option_at_the_end_without_its_value_is_left_for_the_parser_to_refuse() -> None:
    assert forward(["job", "list", "--network"]) == ["--network", "job", "list"]


@given(st.integers(min_value=-(10**30), max_value=10**30), st.integers(min_value=0, max_value=18))
def test_an_amount_that_is_shown_reads_back_as_itself(units: int, decimals: int) -> None:
    text = format_amount(abs(units), decimals).replace(",", "")
    assert parse_amount(text, decimals) == abs(units)


def test_amounts_are_exact() -> None:
    assert parse_amount("0.1", 18) == 10**17
    assert parse_amount("1_000", 6) == 1000 * 10**6
    assert format_amount(1_234_500_000, 6, "SYT") == "1,234.5 SYT"
    assert format_amount(-1, 18) == "-0.000000000000000001"


@pytest.mark.parametrize("text", ["", "-1", "1e3", "1,5", "ten", ".5", "1.", "0x10"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not an amount"):
        parse_amount(text, 18)


def test_an_amount_finer_than_the_token_is_refused() -> None:
    with pytest.raises(ConfigError, match="6 decimals"):
        parse_amount("0.0000001", 6)
