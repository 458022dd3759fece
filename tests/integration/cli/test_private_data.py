"""Encrypted shards through the command line: published, granted, trained on, withdrawn; nobody else sees.

What moves files is tested on embedded stores, and on three IPFS daemons if there is a program for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from steelyard.content import Cid, EmbeddedStore, StoreConfig, cid_of_path
from steelyard.errors import ContentSealed
from steelyard.learning.data import Kind, Rows, read_rows, write_rows
from steelyard.operations import access
from steelyard.sealing.envelopes import Envelope
from steelyard.sealing.keyring import Keyring
from steelyard.sealing.stream import is_sealed, open_file
from support.kubo import NEEDS_IPFS, Daemon
from support.party import Party, awaited, events
from support.yard import PASSWORD, Steelyard, Yard

ROOT = Path(__file__).resolve().parents[3]
JOB = """
name = "Private MNIST"
[data]
source = "{data}"
{more}
[training]
learning_rate = 0.08
max_rows = 256
[terms]
pool = "10"
rounds = {rounds}
min_updates = 1
stake = "100"
bond = "50"
submit_window = "{window}s"
attest_window = "10s"
turn_window = "5s"
post_window = "20s"
challenge_window = "2s"
duration = "1h"
max_members = 2
"""


@dataclass
class Cast(Party):
    """Everybody, with the keys that open what they were granted."""

    daemons: dict[str, Daemon] = field(default_factory=dict)  # by person; none where stores are embedded

    def ring(self, who: str) -> Keyring:
        return Keyring.beside(self.home(who) / "keystore")

    def enter(self, who: str, *, stake: bool = False, bond: bool = False) -> None:
        """Get an account, with a daemon if there are some."""
        if who in self.daemons:
            self.home(who).mkdir(parents=True)
            (self.home(who) / "steelyard.toml").write_text(f'ipfs_api = "{self.daemons[who].api}"\n')
        super().enter(who, stake=stake, bond=bond)

    def repositories(self) -> list[Path]:
        """Of the daemons."""
        return list({daemon.repo: None for daemon in self.daemons.values()})


@pytest.fixture
def cast(request: pytest.FixtureRequest, steelyard: Steelyard, yard: Yard, tmp_path: Path) -> Cast:
    made = Cast(steelyard=steelyard, yard=yard, root=tmp_path)
    if getattr(request, "param", "embedded") == "kubo":
        found: list[Daemon] = request.getfixturevalue("ipfs")
        made.daemons = dict(zip(("sponsor", "ann", "ben", "cleo"), [*found, found[0]], strict=True))
    made.enter("sponsor")
    return made


on_each_store = pytest.mark.parametrize(
    "cast", ["embedded", pytest.param("kubo", marks=NEEDS_IPFS)], indirect=True
)


def _worker(cast: Cast, who: str, *, key: bool = True) -> None:
    cast.enter(who)
    cast.do(who, "worker", "register", "--stake", "300", *(["--encryption-key", "new"] if key else []))


def _published(cast: Cast, source: str, *options: str) -> dict[str, Any]:
    done = cast.do("sponsor", "data", "publish", source, "--encrypt", "-o", str(cast.root / "out"), *options)
    assert not list((cast.root / "out").glob("shard-*.safetensors"))
    return dict(done)


def _posted(cast: Cast, data: dict[str, Any], more: str = "", *, rounds: int = 2, window: int = 40) -> str:
    place = cast.root / "job.toml"
    place.write_text(JOB.format(data=data["manifest"], more=more, rounds=rounds, window=window))
    return str(cast.do("sponsor", "job", "create", str(place))["job"])


def _csv(cast: Cast, rows: int = 40, seed: int = 3) -> str:
    """A small table of numbers with two labels."""
    random = np.random.default_rng(seed)
    lines = ["a,b,label", *(f"{x:.6f},{y:.6f},{i % 2}" for i, (x, y) in enumerate(random.random((rows, 2))))]
    place = cast.root / f"table-{seed}.csv"
    place.write_text("\n".join(lines) + "\n")
    return str(place)


def _opened(cast: Cast, sealed: Path, content: str) -> Path:
    """Content of a sealed shard of the sponsor."""
    ring = cast.ring("sponsor")
    envelope = ring.saved_envelope(Cid.parse(content))
    assert envelope is not None
    key = ring.unlock(cast.addresses["sponsor"], PASSWORD).open(envelope)
    target = cast.root / f"{sealed.stem}.opened"
    open_file(sealed, key, target)
    return target


def _bytes_on_disk(*folders: Path) -> Iterator[tuple[Path, bytes]]:
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                yield path, path.read_bytes()


@pytest.mark.slow
@on_each_store
def test_two_workers_train_on_encrypted_rows_and_are_paid_and_nobody_else_sees_a_row(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _published(cast, "mnist", "--shards", "2", "--partition", "dirichlet:0.5")
    plain = [_opened(cast, cast.root / "out" / f"shard-{i}.sealed", data["shards"][i]["cid"]) for i in (0, 1)]
    assert sum(len(read_rows(path)) for path in plain) == 60_000
    for who in ("ann", "ben"):
        _worker(cast, who)
    cast.enter("cleo")
    cast.do("cleo", "worker", "register")
    cast.do("cleo", "aggregator", "bond", "300")
    job = _posted(cast, data)

    with ExitStack() as running:
        url = running.enter_context(cast.serving("sponsor"))
        monkeypatch.setenv("STEELYARD_PEERS", url)
        for who in ("ann", "ben"):
            cast.do(who, "job", "join", job)
        cast.do("sponsor", "job", "grant", job, "--worker", cast.addresses["ann"])
        logs = {
            who: running.enter_context(
                cast.running(who, "run", "--job", job, "--linger", "60", "--role", role)
            )
            for who, role in (("ann", "worker"), ("ben", "worker"), ("cleo", "aggregator"))
        }
        cast.do("sponsor", "job", "start", job)
        awaited(lambda: [e for e in events(logs["ann"]) if e["kind"] == "trained"], "ann never trained")
        (refused, *_) = awaited(
            lambda: [e for e in events(logs["ben"]) if e["kind"] == "problem"], "ben was not refused"
        )
        assert "is encrypted" in refused["message"]
        assert f"job grant {job} --worker {cast.addresses['ben']}" in refused["remedy"]
        assert cast.addresses["sponsor"] in refused["remedy"]
        granted = cast.do("sponsor", "job", "grant", job)["granted"]
        assert [each["worker"] for each in granted] == [cast.addresses["ben"]]
        peers = [url, *(_started(log) for log in logs.values())]
        awaited(lambda: [e for e in events(logs["ben"]) if e["kind"] == "trained"], "ben never trained")
        private = [path for who in ("ann", "ben") for path in _private(cast, who)]
        assert len(private) == 2
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in private)
        for log in logs.values():
            awaited(lambda log=log: [e for e in events(log) if e["kind"] == "ended"], f"{log}: no end")
        for path in plain:
            assert _nobody_serves(cast, peers, str(cid_of_path(path)))

    for who in ("ann", "ben"):
        cast.do(who, "rewards", "claim")
        assert not _private(cast, who)
        trained = [e for e in events(logs[who]) if e["kind"] == "trained"]
        assert len(trained) == 2
    _assert_paid(cast)
    _assert_unseen(cast, plain)


@pytest.mark.slow
@on_each_store
def test_a_withdrawal_in_a_running_job_takes_the_rows_away_and_the_rounds_go_on(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _published(cast, _csv(cast), "--shards", "2", "--label", "label")
    for who in ("ann", "ben"):
        _worker(cast, who)
    cast.enter("cleo")
    cast.do("cleo", "worker", "register")
    cast.do("cleo", "aggregator", "bond", "300")
    job = _posted(cast, data, rounds=3, window=8)

    with ExitStack() as running:
        url = running.enter_context(cast.serving("sponsor"))
        monkeypatch.setenv("STEELYARD_PEERS", url)
        for who in ("ann", "ben"):
            cast.do(who, "job", "join", job)
        cast.do("sponsor", "job", "grant", job)
        roles = {"ann": "worker", "ben": "worker", "cleo": "aggregator"}
        logs = {
            who: running.enter_context(cast.running(who, "run", "--job", job, "--role", role))
            for who, role in roles.items()
        }
        cast.do("sponsor", "job", "start", job)
        awaited(lambda: _private(cast, "ann"), "ann opened nothing")
        cast.do("sponsor", "job", "withdraw", job, cast.addresses["ann"])
        awaited(lambda: not _private(cast, "ann"), "ann's rows stayed")
        refused = awaited(
            lambda: [e for e in events(logs["ann"]) if "may no longer read it" in e.get("message", "")],
            "ann was not told",
        )
        assert f"job grant {job} --worker {cast.addresses['ann']}" in refused[0]["remedy"]
        awaited(lambda: _private(cast, "ben"), "ben opened nothing")
        for who in ("ben", "cleo"):
            awaited(lambda who=who: [e for e in events(logs[who]) if e["kind"] == "ended"], f"{who}: no end")

    trained = {who: len([e for e in events(logs[who]) if e["kind"] == "trained"]) for who in ("ann", "ben")}
    assert trained["ann"] < trained["ben"] == 3
    assert not next(e for e in events(logs["cleo"]) if e["kind"] == "ended")["aborted"]


@pytest.mark.slow
@on_each_store
def test_members_bring_rows_encrypted_or_keep_them_at_home_and_neither_shows(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(cast.root / "open")
    data = cast.do("sponsor", "data", "publish", _csv(cast), "--shards", "2", "--label", "label", "-o", out)
    job = _posted(cast, data, 'membership = "open"')
    for who in ("ann", "ben"):
        _worker(cast, who)
    cast.enter("cleo")
    cast.do("cleo", "worker", "register")
    cast.do("cleo", "aggregator", "bond", "300")
    at_home = cast.root / "ben-rows.safetensors"
    inputs = np.random.default_rng(9).random((64, 2), np.float32)
    write_rows(at_home, Rows(inputs, (np.arange(64) % 2).astype(np.uint8), Kind.FEATURES))

    with ExitStack() as running:
        url = running.enter_context(cast.serving("sponsor"))
        monkeypatch.setenv("STEELYARD_PEERS", url)
        mine = ("--shards", "1", "--label", "label", "--test", "0", "--like", data["manifest"])
        own = cast.do(
            "ann", "data", "publish", _csv(cast, seed=8), *mine, "--encrypt", "-o", str(cast.root / "ann-out")
        )
        cast.do("ann", "job", "join", job, "--data", own["shards"][0]["cid"])
        cast.do("ben", "job", "join", job)
        settings = {"ann": ("worker",), "ben": ("worker", "--data", str(at_home)), "cleo": ("aggregator",)}
        logs = {
            who: running.enter_context(
                cast.running(who, "run", "--job", job, "--linger", "60", "--role", *more)
            )
            for who, more in settings.items()
        }
        cast.do("sponsor", "job", "start", job)
        peers = [url, *(_started(log) for log in logs.values())]
        for log in logs.values():
            awaited(lambda log=log: [e for e in events(log) if e["kind"] == "ended"], f"{log}: no end")
        assert _nobody_serves(cast, peers, str(cid_of_path(at_home)))

    for who, rows in (("ann", 40), ("ben", 64)):
        assert {e["rows"] for e in events(logs[who]) if e["kind"] == "trained"} == {rows}
        cast.do(who, "rewards", "claim")
    _assert_paid(cast)
    owned = cast.ring("ann").saved_envelope(Cid.parse(own["shards"][0]["cid"]))
    assert owned is not None
    key = cast.ring("ann").unlock(cast.addresses["ann"], PASSWORD).open(owned)
    open_file(cast.root / "ann-out" / "shard-0.sealed", key, cast.root / "ann-rows")
    for plain in (cast.root / "ann-rows", at_home):
        marker = np.ascontiguousarray(read_rows(plain).inputs[10:14]).tobytes()
        assert marker in plain.read_bytes()
        homes = [cast.home(who) for who in ("sponsor", "ann", "ben", "cleo")]
        looked = _bytes_on_disk(*homes, cast.root / "ann-out", *cast.repositories())
        assert not [path for path, held in looked if marker in held]


def _private(cast: Cast, who: str) -> list[Path]:
    return list((cast.home(who) / "nodes").rglob("private/*"))


def _started(log: Path) -> str:
    (event, *_) = awaited(lambda: [e for e in events(log) if e["kind"] == "started"], f"{log}: not started")
    return str(event["url"])


def _nobody_serves(cast: Cast, urls: list[str], cid: str) -> bool:
    got = [requests.get(f"{url}/ipfs/{cid}?format=raw", timeout=60).status_code for url in urls]
    return got == [404] * len(urls) and not any(daemon.has(cid) for daemon in cast.daemons.values())


def _assert_paid(cast: Cast) -> None:
    for who in ("ann", "ben"):
        assert cast.do(who, "token", "balance", who)["units"] > 700 * 10**18  # 1,000 less the stake


def _assert_unseen(cast: Cast, plain: list[Path]) -> None:
    """No row of either shard is in a store, a node's home, or what the sponsor keeps."""
    rows = [bytes(read_rows(path).images[index]) for path in plain for index in (0, 7, -1)]
    assert all(len(set(row)) > 20 for row in rows)
    assert all(any(row in path.read_bytes() for path in plain) for row in rows)
    homes = [cast.home(who) for who in ("sponsor", "ann", "ben", "cleo")]
    looked = 0
    for path, held in _bytes_on_disk(*homes, cast.root / "out", *cast.repositories()):
        looked += 1
        assert path.name == "test.safetensors" or not any(row in held for row in rows), path
    assert looked > 20
    sealed = [path for path, _ in _bytes_on_disk(cast.home("sponsor")) if is_sealed(path)]
    assert sealed
    for who in cast.daemons:  # what was looked through is where blocks lie, as they are
        mine = [path for path, _ in _bytes_on_disk(cast.daemons[who].repo / "blocks") if is_sealed(path)]
        assert mine or who == "cleo", who


