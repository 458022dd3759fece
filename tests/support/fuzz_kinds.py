"""Files as an enemy would write them: good ones of every kind, ways to spoil them, all that reads them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from eth_account import Account as Keys

from steelyard.chain.wallets import Wallet
from steelyard.content.dagpb import DIRECTORY, FILE, DagNode, Link, decode_node, encode_node
from steelyard.content.directories import entries
from steelyard.content.kubo.pubsub import parse as parse_line
from steelyard.core.aggregation import aggregate
from steelyard.core.cid import DAG_PB, RAW, Cid
from steelyard.core.encodings import Encoding
from steelyard.core.inputs import open_inputs
from steelyard.core.numbers import ONE
from steelyard.core.proofs import find_fault, malformed_proof
from steelyard.core.rules import AggregationConfig, Rule, WeightTable
from steelyard.core.state_file import open_state, write_state
from steelyard.core.transcript import PostedResult, roots_of
from steelyard.core.update_file import HEADER, open_update
from steelyard.core.update_writer import write_update
from steelyard.errors import SteelyardError
from steelyard.jobs import canonical_json
from steelyard.jobs.manifest import Manifest
from steelyard.jobs.tensor_spec import TensorSpec
from steelyard.learning.data import read_rows
from steelyard.learning.safetensors_file import read_tensors
from steelyard.learning.vector import safetensors_to_state, state_to_safetensors
from steelyard.nodes.gossip.hints import GossipTopic, Hint, checked_body, sign_hint
from steelyard.util.mapped import map_bytes
from support import jobs

BLOCKS, JOB, SERIAL = 9, 7, 3


def spoil(random: Random, data: bytes, others: list[bytes]) -> bytes:
    """One to four ways to change bytes."""
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at, size = random.randrange(len(out) + 1), random.choice((1, 1, 2, 4, 8, 32, 128))
        match random.randrange(8):
            case 0 if out:
                out[at % len(out)] ^= 1 << random.randrange(8)
            case 1:
                del out[at : at + size]
            case 2:
                out[at:at] = random.randbytes(size)
            case 3:
                out[at : at + size] = random.choice((b"\0", b"\xff", b"\x80")) * size
            case 4:
                other = random.choice(others)
                start = random.randrange(len(other) + 1)
                out[at : at + size] = other[start : start + size]
            case 5:
                out = out[: max(at, 1)]
            case 6:
                out[at:at] = out[at : at + 128] * random.choice((1, 2, 30))
            case _:
                word = random.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1))
                out[at : at + 8] = word.to_bytes(8, random.choice(("big", "little")))  # type: ignore[arg-type]
    return bytes(out)


ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**53 + 1, 10**40, "", "..", "/etc/passwd", "a" * 300, "\u202e", "\x00",
    "1e9", [], {}, [[]], {"": 0}, [0] * 50, jobs.cid_of("odd"), "__import__('os')",
)  # fmt: skip


def spoil_document(random: Random, data: bytes, others: list[bytes]) -> bytes:
    """A document with an odd value somewhere, or with spoilt bytes."""
    if random.random() < 0.4:
        return spoil(random, data, others)
    tree = json.loads(data)
    for _ in range(random.choice((1, 1, 2))):
        at = tree
        while True:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            if not keys:
                break
            key = random.choice(keys)
            if isinstance(at[key], (dict, list)) and at[key] and random.random() < 0.8:
                at = at[key]
                continue
            if random.random() < 0.15:
                del at[key]
            else:
                at[key] = random.choice(ODD)
            break
    return canonical_json.dump(tree)


@dataclass
class Kind:
    """One kind of file: good ones, how they are spoilt, and everything that reads them."""

    seeds: list[bytes]
    read: Callable[[bytes, Path], object]
    spoil: Callable[[Random, bytes, list[bytes]], bytes] = spoil
    share: float = 1.0


def updates(folder: Path) -> Kind:
    random = np.random.default_rng(1)
    seeds, made = [], folder / "made"
    for encoding in Encoding:
        for quiet in (0.0, 0.5, 1.0):
            deltas = random.integers(-(2**20), 2**20, (BLOCKS, 32), dtype=np.int32)
            deltas[random.random(BLOCKS) < quiet] = 0
            write_update(
                made, delta=deltas.reshape(-1), encoding=encoding, job=JOB, serial=SERIAL, block_count=BLOCKS
            )
            seeds.append(made.read_bytes())

    def read(data: bytes, path: Path) -> object:
        code = data[4] if len(data) > 4 and data[4] in set(Encoding) else 1
        update = open_update(path, encoding=Encoding(code), job=JOB, serial=SERIAL, block_count=BLOCKS)
        summary = update.summary
        if not summary.well_formed:
            return malformed_proof(update)
        return update.values(), update.block(BLOCKS - 1), update.energy_path(BLOCKS - 1)

    return Kind(seeds, read)


def foreign_updates(folder: Path) -> Kind:
    """Updates that say what they are themselves, as those of another shape than the job's are opened."""
    kind = updates(folder)

    def read(data: bytes, path: Path) -> object:
        if len(data) < HEADER.size:
            return None
        _, encoding, _, _, _, count, _ = HEADER.unpack(data[: HEADER.size])
        if encoding not in set(Encoding):
            return None
        return open_update(
            path, encoding=Encoding(encoding), job=JOB, serial=SERIAL, block_count=count
        ).summary

    return Kind(kind.seeds, read, share=0.5)


