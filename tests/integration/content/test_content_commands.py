"""`steelyard content` as a process: it holds, pins, releases, fetches from a peer and serves."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from steelyard.cli.units import format_size, parse_size
from steelyard.content import cid_of_path
from steelyard.errors import ConfigError

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SIZE = 24 << 20


def command(home: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "steelyard.cli", "--home", str(home), *arguments]


@pytest.fixture
def content(tmp_path: Path) -> Run:
    """Run `steelyard content ...` in a home of its own, or in another one: `at`."""

    def run(
        *arguments: str, at: str = "home", human: bool = False, timeout_s: float = 60
    ) -> subprocess.CompletedProcess[str]:
        options = () if human else ("--json",)
        words = command(tmp_path / at, "content", *arguments, *options)
        return subprocess.run(
            words, capture_output=True, text=True, cwd=tmp_path, timeout=timeout_s, check=False
        )

    return run


@contextmanager
def serving(home: Path, cwd: Path, *options: str) -> Iterator[str]:
    """A process that serves a home's content; yields its URL."""
    words = command(home, "content", "serve", "--json", *options)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=cwd) as process:
        try:
            assert process.stdout is not None
            said = ""
            while not said.rstrip().endswith("}"):
                said += process.stdout.readline()
            yield json.loads(said)["url"]
        finally:
            process.terminate()


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def error(done: subprocess.CompletedProcess[str], code: int) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(done.stdout)["error"]
    assert done.returncode == said["exit_code"] == code
    assert said["remedy"]
    return said


def make_folder(path: Path) -> Path:
    (path / "shards").mkdir(parents=True)
    (path / "readme").write_text("what it is")
    (path / "shards" / "0.bin").write_bytes(Random(0).randbytes(3 << 20))
    return path


