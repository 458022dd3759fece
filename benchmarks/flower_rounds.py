"""Rounds of Flower without training, deployed and simulated: what rounds.py shows beside Steelyard's.

Flower lives in .venv-flwr (`make setup-benchmarks`); the app that it runs is flower_app/. Everything listens
on loopback, and nothing of it is left when a measurement ends.
"""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv-flwr" / "bin"
APP = Path(__file__).resolve().parent / "flower_app"
START_S = 60.0  # for a server to listen
ROUND_S = 60.0  # for a round, at most
SIMULATION_S = 120.0  # for Ray to start

CONNECTION = """\
[superlink]
default = "here"

[superlink.here]
address = "127.0.0.1:{port}"
insecure = true
options.num-supernodes = {nodes}
options.backend.client-resources.num-cpus = 1
"""


def present() -> bool:
    """Whether Flower, and Ray for its simulation, are there."""
    return all((BIN / name).is_file() for name in ("flwr", "flower-superlink", "flower-supernode", "ray"))


def deployed(nodes: int, rounds: int, parameters: int) -> list[float]:
    """Seconds of each round with a SuperLink and `nodes` SuperNodes, processes of their own.

    Without the first round, in which the app's processes start.
    """
    with _superlink(nodes) as (port, folder, environment), ExitStack() as running:
        for number in range(nodes):
            link = ("--insecure", "--superlink", f"127.0.0.1:{port}", "--port", str(_free_port()))
            running.enter_context(
                _process(("flower-supernode", *link), environment, folder / f"{number}.log")
            )
        return _run(environment, folder, nodes, rounds, parameters)


def simulated(nodes: int, rounds: int, parameters: int) -> list[float]:
    """Seconds of each round in Flower's simulation on Ray, without the first, in which its actors start."""
    with _superlink(nodes, "--simulation") as (_, folder, environment):
        return _run(environment, folder, nodes, rounds, parameters)


@contextmanager
def _superlink(nodes: int, *options: str) -> Iterator[tuple[int, Path, dict[str, str]]]:
    """A SuperLink on a free port, with a home of its own: port, folder, environment."""
    with tempfile.TemporaryDirectory(prefix="flower-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), _free_port()
        (folder / "config.toml").write_text(CONNECTION.format(port=port, nodes=nodes), encoding="utf-8")
        environment = {
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",  # Flower starts its own programs by name
            "FLWR_HOME": name,
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "RAY_TMPDIR": name,
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        listen = ("--insecure", "--disable-runtime-dependency-installation", "--host", "127.0.0.1")
        command = ("flower-superlink", *listen, "--port", str(port), *options)
        with _process(command, environment, folder / "superlink.log"):
            _wait_for(port)
            yield port, folder, environment


@contextmanager
def _process(command: tuple[str, ...], environment: dict[str, str], log: Path) -> Iterator[None]:
    """A program of Flower's, which is gone at the end with all that it started, in whatever session."""
    with log.open("wb") as output:
        process = psutil.Popen(
            [str(BIN / command[0]), *command[1:]],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield
        finally:
            family = [*process.children(recursive=True), process]
            process.terminate()
            _, alive = psutil.wait_procs(family, timeout=5)
            for one in alive:
                one.kill()
            psutil.wait_procs(alive, timeout=5)


def _run(environment: dict[str, str], folder: Path, nodes: int, rounds: int, parameters: int) -> list[float]:
    """Start a run of one round more than asked for, and wait for the times that it writes.

    Raises RuntimeError with the end of the server's log where they do not come.
    """
    opened = folder / "opened"
    config = f'rounds={rounds + 1} nodes={nodes} parameters={parameters} opened="{opened}"'
    command = [str(BIN / "flwr"), "run", str(APP), "here", "-c", config]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=START_S)
    until = time.monotonic() + SIMULATION_S + ROUND_S * rounds
    lines: list[str] = []
    while time.monotonic() < until:
        lines = opened.read_text(encoding="ascii").split() if opened.exists() else []
        if len(lines) == rounds + 2:
            times = [float(line) for line in lines]
            return [end - begin for begin, end in itertools.pairwise(times[1:])]
        time.sleep(0.2)
    tail = (folder / "superlink.log").read_text(encoding="utf-8", errors="replace")[-2000:]
    raise RuntimeError(f"Flower ran {max(len(lines) - 1, 0)} of {rounds + 1} rounds; its log ends:\n{tail}")


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"nothing listens at port {port} after {START_S:.0f} s: look at Flower's installation")
