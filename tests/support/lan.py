"""Network namespaces on a bridge, so that machines can be cut from each other. Linux, as root."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

CLONE_NEWNET = 0x40000000
COPY = 1 << 16
_COUNT = itertools.count()  # the kernel gives names back some moments after their namespace is gone


def possible() -> bool:
    """Whether this process may make namespaces, bridges and mounts."""
    return sys.platform == "linux" and os.geteuid() == 0 and _runs("ip", "link", "show")


def _runs(*command: str) -> bool:
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    return False


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


@dataclass
class Lan:
    """Hosts with an address each. Host 0 is this machine itself, on the bridge."""

    tag: str
    subnet: str  # its first three numbers
    hosts: list[str] = field(default_factory=list)

    def address(self, host: str | None = None) -> str:
        """A host's IPv4 address; this machine's without a name."""
        return f"{self.subnet}.{self.hosts.index(host) + 2 if host else 1}"

    def namespace(self, host: str) -> Path:
        """Where a process enters the host's network."""
        return Path("/run/netns") / f"{self.tag}{self.hosts.index(host)}"

    def part(self, *hosts: str) -> None:
        """Cut these hosts from each other; all still reach this machine. Without hosts: reconnect all."""
        for host in self.hosts:
            _do(
                "bridge", "link", "set", "dev", self._port(host), "isolated", "on" if host in hosts else "off"
            )

    def unplug(self, *hosts: str) -> None:
        """Cut these hosts from everything, the chain as well. Without hosts: plug all in again."""
        for host in self.hosts:
            _do("ip", "link", "set", self._port(host), "down" if host in hosts else "up")

    def _port(self, host: str) -> str:
        return f"{self.tag}v{self.hosts.index(host)}"

    def add(self, host: str) -> None:
        """Another host."""
        self.hosts.append(host)
        inside, port, space = f"{self.tag}w{len(self.hosts)}", self._port(host), self.namespace(host).name
        _do("ip", "netns", "add", space)
        _do("ip", "link", "add", port, "type", "veth", "peer", "name", inside, "netns", space)
        _do("ip", "link", "set", port, "master", self.tag, "up")
        _do("ip", "-n", space, "address", "add", f"{self.address(host)}/24", "dev", inside)
        _do("ip", "-n", space, "link", "set", inside, "up")
        _do("ip", "-n", space, "link", "set", "lo", "up")

    def remove(self) -> None:
        """Take it all away."""
        for host in self.hosts:
            _runs("ip", "link", "delete", self._port(host))
            _runs("ip", "netns", "delete", self.namespace(host).name)
        _runs("ip", "link", "delete", self.tag)


@contextmanager
def lan(*hosts: str) -> Iterator[Lan]:
    """A network of these hosts and this machine."""
    made = Lan(
        f"sy{os.getpid() % 16**5:x}{next(_COUNT) % 100}", f"10.{os.getpid() // 250 % 250}.{os.getpid() % 250}"
    )
    try:
        _do("ip", "link", "add", made.tag, "type", "bridge")
        _do("ip", "address", "add", f"{made.address()}/24", "dev", made.tag)
        _do("ip", "link", "set", made.tag, "up")
        for host in hosts:
            made.add(host)
        yield made
    finally:
        made.remove()


def enter(namespace: Path) -> None:
    """Move this thread, and those that it starts, into a network."""
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        _setns(descriptor)
    finally:
        os.close(descriptor)


def _setns(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def inside(namespace: Path) -> Iterator[None]:
    """Processes that this thread starts are in that network."""
    descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    enter(namespace)
    try:
        yield
    finally:
        _setns(descriptor)
        os.close(descriptor)


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[None]:
    """Mount a disk of that size at `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    _do("mount", "-t", "tmpfs", "-o", f"size={mib}m", "none", str(folder))
    try:
        yield
    finally:
        _do("umount", "-l", str(folder))


class Forward:
    """`async with Forward(address, url) as there`: a loopback server, reachable from the network."""

    def __init__(self, address: str, url: str) -> None:
        self._address, self._target = address, urlsplit(url)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, self._address, 0)
        return f"http://{self._address}:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
            await asyncio.gather(_copy(reader, back), _copy(there, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(COPY):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
