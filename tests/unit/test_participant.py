"""A participant: what it keeps in its folder, and the nodes and stores that it makes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import steelyard
from steelyard.chain.networks import KNOWN
from steelyard.errors import ConfigError, WalletError

NETWORK = dataclasses.replace(
    KNOWN["anvil"], deployment=steelyard.Deployment(chain_id=31337, block=0, contracts={})
)


def _made(folder: Path) -> steelyard.Participant:
    return steelyard.Participant.create(
        NETWORK, folder, password="secret", light=True, peers=["http://127.0.0.1:1"]
    )


def test_a_participant_has_a_new_key_and_shows_no_password(tmp_path: Path) -> None:
    made = _made(tmp_path)
    assert steelyard.Keystores(tmp_path / "keystores").open("account", "secret").address == made.address
    assert "secret" not in repr(made)
    with pytest.raises(WalletError, match="'account'"):
        _made(tmp_path)


def test_the_files_of_a_node_are_below_the_folder(tmp_path: Path) -> None:
    made = _made(tmp_path)
    config = made.node_config(3, "worker", steelyard.Role.CHALLENGER, keep_rounds=5)
    assert {config.home, config.keystores, config.store.root, config.state_dir} == {
        tmp_path / "nodes" / "31337-3",
        tmp_path / "keystores",
        tmp_path / "content",
        tmp_path / "chain",
    }
    assert config.roles == {steelyard.Role.WORKER, steelyard.Role.CHALLENGER}
    assert (config.job, config.keep_rounds, config.store.peers) == (3, 5, ("http://127.0.0.1:1",))
    assert config.store.allow_private, "development networks are on this machine"
    with pytest.raises(ConfigError, match="at least one role"):
        made.node_config(3)


async def test_a_store_serves_only_if_asked(tmp_path: Path) -> None:
    made = _made(tmp_path)
    async with made.open_store() as store:
        assert store.url is None
    async with made.open_store(serve=True) as store:
        assert str(store.url).startswith("http://127.0.0.1:")
