"""Refusals of the rules; inputs that do not fit together are named."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from steelyard.core import aggregation, encodings
from steelyard.core.encodings import Encoding
from steelyard.core.rules import MAX_WEIGHT, ONE, AggregationConfig, Rule, WeightTable
from steelyard.errors import FormatError, RuleError
from support.core_rounds import make_round


@pytest.mark.parametrize(
    "field",
    [
        {"block_count": 0},
        {"block_count": 2**28 + 1},
        {"trim": -1},
        {"trim": 128},
        {"beta": ONE + 1},
        {"beta": -1},
        {"lr": 2**24 + 1},
        {"lr": -1},
        {"bound2": -1},
        {"bound2": 2**96},
    ],
)
def test_a_step_out_of_range_is_refused_by_name(field: dict[str, int]) -> None:
    with pytest.raises(RuleError, match=next(iter(field))):
        AggregationConfig(**{"block_count": 1, "encoding": Encoding.RAW32, **field})


@pytest.mark.parametrize(
    ("rule", "trim", "updates", "dropped"),
    [
        (Rule.FEDAVG, 9, 1, 0),
        (Rule.TRIMMED_MEAN, 1, 3, 1),
        (Rule.MEDIAN, 0, 1, 0),
        (Rule.MEDIAN, 0, 2, 0),
        (Rule.MEDIAN, 0, 3, 1),
        (Rule.MEDIAN, 0, 256, 127),
    ],
)
def test_what_is_trimmed(rule: Rule, trim: int, updates: int, dropped: int) -> None:
    step = AggregationConfig(block_count=1, encoding=Encoding.RAW32, rule=rule, trim=trim)
    assert step.trim_for(updates) == dropped


@pytest.mark.parametrize("updates", [1, 2])
def test_trimming_everything_is_refused(updates: int) -> None:
    step = AggregationConfig(block_count=1, encoding=Encoding.RAW32, rule=Rule.TRIMMED_MEAN, trim=1)
    with pytest.raises(RuleError, match="leaves none"):
        step.trim_for(updates)


@pytest.mark.parametrize("weights", [(), (0,), (MAX_WEIGHT + 1,), (-1,), (1,) * 257])
def test_a_table_refuses_weights_and_counts_outside_the_protocol(weights: tuple[int, ...]) -> None:
    with pytest.raises(RuleError, match="weight"):
        WeightTable(weights, (ONE,) * len(weights))


def test_a_table_refuses_a_factor_too_few() -> None:
    with pytest.raises(RuleError, match="factors"):
        WeightTable((1, 2), (ONE,))


def _inputs(tmp_path: Path, **changes: Any) -> aggregation.Inputs:
    made = make_round(
        random.Random(1), tmp_path, Rule.FEDAVG, Encoding.BFP8, 4, n=2, beta=changes.pop("made", 0)
    )
    fields: dict[str, Any] = {
        "step": made.step,
        "state": made.inputs.state,
        "momentum": made.inputs.momentum,
        "updates": made.inputs.updates,
        "weights": (1, 2),
        **changes,
    }
    return aggregation.Inputs(**fields)


def test_a_momentum_that_is_missing_or_too_much_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="momentum file is missing"):
        _inputs(tmp_path, made=ONE, momentum=None)
    with pytest.raises(RuleError, match="new momentum"):
        aggregation.aggregate(_inputs(tmp_path), out_state=tmp_path / "o", out_momentum=tmp_path / "m")
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("other", [{"encoding": Encoding.BFP4}, {"block_count": 5}])
def test_updates_of_another_shape_are_refused(other: dict[str, Any], tmp_path: Path) -> None:
    step = AggregationConfig(**{"block_count": 4, "encoding": Encoding.BFP8, **other})
    with pytest.raises(RuleError, match="another job"):
        _inputs(tmp_path, step=step)


def test_no_updates_make_no_result(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="leaves none"):
        _inputs(tmp_path, updates=(), weights=())


def test_committed_energies_decide_the_factors_where_they_are_given(tmp_path: Path) -> None:
    step = AggregationConfig(block_count=4, encoding=Encoding.BFP8, bound2=100)
    table = _inputs(tmp_path, step=step, energies=(400, 100)).table()
    assert table.factors == (32768, ONE)


@pytest.mark.parametrize("shape", [(32,), (2, 31), (1, 2, 32)])
def test_blocks_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    import numpy as np

    with pytest.raises(FormatError, match="shape"):
        encodings.encode(np.zeros(shape, np.int32), Encoding.RAW32)


def test_encodings_are_found_by_name() -> None:
    assert [Encoding.from_name(n) for n in ("raw32", "bfp8", "BFP4")] == list(Encoding)
    with pytest.raises(FormatError, match="fp16"):
        Encoding.from_name("fp16")
