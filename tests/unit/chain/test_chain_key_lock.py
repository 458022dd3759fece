"""The key lock between tasks and processes."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from steelyard.chain.sending.key_lock import KeyLock
from steelyard.errors import ChainError


async def test_a_lock_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ChainError, match="nothing was sent"):
        async with KeyLock(tmp_path / "file" / "k.lock", patience_s=1):
            pass


async def test_tasks_take_the_lock_in_turn(tmp_path: Path) -> None:
    lock = KeyLock(tmp_path / "k.lock", patience_s=5)
    inside: list[int] = []

    async def work(number: int) -> None:
        async with lock:
            inside.append(number)
            before = len(inside)
            await asyncio.sleep(0.01)
            assert len(inside) == before

    await asyncio.gather(*(work(number) for number in range(5)))
    assert sorted(inside) == [0, 1, 2, 3, 4]


HOLD = """
import fcntl, os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(fd, fcntl.LOCK_EX)
os.pwrite(fd, str(os.getpid()).encode(), 0)
print("held", flush=True)
time.sleep(60)
"""


async def test_another_process_is_waited_for_named_and_outlived(tmp_path: Path) -> None:
    path = tmp_path / "k.lock"
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    await holder.stdout.readline()
    lock = KeyLock(path, patience_s=0.2)
    with pytest.raises(ChainError, match=f"process {holder.pid}"):
        async with lock:
            pass
    patient = KeyLock(path, patience_s=60)
    asyncio.get_running_loop().call_later(0.1, holder.kill)
    async with patient:
        assert path.read_text().strip() == str(os.getpid())
    await asyncio.wait_for(holder.wait(), 60)
