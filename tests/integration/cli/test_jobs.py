"""Posting and joining jobs through the command line, on a real anvil; bad input is refused in clear words."""

from __future__ import annotations

import asyncio
import errno
import time
from pathlib import Path
from typing import Any

import pytest

from steelyard.chain.client import ChainClient
from steelyard.chain.generated.coordinator import Coordinator
from steelyard.chain.generated.structs import JobTerms
from steelyard.cli import failures
from steelyard.cli.output import Output
from steelyard.content import EmbeddedStore, StoreConfig
from steelyard.errors import Reverted
from support.yard import Fund, Steelyard, describe, post


def test_a_posted_job_is_shown_with_its_terms_and_money(
    steelyard: Steelyard, sponsor: str, folder: Path
) -> None:
    job = post(steelyard, folder)
    shown = steelyard("job", "show", str(job)).json
    assert (shown["status"], shown["sponsor"]) == ("running", sponsor)
    assert shown["escrow_units"] == 30 * 10**18
    assert shown["terms"]["rounds"] == 3
    assert shown["manifest"].startswith("b")
    listed = steelyard("job", "list").json
    assert listed[-1]["job"] == job
    assert "image" not in steelyard("job", "show", str(job), human=True).out
    assert steelyard("token", "balance", "sponsor").json["units"] == 970 * 10**18


def test_a_dry_run_of_posting_pays_nothing(steelyard: Steelyard, sponsor: str, folder: Path) -> None:
    said = steelyard("job", "create", str(folder), "--dry-run", account="sponsor").json
    assert said["dry_run"]
    assert said["job"] is None
    assert steelyard("token", "balance", "sponsor").json["units"] == 1000 * 10**18


def test_flags_go_over_the_description(steelyard: Steelyard, sponsor: str, folder: Path) -> None:
    done = steelyard("job", "create", str(folder), "--pool", "7", "--rounds", "2", account="sponsor")
    assert steelyard("job", "show", str(done.json["job"])).json["escrow_units"] == 14 * 10**18


def test_a_finished_manifest_is_posted_with_the_files_beside_it(
    steelyard: Steelyard, sponsor: str, folder: Path, home: Path, tmp_path: Path
) -> None:
    first = steelyard("job", "create", str(folder), account="sponsor").json
    beside = tmp_path / "finished"
    beside.mkdir()
    asyncio.run(copy_out(home / "content", beside, first["manifest"]))
    done = steelyard("job", "create", str(beside / "manifest.json"), "--pool", "1", account="sponsor")
    assert done.json["manifest"] == first["manifest"]


def test_members_take_the_free_shards_and_a_full_job_says_so(
    steelyard: Steelyard, sponsor: str, folder: Path, workers: list[str]
) -> None:
    job = str(post(steelyard, folder))
    assert steelyard("job", "join", job, "--shard", "1", account="ann").json["shard"] == 1
    said = steelyard("job", "join", job, "--shard", "1", account="ben").error
    assert "shard 1 is not free" in said["message"]
    assert "0" in said["remedy"]
    joined = steelyard("job", "join", job, account="ben")
    assert joined.json["shard"] == 0
    assert "public" in steelyard("job", "join", "--help").out
    full = steelyard("job", "join", job, account="cam").error
    assert full["exit_code"] == 2
    assert "full" in full["message"]
    assert full["remedy"]
    shown = steelyard("job", "show", job).json
    assert {each["worker"] for each in shown["members"]} == set(workers[:2])
    assert steelyard("worker", "status", "cam").json["stake"]["locked"] == 0


def test_the_contract_refuses_one_member_too_many_with_a_remedy(
    steelyard: Steelyard, sponsor: str, folder: Path, workers: list[str]
) -> None:
    describe(folder, "open", members=2)
    job = str(post(steelyard, folder))
    assert steelyard("job", "join", job, account="ann").code == 0
    assert steelyard("job", "join", job, account="ben").code == 0
    said = steelyard("job", "join", job, account="cam").error
    assert (said["type"], said["exit_code"], said["revert"]["name"]) == ("Reverted", 6, "JobFull")
    assert said["remedy"]
    again = steelyard("job", "join", job, account="ann").error
    assert again["revert"]["name"] == "AlreadyMember"


