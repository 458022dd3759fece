"""Which content store a command gets, and where its daemon is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.cli import app
from steelyard.cli.arguments import forward
from steelyard.cli.settings import Config
from steelyard.cli.stores import daemon, fetching_only, how_to_serve, serving
from steelyard.content import EmbeddedStore, make_store
from steelyard.content.kubo.store import KuboStore
from steelyard.errors import ConfigError


@pytest.fixture(autouse=True)
def no_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine's own daemon plays no part."""
    for name in ("IPFS_API", "IPFS_PATH", "STEELYARD_IPFS_AUTH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def config(tmp_path: Path, **flags: str) -> Config:
    return Config.load({"home": str(tmp_path), **flags}, environ={}, cwd=tmp_path)


def url(settings: Config) -> str | None:
    found = daemon(settings)
    return None if found is None else found.url


def test_the_store_is_embedded_unless_a_daemon_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPFS_API", "/ip4/127.0.0.1/tcp/5001")  # a daemon that is there is not used unasked
    assert type(make_store(serving(config(tmp_path)))) is EmbeddedStore
    assert type(make_store(fetching_only(config(tmp_path)))) is EmbeddedStore
    assert type(make_store(serving(config(tmp_path, store="kubo")))) is KuboStore


def test_an_address_stands_for_the_kind_of_store(tmp_path: Path) -> None:
    assert url(config(tmp_path, ipfs_api="/ip4/127.0.0.1/tcp/7")) == "http://127.0.0.1:7"
    assert daemon(config(tmp_path, ipfs_api="/ip4/127.0.0.1/tcp/7", store="embedded")) is None


def test_the_setting_goes_over_the_environment_of_ipfs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPFS_API", "http://127.0.0.1:3")
    assert url(config(tmp_path, store="kubo")) == "http://127.0.0.1:3"
    assert url(config(tmp_path, ipfs_api="http://127.0.0.1:4")) == "http://127.0.0.1:4"


# What Kubo compares with the header (its ConvertAuthSecret), and how a URL says it.
SECRETS = {
    "basic:ann:se:cret": "Basic YW5uOnNlOmNyZXQ=",
    "basic:YW5uOnNlOmNyZXQ=": "Basic YW5uOnNlOmNyZXQ=",
    "bearer:a-token": "Bearer a-token",
    "a-token": "Bearer a-token",
}


@pytest.mark.parametrize("secret", SECRETS)
def test_the_rpcs_secret_comes_from_the_environment_or_a_file_and_never_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    (tmp_path / "secret").write_text(secret + "\n")
    wanted = {"ipfs_api": "http://127.0.0.1:4", "ipfs_auth_file": str(tmp_path / "secret")}
    in_file = serving(config(tmp_path, **wanted))
    monkeypatch.setenv("STEELYARD_IPFS_AUTH", secret)
    in_environment = fetching_only(config(tmp_path, ipfs_api="http://127.0.0.1:4"))
    assert in_file.ipfs_auth == in_environment.ipfs_auth == SECRETS[secret]
    for shown in (repr(in_file), repr(daemon(config(tmp_path, **wanted))), repr(config(tmp_path, **wanted))):
        assert secret not in shown
        assert SECRETS[secret] not in shown


def test_a_url_may_bring_user_and_password_which_never_show(tmp_path: Path) -> None:
    secret = config(tmp_path, ipfs_api="http://ann:se%3Acret@127.0.0.1:4")
    found = serving(secret)
    assert (found.ipfs, found.ipfs_auth) == ("http://127.0.0.1:4", SECRETS["basic:ann:se:cret"])
    assert not [shown for shown in (repr(secret), repr(found)) if "cret@" in shown]
    with pytest.raises(ConfigError) as caught:
        daemon(config(tmp_path, ipfs_api="http://ann:secret@127.0.0.1:99999"))
    assert "secret" not in str(caught.value) + caught.value.remedy


@pytest.mark.parametrize("secret", ["digest:xyz", "bearer:a\r\nX-Y: z", "bearer:\u00fcbel"])
def test_a_secret_of_another_kind_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("STEELYARD_IPFS_AUTH", secret)
    with pytest.raises(ConfigError, match="of an unknown kind") as caught:
        daemon(config(tmp_path, store="kubo", ipfs_api="/ip4/127.0.0.1/tcp/7"))
    assert secret.partition(":")[2] not in str(caught.value).removesuffix(caught.value.remedy)


def test_a_file_without_the_secret_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        daemon(config(tmp_path, ipfs_api="http://127.0.0.1:4", ipfs_auth_file=str(tmp_path / "nowhere")))


def test_a_daemon_that_listens_on_a_file_is_told_from_one_that_is_misspelt(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="socket in the file system") as caught:
        daemon(config(tmp_path, ipfs_api="/unix/run/ipfs.sock"))
    assert "Addresses.API" in caught.value.remedy


def test_what_hands_published_files_out_is_said_as_it_is(tmp_path: Path) -> None:
    assert how_to_serve(config(tmp_path), "it") == "serve it: `steelyard content serve`"
    said = how_to_serve(config(tmp_path, ipfs_api="http://ann:secret@127.0.0.1:4"), "its data")
    assert said.startswith("the IPFS daemon at http://127.0.0.1:4 serves its data")
    assert "secret" not in said


def test_a_daemon_that_is_nowhere_is_said_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no running IPFS daemon") as caught:
        daemon(config(tmp_path, store="kubo"))
    assert "--ipfs" in caught.value.remedy


def test_another_kind_of_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="store is 'floppy'"):
        config(tmp_path, store="floppy")


def test_the_flags_may_stand_behind_the_command() -> None:
    words = ["content", "ls", "--store", "kubo", "--ipfs=/ip4/127.0.0.1/tcp/9"]
    assert forward(words) == ["--store", "kubo", "--ipfs=/ip4/127.0.0.1/tcp/9", "content", "ls"]


def test_a_command_without_its_daemon_ends_with_the_code_of_content(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["content", "ls", "--json", "--home", str(tmp_path), "--ipfs", "/ip4/127.0.0.1/tcp/9"]
    assert app.run(words) == 5
    assert "no IPFS daemon answers" in capsys.readouterr().out