def test_what_is_provided_is_listed_pinned_and_fetched_by_others(content: Run, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data")
    cid = answer(content("provide", str(folder)))["cid"]
    assert cid == str(cid_of_path(folder))
    listed = answer(content("ls"))
    mine = next(entry for entry in listed["entries"] if entry["cid"] == cid)
    assert mine["provided"]
    assert mine["pinned_until"] == "forever"
    assert listed["held"]["held_bytes"] == listed["held"]["pinned_bytes"] > 3 << 20
    with serving(tmp_path / "home", tmp_path) as url:
        names = answer(content("ls", f"/ipfs/{cid}", "--peer", url, at="other"))["names"]
        assert set(names) == {"readme", "shards"}
        got = answer(content("fetch", cid, "-o", "got", "--peer", url, at="other"))
        assert (got["files"], got["bytes"]) == (2, 10 + (3 << 20))
        assert cid_of_path(tmp_path / "got") == cid_of_path(folder)
        answer(content("fetch", f"{cid}/shards/0.bin", "-o", "one", "--peer", url, at="third"))
        assert (tmp_path / "one").read_bytes() == (folder / "shards" / "0.bin").read_bytes()
        answer(content("provide", cid, "--withhold"))
        said = error(content("fetch", cid, "-o", "no", "--peer", url, "--timeout", "1", at="fourth"), 5)
        assert cid in said["message"]
    assert not (tmp_path / "no").exists()


def test_pins_expire_are_removed_and_then_collected(content: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    cid = answer(content("provide", "a"))["cid"]
    assert answer(content("gc", "--grace", "0"))["entries"] == 0
    assert answer(content("pin", cid, "--remove"))["pinned_until"] is None
    assert answer(content("gc", "--grace", "1h"))["entries"] == 0, "it came just now"
    until = answer(content("pin", cid, "--for", "2h"))["pinned_until"]
    assert time.time() + 7100 < until < time.time() + 7300
    assert answer(content("gc", "--grace", "0"))["entries"] == 0
    answer(content("pin", cid, "--remove"))
    spare = answer(content("gc", "--grace", "0", "--dry-run"))
    assert spare == {"dry_run": True, "unpinned_bytes": 1, "held_bytes": 1}
    assert answer(content("ls"))["entries"][0]["cid"] == cid
    assert answer(content("gc", "--grace", "0")) == {"entries": 1, "freed_bytes": 1, "held_bytes": 0}
    assert (tmp_path / "a").read_text() == "a", "the user's own file stays"
    error(content("pin", cid), 5)


def test_a_fetch_that_was_cut_goes_on_where_it_was(content: Run, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(Random(1).randbytes(SIZE))
    cid = answer(content("provide", "big"))["cid"]
    with serving(tmp_path / "home", tmp_path) as url:
        words = command(tmp_path / "taker", "content", "fetch", cid, "-o", "out", "--peer", url, "--json")
        with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
            part = tmp_path / "taker" / "content" / "parts" / cid
            until = time.monotonic() + 60
            while not (part.exists() and part.stat().st_blocks * 512 >= 2 << 20):
                assert time.monotonic() < until, "it never began"
                time.sleep(0.001)
            process.kill()
        assert not (tmp_path / "out").exists()
        before = part.stat().st_blocks if part.exists() else 0
        answer(content("fetch", cid, "-o", "out", "--peer", url, at="taker"))
    assert before > 0
    assert (tmp_path / "out").read_bytes() == (tmp_path / "big").read_bytes()


def test_limits_and_mistakes_are_refused_with_a_remedy(content: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(2000))
    cid = answer(content("provide", "a"))["cid"]
    said = error(content("fetch", cid, "-o", "out", "--max-bytes", "1kB"), 5)
    assert "2000" in said["message"]
    error(content("fetch", cid, "-o", "a"), 2)
    assert (tmp_path / "a").read_bytes() == bytes(2000)
    error(content("fetch", cid, "-o", "out", "--max-bytes", "much"), 2)
    error(content("fetch", "bafynonsense", "-o", "out"), 5)
    error(content("provide", "nothing-here"), 2)
    error(content("gc", "--grace", "soon"), 2)
    error(content("pin", cid, "--remove", "--for", "1h"), 2)
    human = content("ls", human=True)
    assert cid in human.stdout
    assert "2 kB" in human.stdout


@pytest.mark.parametrize(
    ("text", "count"), [("0", 0), ("12", 12), ("5kB", 5000), ("1.5 GiB", 3 << 29), ("2gb", 2 * 10**9)]
)
def test_sizes_are_read_as_people_write_them(text: str, count: int) -> None:
    assert parse_size(text, "--x") == count


@pytest.mark.parametrize("text", ["", "-1", "1xb", "1e9", "nan", "9" * 20])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--x"):
        parse_size(text, "--x")


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (123456, "123 kB")])
def test_sizes_are_shown_with_three_digits(count: int, text: str) -> None:
    assert format_size(count) == text


def test_a_command_that_ends_at_once_asks_the_peers_of_its_peers_too(content: Run, tmp_path: Path) -> None:
    """Whoever knows one address of a job finds all of its files."""
    rows = "".join(f"{n},{n % 2}\n" for n in range(40))
    (tmp_path / "table.csv").write_text("x,label\n" + rows)
    publish = ["data", "publish", "table.csv", "--shards", "2", "--label", "label", "-o", "out", "--json"]
    made = subprocess.run(
        command(tmp_path / "sponsor", *publish), capture_output=True, text=True, cwd=tmp_path, check=False
    )
    manifest = answer(made)["manifest"]
    with (
        serving(tmp_path / "hub", tmp_path) as hub,
        serving(tmp_path / "sponsor", tmp_path, "--peer", hub),
    ):
        place = tmp_path / "got.json"
        answer(content("fetch", manifest, "-o", str(place), "--peer", hub, at="one"))
        looked = subprocess.run(
            command(tmp_path / "two", "data", "inspect", manifest, "--peer", hub, "--json"),
            capture_output=True, text=True, cwd=tmp_path, check=False,
        )  # fmt: skip
    assert str(cid_of_path(place)) == manifest
    assert answer(looked)
