"""Blocking work of the store off the event loop, on a thread pool of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")
# Each holds at most one leaf in memory, so the number bounds that too.
_POOL = ThreadPoolExecutor(max_workers=8, thread_name_prefix="steelyard-content")


async def in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call a function that waits for the disk or hashes. Cancelling ends the wait, not the function."""
    return await asyncio.get_running_loop().run_in_executor(_POOL, partial(function, *args, **kwargs))
