"""A deployment on a real anvil, and the command line run in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from web3 import HTTPProvider, Web3

from steelyard.chain import devnet
from steelyard.chain.deploy import Web3Creator, deploy
from steelyard.chain.devnet import DevChain
from steelyard.chain.plan import DeploymentSettings
from steelyard.cli.app import run
from support.yard import MINIMUM_WINDOW_S, PASSWORD, Answer, Fund, Steelyard, Yard


@pytest.fixture(scope="session")
def yard(anvil: DevChain, tmp_path_factory: pytest.TempPathFactory) -> Yard:
    web3 = Web3(HTTPProvider(anvil.url))
    settings = DeploymentSettings(minimum_window_s=MINIMUM_WINDOW_S, unbonding_s=2)
    deployed = deploy(Web3Creator(web3, anvil.accounts[0]), settings)
    file = tmp_path_factory.mktemp("yard") / "31337.json"
    deployed.write(file)
    return Yard(chain=anvil, deployed=deployed, file=file)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def steelyard(
    yard: Yard, home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Steelyard:
    """Run a command against the yard: `steelyard("job", "list", account="alice")`; --json unless `human`."""
    monkeypatch.setenv("STEELYARD_PASSWORD", PASSWORD)
    monkeypatch.setenv("STEELYARD_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("STEELYARD_FETCH_TIMEOUT_S", "3")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, account: str = "", human: bool = False, at: Path | None = None) -> Answer:
        options = ["--home", str(at or home), "--rpc-url", yard.chain.url, "--deployment", str(yard.file)]
        options += ["--account", account] if account else []
        options += [] if human else ["--json"]
        capfd.readouterr()
        given = {word.partition("=")[0] for word in arguments}
        kept = [options[i : i + 2] for i in range(0, 6, 2) if options[i] not in given]
        code = run([*(word for pair in kept for word in pair), *options[6:], *arguments])
        said = capfd.readouterr()
        return Answer(code=code, out=said.out, err=said.err)

    return call


@pytest.fixture
def fund(yard: Yard, steelyard: Steelyard) -> Fund:
    """Make an account with ether and, where asked, tokens: `fund("alice", tokens="1000")`; returns its address."""

    def make(name: str, *, tokens: str = "", ether: int = 100) -> str:
        made = steelyard("account", "new", name, "--light")
        assert made.code == 0, made.err
        address = str(made.json["address"])
        yard.chain.rpc("anvil_setBalance", address, hex(ether * 10**18))
        if tokens:
            minted = steelyard("token", "mint", tokens, account=name)
            assert minted.code == 0, minted.out + minted.err
        return address

    return make


@pytest.fixture
def advance(yard: Yard) -> Callable[[int], None]:
    """Let the chain's time pass."""

    def pass_time(seconds: int) -> None:
        devnet.rpc(yard.chain.url, "evm_increaseTime", seconds)
        devnet.rpc(yard.chain.url, "evm_mine")

    return pass_time
