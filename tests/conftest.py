"""Fixtures that several test folders share: chains and IPFS daemons on free ports, ended whatever happens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from steelyard.chain.dev import devnet
from steelyard.chain.dev.devnet import DevChain
from support.chains import StartChain
from support.kubo import Daemon, daemons

KINDS: tuple[devnet.Kind, ...] = ("anvil", "ganache", "geth")
# How long an example takes says nothing on a shared machine. In CI the same examples are tried at every run.
settings.register_profile("steelyard", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("steelyard")


def wanted_kinds() -> list[devnet.Kind]:
    """The chains that this run is asked to test on: all, or those named in STEELYARD_TEST_CHAINS."""
    named = os.environ.get("STEELYARD_TEST_CHAINS", ",".join(KINDS)).split(",")
    return [kind for kind in KINDS if kind in named]


def _started(kind: devnet.Kind, **options: Any) -> DevChain:
    if kind == "geth" and not devnet.available(kind):
        pytest.skip("geth is not installed (no Go at hand)")
    return devnet.start(kind, **options)


@pytest.fixture(scope="session")
def anvil() -> Iterator[DevChain]:
    """One anvil for the whole run; tests on it use accounts and contracts of their own."""
    chain = _started("anvil", accounts=100)
    yield chain
    chain.stop()


@pytest.fixture(scope="module", params=wanted_kinds())
def chain(request: pytest.FixtureRequest) -> Iterator[DevChain]:
    """Each development chain in turn, one process a test module."""
    started = _started(request.param, accounts=40)
    yield started
    started.stop()


@pytest.fixture
def start_chain() -> Iterator[StartChain]:
    """Start chains of a test's own: `start_chain("anvil", block_time_s=1)`; ended after the test."""
    started: list[DevChain] = []

    def start(kind: devnet.Kind = "anvil", **options: Any) -> DevChain:
        started.append(_started(kind, **options))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture(scope="session")
def ipfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Daemon]]:
    """Three daemons for the whole session, the first two with pub/sub; every test has data of its own."""
    with daemons(tmp_path_factory.mktemp("ipfs"), 3, pubsub=(0, 1)) as found:
        yield found