def test_only_the_invited_join_by_invitation(
    steelyard: Steelyard, sponsor: str, folder: Path, workers: list[str]
) -> None:
    describe(folder, "invitations", invited=tuple(workers[:2]))
    job = str(post(steelyard, folder))
    assert steelyard("job", "join", job, account="ben").json["shard"] == 1
    said = steelyard("job", "join", job, account="cam").error
    assert (said["type"], said["exit_code"]) == ("ManifestError", 4)
    assert "invited" in said["message"]


def test_too_small_a_stake_is_named_with_what_is_missing(
    steelyard: Steelyard, sponsor: str, folder: Path, fund: Fund
) -> None:
    job = str(post(steelyard, folder))
    fund("dee", tokens="500")
    steelyard("worker", "register", "--stake", "40", account="dee")
    said = steelyard("job", "join", job, account="dee").error
    assert said["type"] == "InsufficientFunds"
    assert "100" in said["message"]
    assert said["remedy"] == "`steelyard worker stake 60`"


def test_leaving_frees_the_stake(
    steelyard: Steelyard, sponsor: str, folder: Path, workers: list[str]
) -> None:
    job = str(post(steelyard, folder))
    steelyard("job", "join", job, account="ann")
    assert steelyard("worker", "status", "ann").json["stake"]["locked"] == 100 * 10**18
    assert steelyard("job", "leave", job, account="ann").code == 0
    assert steelyard("job", "leave", job, account="ann").code == 0
    assert steelyard("worker", "status", "ann").json["stake"]["locked"] == 0


# ---- bad input: value, cause, remedy, exit code, nothing lost


