"""Many small pieces of work on all processor cores, in order and in bounded memory.

In: a function that stands at the top of a module, and any number of items. Out: its results, in the order of the items, the same
whatever the number of workers. A worker that is killed by what it reads (a parser written in C can be) takes nothing with it.
"""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from blogtwin.errors import BlogtwinError

Item = TypeVar("Item")
Result = TypeVar("Result")

_CHUNK = 64  # items a call: a chunk takes some 50 ms, beside which the 0.2 ms of handing it over are nothing
_WINDOW = 4  # chunks under way for each worker: enough that none waits, few enough that memory stays flat
_FEW = 4 * _CHUNK  # done here: starting workers takes about as long


def count(threads: int | None) -> int:
    """How many workers to use: as the user says, else one a core that this process may run on."""
    if threads is not None:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    crashed: Callable[[Item], Result],
) -> Iterator[Result]:
    """`function` of every item, in order. crashed: the result for an item that ended the process it was worked on in.

    function, items and results are pickled; exceptions come through. With one worker, or few items, no process is started.
    Raises BlogtwinError where no process can be started.
    """
    remaining = iter(items)
    first = list(itertools.islice(remaining, _FEW))
    chunks = _chunks(remaining)
    if workers == 1 or len(first) < _FEW:
        yield from map(function, itertools.chain(first, remaining))
        return
    pool = _pool(workers)
    under_way: deque[tuple[list[Item], Future[list[Result]]]] = deque()
    try:
        for chunk in itertools.islice(chunks, workers * _WINDOW):
            under_way.append((chunk, pool.submit(_each, function, chunk)))
        yield from map(function, first)  # while the workers start
        while True:
            for chunk in itertools.islice(chunks, workers * _WINDOW - len(under_way)):
                under_way.append((chunk, pool.submit(_each, function, chunk)))
            if not under_way:
                break
            chunk, future = under_way.popleft()
            try:
                results = future.result()
            except BrokenProcessPool:
                pool.shutdown(wait=True, cancel_futures=True)
                results = _one_by_one(function, chunk, crashed)
                pool = _pool(workers)
                under_way = deque((later, pool.submit(_each, function, later)) for later, _ in under_way)
            yield from results
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _chunks(items: Iterator[Item]) -> Iterator[list[Item]]:
    while chunk := list(itertools.islice(items, _CHUNK)):
        yield chunk


def _each(function: Callable[[Item], Result], chunk: Sequence[Item]) -> list[Result]:
    return [function(item) for item in chunk]


def _one_by_one(
    function: Callable[[Item], Result], chunk: Sequence[Item], crashed: Callable[[Item], Result]
) -> list[Result]:
    """The chunk in a process that is started anew after each crash, so that the guilty item alone is lost."""
    results: list[Result] = []
    pool = _pool(1)
    try:
        for item in chunk:
            try:
                results += pool.submit(_each, function, [item]).result()
            except BrokenProcessPool:
                pool.shutdown(wait=True)
                pool = _pool(1)
                _check(pool)
                results.append(crashed(item))
    finally:
        pool.shutdown(wait=True)
    return results


def _check(pool: ProcessPoolExecutor) -> None:
    """Raises BlogtwinError when no worker lives here, whatever it does: then it is not the item's fault."""
    try:
        pool.submit(int).result()
    except BrokenProcessPool as fault:
        raise BlogtwinError(
            "processes that help with the work end as soon as they start",
            "work without them: --threads 1; in a program of your own, call blogtwin below `if __name__ == '__main__':`",
        ) from fault


def _pool(workers: int) -> ProcessPoolExecutor:
    # Not fork: the progress bar has a thread, and a forked copy of its lock may be held for ever.
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
