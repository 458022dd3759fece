"""Leftovers of killed demos in an IPFS daemon and on the disk: the next demo removes only them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from steelyard.cli.demo import leftovers
from steelyard.content.kubo.address import DaemonAddress
from support.kubo import NEEDS_IPFS
from support.stores import Yard

on_daemons = pytest.mark.parametrize(
    "yard", [pytest.param("kubo", marks=NEEDS_IPFS), "recorded"], indirect=True
)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for temporary files of a test's own."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def killed(daemon: DaemonAddress | None, name: str = "one") -> Path:
    """A folder as a killed demo leaves it: there, and not locked."""
    with leftovers.own_folder(daemon) as own:
        left = own.path.with_name(f"steelyard-demo-{name}")
        shutil.copytree(own.path, left)
    return left


async def pins(yard: Yard) -> set[str]:
    _, body = await yard.rpc(0, "pin/ls", type="recursive")
    return set(json.loads(body)["Keys"])


@on_daemons
async def test_pins_of_a_killed_demo_go_and_all_others_stay(yard: Yard) -> None:
    daemon = DaemonAddress.parse(yard.apis[0])
    mine = await yard.store(0, root="a-node-of-mine")
    kept = await mine.add(yard.file(500, "kept"))
    before = await pins(yard)
    folder = killed(DaemonAddress.parse("http://127.0.0.1:1"))
    (folder / "ipfs-daemon").write_text(daemon.url)  # recordings have it elsewhere each time
    for who in ("sponsor", "worker-1"):
        store = await yard.store(0, root=f"temporary/{folder.name}/{who}/content")
        await store.add(yard.file(1000, who))
        await store.__aexit__()
    assert len(await pins(yard)) == len(before) + 2
    assert await leftovers.sweep(daemon) == 1
    assert await pins(yard) == before
    assert not folder.exists()
    assert await yard.stranger_gets(kept)
    await mine.withhold(kept)


async def test_folders_of_killed_demos_go_and_those_of_running_ones_stay(temporary: Path) -> None:
    daemon = DaemonAddress.parse("http://127.0.0.1:1")
    with leftovers.own_folder(None) as running:
        dead, elsewhere = killed(None, "dead"), killed(daemon, "elsewhere")
        foreign = temporary / "steelyard-demo-of-an-older-version"
        foreign.mkdir()
        (temporary / "steelyard-demo-link").symlink_to(dead)
        assert await leftovers.sweep(None) == 1
        assert running.path.exists()
    assert not dead.exists()
    assert elsewhere.exists(), "its pins are in a daemon that this demo does not use"
    assert foreign.exists()
    assert not running.path.exists()


async def test_a_folder_is_spared_while_a_node_of_a_killed_demo_lives() -> None:
    folder = killed(None)
    with leftovers._locked(folder) as free:  # as a node that inherited the lock
        assert free
        assert await leftovers.sweep(None) == 0
    assert await leftovers.sweep(None) == 1


async def test_pins_stay_known_while_their_daemon_is_away() -> None:
    daemon = DaemonAddress.parse("http://127.0.0.1:1")
    folder = killed(daemon)
    (folder / "sponsor" / "content").mkdir(parents=True)
    assert await leftovers.sweep(daemon) == 0
    assert folder.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")
async def test_what_another_user_put_there_is_left_alone() -> None:
    folder = killed(None)
    os.chown(folder, 12345, 12345)
    assert await leftovers.sweep(None) == 0
    assert folder.exists()
