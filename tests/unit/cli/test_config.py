"""Settings: which source wins, and what a wrong one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.cli.settings import Config
from steelyard.errors import ConfigError


def load(tmp_path: Path, flags: dict[str, object] | None = None, **environ: str) -> Config:
    return Config.load({"home": str(tmp_path), **(flags or {})}, environ=environ, cwd=tmp_path)


def test_flags_go_over_environment_over_toml_over_defaults(tmp_path: Path) -> None:
    assert load(tmp_path).network == "anvil"

    (tmp_path / "steelyard.toml").write_text('network = "base"\naccount = "carol"\nfetch_timeout_s = 5\n')
    assert load(tmp_path).network == "base"
    assert load(tmp_path, STEELYARD_NETWORK="sepolia").network == "sepolia"
    both = load(tmp_path, {"network": "ganache"}, STEELYARD_NETWORK="sepolia")
    assert (both.network, both.account, both.fetch_timeout_s) == ("ganache", "carol", 5.0)


def test_a_flag_that_was_not_given_hides_nothing(tmp_path: Path) -> None:
    assert load(tmp_path, {"network": None}, STEELYARD_NETWORK="sepolia").network == "sepolia"


def test_paths_in_the_file_are_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "steelyard.toml").write_text('keystore = "keys"\npeers = ["http://a", "http://b"]\n')
    config = load(tmp_path)
    assert config.keystore_dir == tmp_path / "keys"
    assert config.peers == ("http://a", "http://b")
    assert config.content_dir == tmp_path / "content"


def test_lists_in_the_environment_are_separated_by_commas(tmp_path: Path) -> None:
    assert load(tmp_path, STEELYARD_PEERS="http://a,http://b").peers == ("http://a", "http://b")
    assert load(tmp_path, STEELYARD_ALLOW_PRIVATE="no").allow_private is False


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("netwrok = 'base'", "no setting netwrok"),
        ("network = [", "cannot be read"),
        ("fetch_timeout_s = 'soon'", "fetch_timeout_s in"),
        ("max_fee_gwei = -1", "max_fee_gwei is -1"),
        ("network = 7", "network in"),
        ("allow_private = 'perhaps'", "allow_private in"),
    ],
)
def test_a_wrong_setting_is_named_with_its_source_and_remedy(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "steelyard.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert said in caught.value.message
    assert caught.value.remedy


def test_a_settings_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no"):
        load(tmp_path, {"config": str(tmp_path / "other.toml")})


def test_the_rpc_url_shows_in_no_repr(tmp_path: Path) -> None:
    assert "SECRET" not in repr(load(tmp_path, {"rpc_url": "https://node.example/SECRET"}))
