"""Manifests: canonical, bounded, checked against the chain."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.core.encodings import Encoding
from steelyard.core.rules import AggregationConfig, Rule
from steelyard.errors import ManifestError
from steelyard.jobs import canonical_json
from steelyard.jobs import membership as merkle
from steelyard.jobs.manifest import JobFacts, Manifest
from support import jobs

GOOD = jobs.manifest()
TREE: dict[str, Any] = json.loads(GOOD.encode())


def facts(manifest: Manifest = GOOD) -> JobFacts:
    return JobFacts(
        step=manifest.step,
        membership=manifest.membership,
        member_root=manifest.member_root(),
        state_root=manifest.initial.root,
    )


def changed(path: str, value: object) -> bytes:
    """The good manifest with one value replaced, in canonical form."""
    tree = copy.deepcopy(TREE)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    node: Any = tree
    for part in parents:
        node = node[part]
    node[last] = value
    return canonical_json.dump(tree)


@pytest.mark.parametrize("membership", ["open", "shards", "invitations"])
def test_what_is_encoded_parses_to_the_same(membership: str) -> None:
    manifest = jobs.manifest(membership=membership)
    assert Manifest.parse(manifest.encode()) == manifest


def test_the_encoding_has_sorted_keys_no_spaces_and_no_floats() -> None:
    data = GOOD.encode()
    assert data == json.dumps(TREE, sort_keys=True, separators=(",", ":")).encode()
    assert json.loads(data, parse_float=pytest.fail) == TREE


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"a":"\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 10_000,
        b"9" * 10_000,
        b" " + GOOD.encode(),
        GOOD.encode() + b"\n",
        GOOD.encode().replace(b'"batch_size":8', b'"batch_size":8.0'),
        GOOD.encode().replace(b'"batch_size":8', b'"batch_size":NaN'),
        GOOD.encode().replace(b'"batch_size":8', b'"batch_size":1e999'),
        GOOD.encode().replace(b'"batch_size":8', b'"batch_size":8,"batch_size":8'),
        b'{"a":"' + b"x" * canonical_json.MAX_BYTES + b'"}',
    ],
    ids=range(16),
)
def test_bytes_that_are_no_canonical_json_are_refused(data: bytes) -> None:
    with pytest.raises(ManifestError):
        Manifest.parse(data)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("version", 2, "version"),
        ("version", True, "version"),
        ("name", "a\x1b[31mred", "name"),
        ("name", "x" * 101, "name"),
        ("name", "abc\u202egpj", "name"),
        ("recipe", "../image-cnn", "recipe"),
        ("surprise", 1, "surprise"),
        ("architecture", [1], "architecture"),
        ("architecture.filters", [-1, 2], "filters"),
        ("architecture.filters", [[1]], "filters"),
        ("architecture.mean", None, "mean"),
        ("architecture.mean", 1 << 5000, "mean"),
        ("tensors", [], "tensors"),
        ("tensors.0.name", "__metadata__", "name"),
        ("tensors.0.name", "conv2.weight", "tensor twice"),
        ("tensors.0.shape", [1 << 40, 1 << 40], "shape"),
        ("tensors.0.shape", [0], "shape"),
        ("tensors.0.shape", [1] * 9, "shape"),
        ("tensors.0.scale_bits", 31, "scale_bits"),
        ("step.block_count", 0, "block_count"),
        ("step.block_count", TREE["step"]["block_count"] + 1, "blocks"),
        ("step.encoding", "raw64", "encoding"),
        ("step.encoding", ["bfp8"], "encoding"),
        ("step.rule", "krum", "rule"),
        ("step.trim", 1, "trim"),
        ("step.beta", 65537, "beta"),
        ("step.lr", (1 << 24) + 1, "lr"),
        ("step.bound2", "-1", "bound2"),
        ("step.bound2", str(1 << 96), "bound2"),
        ("step.bound2", 7, "bound2"),
        ("membership", "closed", "membership"),
        ("membership", "open", "members"),
        ("shards", [], "members"),
        ("shards", {}, "shards"),
        ("shards.0.index", 1, "index"),
        ("shards.0.cid", "bafkrei" + "a" * 51, "cid"),
        ("shards.0.cid", jobs.cid_of("x").upper(), "cid"),
        ("shards.0.cid", jobs.cid_of("x", codec=0x71), "cid"),
        ("shards.0.weight", 0, "weight"),
        ("shards.0.weight", 1 << 20, "weight"),
        ("shards.0.account", "0x" + "1" * 40, "account"),
        ("test.rows", 0, "rows"),
        ("initial.root", "0x00", "root"),
        ("training.seed", -1, "seed"),
        ("training.learning_rate", "1e-3", "learning_rate"),
        ("training.learning_rate", "nan", "learning_rate"),
        ("training.round_decay", "1.1", "round_decay"),
        ("training.optimizer", "lion", "optimizer"),
        ("training.local_epochs", 10**9, "local_epochs"),
    ],
)
def test_a_bad_value_is_refused_and_named(path: str, value: object, named: str) -> None:
    with pytest.raises(ManifestError, match=named) as caught:
        Manifest.parse(changed(path, value))
    assert len(str(caught.value)) < 500
    assert caught.value.remedy


@pytest.mark.parametrize("key", sorted(TREE))
def test_a_missing_field_is_refused_and_named(key: str) -> None:
    tree = {name: value for name, value in TREE.items() if name != key}
    with pytest.raises(ManifestError, match=key):
        Manifest.parse(canonical_json.dump(tree))


def test_no_list_may_be_longer_than_its_limit() -> None:
    many = [{**TREE["shards"][0], "index": i} for i in range((1 << 14) + 1)]
    with pytest.raises(ManifestError, match="16385"):
        Manifest.parse(changed("shards", many))


def at_home(membership: str, size: int = 0) -> bytes:
    """A job's manifest in which the second member's data has no CID."""
    tree = json.loads(jobs.manifest(membership=membership).encode())
    tree["shards"][1].update(cid="", size=size)
    return canonical_json.dump(tree)


def test_only_the_invited_keep_their_data_at_home() -> None:
    read = Manifest.parse(at_home("invitations"))
    assert (read.shards[1].cid, read.shards[1].weight) == ("", 101)
    assert read.encode() == at_home("invitations")
    with pytest.raises(ManifestError, match=r"shards\[1\]\.cid"):
        Manifest.parse(at_home("shards"))
    with pytest.raises(ManifestError, match=r"shards\[1\]\.size"):
        Manifest.parse(at_home("invitations", size=5))


def test_an_account_is_invited_once() -> None:
    tree = json.loads(jobs.manifest(membership="invitations").encode())
    tree["shards"][1]["account"] = tree["shards"][0]["account"]
    with pytest.raises(ManifestError, match="twice"):
        Manifest.parse(canonical_json.dump(tree))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def paths(node: object, here: str = "") -> list[str]:
    """Every place in the tree."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    below = [path for key, value in inner for path in paths(value, f"{here}.{key}".lstrip("."))]
    return ([here] if here else []) + below