def states(folder: Path) -> Kind:
    made = folder / "made"
    values = np.random.default_rng(2).integers(-(2**31), 2**31, BLOCKS * 32, dtype=np.int64).astype(np.int32)
    write_state(made, values, BLOCKS)
    right = made.read_bytes()
    specs = (TensorSpec(name="w", shape=(BLOCKS * 32,), scale_bits=16),)

    def read(_data: bytes, path: Path) -> object:
        state = open_state(path, BLOCKS)
        state_to_safetensors(path, folder / "out", specs)
        return state.root(), state.values(3, 2), state.block(BLOCKS - 1)

    # Most that is spoilt has another length: half of these keep theirs.
    def same_length(random: Random, data: bytes, others: list[bytes]) -> bytes:
        spoilt = spoil(random, data, others)
        return spoilt[: len(data)].ljust(len(data), b"\0") if random.random() < 0.5 else spoilt

    return Kind([right, bytes(len(right)), b"\x80\0\0\0" * (len(right) // 4)], read, same_length, share=0.3)


def results(folder: Path) -> Kind:
    """Posted files against updates, one of them spoilt: table, transcript, first wrong value."""
    random = np.random.default_rng(3)
    parent, momentum = folder / "parent", folder / "momentum"
    for path in (parent, momentum):
        write_state(path, random.integers(-(2**20), 2**20, BLOCKS * 32, dtype=np.int32), BLOCKS)
    good = []
    for name in ("first", "second"):
        deltas = random.integers(-(2**20), 2**20, BLOCKS * 32, dtype=np.int32)
        write_update(
            folder / name, delta=deltas, encoding=Encoding.BFP8, job=JOB, serial=SERIAL, block_count=BLOCKS
        )
        good.append(folder / name)
    step = AggregationConfig(
        block_count=BLOCKS, encoding=Encoding.BFP8, rule=Rule.FEDAVG, beta=ONE // 2, lr=ONE, bound2=10**9
    )
    shape = {"encoding": Encoding.BFP8, "job": JOB, "serial": SERIAL, "block_count": BLOCKS}
    opened = [open_update(path, **shape) for path in good]  # type: ignore[arg-type]
    right = open_inputs(step, state=parent, momentum=momentum, updates=opened, weights=[3, 5])
    aggregate(right, out_state=folder / "out.state", out_momentum=folder / "out.momentum")
    posted = PostedResult(
        state=open_state(folder / "out.state", BLOCKS), momentum=open_state(folder / "out.momentum", BLOCKS)
    )

    def read(data: bytes, path: Path) -> object:
        if data[:4] == good[0].read_bytes()[:4]:
            spoilt = open_update(path, **shape)  # type: ignore[arg-type]
            weights = [int.from_bytes(data[-3:], "big"), 1]
            inputs = open_inputs(
                step, state=parent, momentum=momentum, updates=[spoilt, opened[1]], weights=weights
            )
            WeightTable.of(step, weights, [int.from_bytes(data[-9:], "big"), 0]).to_bytes()
            return roots_of(inputs, posted)
        wrong = PostedResult(state=open_state(path, BLOCKS), momentum=posted.momentum)
        return roots_of(right, wrong), find_fault(wrong, posted)

    return Kind([good[0].read_bytes(), (folder / "out.state").read_bytes()], read, share=0.3)


def tensors(folder: Path) -> Kind:
    _, data = jobs.files(folder)
    state = folder / "model"
    values = np.arange(BLOCKS * 32, dtype=np.int32)
    specs = (TensorSpec(name="w", shape=(BLOCKS * 32,), scale_bits=16),)
    write_state(state, values, BLOCKS)
    state_to_safetensors(state, folder / "made", specs)

    def read(_data: bytes, path: Path) -> object:
        tried: list[object] = []
        for reader in (read_tensors, read_rows, partial(_to_state, folder, specs)):
            try:
                tried.append(reader(path))
            except SteelyardError as error:
                last = error
        if not tried:
            raise last
        return tried

    small = data.read_bytes()
    header = int.from_bytes(small[:8], "little") + 8
    return Kind([small[: header + 200], small, (folder / "made").read_bytes()], read)


def _to_state(folder: Path, specs: tuple[TensorSpec, ...], path: Path) -> None:
    safetensors_to_state(path, folder / "out", specs)


def manifests(_folder: Path) -> Kind:
    seeds = [jobs.manifest(membership=name).encode() for name in ("open", "shards", "invitations")]

    def read(data: bytes, _path: Path) -> object:
        manifest = Manifest.parse(data)
        return manifest.member_root(), manifest.encode() == data

    return Kind(seeds, read, spoil_document)


def nodes(_folder: Path) -> Kind:
    leaf = Cid.of_block(RAW, b"x")
    seeds = [
        encode_node(DagNode(DIRECTORY, tuple(Link(leaf, f"{i:03}", i) for i in range(count))))
        for count in (0, 2, 30)
    ]
    seeds += [
        encode_node(DagNode(FILE, (Link(leaf, "", 5),) * count, 5 * count, (5,) * count)) for count in (1, 30)
    ]

    def read(data: bytes, path: Path) -> object:
        node = decode_node(map_bytes(path).tobytes())
        return node, entries(Cid.of_block(DAG_PB, data), data) if node.kind == DIRECTORY else None

    return Kind(seeds, read)


def hints(_folder: Path) -> Kind:
    """Messages of nodes, and the lines in which a daemon tells them."""
    place = GossipTopic(chain_id=1, coordinator="0x" + "ab" * 20, job=1)
    wallet = Wallet(Keys.from_key(bytes(31) + b"\x07"))
    bodies: dict[str, dict[str, str | int]] = {
        "file": {"cid": jobs.cid_of("x"), "url": "http://example.com:4100"},
        "peer": {"url": "http://1.2.3.4:4100"},
        "progress": {"round": 1, "step": 2, "steps": 3},
    }
    seeds = [sign_hint(wallet, place, kind=kind, body=body, sequence=1) for kind, body in bodies.items()]

    def read(data: bytes, _path: Path) -> object:
        line = parse_line(b'{"from":"12D3","data":"u' + data[:50] + b'"}'), parse_line(data)
        return line, checked_body(Hint.parse(data))

    return Kind(seeds, read, spoil_document, share=0.5)


KINDS: tuple[Callable[[Path], Kind], ...] = (
    updates, foreign_updates, states, results, tensors, manifests, nodes, hints,
)  # fmt: skip
