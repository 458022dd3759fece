"""Users of the command line on one chain, each with a home, an account and tokens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.yard import Steelyard, Yard

DEADLINE_S = 150.0


def short_terms(**changes: Any) -> str:
    """The [terms] of a job for two members, with short windows."""
    terms = {
        "pool": "10",
        "rounds": 1,
        "min_updates": 2,
        "stake": "100",
        "bond": "50",
        "submit_window": "60s",
        "attest_window": "20s",
        "turn_window": "5s",
        "post_window": "20s",
        "challenge_window": "2s",
        "duration": "1h",
        "max_members": 2,
        **changes,
    }
    return "\n[terms]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in terms.items())


@dataclass
class Party:
    """The users, each with a home of its own."""

    steelyard: Steelyard
    yard: Yard
    root: Path
    addresses: dict[str, str] = field(default_factory=dict)

    def home(self, who: str) -> Path:
        return self.root / "homes" / who

    def do(self, who: str, *arguments: str) -> Any:
        """Run a command as a user; returns its JSON output."""
        answer = self.steelyard(*arguments, account=who, at=self.home(who))
        assert answer.code == 0, answer.out + answer.err
        return answer.json

    def refused(self, who: str, *arguments: str) -> dict[str, Any]:
        """Run a command that must fail; returns its error."""
        return self.steelyard(*arguments, account=who, at=self.home(who)).error

    def enter(self, who: str, *, stake: bool = False, bond: bool = False) -> None:
        """Make an account with tokens, registered with a stake or a bond."""
        made = self.steelyard("account", "new", who, "--light", at=self.home(who)).json
        self.addresses[who] = made["address"]
        self.yard.chain.rpc("anvil_setBalance", made["address"], hex(10**20))
        self.do(who, "token", "mint", "1000")
        if stake:
            self.do(who, "worker", "register", "--stake", "300")
        if bond:
            self.do(who, "aggregator", "bond", "500")

    @contextmanager
    def running(
        self, who: str, *arguments: str, program: tuple[str, ...] = ("steelyard.cli",)
    ) -> Iterator[Path]:
        """Run a long-lived command as a user; yields the file of its JSON lines."""
        log = self.root / f"{who}-{arguments[0]}.log"
        command = [sys.executable, "-m", *program, "--home", str(self.home(who)), "--account", who]
        command += ["--rpc-url", self.yard.chain.url, "--deployment", str(self.yard.file), "--json"]
        with log.open("wb") as output, log.with_suffix(".err").open("wb") as errors:
            environ = {**os.environ, "OMP_NUM_THREADS": "1"}
            process = subprocess.Popen([*command, *arguments], stdout=output, stderr=errors, env=environ)
            try:
                yield log
            finally:
                process.terminate()
                process.wait(timeout=60)

    @contextmanager
    def serving(self, who: str) -> Iterator[str]:
        """Serve the store of a user's home; yields its URL."""
        with self.running(who, "content", "serve") as log:
            yield str(awaited(lambda: _url(log), f"{who} serves nothing: {log.read_text()}"))

    def play(
        self,
        job: int,
        workers: dict[str, list[str]],
        aggregator: str,
        peers: list[str],
        *,
        cheat_round: int | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> dict[str, Any]:
        """Run a job to its end. workers: options of `run` by name.  Returns events by name.

        cheat_round: the aggregator posts one wrong number in it.  meanwhile: called once the job has started.
        """
        staged = ("steelyard.cli.demo.cheat", str(cheat_round)) if cheat_round else ("steelyard.cli",)
        hints = [word for url in peers for word in ("--peer", url)]
        with ExitStack() as stack:
            logs = {
                who: stack.enter_context(
                    self.running(who, "run", "--role", "worker", "--job", str(job), *hints, *options)
                )
                for who, options in workers.items()
            }
            logs[aggregator] = stack.enter_context(
                self.running(
                    aggregator, "run", "--role", "aggregator", "--job", str(job), *hints, program=staged
                )
            )
            self.do("sponsor", "job", "start", str(job))
            meanwhile()
            awaited(
                lambda: all(kinds(log, "ended") for log in logs.values()),
                "the job did not end:\n" + "\n".join(log.read_text()[-2000:] for log in logs.values()),
            )
            return {who: events(log) for who, log in logs.items()}


def events(log: Path) -> list[dict[str, Any]]:
    """A node's events so far."""
    lines = log.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def kinds(log: Path, kind: str) -> list[dict[str, Any]]:
    return [event for event in events(log) if event["kind"] == kind]


def awaited(what: Callable[[], Any], why: str) -> Any:
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError(why)


def _url(log: Path) -> str | None:
    text = log.read_text()
    return str(json.loads(text)["url"]) if text.rstrip().endswith("}") else None