@on_each_store
def test_withdrawal_seals_anew_for_those_who_stay(cast: Cast) -> None:
    data = _published(cast, _csv(cast), "--shards", "2", "--label", "label")
    for who in ("ann", "ben"):
        _worker(cast, who)
    job = _posted(cast, data)
    with cast.serving("sponsor") as url:
        for who in ("ann", "ben"):
            cast.do(who, "--peer", url, "job", "join", job)
    cast.do("sponsor", "job", "grant", job)
    cast.do("sponsor", "job", "grant", job, "--worker", cast.addresses["ben"], "--shard", "0")

    done = cast.do("sponsor", "job", "withdraw", job, cast.addresses["ann"])

    assert (done["withdrawn"], [(each["worker"], each["shard"]) for each in done["granted"]]) == (
        [0],
        [(cast.addresses["ben"], 0)],
    )
    log = cast.do("sponsor", "job", "access", job)
    acts = [(each["act"], each["worker"], each["shard"]) for each in log["log"]]
    ann, ben = cast.addresses["ann"], cast.addresses["ben"]
    assert acts == [
        ("granted", ann, 0),
        ("granted", ben, 1),
        ("granted", ben, 0),
        ("withdrawn", ann, 0),
        ("granted", ben, 0),
    ]
    assert log["readers"] == [{"shard": 0, "worker": ben}, {"shard": 1, "worker": ben}]
    old, new = (asyncio.run(_envelope(cast, log["log"][which]["envelope"])) for which in (0, 4))
    assert old.content == Cid.parse(data["shards"][0]["cid"]) != new.content
    sealed = asyncio.run(_file(cast, new))
    for daemon in list(cast.daemons.values())[:1]:  # the sponsor's
        assert (daemon.has(str(old.content)), daemon.has(str(new.content))) == (False, True)
    keys = {who: cast.ring(who).unlock(cast.addresses[who], PASSWORD) for who in ("ann", "ben")}
    with pytest.raises(ContentSealed):
        keys["ann"].open(new)
    with pytest.raises(ContentSealed):
        open_file(sealed, keys["ann"].open(old), cast.root / "for-ann")
    open_file(sealed, keys["ben"].open(new), cast.root / "for-ben")
    assert len(read_rows(cast.root / "for-ben")) == data["shards"][0]["rows"]
    assert cast.do("sponsor", "job", "grant", job)["granted"] == []  # not ann again


