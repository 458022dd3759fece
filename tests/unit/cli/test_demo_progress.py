"""The demo's picture of its job, from events that several nodes tell."""

from __future__ import annotations

from typing import Any

from steelyard.cli.demo.progress import DemoProgress


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "at": 100.0, "account": "0xa", "job": 1, "serial": 1, "round": 1, **fields}


def test_what_all_nodes_tell_counts_once() -> None:
    progress = DemoProgress(names={"0xaa": "worker-1"})
    assert progress.apply("worker-1", event("opened")) == "round 1 is open"
    assert progress.apply("worker-2", event("opened")) is None
    for who in ("worker-1", "worker-2"):
        for slot in (0, 1):
            progress.apply(who, event("submission", slot=slot, cid=f"b{slot}"))
    assert progress.rounds[1].submitted == 2
    assert progress.updates[1] == ["b0", "b1"]


def test_a_void_result_is_forgotten_and_the_next_one_counts() -> None:
    progress = DemoProgress(names={"0xaa": "aggregator-1", "0xbb": "aggregator-2", "0xcc": "challenger"})
    progress.apply("challenger", event("opened"))
    post = event("post", id="0x1", poster="0xAA", cid="bwrong", included=[0, 1])
    assert "aggregator-1 posts" in str(progress.apply("challenger", post))
    void = event("void", id="0x1", poster="0xaa", cause="convicted")
    assert "void: convicted" in str(progress.apply("challenger", void))
    assert progress.rounds[1].cid == ""
    told = progress.apply("challenger", event("convicted", id="0x1", poster="0xaa", prover="0xcc", tx="0x9"))
    assert told == "round 1: challenger convicts aggregator-1 in transaction 0x9"
    progress.apply("challenger", event("post", id="0x2", poster="0xbb", cid="bright", included=[0, 1]))
    assert (progress.rounds[1].poster, progress.rounds[1].cid) == ("aggregator-2", "bright")
    assert len(progress.convictions) == 1
