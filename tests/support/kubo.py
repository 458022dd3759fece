"""IPFS daemons for tests: on loopback, in a private network of their own, without any other peer.

`ipfs` is the program that STEELYARD_IPFS names, else the one on the PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests

SWARM_KEY = "/key/swarm/psk/1.0.0/\n/base16/\n" + "5e" * 32 + "\n"
READY_S = 60.0


def ipfs_program() -> str | None:
    """The Kubo to test with, if there is one."""
    return os.environ.get("STEELYARD_IPFS") or shutil.which("ipfs")


NEEDS_IPFS = pytest.mark.skipif(ipfs_program() is None, reason="no ipfs on the PATH and no STEELYARD_IPFS")


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """A running one."""

    api: str  # http://127.0.0.1:port
    gateway: str
    swarm: str  # multiaddr with the peer id
    repo: Path
    process: subprocess.Popen[bytes]
    token: str = ""  # that its RPC wants to see

    def rpc(self, path: str, *, timeout: float = 30.0, **params: str) -> Any:
        """One call; its one JSON document, or its bytes."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        reply = requests.post(f"{self.api}/api/v0/{path}", params=params, timeout=timeout, headers=headers)
        reply.raise_for_status()
        try:
            return reply.json()
        except ValueError:
            return reply.content

    def has(self, cid: str) -> bool:
        """Whether the block is in its repository; nobody else is asked."""
        params = {"arg": cid, "offline": "true"}
        return requests.post(f"{self.api}/api/v0/block/stat", params=params, timeout=30).status_code == 200

    def kill(self) -> None:
        """As a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@contextmanager
def daemons(folder: Path, count: int, *, pubsub: Collection[int] = ()) -> Iterator[list[Daemon]]:
    """So many daemons, each connected to all others; gone at the end. pubsub: which of them have it."""
    program = ipfs_program()
    if program is None:
        raise RuntimeError("no ipfs program")
    with ExitStack() as stack:
        repos = [(folder / f"ipfs{n}", {"Pubsub": {"Enabled": n in pubsub}}) for n in range(count)]
        starting = [stack.enter_context(_process(program, repo, config=more)) for repo, more in repos]
        found = [_ready(repo, process) for repo, process in starting]
        for daemon in found:
            for other in found:
                if other is not daemon:
                    daemon.rpc("swarm/connect", arg=other.swarm)
        yield found


@contextmanager
def one_daemon(
    repo: Path, *, host: str = "127.0.0.1", config: Mapping[str, Any] | None = None, token: str = ""
) -> Iterator[Daemon]:
    """A daemon on a repository, made if there is none, at this address: to kill and to start again.

    config: sections of its configuration to change where the repository is made; token: of its RPC.
    """
    program = ipfs_program()
    if program is None:
        raise RuntimeError("no ipfs program")
    scope = {"AuthSecret": f"bearer:{token}", "AllowedPaths": ["/api/v0"]}
    config = {**(config or {}), **({"API": {"Authorizations": {"test": scope}}} if token else {})}
    with _process(program, repo, host, config) as (path, process):
        yield _ready(path, process, token)


@contextmanager
def _process(
    program: str, repo: Path, host: str = "127.0.0.1", config: Mapping[str, Any] | None = None
) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(repo),
        "IPFS_PATH": str(repo),
        "LIBP2P_FORCE_PNET": "1",
    }
    if not (repo / "config").exists():
        _make_repo(program, repo, host, environ, config or {})
    with (repo / "daemon.log").open("ab") as log:
        process = subprocess.Popen([program, "daemon"], env=environ, stdout=log, stderr=log)
    try:
        yield repo, process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _make_repo(program: str, repo: Path, host: str, environ: dict[str, str], more: Mapping[str, Any]) -> None:
    repo.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [program, "init", "--empty-repo"], env=environ, check=True, capture_output=True, timeout=60
    )
    (repo / "swarm.key").write_text(SWARM_KEY)
    path = repo / "config"
    config = json.loads(path.read_text())
    local = f"/ip4/{host}/tcp/"
    config["Addresses"] |= {"API": local + "0", "Gateway": local + "0", "Swarm": [f"{local}{_free_port()}"]}
    config["Bootstrap"] = []
    config["Routing"] = {"Type": "none"}
    config["Discovery"]["MDNS"]["Enabled"] = False
    config["AutoConf"] = {"Enabled": False}
    config["DNS"], config["Ipns"]["DelegatedPublishers"] = {"Resolvers": {}}, []
    config["Swarm"] |= {"DisableNatPortMap": True, "RelayClient": {"Enabled": False}}
    config["Swarm"]["RelayService"] = {"Enabled": False}
    config["Swarm"]["Transports"] = {"Network": {"QUIC": False, "WebTransport": False, "WebRTCDirect": False}}
    config["AutoTLS"] = {"Enabled": False}
    for section, values in more.items():
        config[section] |= values
    path.write_text(json.dumps(config))


def _ready(repo: Path, process: subprocess.Popen[bytes], token: str = "") -> Daemon:
    until = time.monotonic() + READY_S
    while time.monotonic() < until and process.poll() is None:
        try:
            return _found(repo, process, token)
        except (OSError, ValueError, KeyError):
            time.sleep(0.05)
    raise RuntimeError(f"{repo}: {(repo / 'daemon.log').read_text()[-2000:]}")


def _found(repo: Path, process: subprocess.Popen[bytes], token: str) -> Daemon:
    log = (repo / "daemon.log").read_text().rpartition("Initializing daemon")[2]
    if "Daemon is ready" not in log:
        raise ValueError("not yet")
    api = _url((repo / "api").read_text())
    gateway = (repo / "gateway").read_text().strip()
    daemon = Daemon(api=api, gateway=gateway, swarm="", repo=repo, process=process, token=token)
    return replace(daemon, swarm=str(daemon.rpc("id")["Addresses"][0]))


def _url(multiaddr: str) -> str:
    _, _, host, _, port = multiaddr.strip().split("/")[:5]
    return f"http://{host}:{port}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
