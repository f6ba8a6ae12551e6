"""Answers that block a thread → one stream that blocks nothing. In: answers of a runtime. Out: their pieces as they come.

What waits is put together: a quick model's tokens come as fewer and longer pieces, fifty times a second, which is as often as
anybody sees; each piece of its own would cost the server its time for everybody else. The first comes at once, and the end does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from blogtwin.server.threads import ANSWERS

T = TypeVar("T")

_PAUSE = 0.02  # seconds between two pieces


class Pieces(Protocol):
    """An answer as it comes. whole: the model has ended it. close: stops it at once, from any thread."""

    whole: bool

    def __iter__(self) -> Iterator[str]: ...

    def close(self) -> None: ...


class Voice(NamedTuple):
    """An answer, and the turns that its model has to give at once."""

    answer: Pieces
    turns: asyncio.Semaphore


class _End(NamedTuple):
    fault: BaseException | None


class _Inbox:
    """Pieces that threads put in and the loop takes out; the loop is woken once for all that came since it last looked."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._there = asyncio.Event()
        self._ended = asyncio.Event()
        self._not_before = 0.0  # by the loop's clock
        self._pieces: deque[tuple[int, str | _End]] = deque()
        self._woken = False

    def put(self, number: int, piece: str | _End) -> None:
        """From any thread. Raises RuntimeError when the loop has ended."""
        self._pieces.append((number, piece))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._there.set)
        if isinstance(piece, _End):
            self._loop.call_soon_threadsafe(self._ended.set)

    async def take(self) -> list[tuple[int, str | _End]]:
        """All that is there, at least one, and a pause after the last time unless an answer ends."""
        while not self._pieces:
            self._there.clear()
            self._woken = False
            if not self._pieces:  # what came before the flag fell did not wake anybody
                await self._there.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._not_before):
                await self._ended.wait()
        self._ended.clear()
        self._not_before = self._loop.time() + _PAUSE
        return [self._pieces.popleft() for _ in range(len(self._pieces))]


async def merged(voices: Sequence[Voice]) -> AsyncGenerator[tuple[int, str]]:
    """(which answer, a piece of it), until all have ended. Raises what an answer raises, when the pieces before it were given.

    Closing it, or cancelling whoever waits for it, stops all answers at once.
    """
    inbox = _Inbox()

    def read(number: int, answer: Pieces) -> None:
        fault: BaseException | None = None
        with contextlib.suppress(RuntimeError):  # the loop has ended; nobody listens
            try:
                for piece in answer:
                    inbox.put(number, piece)
            except Exception as told:
                fault = told
            finally:
                inbox.put(number, _End(fault))

    async def take_turn(number: int, voice: Voice) -> None:
        async with voice.turns:
            await asyncio.get_running_loop().run_in_executor(ANSWERS, read, number, voice.answer)

    tasks = [asyncio.create_task(take_turn(number, voice)) for number, voice in enumerate(voices)]
    left = len(voices)
    try:
        while left:
            together: dict[int, str] = {}
            ends: list[_End] = []
            for number, piece in await inbox.take():
                if isinstance(piece, str):
                    together[number] = together.get(number, "") + piece
                else:
                    ends.append(piece)
            for number, text in together.items():
                yield number, text
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
