"""`steelyard doctor`: checks of this machine and its settings, with remedies."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import typer

from steelyard.chain.units import format_ether
from steelyard.cli.output import table
from steelyard.cli.session import Session, current, do
from steelyard.errors import ConfigError, SteelyardError

GOOD, NOTE, BAD = "ok", "note", "bad"
MARKS = {GOOD: "✓", NOTE: "·", BAD: "✗"}
MIN_FREE_BYTES = 1 << 30
MAX_SKEW_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check's outcome."""

    check: str
    state: str  # GOOD, NOTE (works without), BAD
    found: str
    remedy: str = ""
    exit_code: int = 0


def install(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("doctor")(doctor)


def doctor() -> None:
    """Check this machine, the settings, the network and the account; exit with the first problem's code."""
    session = current()
    findings = [*_machine(session), *do(_ipfs(session)), *do(_network(session))]
    document = {
        "ok": not any(each.state == BAD for each in findings),
        "checks": [asdict(each) for each in findings],
    }
    rows = [
        (MARKS[each.state], each.check, f"{each.found}\n→ {each.remedy}" if each.remedy else each.found)
        for each in findings
    ]
    session.out.emit(document, table(("", "check", "found"), rows))
    code = next((each.exit_code for each in findings if each.state == BAD), 0)
    if code:
        raise typer.Exit(code)


def _machine(session: Session) -> Iterator[Finding]:
    """Checks that need no network."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(check="Python", state=GOOD, found=version)
    yield _checked("home folder", lambda: _writable(session))
    yield _checked("arithmetic", _arithmetic)
    torch = importlib.util.find_spec("torch") is not None
    yield Finding(
        check="training",
        state=GOOD if torch else NOTE,
        found="torch is installed"
        if torch
        else "no torch: this machine can aggregate and challenge, not train",
        remedy="" if torch else "pip install 'steelyard[train]'",
    )
    yield _development_chains()
    yield _checked("account", lambda: f"{session.account_name()} {session.address_of(None)}", state=NOTE)


async def _ipfs(session: Session) -> list[Finding]:
    """Check the IPFS daemon, if the settings use one."""
    from steelyard.cli.stores import daemon
    from steelyard.content.kubo.client import KuboClient

    try:
        found = daemon(session.config)
        if found is None:
            return []
        client = KuboClient(found)
        try:
            peer_id, _ = await client.identity()
            repo = await client.repo()
        finally:
            await client.close()
    except SteelyardError as error:
        return [_problem("IPFS daemon", error)]
    size = f"{int(repo['RepoSize']) / 1e9:.1f} GB of {int(repo['StorageMax']) / 1e9:.0f} GB"
    return [Finding(check="IPFS daemon", state=GOOD, found=f"{found.url}, {peer_id}, {size}")]


async def _network(session: Session) -> list[Finding]:
    """Check the chain, the contracts and the account's balance."""
    try:
        network = session.network()
        async with session.client() as client:
            head = await client.head()
            lag = time.time() - head.timestamp
            findings = [
                Finding(
                    check="network",
                    state=GOOD,
                    found=f"{network.name}, chain {network.chain_id}, block {head.number}",
                ),
                _clock(lag, development=client.development),
                _contracts(network.deployment.contracts if network.deployment else {}),
            ]
            findings.append(await _checked_async("balance", _balance(session, client.balance)))
            return findings
    except SteelyardError as error:
        return [_problem("network", error)]


def _clock(lag_s: float, *, development: bool) -> Finding:
    """Compare the clocks. That of an idle development chain stands still, which is not a problem."""
    if lag_s < -MAX_SKEW_S:
        found, remedy = f"this clock is {-lag_s:.0f} s behind the chain", "set the clock (NTP)"
        return Finding(check="clock", state=BAD, found=found, remedy=remedy, exit_code=ConfigError.exit_code)
    found = f"the latest block is {lag_s:.0f} s old"
    late = lag_s > 20 * MAX_SKEW_S and not development
    remedy = "the RPC may lag behind its chain, or this clock be ahead: try another RPC" if late else ""
    return Finding(check="clock", state=NOTE if late else GOOD, found=found, remedy=remedy)


def _contracts(contracts: Any) -> Finding:
    if contracts:
        return Finding(
            check="contracts", state=GOOD, found=", ".join(f"{name} {at}" for name, at in contracts.items())
        )
    return Finding(
        check="contracts",
        state=BAD,
        found="no deployment is known for this network",
        remedy="deploy (docs/deploy.md), or `steelyard network add NAME --deployment FILE`",
        exit_code=ConfigError.exit_code,
    )


async def _balance(session: Session, balance: Callable[[str], Coroutine[Any, Any, int]]) -> str:
    wei = await balance(session.address_of(None))
    if wei == 0:
        raise ConfigError("the account has no ether for gas", remedy="send it some")
    return format_ether(wei)


def _writable(session: Session) -> str:
    home = session.config.home
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=home) as probe:
        probe.write(b"\0" * 4096)
    free = shutil.disk_usage(home).free
    if free < MIN_FREE_BYTES:
        raise ConfigError(f"{home} has {free >> 20} MiB left", remedy="free some space, or set --home")
    return f"{home}, {free >> 30} GiB free"


def _arithmetic() -> str:
    """Compute a known tree root with the kernels of this machine."""
    import numpy as np

    from steelyard.core.trees import EMPTY_LEAF, state_leaves

    leaf = bytes(state_leaves(np.zeros(128, np.uint8))[0])
    if len(leaf) != len(EMPTY_LEAF) or leaf == EMPTY_LEAF:
        raise ConfigError(
            "the hash kernels give wrong results", remedy="set STEELYARD_KERNELS=numpy and report it"
        )
    return "the hash kernels work"


def _development_chains() -> Finding:
    from steelyard.chain.dev import devnet

    kinds: tuple[devnet.Kind, ...] = ("anvil", "ganache", "geth")
    found = [kind for kind in kinds if devnet.available(kind)]
    remedy = (
        "" if "anvil" in found else "run `make setup` in the project for anvil: `steelyard demo` needs it"
    )
    return Finding(
        check="development chains",
        state=GOOD if found else NOTE,
        found=", ".join(found) or "none",
        remedy=remedy,
    )


def _checked(check: str, probe: Callable[[], str], *, state: str = BAD) -> Finding:
    try:
        return Finding(check=check, state=GOOD, found=probe())
    except SteelyardError as error:
        return _problem(check, error, state=state)
    except OSError as error:
        return _problem(
            check, ConfigError(str(error), remedy="check the path and its permissions"), state=state
        )


async def _checked_async(check: str, look: Coroutine[Any, Any, str]) -> Finding:
    try:
        return Finding(check=check, state=GOOD, found=await look)
    except SteelyardError as error:
        return _problem(check, error, state=NOTE)


def _problem(check: str, error: SteelyardError, *, state: str = BAD) -> Finding:
    return Finding(
        check=check, state=state, found=error.message, remedy=error.remedy, exit_code=error.exit_code
    )
