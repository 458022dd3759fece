"""Commands at a terminal: what they ask for, and how often."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.yard import PASSWORD, Fund, Steelyard, Yard, post

DEADLINE_S = 60.0
# what a login does: the terminal becomes the one whose keys send signals, and that getpass opens
LOGIN = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def at_terminal(yard: Yard, home: Path, folder: Path, answer: bytes, *words: str) -> tuple[int, str]:
    """Run a command at a terminal that gives `answer` to each prompt; its exit code and what was shown."""
    near, far = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STEELYARD_")}
    environ = {**clean, "STEELYARD_STATE_DIR": str(folder / "state"), "COLUMNS": "200", "TERM": "dumb"}
    options = ["--home", str(home), "--rpc-url", yard.chain.url, "--deployment", str(yard.file)]
    process = subprocess.Popen(
        [sys.executable, "-c", LOGIN, sys.executable, "-m", "steelyard.cli", *options, *words],
        cwd=folder, env=environ, stdin=far, stdout=far, stderr=far, start_new_session=True,
    )  # fmt: skip
    os.close(far)
    os.set_blocking(near, False)
    shown, answered, until = "", 0, time.monotonic() + DEADLINE_S
    try:
        while process.poll() is None:
            assert time.monotonic() < until, shown
            shown += _read(near)
            if shown.count("Password of") > answered:
                answered += 1
                os.write(near, answer)
            time.sleep(0.02)
        return process.returncode, shown + _read(near)
    finally:
        process.kill()
        process.wait()
        os.close(near)


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:  # nothing there yet, or the other end is closed
        return ""


def test_a_command_that_needs_a_password_twice_asks_for_it_once(
    yard: Yard, fund: Fund, steelyard: Steelyard, home: Path, tmp_path: Path
) -> None:
    """Registering a new encryption key signs, and seals the key: each takes the password."""
    fund("alice")
    code, shown = at_terminal(
        yard, home, tmp_path, PASSWORD.encode() + b"\n", "worker", "register", "--encryption-key", "new"
    )
    assert code == 0, shown
    assert shown.count("Password of alice") == 1
    assert PASSWORD not in shown
    assert int(steelyard("worker", "status", "alice").json["encryption_key"], 16) != 0


def test_json_never_prompts(yard: Yard, fund: Fund, home: Path, tmp_path: Path) -> None:
    fund("alice")
    code, shown = at_terminal(yard, home, tmp_path, b"", "worker", "register", "--json")
    assert (code, '"type": "WalletError"' in shown) == (7, True), shown
    assert "Password of" not in shown


def test_a_wrong_password_at_a_prompt_is_not_asked_again(
    yard: Yard, fund: Fund, home: Path, tmp_path: Path
) -> None:
    fund("alice")
    code, shown = at_terminal(yard, home, tmp_path, b"a guess\n", "worker", "register")
    assert code == 7, shown
    assert shown.count("Password of alice") == 1
    assert "wrong password" in shown


@pytest.mark.parametrize(
    "words", [("worker", "register"), ("data", "publish", "rows.csv", "--shards", "1", "--encrypt")]
)
def test_ctrl_c_at_a_prompt_ends_the_command(
    yard: Yard, fund: Fund, home: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    fund("alice")
    code, shown = at_terminal(yard, home, tmp_path, b"\x03", *words)
    assert (code, "error: interrupted" in shown) == (130, True), shown


def test_a_closed_input_at_a_prompt_is_no_password(
    yard: Yard, fund: Fund, home: Path, tmp_path: Path
) -> None:
    fund("alice")
    code, shown = at_terminal(yard, home, tmp_path, b"\x04", "worker", "register")
    assert (code, "no password was typed" in shown) == (7, True), shown


def test_a_node_asks_for_its_password_once_and_ctrl_c_there_ends_it(
    steelyard: Steelyard, yard: Yard, sponsor: str, folder: Path, home: Path, tmp_path: Path
) -> None:
    job = str(post(steelyard, folder))
    run = ("--account", "sponsor", "run", "--role", "challenger", "--job", job)
    code, shown = at_terminal(yard, home, tmp_path, b"\x03", *run)
    assert (code, "error: interrupted" in shown) == (130, True), shown
    code, shown = at_terminal(yard, home, tmp_path, b"a guess\n", *run)
    assert (code, shown.count("Password of sponsor")) == (7, 1), shown
