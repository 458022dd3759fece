"""Quantization, rounding and clamping against exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core import numbers
from steelyard.errors import QuantizeError, RuleError
from support import core_reference as ref

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
int32s = st.integers(-numbers.INT_MAX, numbers.INT_MAX)


@given(floats, st.integers(0, 30))
def test_quantize_rounds_the_exact_product_half_to_even(x: float, bits: int) -> None:
    assert numbers.quantize(np.array([x], np.float32), bits).tolist() == [ref.quantize(x, bits)]


@given(int32s, st.integers(0, 30))
def test_dequantize_is_the_nearest_float32_ties_to_even(q: int, bits: int) -> None:
    exact, got = Fraction(q, 2**bits), numbers.dequantize(np.array([q], np.int32), bits)
    value = float(got[0])
    for other in (np.nextafter(got[0], np.float32(np.inf)), np.nextafter(got[0], np.float32(-np.inf))):
        mine, its = abs(Fraction(value) - exact), abs(Fraction(float(other)) - exact)
        assert mine < its or (mine == its and int(got.view(np.uint32)[0]) % 2 == 0)


@given(st.integers(-(2**24), 2**24), st.integers(0, 30))
def test_small_values_survive_the_way_there_and_back(q: int, bits: int) -> None:
    back = numbers.dequantize(np.array([q], np.int32), bits)
    assert numbers.quantize(back, bits).tolist() == [q]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_quantize_names_the_tensor_and_place_of_what_is_not_finite(bad: float) -> None:
    x = np.zeros((3, 4), np.float32)
    x[1, 2] = bad
    with pytest.raises(QuantizeError, match=r"conv1\.weight\[6\]"):
        numbers.quantize(x, 16, "conv1.weight")


@pytest.mark.parametrize("bits", [-1, 31])
def test_scale_bits_outside_their_range_are_refused(bits: int) -> None:
    with pytest.raises(QuantizeError, match="scale bits"):
        numbers.quantize(np.zeros(1, np.float32), bits)
    with pytest.raises(QuantizeError, match="scale bits"):
        numbers.dequantize(np.zeros(1, np.int32), bits)


def test_quantize_finds_the_place_in_a_large_tensor() -> None:
    x = np.zeros(2**18 + 9, np.float32)
    x[2**18 + 4] = math.nan
    with pytest.raises(QuantizeError, match=r"w\[262148\]"):
        numbers.quantize(x, 16, "w")
    x[2**18 + 4] = 0.5
    assert np.flatnonzero(numbers.quantize(x, 16)).tolist() == [2**18 + 4]


def test_quantize_flattens_in_c_order_whatever_the_memory_layout() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert numbers.quantize(np.asfortranarray(x), 0).tolist() == [0, 1, 2, 3, 4, 5]
    assert numbers.quantize(x.T, 0).tolist() == [0, 3, 1, 4, 2, 5]


@given(st.integers(-(2**60), 2**60), st.integers(1, 2**40))
def test_rdiv_rounds_half_away_from_zero(a: int, d: int) -> None:
    expected = math.floor(Fraction(abs(a), d) + Fraction(1, 2)) * (1 if a >= 0 else -1)
    assert numbers.rdiv(a, d) == expected
    assert numbers.rdiv_array(np.array([a]), d).tolist() == [expected]


@pytest.mark.parametrize("d", [0, -1])
def test_rdiv_by_what_is_not_positive_is_refused(d: int) -> None:
    with pytest.raises(RuleError, match="divisors"):
        numbers.rdiv(1, d)
    with pytest.raises(RuleError, match="divisors"):
        numbers.rdiv_array(np.array([1]), d)


@given(int32s, int32s, st.none() | int32s)
def test_an_update_is_the_clamped_difference_with_the_residual(
    local: int, base: int, residual: int | None
) -> None:
    rest = None if residual is None else np.array([residual], np.int32)
    delta = numbers.feedback_delta(np.array([local], np.int32), np.array([base], np.int32), rest)
    assert delta.tolist() == [ref.clamp(local - base + (residual or 0))]


@given(st.integers(0, 2**96 - 1), st.integers(0, 2**96 - 1))
def test_clip_factor_never_lets_an_update_past_its_bound(energy: int, bound2: int) -> None:
    factor = numbers.clip_factor(energy, bound2)
    assert factor == ref.factor(energy, bound2)
    if bound2 and energy:
        assert factor == numbers.ONE or energy * factor**2 <= bound2 << 32


@pytest.mark.parametrize(("values", "blocks"), [(0, 1), (1, 1), (32, 1), (33, 2), (2**33, 2**28)])
def test_block_count(values: int, blocks: int) -> None:
    assert numbers.block_count(values) == blocks


def test_a_model_of_too_many_blocks_is_refused() -> None:
    with pytest.raises(QuantizeError, match="blocks"):
        numbers.block_count(2**33 + 1)
