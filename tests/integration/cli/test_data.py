"""Data through the command line: published, looked at, and trained on in whole jobs on a real anvil."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.jobs.data_manifest import DataManifest
from steelyard.learning.data import read_rows
from support import jobs, sources
from support.party import Party, short_terms
from support.yard import Fund, Steelyard, Yard, describe, post

TERMS = short_terms()


@pytest.fixture
def party(steelyard: Steelyard, yard: Yard, tmp_path: Path) -> Party:
    made = Party(steelyard=steelyard, yard=yard, root=tmp_path)
    made.enter("sponsor")
    return made


def with_terms(folder: Path, **data: Any) -> Path:
    """Put short windows into the description that `data publish` left, and more into [data]."""
    text = (folder / "job.toml").read_text().partition("[terms]")[0]
    more = "".join(f"{key} = {json.dumps(value)}\n" for key, value in data.items())
    (folder / "job.toml").write_text(text.replace("[training]", f"{more}\n[training]") + TERMS)
    return folder


class TestPublishing:
    def test_what_is_published_is_said_with_its_root_and_lies_in_the_store(
        self, steelyard: Steelyard, tmp_path: Path
    ) -> None:
        sources.wine_csv(tmp_path / "wine.csv")
        done = steelyard("data", "publish", "wine.csv", "--shards", "3", "--partition", "dirichlet:1").json
        data = DataManifest.parse((tmp_path / "wine-shards" / "data.json").read_bytes())
        assert done["root"] == "0x" + data.root().hex()
        assert [shard["cid"] for shard in done["shards"]] == [shard.cid for shard in data.shards]
        assert sum(shard["rows"] for shard in done["shards"]) + done["test"]["rows"] == 178
        again = steelyard("data", "inspect", done["manifest"]).json
        assert again["root"] == done["root"]
        assert [part["rows"] for part in again["parts"][:3]] == [shard["rows"] for shard in done["shards"]]
        listed = steelyard("content", "cid", "wine-shards/shard-0.safetensors").json
        assert listed["cid"] == done["shards"][0]["cid"]

    def test_a_job_of_a_data_manifests_cid_is_that_of_its_folder(
        self, steelyard: Steelyard, sponsor: str, tmp_path: Path
    ) -> None:
        sources.wine_csv(tmp_path / "wine.csv")
        done = steelyard("data", "publish", "wine.csv").json
        text = (with_terms(tmp_path / "wine-shards") / "job.toml").read_text()
        (tmp_path / "named.toml").write_text(text.replace('source = "."', f'source = "{done["manifest"]}"'))
        jobs = [
            steelyard("job", "create", where, account="sponsor").json
            for where in ("wine-shards", "named.toml")
        ]
        assert jobs[0]["manifest"] == jobs[1]["manifest"]
        assert [shard["cid"] for shard in jobs[1]["shards"]] == [shard["cid"] for shard in done["shards"]]

    def test_looking_publishes_nothing_and_draws_the_same_split(
        self, steelyard: Steelyard, tmp_path: Path
    ) -> None:
        file = str(sources.wine_csv(tmp_path / "wine.csv"))
        split = ("--shards", "3", "--partition", "dirichlet:0.3", "--seed", "7")
        seen = steelyard("data", "inspect", file, *split, "-o", "skew.svg").json
        assert sorted(path.name for path in tmp_path.iterdir() if path.suffix) == ["skew.svg", "wine.csv"]
        done = steelyard("data", "publish", file, *split, "-o", "out").json
        assert [part["counts"] for part in seen["parts"][:3]] == [each["counts"] for each in done["shards"]]
        root = ET.parse(tmp_path / "skew.svg").getroot()  # noqa: S314 - our own
        cells = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}title")]
        assert [int(cell.split()[0]) for cell in cells] == [
            n for part in seen["parts"] for n in part["counts"]
        ]

    def test_people_see_a_picture_and_what_to_do_next(self, steelyard: Steelyard, tmp_path: Path) -> None:
        sources.wine_csv(tmp_path / "wine.csv")
        said = steelyard("data", "publish", "wine.csv", human=True)
        assert "class_0"[:6] in said.out
        assert "━" in said.out
        assert "shard root" in said.out
        assert "steelyard job create wine-shards" in said.err.replace("\n", "")

    def test_own_rows_are_made_like_those_of_others(self, steelyard: Steelyard, tmp_path: Path) -> None:
        sources.wine_csv(tmp_path / "wine.csv")
        first = steelyard("data", "publish", "wine.csv").json
        lines = (tmp_path / "wine.csv").read_text().splitlines()
        turned = [
            ",".join(reversed(line.split(","))) for line in [lines[0], *lines[100:]]
        ]  # no class_0 in it
        (tmp_path / "mine.csv").write_text("\n".join(turned) + "\n")
        mine = steelyard("data", "publish", "mine.csv", "--shards", "1", "--like", first["manifest"]).json
        assert mine["columns"] == first["columns"]
        assert mine["labels"] == first["labels"]
        assert mine["test"] is None
        values = sources.wine()[0][99:].astype(np.float32)
        rows = read_rows(tmp_path / "mine-shards" / "shard-0.safetensors")
        np.testing.assert_array_equal(rows.inputs, values)
        ours, theirs = (
            json.loads((tmp_path / f"{n}-shards" / "data.json").read_text()) for n in ("mine", "wine")
        )
        assert ours["architecture"] == theirs["architecture"]

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("wine.csv", "--shards", "200"), "200 shards of 160 rows"),
            (("wine.csv", "--partition", "evenly"), "no partition is called 'evenly'"),
            (("wine.csv", "--partition", "by:farm"), "no column 'farm'"),
            (("wine.csv", "--label", "kind"), "no column 'kind'"),
            (("wine.csv", "--test", "1"), "a share of 1.0"),
            (("wine.csv", "--like", "wine.csv"), "not a data manifest"),
            (("there.csv",), "there is no there.csv"),
            (("http://127.0.0.1:1/a.csv",), "cannot be read"),
        ],
    )
    def test_what_is_wrong_is_said_and_nothing_is_left(
        self, steelyard: Steelyard, tmp_path: Path, arguments: tuple[str, ...], said: str
    ) -> None:
        sources.wine_csv(tmp_path / "wine.csv")
        error = steelyard("data", "publish", *arguments).error
        assert error["exit_code"] == 2
        assert said in error["message"]
        assert error["remedy"]
        assert not list(tmp_path.glob("*-shards"))

    def test_a_folder_that_is_there_is_left_alone(self, steelyard: Steelyard, tmp_path: Path) -> None:
        sources.wine_csv(tmp_path / "wine.csv")
        (tmp_path / "wine-shards").mkdir()
        (tmp_path / "wine-shards" / "precious").write_text("data")
        error = steelyard("data", "publish", "wine.csv").error
        assert "already" in error["message"]
        assert (tmp_path / "wine-shards" / "precious").read_text() == "data"


@pytest.mark.slow
def test_a_job_on_a_published_table_runs_to_a_paid_round(party: Party) -> None:
    """Its data named by folder, fetched by CID from the sponsor's store."""
    for who in ("ann", "ben"):
        party.enter(who, stake=True)
    party.enter("cleo", bond=True)
    file = str(sources.cancer_parquet(party.root / "cancer.parquet"))
    out = party.root / "out"
    done = party.do(
        "sponsor", "data", "publish", file, "--shards", "2", "--partition", "dirichlet:1", "-o", str(out)
    )
    job = party.do("sponsor", "job", "create", str(with_terms(out)))
    assert [shard["cid"] for shard in job["shards"]] == [shard["cid"] for shard in done["shards"]]
    with party.serving("sponsor") as url:
        seats = [party.do(who, "job", "join", str(job["job"]), "--peer", url) for who in ("ann", "ben")]
        told = party.play(job["job"], {"ann": ["--evaluate"], "ben": []}, "cleo", [url])
    assert [seat["weight"] for seat in seats] == [shard["rows"] for shard in done["shards"]]
    rows = [next(e["rows"] for e in told[who] if e["kind"] == "trained") for who in ("ann", "ben")]
    assert all(seen > 0 for seen in rows)
    tested = [e for e in told["ann"] if e["kind"] == "evaluated" and e["round"] == 1]
    assert tested[0]["rows"] == done["test"]["rows"]
    assert tested[0]["accuracy"] > 0.8
    assert any(e["kind"] == "final" for e in told["cleo"])


