"""Work that blocks, away from the loop: each kind on threads of its own, so that one that waits holds up no other.

A database that is locked lets writes wait for a quarter of a minute; texts are begun, pages and /health answered meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

ANSWERS = ThreadPoolExecutor(64, thread_name_prefix="answer")  # read from runtimes
_WRITES = ThreadPoolExecutor(8, thread_name_prefix="write")  # SQLite takes one after the other anyway
_LOOKS = ThreadPoolExecutor(16, thread_name_prefix="look")


async def writing(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """What `work` returns, which writes to the database."""
    return await asyncio.get_running_loop().run_in_executor(_WRITES, lambda: work(*args, **named))


async def looking(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """What `work` returns, which reads the database, files, or what a runtime says of itself."""
    return await asyncio.get_running_loop().run_in_executor(_LOOKS, lambda: work(*args, **named))
