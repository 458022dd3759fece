"""Ctrl-C and SIGTERM as an event, so that a long command ends in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@asynccontextmanager
async def stopping() -> AsyncIterator[asyncio.Event]:
    """An event that the first signal sets; a second one has its default effect."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask() -> None:
        stop.set()
        release()

    def release() -> None:
        for each in SIGNALS:
            loop.remove_signal_handler(each)

    for each in SIGNALS:
        loop.add_signal_handler(each, ask)
    try:
        yield stop
    finally:
        release()
