"""Password prompts of a command that signs and also opens encryption keys."""

from __future__ import annotations

import asyncio
import getpass
import sys
from pathlib import Path

import pytest

from steelyard.chain.passwords import VARIABLE
from steelyard.cli.encryption import own_secrets, ring_of
from steelyard.cli.output import Output
from steelyard.cli.session import Session
from steelyard.cli.settings import Config


def test_signing_and_opening_keys_in_another_thread_take_one_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `job grant` does."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    asked: list[str] = []
    monkeypatch.setattr(getpass, "getpass", lambda prompt: asked.append(prompt) or "right")
    session = Session(config=Config(home=tmp_path), out=Output())
    made = session.keystores().new("ann", "right", light=True)
    assert made.address is not None
    ring_of(session).create(made.address, "right", light=True)

    async def sign_and_open() -> None:
        assert session.wallet().address == made.address
        await asyncio.to_thread(own_secrets, session)

    asyncio.run(sign_and_open())
    assert asked == ["Password of ann: "]
    assert "right" not in repr(session)
