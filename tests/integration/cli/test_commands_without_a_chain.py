"""The command line as a process: accounts, networks, content, errors, exit codes, start-up time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steelyard.chain.abi_version import abi_fingerprint

PASSWORD = "secret"
Steelyard = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def steelyard(tmp_path: Path) -> Steelyard:
    """Run the command line in a home of its own: `steelyard("account", "list", password="x")`."""

    def run(
        *arguments: str, password: str | None = PASSWORD, stdin: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        environ = {"STEELYARD_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        if password is not None:
            environ["STEELYARD_PASSWORD"] = password
        environ |= variables
        return subprocess.run(
            [sys.executable, "-m", "steelyard.cli", *arguments],
            input=stdin, capture_output=True, text=True, env=environ, cwd=tmp_path, timeout=60, check=False,
        )  # fmt: skip

    return run


def error_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(done.stdout)["error"]
    assert done.returncode == said["exit_code"]
    return said


@pytest.mark.timing
def test_help_comes_at_once(steelyard: Steelyard) -> None:
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        done = steelyard("--help")
        taken.append(time.perf_counter() - begun)
        assert done.returncode == 0
        assert "Exit codes" in done.stdout
    assert min(taken) < 0.5 * 2, taken  # twice the promise, for slow machines


@pytest.mark.parametrize(
    "command",
    ["account", "network", "worker", "aggregator", "job", "rewards", "token", "model", "content", "data"],
)
def test_every_group_explains_itself(steelyard: Steelyard, command: str) -> None:
    done = steelyard(command, "--help")
    assert done.returncode == 0
    assert "Usage: steelyard" in done.stdout


def test_a_new_account_is_listed_and_its_key_stays_encrypted(steelyard: Steelyard, tmp_path: Path) -> None:
    made = json.loads(steelyard("account", "new", "alice", "--light", "--json").stdout)
    listed = json.loads(steelyard("account", "list", "--json").stdout)
    assert listed == [made]
    keystore = Path(made["path"])
    assert keystore.is_relative_to(tmp_path / "home")
    assert keystore.stat().st_mode & 0o077 == 0
    assert json.loads(keystore.read_text())["crypto"]["kdf"] == "scrypt"


def test_an_account_is_imported_from_a_keystore_and_from_a_phrase(
    steelyard: Steelyard, tmp_path: Path
) -> None:
    made = json.loads(steelyard("account", "new", "alice", "--light", "--json").stdout)
    copied = steelyard("account", "import", made["path"], "--name", "bob", "--light", "--json")
    assert json.loads(copied.stdout)["address"] == made["address"]

    phrase = "test test test test test test test test test test test junk"
    done = steelyard(
        "account", "import", "-", "--mnemonic", "--name", "carol", "--light", "--json", stdin=phrase
    )
    assert json.loads(done.stdout)["address"] == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    assert "junk" not in done.stderr


def test_the_wrong_password_is_named_and_nothing_is_stored(steelyard: Steelyard) -> None:
    made = json.loads(steelyard("account", "new", "alice", "--light", "--json").stdout)
    done = steelyard("account", "import", made["path"], "--name", "bob", "--json", password="guess")
    said = error_of(done)
    assert (said["type"], said["exit_code"]) == ("WrongPassword", 7)
    assert "guess" not in done.stdout + done.stderr
    assert [each["name"] for each in json.loads(steelyard("account", "list", "--json").stdout)] == ["alice"]


def test_json_never_prompts(steelyard: Steelyard) -> None:
    said = error_of(steelyard("account", "new", "alice", "--json", password=None))
    assert said["type"] == "WalletError"
    assert "STEELYARD_PASSWORD" in said["remedy"]


def test_an_unknown_command_is_a_usage_error(steelyard: Steelyard) -> None:
    assert error_of(steelyard("job", "explode", "--json"))["type"] == "UsageError"
    done = steelyard("job", "explode")
    assert done.returncode == 2
    assert "remedy: see `steelyard job --help`" in done.stderr
    assert done.stdout == ""


def test_an_unknown_network_names_those_that_exist(steelyard: Steelyard) -> None:
    said = error_of(steelyard("account", "show", "0x" + "11" * 20, "--network", "mars", "--json"))
    assert said["exit_code"] == 2
    assert "anvil" in said["remedy"]


@pytest.fixture
def deployment(tmp_path: Path) -> str:
    """A deployment file, of a chain that is not there."""
    names = ("Coordinator", "Vault", "WorkerRegistry", "TestToken")
    contracts = {name: f"0x{number:040x}" for number, name in enumerate(names, start=1)}
    file = tmp_path / "31337.json"
    file.write_text(
        json.dumps({"chainId": 31337, "abi": abi_fingerprint(), "block": 1, "contracts": contracts})
    )
    return str(file)


def test_an_unreachable_rpc_is_reported_and_its_key_is_not_shown(
    steelyard: Steelyard, deployment: str
) -> None:
    rpc = ("--rpc-url", "http://127.0.0.1:9/SECRET", "--deployment", deployment)
    done = steelyard("token", "balance", "0x" + "11" * 20, *rpc, "--json")
    said = error_of(done)
    assert (said["type"], said["exit_code"]) == ("Unreachable", 6)
    assert said["remedy"]
    assert "SECRET" not in done.stdout + done.stderr


def test_an_added_network_is_kept_and_its_rpc_is_private(steelyard: Steelyard, tmp_path: Path) -> None:
    added = steelyard(
        "network", "add", "mine", "--rpc", "https://node.example/SECRET", "--chain-id", "99", "--json"
    )
    assert added.returncode == 0, added.stderr
    listed = steelyard("network", "list", "--json")
    assert "SECRET" not in listed.stdout
    assert next(each for each in json.loads(listed.stdout) if each["name"] == "mine")["chain_id"] == 99
    assert (tmp_path / "home" / "networks.toml").stat().st_mode & 0o077 == 0


def test_a_network_without_a_chain_id_is_refused(steelyard: Steelyard) -> None:
    assert "--chain-id" in error_of(steelyard("network", "add", "mine", "--json"))["remedy"]


def test_a_deployment_of_another_chain_is_refused(steelyard: Steelyard, tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text(json.dumps({"chainId": 5, "abi": abi_fingerprint(), "block": 1, "contracts": {}}))
    said = error_of(steelyard("network", "add", "anvil", "--deployment", str(file), "--json"))
    assert "chain 5" in said["message"]


def test_a_cid_is_printed_for_a_file(steelyard: Steelyard, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    done = steelyard("content", "cid", "empty")
    assert done.stdout.strip() == "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
    assert error_of(steelyard("content", "cid", "nothing", "--json"))["exit_code"] == 2


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (("job", "show", "seven"), "'seven'"),
        (("run", "--role", "worker", "--job", "0"), "'0'"),
        (("doctor", "--max-fee-gwei", "much"), "'much'"),
        (("demo", "--chain", "foo"), "'foo'"),
    ],
)
def test_a_refused_argument_is_shown_once_with_the_way_to_help(
    steelyard: Steelyard, words: tuple[str, ...], value: str
) -> None:
    said = error_of(steelyard(*words, "--json"))
    assert said["exit_code"] == 2
    assert said["message"].count(value) == 1
    assert "--help" in said["remedy"]


def test_the_doctor_names_what_is_wrong_and_exits_with_its_code(steelyard: Steelyard) -> None:
    done = steelyard("doctor", "--rpc-url", "http://127.0.0.1:9", "--json")
    checks = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
    assert done.returncode == 6
    assert checks["network"]["state"] == "bad"
    assert checks["network"]["remedy"]
    assert checks["arithmetic"]["state"] == "ok"


def test_a_full_disk_is_a_clear_error(steelyard: Steelyard) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "steelyard.cli", "network", "list"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 5
    assert "No space left" in done.stderr


def test_logs_are_json_lines_where_asked(steelyard: Steelyard, deployment: str) -> None:
    rpc = ("--rpc-url", "http://127.0.0.1:9", "--deployment", deployment)
    done = steelyard("token", "balance", "0x" + "11" * 20, *rpc, "--log-json")
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert lines
    assert {"at", "level", "message"} <= set(lines[0])


def test_completion_is_offered(steelyard: Steelyard) -> None:
    # Typer looks for a shell among the parent processes, and without one it offers none.
    done = steelyard("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "complete" in done.stdout
