"""The schema of a manifest: each part with its reader (from hostile JSON) and its writer.

Numbers that are not integers are decimal strings ("0.05"), 16.16 fixed point is its integer, and `bound2` is
a string, since other languages' JSON readers lose integers above 2^53.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from steelyard.core.cid import Cid
from steelyard.core.encoding_spec import ENCODINGS, Encoding
from steelyard.core.numbers import MAX_BLOCKS, ONE
from steelyard.core.rules import MAX_ENERGY, MAX_LR, MAX_WEIGHT, RULES, AggregationConfig, Rule
from steelyard.errors import CidError
from steelyard.jobs import membership
from steelyard.jobs.canonical_json import JsonNode

ENCODING_NAMES = tuple(spec.name for spec in ENCODINGS)
RULE_NAMES = tuple(spec.name for spec in RULES)
OPTIMIZERS = ("sgd", "adam")
SCHEDULES = ("constant", "linear", "cosine")
MAX_ROWS = 2**32
MAX_FILE = 2**40  # bytes of a shard

_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,5})(\.[0-9]{1,9})?")
_FACTOR = re.compile(r"0(\.[0-9]{1,9})?|1")
_HASH = re.compile(r"0x[0-9a-f]{64}")
_ACCOUNT = re.compile(r"0x[0-9a-f]{40}")
_UINT96 = re.compile(r"0|[1-9][0-9]{0,28}")
_CID = re.compile(r"b[a-z2-7]{58}")


def read_cid(node: JsonNode) -> str:
    """A CID that the contracts can express."""
    cid = node.text(_CID, "a CIDv1 in base32")
    try:
        Cid.parse(cid)
    except CidError:
        node.fail("is not a CIDv1 with sha2-256, as raw or dag-pb")
    return cid


def read_step(node: JsonNode) -> AggregationConfig:
    """The arithmetic of a job. Raises ManifestError for an unknown name or a number out of range."""
    got = node.fields(("block_count", "encoding", "rule", "trim", "beta", "lr", "bound2"))
    rule = Rule[got["rule"].choice(RULE_NAMES).upper()]
    bound2 = int(got["bound2"].text(_UINT96, "a decimal integer below 2^96"))
    if bound2 > MAX_ENERGY:
        got["bound2"].fail("is not a decimal integer below 2^96")
    return AggregationConfig(
        block_count=got["block_count"].integer(1, MAX_BLOCKS),
        encoding=Encoding[got["encoding"].choice(ENCODING_NAMES).upper()],
        rule=rule,
        trim=got["trim"].integer(0, RULES[rule].max_trim),
        beta=got["beta"].integer(0, ONE),
        lr=got["lr"].integer(0, MAX_LR),
        bound2=bound2,
    )


def step_json(step: AggregationConfig) -> dict[str, object]:
    """The JSON that `read_step` reads."""
    names = {
        "encoding": step.encoding.spec.name,
        "rule": RULES[step.rule].name,
        "bound2": str(step.bound2),
    }
    return {**asdict(step), **names}


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A file of rows in the store."""

    cid: str
    rows: int
    size: int  # bytes

    @classmethod
    def read(cls, node: JsonNode) -> DataFile:
        got = node.fields(("cid", "rows", "size"))
        rows = got["rows"].integer(1, MAX_ROWS)
        return cls(cid=read_cid(got["cid"]), rows=rows, size=got["size"].integer(1, MAX_FILE))

    def json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One member's place: a data file with its weight and, in a job by invitation, who may take it."""

    index: int  # its position in the manifest's list
    cid: str  # empty, by invitation only, if the member keeps its data at home
    weight: int  # 1 to 2^20 - 1
    rows: int
    size: int  # bytes; 0 of data at home
    account: str = ""  # lower-case hex address, by invitation only

    @classmethod
    def read(cls, node: JsonNode, index: int, *, invited: bool) -> Shard:
        names = ("index", "cid", "weight", "rows", "size") + (("account",) if invited else ())
        got = node.fields(names)
        at_home = invited and got["cid"].value == ""
        return cls(
            index=got["index"].integer(index, index),
            cid="" if at_home else read_cid(got["cid"]),
            weight=got["weight"].integer(1, MAX_WEIGHT),
            rows=got["rows"].integer(1, MAX_ROWS),
            size=got["size"].integer(0, 0) if at_home else got["size"].integer(1, MAX_FILE),
            account=got["account"].text(_ACCOUNT, "a lower-case address") if invited else "",
        )

    def json(self) -> dict[str, object]:
        return {name: value for name, value in asdict(self).items() if name != "account" or value}

    def leaf(self) -> bytes:
        """Its leaf in the job's tree of members."""
        if self.account:
            return membership.invitation_leaf(self.account, self.weight, self.cid)
        return membership.shard_leaf(self.index, self.cid, self.weight)


@dataclass(frozen=True, kw_only=True)
class InitialModel:
    """The model that the first round starts from: a state file and the root of its state tree."""

    cid: str
    root: bytes

    @classmethod
    def read(cls, node: JsonNode) -> InitialModel:
        got = node.fields(("cid", "root"))
        root = got["root"].text(_HASH, "32 bytes in lower-case hex")
        return cls(cid=read_cid(got["cid"]), root=bytes.fromhex(root[2:]))

    def json(self) -> dict[str, object]:
        return {"cid": self.cid, "root": "0x" + self.root.hex()}


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a worker trains in one round."""

    local_epochs: int = 1
    batch_size: int = 64
    optimizer: str = "sgd"
    learning_rate: str = "0.05"
    schedule: str = "constant"  # of the learning rate within a round
    round_decay: str = "1"  # the learning rate's factor from one round to the next, 0 to 1
    momentum: str = "0.9"
    weight_decay: str = "0"
    clip_norm: str = "2"  # longest gradient of a step, 0 = any: without it, skewed shards can diverge
    max_rows: int = 0  # rows that one epoch draws, 0 = all
    seed: int = 1

    @classmethod
    def read(cls, node: JsonNode) -> TrainingConfig:
        got = node.fields(tuple(cls.__dataclass_fields__))
        return cls(
            local_epochs=got["local_epochs"].integer(1, 1000),
            batch_size=got["batch_size"].integer(1, 1 << 16),
            optimizer=got["optimizer"].choice(OPTIMIZERS),
            learning_rate=got["learning_rate"].text(_DECIMAL, "a decimal number as a string"),
            schedule=got["schedule"].choice(SCHEDULES),
            round_decay=got["round_decay"].text(_FACTOR, "a decimal number up to 1 as a string"),
            momentum=got["momentum"].text(_DECIMAL, "a decimal number as a string"),
            weight_decay=got["weight_decay"].text(_DECIMAL, "a decimal number as a string"),
            clip_norm=got["clip_norm"].text(_DECIMAL, "a decimal number as a string"),
            max_rows=got["max_rows"].integer(0, MAX_ROWS),
            seed=got["seed"].integer(0, 2**32 - 1),
        )

    def json(self) -> dict[str, object]:
        return asdict(self)