@pytest.mark.slow
def test_members_bring_texts_of_their_own_published_or_kept_at_home(party: Party) -> None:
    """An open job: ann joins with the CID of her shard, ben's rows stay in his file."""
    for who in ("ann", "ben"):
        party.enter(who, stake=True)
    party.enter("cleo", bond=True)
    texts = str(sources.texts_csv(party.root / "texts.csv"))
    columns = ("--text", "words", "--label", "source")
    out = party.root / "out"
    like = party.do("sponsor", "data", "publish", texts, *columns, "--shards", "1", "-o", str(out))
    job = str(party.do("sponsor", "job", "create", str(with_terms(out, membership="open")))["job"])
    lines = Path(texts).read_text().splitlines()
    own = {}
    for number, who in enumerate(("ann", "ben")):
        mine = party.root / f"{who}.csv"
        mine.write_text("\n".join([lines[0], *lines[1 + number :: 2]]) + "\n")
        options = (*columns, "--shards", "1", "--like", str(out), "-o", str(party.root / who))
        own[who] = party.do(who, "data", "publish", str(mine), *options)["shards"][0]
    assert sum(each["rows"] for each in own.values()) == len(lines) - 1
    with party.serving("sponsor") as url:
        wrong = party.do(
            "ann", "data", "publish", str(sources.wine_csv(party.root / "w.csv")), "-o", str(party.root / "w")
        )
        said = party.refused("ann", "job", "join", job, "--data", wrong["shards"][0]["cid"], "--peer", url)
        assert "do not fit" in said["message"]
        assert "--like" in said["remedy"]
        party.do("ann", "job", "join", job, "--data", own["ann"]["cid"], "--peer", url)
        party.do("ben", "job", "join", job, "--peer", url)
        kept = str(party.root / "ben" / "shard-0.safetensors")
        told = party.play(int(job), {"ann": [], "ben": ["--data", kept]}, "cleo", [url])
    for who in ("ann", "ben"):
        trained = [e for e in told[who] if e["kind"] == "trained"]
        assert trained[0]["rows"] <= 5 * own[who]["rows"]
        assert trained[0]["rows"] > 4 * own[who]["rows"]
    assert any(e["kind"] == "final" for e in told["cleo"])
    shown = party.do("ann", "job", "show", job)
    assert Counter(each["worker"] for each in shown["members"]) == Counter(
        [party.addresses["ann"], party.addresses["ben"]]
    )
    assert like["test"]["rows"] > 0