@on_each_store
def test_a_grant_finishes_what_a_withdrawal_that_was_cut_off_left_undone(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _published(cast, _csv(cast), "--shards", "2", "--label", "label")
    for who in ("ann", "ben"):
        _worker(cast, who)
        if who == "ann":
            job = _posted(cast, data)
        cast.do("sponsor", "job", "grant", job, "--worker", cast.addresses[who], "--shard", "0")

    async def cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(access, "_grant_all", cut)
        left = ("job", "withdraw", job, cast.addresses["ann"])
        assert cast.steelyard(*left, account="sponsor", at=cast.home("sponsor")).code == 130

    (granted,) = cast.do("sponsor", "job", "grant", job)["granted"]

    assert (granted["worker"], granted["shard"]) == (cast.addresses["ben"], 0)
    assert granted["content"] != data["shards"][0]["cid"]
    assert cast.do("sponsor", "job", "grant", job)["granted"] == []


async def _envelope(cast: Cast, cid: str) -> Envelope:
    async with EmbeddedStore(StoreConfig(root=cast.home("sponsor") / "content", serve=False)) as store:
        place = await store.get(Cid.parse(cid), cast.root / cid, max_bytes=4096, timeout_s=60)
        return Envelope.parse(place.read_bytes())


async def _file(cast: Cast, envelope: Envelope) -> Path:
    async with EmbeddedStore(StoreConfig(root=cast.home("sponsor") / "content", serve=False)) as store:
        place = cast.root / str(envelope.content)
        return await store.get(envelope.content, place, max_bytes=envelope.size, timeout_s=60)


def test_a_member_without_a_key_is_named_and_the_rest_are_granted(cast: Cast) -> None:
    data = _published(cast, _csv(cast), "--shards", "2", "--label", "label")
    _worker(cast, "ann", key=False)
    _worker(cast, "ben")
    job = _posted(cast, data)
    with cast.serving("sponsor") as url:
        peer = ["--peer", url]
        for who in ("ann", "ben"):
            cast.do(who, *peer, "job", "join", job)

        done = cast.do("sponsor", "job", "grant", job)
        refused = cast.steelyard(
            "job", "grant", job, "--worker", cast.addresses["ann"], account="sponsor", at=cast.home("sponsor")
        )
        cast.do("ann", "worker", "update", "--encryption-key", "new")
        again = cast.do("sponsor", "job", "grant", job)

    assert [each["worker"] for each in done["granted"]] == [cast.addresses["ben"]]
    assert [each["worker"] for each in done["waiting"]] == [cast.addresses["ann"]]
    assert "no encryption key" in refused.error["message"]
    assert "--encryption-key new" in refused.error["remedy"]
    assert [each["worker"] for each in again["granted"]] == [cast.addresses["ann"]]


def test_only_the_sponsor_grants(cast: Cast) -> None:
    data = _published(cast, _csv(cast), "--shards", "2", "--label", "label")
    _worker(cast, "ann")
    job = _posted(cast, data)

    said = cast.steelyard("job", "grant", job, account="ann", at=cast.home("ann"))

    assert "is not the sponsor" in said.error["message"]
    assert cast.addresses["sponsor"] in said.error["remedy"]


def test_a_dry_run_of_a_grant_changes_nothing(cast: Cast) -> None:
    data = _published(cast, _csv(cast), "--shards", "2", "--label", "label")
    _worker(cast, "ann")
    job = _posted(cast, data)

    ann = cast.addresses["ann"]
    said = cast.do("sponsor", "job", "grant", job, "--worker", ann, "--shard", "0", "--dry-run")

    assert said["dry_run"]
    assert said["transactions"][0]["gas"] > 20_000
    assert cast.do("sponsor", "job", "access", job)["log"] == []


def test_files_for_home_enter_no_store(cast: Cast) -> None:
    out = cast.root / "mine"
    made = cast.do(
        "sponsor",
        "data",
        "publish",
        _csv(cast),
        "--shards",
        "1",
        "--label",
        "label",
        "--at-home",
        "-o",
        str(out),
    )

    assert made["manifest"] is None
    assert sum(len(read_rows(path)) for path in out.glob("*.safetensors")) == 40
    assert out.stat().st_mode & 0o777 == 0o700
    assert cast.do("sponsor", "content", "ls")["entries"] == []
    refused = cast.steelyard("data", "publish", _csv(cast), "--at-home", "--encrypt", at=cast.home("sponsor"))
    assert refused.code == 2


def test_openly_published_shards_need_no_grant(cast: Cast) -> None:
    table, out = _csv(cast), str(cast.root / "open")
    data = cast.do("sponsor", "data", "publish", table, "--shards", "2", "--label", "label", "-o", out)
    job = _posted(cast, data)

    said = cast.steelyard("job", "grant", job, account="sponsor", at=cast.home("sponsor"))

    assert "was encrypted here" in said.error["message"]


def test_a_made_key_is_kept_under_the_operators_password(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    cast.enter("ann")
    hot = cast.steelyard("account", "new", "hot", "--light", at=cast.home("ann")).json["address"]

    done = cast.do("ann", "worker", "register", "--operator", "hot", "--encryption-key", "new")

    (key,) = cast.ring("ann").list()
    assert (key.account, "0x" + key.public.hex()) == (hot, done["encryption_key"])
    assert cast.do("ann", "worker", "status")["encryption_key"] == done["encryption_key"]
    assert len(cast.ring("ann").list(hot)) == 1
