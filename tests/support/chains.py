"""Types of the fixtures that start development chains (tests/conftest.py)."""

from __future__ import annotations

from collections.abc import Callable

from steelyard.chain.dev.devnet import DevChain

StartChain = Callable[..., DevChain]