@pytest.mark.slow
def test_the_invited_name_only_the_size_of_their_data(party: Party) -> None:
    """By invitation: the sponsor writes down what each says that it has; the rows never leave their homes."""
    for who in ("ann", "ben"):
        party.enter(who, stake=True)
    party.enter("cleo", bond=True)
    whole = sources.wine_csv(party.root / "wine.csv")
    out = party.root / "out"
    party.do("sponsor", "data", "publish", str(whole), "--shards", "1", "-o", str(out))
    architecture = DataManifest.parse((out / "data.json").read_bytes()).architecture
    weights = {}
    for number, who in enumerate(("ann", "ben")):
        lines = whole.read_text().splitlines()
        (party.root / f"{who}.csv").write_text("\n".join([lines[0], *lines[1 + number :: 3]]) + "\n")
        options = ("--shards", "1", "--like", str(out), "-o", str(party.root / who))
        made = party.do(who, "data", "publish", str(party.root / f"{who}.csv"), *options)
        weights[who] = made["shards"][0]["rows"]
    place = party.root / "home-job"
    place.mkdir()
    keys = "\n".join(f"{key} = {json.dumps(value)}" for key, value in architecture.items())
    invited = json.dumps([party.addresses[who] for who in weights])
    (place / "job.toml").write_text(
        f'recipe = "tabular"\n[architecture]\n{keys}\n[data]\nsource = "home"\nmembership = "invitations"\n'
        f"invited = {invited}\nweights = {json.dumps(list(weights.values()))}\n{TERMS}"
    )
    job = str(party.do("sponsor", "job", "create", str(place))["job"])
    with party.serving("sponsor") as url:
        seats = {who: party.do(who, "job", "join", job, "--peer", url) for who in weights}
        assert {who: seat["weight"] for who, seat in seats.items()} == weights
        options = {who: ["--data", str(party.root / who / "shard-0.safetensors")] for who in weights}
        told = party.play(int(job), options, "cleo", [url])
    assert any(e["kind"] == "final" for e in told["cleo"])
    assert not any(e["kind"] == "problem" for each in told.values() for e in each)


@pytest.mark.parametrize(
    ("weights", "membership", "said"),
    [
        ([5, 6], "shards", "takes invitations"),
        ([5], "invitations", "1 weights"),
        ([], "invitations", "0 weights"),
    ],
)
def test_data_at_home_needs_an_invitation_with_a_weight_each(
    steelyard: Steelyard, sponsor: str, tmp_path: Path, weights: list[int], membership: str, said: str
) -> None:
    del sponsor
    (tmp_path / "job.toml").write_text(
        f'[data]\nsource = "home"\nmembership = "{membership}"\nweights = {weights}\n'
        f'invited = ["0x{1:040x}", "0x{2:040x}"]\n'
    )
    error = steelyard("job", "create", ".", account="sponsor").error
    assert said in error["message"]
    assert "invited" in error["remedy"]


def test_a_node_without_its_file_of_rows_says_so_before_it_starts(
    steelyard: Steelyard, fund: Fund, tmp_path: Path
) -> None:
    fund("ann")
    (tmp_path / "text.safetensors").write_text("no rows")
    for file, said in (
        ("none.safetensors", "there is no file"),
        ("text.safetensors", "not an acceptable safetensors file"),
    ):
        answer = steelyard("run", "--role", "worker", "--job", "1", "--data", file, account="ann")
        assert said in answer.error["message"]


def test_data_by_cid_is_for_open_jobs_and_said_where_it_is_not_here(
    steelyard: Steelyard, sponsor: str, folder: Path, workers: list[str]
) -> None:
    elsewhere = jobs.cid_of("rows of ann")
    job = str(post(steelyard, folder))
    error = steelyard("job", "join", job, "--data", elsewhere, account="ann").error
    assert "membership is 'shards'" in error["message"]
    assert "--data" in error["remedy"]
    describe(folder, "open", members=2)
    job = str(post(steelyard, folder))
    said = steelyard("job", "join", job, "--data", elsewhere, account="ann", human=True)
    assert said.code == 0
    assert "not in this home's store" in said.err
    assert steelyard("job", "show", job).json["members"][0]["worker"] == workers[0]
