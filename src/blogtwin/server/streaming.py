"""Answers that block a thread → one stream that blocks nothing. In: answers of a runtime. Out: their pieces as they come.

What waits is put together: when the runtime is quicker than the client, the client gets fewer and longer pieces.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from blogtwin.runtimes.answer import Answer

T = TypeVar("T")
_THREADS = ThreadPoolExecutor(64, thread_name_prefix="answer")


class Voice(NamedTuple):
    """An answer, and the turns that its model has to give at once."""

    answer: Answer
    turns: asyncio.Semaphore


class _End(NamedTuple):
    fault: BaseException | None


async def merged(voices: Sequence[Voice]) -> AsyncGenerator[tuple[int, str]]:
    """(which answer, a piece of it), until all have ended. Raises what an answer raises, when the pieces before it were given.

    Closing it, or cancelling whoever waits for it, stops all answers at once.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[int, str | _End]] = asyncio.Queue()

    def read(number: int, answer: Answer) -> None:
        fault: BaseException | None = None
        with contextlib.suppress(RuntimeError):  # the loop has ended; nobody listens
            try:
                for piece in answer:
                    loop.call_soon_threadsafe(queue.put_nowait, (number, piece))
            except Exception as told:
                fault = told
            finally:
                loop.call_soon_threadsafe(queue.put_nowait, (number, _End(fault)))

    async def take_turn(number: int, voice: Voice) -> None:
        async with voice.turns:
            await loop.run_in_executor(_THREADS, read, number, voice.answer)

    tasks = [asyncio.create_task(take_turn(number, voice)) for number, voice in enumerate(voices)]
    left = len(voices)
    try:
        while left:
            waiting = [await queue.get()]
            while not queue.empty():
                waiting.append(queue.get_nowait())
            together: dict[int, str] = {}
            ends = [one for _, one in waiting if isinstance(one, _End)]
            for number, piece in waiting:
                if isinstance(piece, str):
                    together[number] = together.get(number, "") + piece
            for number, piece in together.items():
                yield number, piece
            left -= len(ends)
            for end in ends:
                if end.fault is not None:
                    raise end.fault
    finally:  # without a pause: whoever is cancelled cannot wait
        for voice in voices:
            voice.answer.close()
        for task in tasks:
            task.cancel()


async def while_it_listens(receive: Receive, work: Awaitable[T]) -> T:
    """What `work` gives; it is cancelled when the client goes. Raises ClientDisconnect then."""

    async def until_it_leaves() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    working = asyncio.ensure_future(work)
    leaving = asyncio.create_task(until_it_leaves())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
