"""Processes killed at any moment: the folder stays right, the next one goes on."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from steelyard.content import Cid, cid_of_path
from steelyard.content.layout import LEAF_BYTES
from support.stores import MakeStore

MIB = LEAF_BYTES
CHILD = """
import asyncio, sys
from pathlib import Path
from steelyard.content import Cid, EmbeddedStore, StoreConfig

async def main(root, url, cid, source):
    config = StoreConfig(root=Path(root), peers=(url,), allow_private=True)
    async with EmbeddedStore(config) as store:
        print("open", flush=True)
        for n in range(10**6):
            await store.add(Path(source), provide=True)
            await store.add_bytes(f"{n}".encode() * 1000)
            await store.get(Cid.parse(cid), Path(root) / "out", max_bytes=10**9, timeout_s=60)
            await store.gc(grace_s=0)

asyncio.run(main(*sys.argv[1:]))
"""


async def killed_child(root: Path, url: str, cid: Cid, source: Path, after_s: float) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(root), url, str(cid), str(source), stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    try:
        assert await asyncio.wait_for(child.stdout.readline(), 60) == b"open\n"
        await asyncio.sleep(after_s)
        assert child.returncode is None
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGKILL)
        await child.wait()


@pytest.mark.parametrize("seed", range(10))
async def test_a_store_killed_at_any_moment_opens_again_with_nothing_half_done(
    make_store: MakeStore, tmp_path: Path, seed: int
) -> None:
    random = Random(seed)
    giver = await make_store()
    cid = await giver.add_bytes(random.randbytes(30 * MIB + 7))
    source = tmp_path / "source"
    source.write_bytes(random.randbytes(9 * MIB))
    root = tmp_path / "killed"
    await killed_child(root, str(giver.url), cid, source, random.uniform(0.0, 0.5))
    store = await make_store(str(giver.url), root=root)
    for entry in await store.ls():
        path = root / "files" / str(entry.cid)[-2:] / str(entry.cid)
        assert cid_of_path(path) == entry.cid
        assert await store.has(entry.cid)
    out = root / "out"
    assert not out.exists() or cid_of_path(out) == cid
    await store.get(cid, tmp_path / "whole", max_bytes=10**9, timeout_s=60)
    assert cid_of_path(tmp_path / "whole") == cid
    assert await store.add(source) == cid_of_path(source)
    await store.gc(grace_s=0)
    assert [
        path for name in ("parts", "tmp", "files") for path in (root / name).rglob("*") if path.is_file()
    ] == []
