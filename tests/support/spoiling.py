"""Ways to change a right result so that it cannot be rebuilt from public files.

A wrong model with consistent roots is not among them: it is convicted (see `support.cheats`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from steelyard.chain.generated.structs import Result
from steelyard.core.hashing import keccak
from steelyard.core.inputs import Inputs
from steelyard.core.kernels.arrays import Bytes
from steelyard.core.numbers import STATE_BLOCK
from steelyard.core.state_file import StateFile
from steelyard.core.transcript import PostedResult, roots_of
from steelyard.core.trees import EMPTY_LEAF, NODE, TABLE, TRANSCRIPT_LEAF, depth_of, state_leaves
from steelyard.core.update_file import walk
from steelyard.nodes.files.result_files import ComputedResult
from support.rounds import Random


@dataclass(frozen=True, kw_only=True)
class Right:
    """A right result as it would be posted, with its inputs."""

    inputs: Inputs
    computed: ComputedResult
    result: Result
    published: bytes  # the file that it names
    public: tuple[bytes, ...]  # other available files: the parent's, the updates

    @property
    def new(self) -> PostedResult:
        """Its state and momentum."""
        return posted_of(self.inputs, self.published)


@dataclass(frozen=True, kw_only=True)
class Spoilt:
    """The changed result. file: served, and its CID goes into the result; None leaves the CID."""

    result: Result
    file: bytes | None = None


Spoiler = Callable[[Random, Right], Spoilt]
ROOTS = ("state_root", "momentum_root", "transcript_root", "table")


def posted_of(inputs: Inputs, published: bytes) -> PostedResult:
    """State and momentum of a published file. published: (block_count * 128,) bytes, or twice as many."""
    count, data = inputs.step.block_count, np.frombuffer(published, np.uint8)
    size = count * STATE_BLOCK
    momentum = StateFile(data[size:], count) if inputs.step.momentum else None
    return PostedResult(state=StateFile(data[:size], count), momentum=momentum)


def flip(random: Random, data: bytes) -> bytes:
    """Flip one bit."""
    spoilt = bytearray(data)
    spoilt[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
    return bytes(spoilt)


# ---------------------------------------------------------------------- fields of a right result
def a_field(random: Random, right: Right) -> Spoilt:
    """Flip a bit of one root, of the table or of the CID."""
    return _with(right, random, (*ROOTS, "digest")[int(random.integers(5))])


def several_fields(random: Random, right: Right) -> Spoilt:
    """Flip a bit in each of two to five fields."""
    names = random.permutation([*ROOTS, "digest"])[: int(random.integers(2, 6))]
    spoilt = right
    for name in names:
        spoilt = dataclasses.replace(spoilt, result=_with(spoilt, random, str(name)).result)
    return Spoilt(result=spoilt.result)


def another_hash(random: Random, right: Right) -> Spoilt:
    """Replace a hash by another one: of another field, of the parent, of nothing."""
    name = str(random.choice(ROOTS))
    right_one: bytes = getattr(right.result, name)
    roots = [getattr(right.result, each) for each in ROOTS]
    pool = [
        *roots,
        right.inputs.state.root(),
        bytes(32),
        EMPTY_LEAF,
        right.result.digest,
        right.result.parent,
    ]
    others = [each for each in pool if each != right_one]
    return _changed(right, name, others[int(random.integers(len(others)))])


def a_codec(random: Random, right: Right) -> Spoilt:
    """Replace the CID's codec by another one or by an invalid one."""
    codecs = [0x70, *(code for code in range(256) if code != right.result.codec)]
    pick = 0 if random.random() < 0.2 else int(random.integers(len(codecs)))
    return Spoilt(result=dataclasses.replace(right.result, codec=codecs[pick]))


def a_table(random: Random, right: Right) -> Spoilt:
    """Change the table: other weights or factors, another order or another length."""
    table = right.inputs.table()
    rows = [list(row) for row in zip(table.weights, table.factors, strict=True)]
    at, column = int(random.integers(len(rows))), int(random.integers(2))
    how = int(random.integers(4))
    if how == 0:
        rows[at][column] = (rows[at][column] + int(random.integers(1, 1 << 20))) % (1 << 24)
    elif how == 1:
        rows.append(rows[at])
    elif how == 2:
        del rows[at]
    digits = 4 if how == 3 else 3
    data = b"".join(value.to_bytes(digits, "big") for row in rows for value in row)
    return _changed(right, "table", keccak(bytes([TABLE]) + data))


# ---------------------------------------------------------------------- trees
def padding(random: Random, right: Right) -> Spoilt:
    """A root over the right leaves, with padding other than the empty block's leaf."""
    new, name = right.new, str(random.choice(ROOTS[:3]))
    if name == "momentum_root" and new.momentum is None:
        name = "state_root"
    if name == "transcript_root":
        leaves = _hashed(columns(right.inputs, new))
    else:
        file = new.state if name == "state_root" or new.momentum is None else new.momentum
        leaves = [row.tobytes() for row in state_leaves(file.data)]
    pads = [
        bytes(32),
        keccak(b""),
        keccak(bytes(1 + STATE_BLOCK)),
        keccak(bytes([TRANSCRIPT_LEAF])),
        leaves[-1],
    ]
    return _changed(right, name, root_over(leaves, pads[int(random.integers(len(pads)))]))