@settings(max_examples=300, deadline=None)
@given(path=st.sampled_from(paths(TREE)), value=json_values)
def test_any_value_anywhere_is_read_or_refused(path: str, value: object) -> None:
    read_or_refused(changed(path, value))


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200) | json_values.map(lambda v: json.dumps(v).encode()))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read_or_refused(data)


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, len(GOOD.encode()) - 1), byte=st.integers(0, 255), cut=st.booleans())
def test_any_changed_byte_is_read_or_refused(position: int, byte: int, cut: bool) -> None:
    data = GOOD.encode()
    read_or_refused(data[:position] + bytes([byte]) + (b"" if cut else data[position + 1 :]))


def read_or_refused(data: bytes) -> None:
    """Parse. What is accepted says what was written; all else is a ManifestError and no other error."""
    try:
        manifest = Manifest.parse(data)
    except ManifestError:
        return
    assert manifest.encode() == data


class TestAgainstTheChain:
    def test_equal_facts_pass(self) -> None:
        GOOD.check_against_chain(facts())

    @pytest.mark.parametrize(
        ("field", "value", "shown"),
        [
            ("block_count", 99, "99"),
            ("encoding", Encoding.RAW32, "raw32"),
            ("rule", Rule.MEDIAN, "median"),
            ("trim", 1, "1"),
            ("beta", 7, "7"),
            ("lr", 8, "8"),
            ("bound2", 9, "9"),
        ],
    )
    def test_another_step_is_named_with_both_values(self, field: str, value: object, shown: str) -> None:
        step: AggregationConfig = dataclasses.replace(GOOD.step, **{field: value})  # type: ignore[arg-type]
        with pytest.raises(ManifestError, match=f"step.{field} = .*, the chain says {shown}") as caught:
            GOOD.check_against_chain(dataclasses.replace(facts(), step=step))
        assert "do not join" in str(caught.value)

    @pytest.mark.parametrize(
        ("field", "named"),
        [("member_root", "member_root"), ("state_root", "initial.root")],
    )
    def test_another_root_is_named_with_both_values(self, field: str, named: str) -> None:
        other = dataclasses.replace(facts(), **{field: b"\2" * 32})  # type: ignore[arg-type]
        with pytest.raises(ManifestError, match=f"{named} = 0x.*, the chain says 0x0202"):
            GOOD.check_against_chain(other)

    def test_another_membership_is_named_with_both_values(self) -> None:
        with pytest.raises(ManifestError, match="membership = shards, the chain says open"):
            GOOD.check_against_chain(dataclasses.replace(facts(), membership="open"))


class TestMembers:
    def test_each_shard_has_a_proof_for_the_root(self) -> None:
        for position, shard in enumerate(GOOD.shards):
            assert merkle.merkle_verify(shard.leaf(), GOOD.member_proof(position), GOOD.member_root())

    def test_an_open_job_has_the_zero_root(self) -> None:
        assert jobs.manifest(membership="open").member_root() == bytes(32)

    def test_an_invitation_is_found_by_account_whatever_its_case(self) -> None:
        manifest = jobs.manifest(membership="invitations")
        account = manifest.shards[1].account
        assert manifest.shard_of(account.upper().replace("0X", "0x")) == manifest.shards[1]

    def test_an_uninvited_account_is_told_so(self) -> None:
        with pytest.raises(ManifestError, match="not invited"):
            jobs.manifest(membership="invitations").shard_of("0x" + "9" * 40)
