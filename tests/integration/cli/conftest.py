"""A deployment on a real anvil, and the command line run in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from steelyard.chain.dev import devnet
from steelyard.cli.app import run
from steelyard.learning.data import Rows, write_rows
from support.yard import PASSWORD, Answer, Fund, Steelyard, Yard, deployed_on, describe


@pytest.fixture(scope="session")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """A chain that the command line's tests share."""
    with devnet.running("anvil", accounts=4) as chain:
        yield deployed_on(chain, tmp_path_factory.mktemp("yard"))


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
    """Make an account with ether and, where asked, tokens; returns its address."""

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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A job's folder: two shards, test rows, and a description."""
    place = tmp_path / "job"
    place.mkdir()
    random = np.random.default_rng(1)
    for name in ("shard-0", "shard-1", "test"):
        images = random.integers(0, 255, (20, 1, 12, 12), np.uint8)
        write_rows(place / f"{name}.safetensors", Rows(images, images[:, 0, 0, 0] // 128))
    describe(place)
    return place


@pytest.fixture
def sponsor(fund: Fund) -> str:
    return fund("sponsor", tokens="1000")


@pytest.fixture
def workers(fund: Fund, steelyard: Steelyard) -> list[str]:
    addresses = []
    for name in ("ann", "ben", "cam"):
        addresses.append(fund(name, tokens="500"))
        assert steelyard("worker", "register", "--stake", "300", account=name).code == 0
    return addresses