def a_transcript(random: Random, right: Right) -> Spoilt:
    """A transcript with reordered or missing parts, a wrong tag or swapped blocks."""
    parts = columns(right.inputs, right.new)
    how = int(random.integers(4))
    a, b = (int(i) for i in random.choice(parts.shape[1], 2, replace=False))
    if how == 0:
        parts[:, [a, b]] = parts[:, [b, a]]
    elif how == 1:
        parts = np.delete(parts, a, axis=1)
    leaves = _hashed(parts, TABLE if how == 2 else TRANSCRIPT_LEAF)
    if how == 3:
        i, j = (int(k) for k in random.choice(len(leaves), 2, replace=False))
        leaves[i], leaves[j] = leaves[j], leaves[i]
    return _changed(right, "transcript_root", root_over(leaves, EMPTY_LEAF))


# ---------------------------------------------------------------------- files
def another_file(random: Random, right: Right) -> Spoilt:
    """The right roots with the CID of another available file."""
    return Spoilt(result=right.result, file=_other_file(random, right, right.published))


def wrong_with_a_right_root(random: Random, right: Right) -> Spoilt:
    """A wrong model with its file; one of the roots that it changes is the right result's."""
    file, result = _wrong(random, right)
    changed = [name for name in ROOTS if getattr(result, name) != getattr(right.result, name)]
    name = changed[int(random.integers(len(changed)))]
    return Spoilt(result=dataclasses.replace(result, **{name: getattr(right.result, name)}), file=file)


def wrong_with_a_field(random: Random, right: Right) -> Spoilt:
    """A wrong model with its file and consistent roots, with a bit of one root or of the table flipped."""
    file, result = _wrong(random, right)
    return Spoilt(result=_with(dataclasses.replace(right, result=result), random).result, file=file)


def wrong_with_another_file(random: Random, right: Right) -> Spoilt:
    """A wrong model with consistent roots and the CID of another file: cut, longer, or the right one."""
    file, result = _wrong(random, right)
    if random.integers(3) == 0:
        return Spoilt(result=result, file=right.published)
    return Spoilt(result=result, file=_other_file(random, right, file))


def wrong_and_withheld(random: Random, right: Right) -> Spoilt:
    """A wrong model with consistent roots and a CID for which no peer serves a file."""
    _, result = _wrong(random, right)
    return Spoilt(result=dataclasses.replace(result, digest=flip(random, result.digest)))


SPOILERS: tuple[Spoiler, ...] = (
    a_field, several_fields, another_hash, a_codec, a_table, padding, a_transcript, another_file,
    wrong_with_a_right_root, wrong_with_a_field, wrong_with_another_file, wrong_and_withheld,
)  # fmt: skip


def _with(right: Right, random: Random, name: str = "") -> Spoilt:
    name = name or str(random.choice(ROOTS))
    return _changed(right, name, flip(random, getattr(right.result, name)))


def _changed(right: Right, name: str, value: bytes) -> Spoilt:
    changes: dict[str, Any] = {name: value}
    return Spoilt(result=dataclasses.replace(right.result, **changes))


def _wrong(random: Random, right: Right) -> tuple[bytes, Result]:
    """The right file with one bit flipped, and its result with consistent roots."""
    file = flip(random, right.published)
    roots = roots_of(right.inputs, posted_of(right.inputs, file))
    return file, dataclasses.replace(
        right.result, state_root=roots.state, momentum_root=roots.momentum, transcript_root=roots.transcript
    )


def _other_file(random: Random, right: Right, file: bytes) -> bytes:
    cut, more = int(random.integers(1, len(file))), int(random.integers(1, 2 * STATE_BLOCK))
    made = [file[:cut], file + bytes(more), file + file[:more], file[cut:] + file[:cut], bytes(len(file))]
    made += [flip(random, file), *right.public]
    others = [each for each in made if each != file]
    return others[int(random.integers(len(others)))]


def columns(inputs: Inputs, posted: PostedResult) -> Bytes:
    """Leaf hashes that a transcript is made of. Returns (block_count, parts, 32)."""
    files = [inputs.state, posted.state]
    if inputs.momentum is not None and posted.momentum is not None:
        files += [inputs.momentum, posted.momentum]
    plain = np.stack([state_leaves(file.data) for file in files], axis=1)
    updates = np.empty((inputs.step.block_count, 32 * len(inputs.updates)), np.uint8)
    for parts in walk(inputs.updates, 8):
        first, count = parts[0][:2]
        for i, (update, (_, _, offset, where)) in enumerate(zip(inputs.updates, parts, strict=True)):
            update.leaves_into(updates[first : first + count], 32 * i, offset, where)
    return np.concatenate([plain, updates.reshape(len(updates), -1, 32)], axis=1)


def _hashed(parts: Bytes, tag: int = TRANSCRIPT_LEAF) -> list[bytes]:
    return [keccak(bytes([tag]) + row.tobytes()) for row in parts]


def root_over(leaves: list[bytes], pad: bytes) -> bytes:
    """Root of a tree of these leaves, padded with `pad`."""
    nodes = leaves + [pad] * ((1 << depth_of(len(leaves))) - len(leaves))
    while len(nodes) > 1:
        nodes = [keccak(bytes([NODE]) + a + b) for a, b in zip(nodes[::2], nodes[1::2], strict=True)]
    return nodes[0]