def test_a_manifest_that_disagrees_with_the_chain_is_not_joined(
    steelyard: Steelyard, sponsor: str, folder: Path, workers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Coordinator.create_job

    def other_rate(self: Coordinator, terms: JobTerms) -> Any:
        import dataclasses

        return honest(self, dataclasses.replace(terms, step=dataclasses.replace(terms.step, lr=1)))

    monkeypatch.setattr(Coordinator, "create_job", other_rate)
    job = str(post(steelyard, folder))
    said = steelyard("job", "join", job, account="ann").error
    assert (said["type"], said["exit_code"]) == ("ManifestError", 4)
    assert "lr" in said["message"]
    assert "65536" in said["message"]
    assert "do not join" in said["remedy"]
    assert steelyard("worker", "status", "ann").json["stake"]["locked"] == 0


def test_a_closed_window_is_told_with_its_time(
    steelyard: Steelyard, sponsor: str, folder: Path, workers: list[str],
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    job = post(steelyard, folder)
    for name in ("ann", "ben"):
        steelyard("job", "join", str(job), account=name)
    steelyard("job", "start", str(job), account="sponsor")

    async def submit_late() -> None:
        from steelyard.cli.session import current

        async with current().client(signing=True) as client:
            await send_late(client, job)

    assert steelyard("account", "show", account="ann").code == 0  # sets the session
    with pytest.raises(Reverted) as caught:
        asyncio.run(submit_late())
    capfd.readouterr()
    assert failures.report(caught.value, Output()) == 6
    said = capfd.readouterr().err
    assert "SubmissionClosed" in said
    assert "UTC" in said
    assert "ago" in said
    assert "remedy: " in said


async def copy_out(content: Path, beside: Path, manifest: str) -> None:
    async with EmbeddedStore(StoreConfig(root=content, serve=False, exchange=False)) as store:
        for number, entry in enumerate(await store.ls()):
            name = "manifest.json" if str(entry.cid) == manifest else f"file-{number}"
            (beside / name).write_bytes(await store.read(entry.cid, 0, entry.size))


async def send_late(client: ChainClient, job: int) -> None:
    coordinator = client.contracts.coordinator
    state = await client.read(coordinator.state_of(job))
    parent = (await client.read(coordinator.round_of(job, 0))).result
    submit_by = (await client.read(coordinator.round_of(job, state.head))).round.clock
    await asyncio.sleep(max(0.0, submit_by + 1 - time.time()))  # past it by the chain's time and by ours
    await client.send(coordinator.submit(job, state.head, parent, b"\1" * 32, 0x55, b"\2" * 32))


def test_a_manifest_that_nobody_hands_out_is_named(
    steelyard: Steelyard, sponsor: str, folder: Path, workers: list[str], tmp_path: Path, home: Path
) -> None:
    done = steelyard("job", "create", str(folder), account="sponsor").json
    (tmp_path / "elsewhere").mkdir()
    (home / "keystore").rename(tmp_path / "elsewhere" / "keystore")
    said = steelyard("job", "join", str(done["job"]), account="ann", at=tmp_path / "elsewhere").error
    assert (said["type"], said["exit_code"]) == ("ContentMissing", 5)
    assert done["manifest"] in said["message"]
    assert said["remedy"]


def test_a_corrupted_store_file_is_noticed_before_it_is_read(
    steelyard: Steelyard, sponsor: str, folder: Path, workers: list[str], home: Path
) -> None:
    done = steelyard("job", "create", str(folder), account="sponsor").json
    damaged = 0
    for path in (home / "content").rglob("*"):
        if path.is_file() and done["manifest"] in str(path):
            path.chmod(0o600)
            data = bytearray(path.read_bytes())
            data[10] ^= 1
            path.write_bytes(data)
            damaged += 1
    assert damaged
    said = steelyard("job", "join", str(done["job"]), account="ann").error
    assert said["exit_code"] == 5
    assert done["manifest"] in said["message"]
    assert said["remedy"]
    assert steelyard("worker", "status", "ann").json["stake"]["locked"] == 0


def test_a_full_disk_posts_nothing(
    steelyard: Steelyard, sponsor: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.link", full)
    monkeypatch.setattr("shutil.copyfileobj", full)
    monkeypatch.setattr("os.pwrite", full, raising=False)
    monkeypatch.setattr("os.fsync", full)
    said = steelyard("job", "create", str(folder), account="sponsor").error
    monkeypatch.undo()
    assert (said["type"], said["exit_code"]) == ("DiskFull", 5)
    assert said["remedy"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("rounds = 3", "rouns = 3"), "no key rouns"),
        (("rounds = 3", 'rounds = "many"'), "rounds in [terms]"),
        (('submit_window = "5s"', 'submit_window = "soon"'), "submit_window"),
        (('pool = "10"', 'pool = "ten"'), "not an amount"),
        (('encoding = "bfp8"', 'encoding = "zip"'), "zip"),
        (('recipe = "image-cnn"', 'recipe = "oracle"'), "no recipe"),
        (('source = "."', 'source = "nowhere"'), "no shard-"),
        (("[terms]", "[terms"), "cannot be read"),
    ],
)
def test_a_description_is_refused_with_the_field_named(
    steelyard: Steelyard, sponsor: str, folder: Path, change: tuple[str, str], said: str
) -> None:
    text = (folder / "job.toml").read_text()
    assert change[0] in text
    (folder / "job.toml").write_text(text.replace(*change))
    refused = steelyard("job", "create", str(folder), account="sponsor").error
    assert said in refused["message"]
    assert refused["remedy"]
    assert steelyard("token", "balance", "sponsor").json["units"] == 1000 * 10**18


def test_terms_that_the_contract_refuses_name_the_field(
    steelyard: Steelyard, sponsor: str, folder: Path
) -> None:
    text = (folder / "job.toml").read_text()
    (folder / "job.toml").write_text(text.replace('attest_window = "5s"', 'attest_window = "1s"'))
    refused = steelyard("job", "create", str(folder), account="sponsor").error
    assert refused["revert"]["name"] == "BadTerms"
    assert refused["remedy"]
    assert steelyard("token", "balance", "sponsor").json["units"] == 1000 * 10**18
