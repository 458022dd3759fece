"""Types of the fixtures that open content stores (tests/integration/content/conftest.py)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from steelyard.content import EmbeddedStore

MakeStore = Callable[..., Awaitable[EmbeddedStore]]
