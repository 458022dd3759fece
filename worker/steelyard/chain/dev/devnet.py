"""Development chains as child processes: anvil, Ganache, geth --dev.

Used by the demo and the tests. A chain listens on a free loopback port, its accounts come from the well-known
test mnemonic, and it ends with the process that started it, even if that process is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from eth_account import Account
from eth_account.signers.local import LocalAccount

from steelyard.chain.dev.tools import program
from steelyard.chain.units import ETHER
from steelyard.errors import ConfigError, Unreachable

Kind = Literal["anvil", "ganache", "geth"]
CHAIN_ID: dict[str, int] = {"anvil": 31337, "ganache": 1337, "geth": 1337}
MNEMONIC = "test test test test test test test test test test test junk"
BALANCE_ETHER = 10_000
GAS_LIMIT = 30_000_000
START_TRIES = 4

# A shell reads this process's pipe while the chain runs. When this process ends, however it ends, the pipe
# closes, and the shell ends the chain and removes its folder: unlike PR_SET_PDEATHSIG this works on macOS too
# and does not depend on one thread. If the chain ends first, its folder stays, for the log in it.
_SUPERVISOR = """
folder=$1; shift
exec 3<&0
"$@" </dev/null 3<&- & chain=$!
( read -r _ <&3; : >"$folder/ended"
  kill "$chain" 2>/dev/null; sleep 3; kill -9 "$chain" 2>/dev/null ) & watch=$!
exec 3<&-
wait "$chain"; code=$?
kill "$watch" 2>/dev/null
if [ -e "$folder/ended" ]; then cd / && rm -rf "$folder"; fi
exit "$code"
"""


@dataclass(frozen=True, kw_only=True)
class DevChain:
    """A running development chain; it ends by `stop()` or with this process."""

    kind: Kind
    url: str
    chain_id: int
    accounts: tuple[LocalAccount, ...] = field(repr=False)
    log: Path
    process: subprocess.Popen[bytes] = field(repr=False)
    folder: Path = field(repr=False)

    def rpc(self, method: str, *params: object, timeout_s: float = 20.0) -> Any:
        """One JSON-RPC call; returns `result`.  Raises Unreachable with the chain's error."""
        return rpc(self.url, method, *params, timeout_s=timeout_s)

    def alive(self) -> bool:
        """Whether the chain's process is still running."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End the chain and remove its files; a second call does nothing."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=2.5)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=10)
        shutil.rmtree(self.folder, ignore_errors=True)


def start(
    kind: Kind,
    *,
    accounts: int = 10,
    block_time_s: int = 0,
    extra: Sequence[str] = (),
    deadline_s: float = 60.0,
) -> DevChain:
    """Start a chain and wait until it answers.

    block_time_s: 0 mines a block for each transaction, n > 0 one every n seconds.  extra: flags added last.
    Raises ConfigError if the program is not installed, Unreachable if it does not answer in time.
    """
    keys = well_known_accounts(accounts)
    until = time.monotonic() + deadline_s
    problem = ""
    for _ in range(START_TRIES):
        chain = _launch(kind, keys, block_time_s, extra)
        try:
            _wait_ready(chain, until)
            if kind == "geth":
                _fund(chain)
            return chain
        except Unreachable as error:
            problem = f"{error.message}; its log ends: {_tail(chain.log)}"
            chain.stop()
        except BaseException:
            chain.stop()
            raise
        if time.monotonic() > until:
            break
    raise Unreachable(
        f"{kind} did not start within {deadline_s:g} s: {problem}", remedy="run `make setup` again"
    )


@contextlib.contextmanager
def running(kind: Kind, **options: Any) -> Iterator[DevChain]:
    """`start(kind, **options)` as a context manager that stops the chain."""
    chain = start(kind, **options)
    try:
        yield chain
    finally:
        chain.stop()


def available(kind: Kind) -> bool:
    """Whether the chain's program is installed."""
    try:
        program(kind)
    except ConfigError:
        return False
    return True


