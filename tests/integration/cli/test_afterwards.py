"""Commands on a job that ran: verify its rounds, pull its models, claim what it owes."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from steelyard.cli.app import run
from steelyard.learning.safetensors_file import read_tensors
from support import sources
from support.party import Party, awaited, short_terms
from support.yard import Fund, Steelyard, Yard


@pytest.fixture
def party(steelyard: Steelyard, yard: Yard, tmp_path: Path) -> Party:
    made = Party(steelyard=steelyard, yard=yard, root=tmp_path)
    made.enter("sponsor")
    for who in ("ann", "ben"):
        made.enter(who, stake=True)
    made.enter("cleo", bond=True)
    return made


def post(party: Party) -> str:
    """A job of two rounds, which the sponsor opens; both seats are taken."""
    out = party.root / "out"
    file = str(sources.wine_csv(party.root / "wine.csv"))
    party.do("sponsor", "data", "publish", file, "--shards", "2", "-o", str(out))
    text = (out / "job.toml").read_text().partition("[terms]")[0]
    (out / "job.toml").write_text(text + short_terms(rounds=2, auto_open=False))
    return str(party.do("sponsor", "job", "create", str(out))["job"])


@pytest.mark.slow
def test_rounds_are_verified_models_pulled_and_rewards_claimed(party: Party) -> None:
    """The aggregator cheats in round 2 and nobody challenges: that is what `verify` is there to see."""
    job = post(party)

    def opened() -> bool:
        return party.steelyard("job", "next", job, account="sponsor", at=party.home("sponsor")).code == 0

    with party.serving("sponsor") as url:
        for who in ("ann", "ben"):
            party.do(who, "job", "join", job, "--peer", url)
        party.play(
            int(job), {"ann": [], "ben": []}, "cleo", [url], cheat_round=2,
            meanwhile=lambda: awaited(opened, "round 2 was not opened"),
        )  # fmt: skip
        with ExitStack() as stores:
            peers = [url, *(stores.enter_context(party.serving(who)) for who in ("ann", "ben", "cleo"))]
            asked = [word for peer in peers for word in ("--peer", peer)]
            verify_both(party, job, asked)
            pull_both(party, job, asked)
        lonely = party.refused("latecomer", "verify", job, "--round", "1", "--peer", url)
        assert (lonely["type"], lonely["exit_code"]) == ("Unverifiable", 10)
        assert lonely["message"].count("bafk") == 2  # the updates; the first model is the sponsor's
        assert "--peer" in lonely["remedy"]
    claim_all(party, job)


def verify_both(party: Party, job: str, asked: list[str]) -> None:
    right = party.do("stranger", "verify", job, "--round", "1", *asked)
    assert (right["round"], right["verdict"]) == (1, "right")
    wrong = party.steelyard("verify", job, *asked, at=party.home("stranger"))
    assert wrong.code == 11
    assert (wrong.json["round"], wrong.json["verdict"]) == (2, "wrong")
    assert isinstance(wrong.json["block"], int)
    assert isinstance(wrong.json["coordinate"], int)
    said = party.steelyard("verify", job, *asked, at=party.home("stranger"), human=True).out
    assert "coordinate" in said
    assert "wrong" in said
    assert party.refused("stranger", "verify", job, "--round", "3", *asked)["exit_code"] == 2


def pull_both(party: Party, job: str, asked: list[str]) -> None:
    roots = []
    for number in (0, 1, 2):
        out = party.root / f"{number}.safetensors"
        pulled = party.do("stranger", "model", "pull", job, "--round", str(number), "-o", str(out), *asked)
        assert pulled["round"] == number
        assert read_tensors(out)
        roots.append(pulled["state_root"])
    assert len(set(roots)) == 3
    for out, said in ((party.root / "0.safetensors", "exists"), (party.root / "no" / "m", "no folder")):
        before = out.read_bytes() if out.exists() else b""
        refused = party.refused("stranger", "model", "pull", job, "-o", str(out), *asked)
        assert (refused["exit_code"], said in refused["message"]) == (2, True)
        assert (out.read_bytes() if out.exists() else b"") == before
    unknown = party.refused("stranger", "model", "pull", job, "--round", "3", "-o", "free", *asked)
    assert "no final round 3" in unknown["message"]


def claim_all(party: Party, job: str) -> None:
    owed = party.do("ann", "rewards", "show", job)["jobs"]
    assert owed == [{"job": int(job), "shares": 2, "posts": 0, "bonds": 0}]
    assert party.do("ann", "rewards", "claim", "--dry-run")["dry_run"]
    before = party.do("ann", "token", "balance")["units"]
    assert party.do("ann", "rewards", "claim")["withdrawn"]
    assert party.do("ann", "token", "balance")["units"] > before
    assert party.do("ann", "rewards", "show", job)["jobs"][0]["shares"] == 0
    assert party.do("ann", "rewards", "claim")["withdrawn"] == []


def test_a_bond_that_is_not_there_costs_nothing(party: Party, fund: Fund, steelyard: Steelyard) -> None:
    fund("dee", tokens="1")
    said = steelyard("aggregator", "bond", "500", account="dee").error
    assert said["type"] == "InsufficientFunds"
    assert not steelyard("aggregator", "status", "dee").json["registered"]


def test_a_network_added_with_its_deployment_needs_no_other_setting(
    yard: Yard, steelyard: Steelyard, fund: Fund, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fund("dee")
    added = ("network", "add", "ours", "--deployment", str(yard.file), "--rpc", yard.chain.url)
    assert run(["--home", str(home), *added]) == 0
    assert run(["--home", str(home), "--network", "ours", "--account", "dee", "token", "mint", "3"]) == 0
    assert run(["--home", str(home), "--network", "ours", "doctor"]) == 0
    capfd.readouterr()
    assert steelyard("token", "balance", "dee").json["units"] == 3 * 10**18


def test_the_doctor_tells_a_network_without_contracts_and_an_account_without_ether(
    yard: Yard, steelyard: Steelyard, fund: Fund, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fund("dee", ether=0)
    capfd.readouterr()
    code = run(["--home", str(home), "--rpc-url", yard.chain.url, "doctor", "--json"])
    checks = {each["check"]: each for each in json.loads(capfd.readouterr().out)["checks"]}
    assert code == checks["contracts"]["exit_code"] == 2
    assert checks["contracts"]["state"] == "bad"
    assert "docs/deploy.md" in checks["contracts"]["remedy"]
    assert (checks["balance"]["state"], checks["account"]["state"]) == ("note", "ok")
    whole = steelyard("doctor")
    assert (whole.code, whole.json["ok"]) == (0, True)


def test_an_operators_ceilings_stop_a_command_before_it_sends(steelyard: Steelyard, fund: Fund) -> None:
    fund("dee")
    for ceiling, said in (("--max-fee-gwei", "max_fee_gwei"), ("--max-spend-per-day", "max_spend_per_day")):
        refused = steelyard("token", "mint", "3", ceiling, "0.000000001", account="dee").error
        assert (refused["type"], refused["exit_code"]) == ("SpendLimit", 6)
        assert said in refused["remedy"]
    assert steelyard("token", "balance", "dee").json["units"] == 0


@pytest.mark.parametrize("url", ["nonsense", "ws://127.0.0.1:8545", "127.0.0.1:8545"])
def test_an_rpc_that_is_no_http_url_is_told_at_once(steelyard: Steelyard, url: str) -> None:
    refused = steelyard("job", "list", "--rpc-url", url).error
    assert (refused["exit_code"], "rpc_url" in refused["message"]) == (2, True)
    assert url not in refused["message"]
