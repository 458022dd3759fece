"""Every worked case of tests/vectors/numbers.json, bit for bit."""

from __future__ import annotations

import json
import struct
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.core import (
    aggregation,
    encodings,
    numbers,
    rules,
    state_file,
    trees,
    update_file,
    update_writer,
)
from steelyard.core.encodings import Encoding
from steelyard.core.rules import AggregationConfig, Rule, WeightTable
from steelyard.errors import FormatError

pytestmark = pytest.mark.usefixtures("core")
VECTORS = Path(__file__).parents[2] / "vectors" / "numbers.json"


@cache
def vectors() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(VECTORS.read_text())
    return loaded


def edges(name: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = vectors()["edges"][name]
    return listed


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def padded(values: list[int]) -> np.ndarray[Any, Any]:
    count = numbers.block_count(len(values))
    out = np.zeros(count * 32, np.int32)
    out[: len(values)] = values
    return out


@pytest.mark.parametrize("case", vectors()["quantize"])
def test_quantize(case: dict[str, Any]) -> None:
    x = np.array(struct.unpack(">f", raw(case["x_f32_hex"])), np.float32)
    assert numbers.quantize(x, case["scale_bits"]).tolist() == [case["q"]]


@pytest.mark.parametrize("case", edges("rdiv"))
def test_rdiv(case: dict[str, Any]) -> None:
    a, d = int(case["a"]), int(case["d"])
    assert numbers.rdiv(a, d) == int(case["result"])
    if abs(a) < 2**61 and d < 2**60:
        assert numbers.rdiv_array(np.array([a]), d).tolist() == [int(case["result"])]


@pytest.mark.parametrize("case", edges("clip_factor"))
def test_clip_factor(case: dict[str, Any]) -> None:
    assert numbers.clip_factor(int(case["energy"]), int(case["bound2"])) == case["factor"]


@pytest.mark.parametrize("case", edges("decode"))
def test_decode(case: dict[str, Any]) -> None:
    block, encoding = raw(case["block"]), Encoding(case["encoding"])
    assert trees.block_leaf(block) == raw(case["leaf"])
    if case["values"] is None:
        with pytest.raises(FormatError):
            encodings.decode_block(block, encoding)
        assert encodings.counted_values(block, encoding) == encodings.ZEROS
    else:
        assert list(encodings.decode_block(block, encoding)) == case["values"]


@pytest.mark.parametrize("case", edges("encode"))
@pytest.mark.parametrize("encoding", list(Encoding))
def test_encode(case: dict[str, Any], encoding: Encoding) -> None:
    values = np.array(case["values"], np.int32)
    assert encodings.encode_block(values, encoding) == raw(case["blocks"][encoding])


@pytest.mark.parametrize("case", edges("step"))
def test_server_step(case: dict[str, Any]) -> None:
    step = AggregationConfig(block_count=1, encoding=Encoding.RAW32, beta=case["beta"], lr=case["lr"])
    got = [rules.step_value(step, *v) for v in zip(case["W"], case["momentum"], case["mean"], strict=True)]
    assert [g[0] for g in got] == case["W_next"]
    assert [g[1] for g in got] == case["momentum_next"]


@pytest.mark.parametrize("case", edges("trees"))
def test_update_file_tree_and_seal(case: dict[str, Any], tmp_path: Path) -> None:
    values, encoding = padded(case["values"]), Encoding(case["encoding"])
    terms = {
        "encoding": encoding,
        "job": case["job"],
        "serial": case["serial"],
        "block_count": len(values) // 32,
    }
    written = update_writer.write_update(tmp_path / "u", delta=values, **terms)
    assert (tmp_path / "u").read_bytes() == raw(case["file"])
    root = update_file.open_update(tmp_path / "u", **terms).summary.root
    assert written.root == root
    assert root.tree_hash == raw(case["tree"])
    assert root.energy == int(case["energy"])
    assert root.digest() == raw(case["update_root"])
    sealed = trees.sealed_root(
        chain_id=case["chain_id"],
        coordinator=raw(case["coordinator"]),
        job=case["job"],
        serial=case["serial"],
        worker=raw(case["worker"]),
        update_root=root.digest(),
    )
    assert sealed == raw(case["sealed_root"])


class _Round:
    """One round of the vectors as files."""

    def __init__(self, case: dict[str, Any], folder: Path) -> None:
        self.case, self.folder = case, folder
        self.count = numbers.block_count(case["params"])
        state_file.write_state(folder / "w", padded(case["W"]), self.count)
        state_file.write_state(folder / "m", padded(case["momentum"]), self.count)

    def update(self, encoding: Encoding, index: int) -> update_file.UpdateFile:
        path = self.folder / f"{encoding.name}-{index}"
        terms = {"encoding": encoding, "job": 1, "serial": 2, "block_count": self.count}
        update_writer.write_update(path, delta=padded(self.case["deltas"][index]), **terms)
        return update_file.open_update(path, **terms)

    def run(
        self, *, momentum: bool, **changes: Any
    ) -> tuple[aggregation.AggregationResult, list[int], list[int]]:
        fields: dict[str, Any] = {"block_count": self.count, "encoding": Encoding.RAW32, **changes}
        if momentum:
            fields["beta"] = self.case["beta"]
        inputs = aggregation.open_inputs(
            AggregationConfig(**fields),
            state=self.folder / "w",
            momentum=self.folder / "m" if momentum else None,
            updates=[self.update(Encoding.RAW32, i) for i in range(self.case["workers"])],
            weights=self.case["weights"],
        )
        out, out_m = self.folder / "w2", self.folder / "m2"
        result = aggregation.aggregate(inputs, out_state=out, out_momentum=out_m if momentum else None)
        new = state_file.open_state(out, self.count).values().tolist()
        return result, new, state_file.open_state(out_m, self.count).values().tolist() if momentum else []


@pytest.mark.parametrize("case", vectors()["rounds"], ids=lambda c: f"seed{c['seed']}")
class TestRounds:
    def test_state_root(self, case: dict[str, Any], tmp_path: Path) -> None:
        made = _Round(case, tmp_path)
        assert state_file.open_state(tmp_path / "w", made.count).root() == raw(case["state_root_W"])

    def test_updates(self, case: dict[str, Any], tmp_path: Path) -> None:
        made = _Round(case, tmp_path)
        for encoding in Encoding:
            for i, expected in enumerate(case["updates"][encoding.name.lower()]):
                update = made.update(encoding, i)
                assert update.values().reshape(-1)[: case["params"]].tolist() == expected["decoded"]
                assert update.summary.root.tree_hash == raw(expected["tree"])
                assert update.summary.root.energy == int(expected["energy"])
                assert update.summary.update_root == raw(expected["update_root"])

    def test_means(self, case: dict[str, Any], tmp_path: Path) -> None:
        made, size = _Round(case, tmp_path), case["params"]
        state_file.write_state(tmp_path / "w", np.zeros(made.count * 32, np.int32), made.count)
        for name, changes in {
            "fedavg": {},
            "trimmed_mean": {"rule": Rule.TRIMMED_MEAN, "trim": case["trim"]},
            "median": {"rule": Rule.MEDIAN},
        }.items():
            assert made.run(momentum=False, **changes)[1][:size] == case[name]

    def test_step_with_momentum(self, case: dict[str, Any], tmp_path: Path) -> None:
        _, state, momentum = _Round(case, tmp_path).run(momentum=True, lr=case["lr"])
        assert state[: case["params"]] == case["W_next"]
        assert momentum[: case["params"]] == case["momentum_next"]

    def test_clipped(self, case: dict[str, Any], tmp_path: Path) -> None:
        made, clipped = _Round(case, tmp_path), case["clipped"]
        bound2 = int(case["clip_bound2"])
        result, state, momentum = made.run(momentum=True, bound2=bound2, lr=case["lr"])
        assert list(result.table.factors) == case["clip_factors"]
        assert state[: case["params"]] == clipped["W_next"]
        assert momentum[: case["params"]] == clipped["momentum_next"]
        assert result.roots.state == raw(clipped["state_root_next"])
        assert result.roots.momentum == raw(clipped["momentum_root_next"])
        assert result.roots.transcript == raw(clipped["transcript_root_raw32"])
        assert result.table_hash == raw(clipped["table"])
        state_file.write_state(tmp_path / "w", np.zeros(made.count * 32, np.int32), made.count)
        assert made.run(momentum=False, bound2=bound2)[1][: case["params"]] == clipped["fedavg"]


@pytest.mark.parametrize("case", edges("transcript_without_momentum"))
def test_transcript_without_momentum(case: dict[str, Any], tmp_path: Path) -> None:
    count = len(case["old"])
    encoding = Encoding.BFP8
    terms = {"encoding": encoding, "job": 1, "serial": 1, "block_count": count}
    opened = []
    for i, update in enumerate(case["updates"]):
        bits = np.packbits([block != "0x" for block in update]).tobytes()
        body = b"".join(raw(block) for block in update)
        (tmp_path / f"{i}").write_bytes(update_file.header_of(**terms) + bits + body)
        opened.append(update_file.open_update(tmp_path / f"{i}", **terms))
    (tmp_path / "old").write_bytes(b"".join(map(raw, case["old"])))
    (tmp_path / "new").write_bytes(b"".join(map(raw, case["new"])))
    inputs = aggregation.open_inputs(
        AggregationConfig(block_count=count, encoding=encoding),
        state=tmp_path / "old",
        momentum=None,
        updates=opened,
        weights=case["weights"],
    )
    posted = aggregation.PostedResult(state=state_file.open_state(tmp_path / "new", count), momentum=None)
    assert aggregation.roots_of(inputs, posted).transcript == raw(case["root"])
    assert WeightTable(tuple(case["weights"]), tuple(case["factors"])).digest() == raw(case["table"])