def well_known_accounts(count: int) -> tuple[LocalAccount, ...]:
    """The first `count` accounts of the mnemonic that every development chain funds. Never for real funds."""
    Account.enable_unaudited_hdwallet_features()
    return tuple(Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{i}") for i in range(count))


def rpc(url: str, method: str, *params: object, timeout_s: float = 20.0) -> Any:
    """One JSON-RPC call over HTTP; returns `result`.  Raises Unreachable."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310  # a loopback URL
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as response:  # noqa: S310
            answer = json.load(response)
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise Unreachable(f"{url} did not answer {method}: {error}") from error
    if "error" in answer:
        raise Unreachable(f"{method} failed: {answer['error'].get('message', answer['error'])}")
    return answer.get("result")


def _launch(kind: Kind, keys: tuple[LocalAccount, ...], block_time_s: int, extra: Sequence[str]) -> DevChain:
    port = _free_port()
    command = [*program(kind)]
    folder = Path(tempfile.mkdtemp(prefix=f"steelyard-{kind}-"))
    command += _flags(kind, port, len(keys), block_time_s, folder)
    log = folder / "chain.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _SUPERVISOR, "sh", str(folder), *command, *extra],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=folder,
        )
    url = f"http://127.0.0.1:{port}"
    return DevChain(
        kind=kind, url=url, chain_id=CHAIN_ID[kind], accounts=keys, log=log, process=process, folder=folder
    )


def _flags(kind: Kind, port: int, accounts: int, block_time_s: int, folder: Path) -> list[str]:
    if kind == "anvil":
        flags = f"--host 127.0.0.1 --port {port} --chain-id {CHAIN_ID[kind]} --hardfork shanghai --quiet"
        flags += f" --accounts {accounts} --balance {BALANCE_ETHER} --gas-limit {GAS_LIMIT}"
        flags += f" --block-time {block_time_s}" if block_time_s else ""
        return [*flags.split(), "--mnemonic", MNEMONIC]
    if kind == "ganache":
        flags = (
            f"--server.host 127.0.0.1 --server.port {port} --chain.chainId {CHAIN_ID[kind]} --logging.quiet"
        )
        flags += (
            f" --chain.hardfork shanghai --wallet.totalAccounts {accounts} --miner.blockGasLimit {GAS_LIMIT}"
        )
        flags += f" --wallet.defaultBalance {BALANCE_ETHER} --miner.blockTime {block_time_s}"
        return [*flags.split(), "--wallet.mnemonic", MNEMONIC]
    flags = f"--dev --dev.period {block_time_s} --dev.gaslimit {GAS_LIMIT} --verbosity 2"
    flags += " --nodiscover --maxpeers 0 --port 0 --authrpc.port 0 --ipcdisable"
    flags += f" --http --http.addr 127.0.0.1 --http.port {port} --http.api eth,net,web3,txpool,debug,dev"
    return [*flags.split(), "--datadir", str(folder / "geth")]


def _wait_ready(chain: DevChain, until: float) -> None:
    while time.monotonic() < until:
        if not chain.alive():
            raise Unreachable(f"{chain.kind} ended with code {chain.process.returncode}")
        with contextlib.suppress(Unreachable):
            if int(chain.rpc("eth_chainId", timeout_s=2.0), 16) == chain.chain_id and chain.alive():
                return
        time.sleep(0.03)
    raise Unreachable(f"{chain.kind} does not answer at {chain.url}")


def _fund(chain: DevChain) -> None:
    """Move ether from geth's developer account to the well-known accounts.

    In one transaction: geth advances the time by a second per block, so that many transactions would put the
    chain's clock far ahead. It creates a contract without code, whose constructor pays each account.
    """
    each = (BALANCE_ETHER * ETHER).to_bytes(32, "big")
    constructor = b"".join(
        bytes.fromhex("5f5f5f5f 7f")
        + each
        + b"\x73"
        + bytes.fromhex(key.address[2:])
        + bytes.fromhex("5af150")
        for key in chain.accounts
    )
    fields = {
        "from": chain.rpc("eth_accounts")[0],
        "value": hex(BALANCE_ETHER * ETHER * len(chain.accounts)),
        "gas": hex(100_000 + 45_000 * len(chain.accounts)),
        "data": "0x" + constructor.hex(),
    }
    chain.rpc("eth_sendTransaction", fields)
    until = time.monotonic() + 20
    # not its receipt: shortly after the start geth refuses those, "indexing is in progress"
    while int(chain.rpc("eth_getBalance", chain.accounts[-1].address, "latest"), 16) == 0:
        if time.monotonic() > until:
            raise Unreachable(f"geth at {chain.url} mined no transfer to its accounts within 20 s")
        time.sleep(0.03)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tail(path: Path, characters: int = 400) -> str:
    try:
        return path.read_text(errors="replace")[-characters:].strip() or "(empty)"
    except OSError:
        return "(no log)"
