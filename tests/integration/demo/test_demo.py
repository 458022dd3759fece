"""The demo as a person starts it, on both chains, checked from outside while its chain is still up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.kubo import NEEDS_IPFS, Daemon, one_daemon

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 280  # on a busy machine; a minute on an idle one
GONE_S = 60


@dataclass(frozen=True)
class Running:
    """A demo that was started."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def said(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def report(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return document

    def until(self, text: str, deadline_s: float = DEADLINE_S) -> None:
        until = time.monotonic() + deadline_s
        while text not in self.said:
            assert self.process.poll() is None, self.said[-3000:]
            assert time.monotonic() < until, self.said[-3000:]
            time.sleep(0.2)

    def family(self) -> list[psutil.Process]:
        """Everything that it started: nodes, training processes, the chain."""
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def demo(folder: Path, **choices: str) -> Iterator[Running]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STEELYARD_")}
    environ = {**clean, "TMPDIR": str(folder), **choices}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "steelyard.cli", "demo", "--no-check"],
            cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    running = Running(process, folder)
    family: list[psutil.Process] = []
    try:
        yield running
    finally:
        if process.poll() is None:
            family = running.family()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=GONE_S)
            except subprocess.TimeoutExpired:
                process.kill()
        for each in family:
            if each.is_running():
                each.kill()


def verify(running: Running, *options: str, report: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the independent script, as anybody could."""
    script, told = ROOT / "scripts" / "verify_report.py", report or running.folder / "report.json"
    command = [sys.executable, str(script), str(told), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def assert_gone(family: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(family, timeout=GONE_S)
    assert not alive, [each.cmdline() for each in alive]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_cheat_is_caught_on_anvil_and_everybody_else_is_paid(tmp_path: Path) -> None:
    with demo(tmp_path, CHAIN="anvil", CHEAT="1", KEEP="1") as running:
        running.until("Everything is still running")
        report = running.report()

        assert len(report["rounds"]) == 6
        assert report["final"]["accuracy"] >= 0.98
        (conviction,) = report["convictions"]
        assert conviction["round"] == 3
        assert conviction["names"][1] == "challenger"
        honest = {each["name"]: each for each in report["accounts"]}
        cheater = honest.pop(conviction["names"][0])
        assert (cheater["role"], cheater["penalty_units"]) == ("aggregator", 500 * 10**18)
        assert all(each["penalty_units"] == 0 for each in honest.values())
        workers = [each for each in honest.values() if each["role"] == "worker"]
        assert len(workers) == 4
        assert all(each["tokens_units"] == each["reward_units"] > 0 for each in workers)
        assert sum(each["what"] == "convict" for each in report["transactions"]) == 1
        # the round that was cheated in was posted by the other aggregator in the end
        assert report["rounds"][2]["poster"] != conviction["poster"]

        done = verify(running)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 wrong number" in done.stdout
        assert "agree" in done.stdout
        assert_lies_are_noticed(running, report, tmp_path)

        family = running.family()
        running.process.send_signal(signal.SIGINT)  # Ctrl-C
        assert running.process.wait(timeout=GONE_S) == 0
        assert_gone(family)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("steelyard-")] == []


def assert_lies_are_noticed(running: Running, report: dict[str, Any], folder: Path) -> None:
    """The check can fail: each of these reports tells one thing that is not so."""
    lies: list[Any] = []
    for change in (
        lambda r: r["final"].update(state_root="0x" + "00" * 32),
        lambda r: r["rounds"][1].update(state_root=r["rounds"][2]["state_root"]),
        lambda r: r["accounts"][1].update(reward_units=r["accounts"][1]["reward_units"] + 1),
        lambda r: r["convictions"].clear(),
        lambda r: r["convictions"][0].update(poster=r["convictions"][0]["prover"]),
        lambda r: r["transactions"].pop(),
        lambda r: r["transactions"][5].update(gas_used=1),
    ):
        lie = json.loads(json.dumps(report))
        change(lie)
        lies.append(lie)
    for number, lie in enumerate(lies):
        path = folder / f"lie-{number}.json"
        path.write_text(json.dumps(lie))
        done = verify(running, report=path)
        assert done.returncode == 1, (number, done.stdout)
        assert "DISAGREES" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_without_a_cheat_nobody_is_convicted_on_ganache(tmp_path: Path) -> None:
    with demo(tmp_path, CHAIN="ganache", CHEAT="0", KEEP="1") as running:
        running.until("Everything is still running")
        report = running.report()
        assert report["convictions"] == []
        assert report["final"]["accuracy"] >= 0.98
        assert all(each["penalty_units"] == 0 for each in report["accounts"])
        done = verify(running)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.timeout(180)
def test_however_the_demo_is_ended_nothing_of_it_stays(tmp_path: Path, end: signal.Signals) -> None:
    with demo(tmp_path) as running:
        running.until("contracts are deployed", 120)
        family = running.family()
        assert len(family) >= 8
        running.process.send_signal(end)
        code = running.process.wait(timeout=GONE_S)
        assert_gone(family)
    if end != signal.SIGKILL:
        assert code == 130
        assert "interrupted" in running.said
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith("steelyard-")] == []


def test_the_check_imports_nothing_of_the_program() -> None:
    code = (
        "import sys, runpy; sys.argv = ['verify_report.py', '/nowhere']; sys.path.insert(0, 'scripts')\n"
        "try: runpy.run_path('scripts/verify_report.py', run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 2, end.code\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('steelyard', 'web3', 'torch')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr


@pytest.mark.slow
@NEEDS_IPFS
def test_a_demo_on_a_daemon_leaves_there_what_was_there_before_it_and_before_one_that_was_killed(
    tmp_path: Path,
) -> None:
    with one_daemon(tmp_path / "ipfs", token="a-token") as daemon:
        choices = {
            "STORE": "kubo", "IPFS_PATH": str(daemon.repo), "STEELYARD_IPFS_AUTH": "bearer:a-token"
        }  # fmt: skip
        daemon.rpc("pin/add", arg=daemon.rpc("files/stat", arg="/")["Hash"], name="mine")
        before = _pins(daemon)
        with demo(tmp_path, **choices) as first:
            first.until("4 workers have joined")
            family = first.family()
            first.process.kill()
            assert_gone(family)
        assert len(_pins(daemon)) > len(before)
        with demo(tmp_path, **choices) as second:
            second.until("removed leftovers of killed demos: 1")
            assert second.process.wait(timeout=DEADLINE_S) == 0, second.said[-3000:]
        assert second.report()["final"]["accuracy"] > 0.9
        assert _pins(daemon) == before
        assert not list(tmp_path.glob("steelyard-demo-*"))
        assert "a-token" not in second.said


def _pins(daemon: Daemon) -> dict[str, str]:
    found = daemon.rpc("pin/ls", type="recursive", names="true").get("Keys", {})
    return {cid: pin["Name"] for cid, pin in found.items()}
