"""Development chains answer, fund the known accounts, and end with the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from steelyard.chain.dev import devnet
from steelyard.chain.dev.devnet import DevChain
from steelyard.chain.dev.tools import program
from steelyard.errors import ConfigError, Unreachable

ORPHAN = """
import os, signal, sys
from steelyard.chain.dev import devnet
chain = devnet.start(sys.argv[1])
print(chain.url, chain.folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_every_chain_answers_and_funds_the_known_accounts(chain: DevChain) -> None:
    assert int(chain.rpc("eth_chainId"), 16) == chain.chain_id
    balances = [int(chain.rpc("eth_getBalance", key.address, "latest"), 16) for key in chain.accounts]
    assert min(balances) == devnet.BALANCE_ETHER * 10**18


def test_a_stopped_chain_answers_no_more_and_leaves_no_files() -> None:
    chain = devnet.start("anvil")
    chain.stop()
    chain.stop()

    assert not chain.alive()
    assert not chain.folder.exists()
    with pytest.raises(Unreachable):
        chain.rpc("eth_chainId", timeout_s=1.0)


@pytest.mark.parametrize("kind", ["anvil", "ganache"])
def test_a_chain_ends_and_its_files_go_when_its_starter_is_killed(kind: devnet.Kind) -> None:
    orphaned = subprocess.run(
        [sys.executable, "-c", ORPHAN, kind], check=False, capture_output=True, text=True, timeout=60
    )
    assert orphaned.returncode == -signal.SIGKILL

    url, folder = orphaned.stdout.split()
    until = time.monotonic() + 60
    while _answers(url) or Path(folder).exists():
        assert time.monotonic() < until, f"{kind} or {folder} outlived the process that started it"
        time.sleep(0.05)


def test_a_chain_that_died_leaves_its_log_until_it_is_stopped() -> None:
    chain = devnet.start("anvil")
    os.killpg(chain.process.pid, signal.SIGKILL)
    chain.process.wait(timeout=60)
    assert chain.log.exists()
    chain.stop()
    assert not chain.folder.exists()


def test_a_chain_that_cannot_start_says_what_it_said() -> None:
    with pytest.raises(Unreachable, match="no-such-flag"):
        devnet.start("anvil", extra=["--no-such-flag"], deadline_s=10)


def test_a_missing_program_is_named_with_its_remedy() -> None:
    with pytest.raises(ConfigError, match="no-such-chain is not installed"):
        program("no-such-chain")


def test_intervals_mine_without_transactions() -> None:
    with devnet.running("anvil", block_time_s=1) as chain:
        until = time.monotonic() + 60
        while int(chain.rpc("eth_blockNumber"), 16) == 0:
            assert time.monotonic() < until, f"no block after 60 s (pid {os.getpid()})"
            time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        devnet.rpc(url, "eth_chainId", timeout_s=1.0)
    except Unreachable:
        return False
    return True
