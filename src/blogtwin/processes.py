"""Several processes that train one twin together, as `torchrun`, `accelerate launch` or a job of Slurm's starts them.

In: what the launcher tells each in its environment. Out: which of them this is, and points at which all of them meet. The
main one prints and writes; the others compute. Where there is one process, nothing here does anything, or loads anything.
"""

from __future__ import annotations

import atexit
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from blogtwin.errors import BlogtwinError, UsageError

T = TypeVar("T")

_A_DOWNLOAD = timedelta(days=2)  # so long may the main one keep the others waiting; one that ends is noticed at once
_LOST = re.compile(r"gloo|NCCL|Connection (closed|reset)|Broken pipe|process group|Socket", re.IGNORECASE)


def count() -> int:
    """How many were started together."""
    told = os.environ.get("WORLD_SIZE", "")
    return int(told) if told.isdigit() and {"RANK", "MASTER_ADDR"} <= os.environ.keys() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return int(os.environ["RANK"]) if count() > 1 else 0


def is_main() -> bool:
    """Whether this is the one that prints and writes."""
    return rank() == 0


def on_this_machine() -> int:
    """How many of them share this machine's memory."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if count() > 1 else 1


def sharded() -> bool:
    """Whether the launcher asked for FSDP: each process holds a part of the base, and none the whole."""
    return count() > 1 and os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"


def share(batch_size: int) -> int:
    """How many rows of a batch each process takes. Raises UsageError when they cannot share it evenly."""
    if batch_size % count():
        raise UsageError(
            f"batch_size is {batch_size}, and {count()} processes were started: each has to take as many rows of it",
            f"take: --batch-size {-(-batch_size // count()) * count()}, or start {batch_size} processes",
        )
    return batch_size // count()


def check_alone(what: str) -> None:
    """Raises UsageError when several processes were started for what only one can do."""
    if count() > 1:
        raise UsageError(
            f"{what} is work for one process, and {count()} were started",
            "start it as a plain command; finetune alone shares its work out",
        )


@contextmanager
def hushed() -> Iterator[None]:
    """Print nothing while the block runs, but on the main process."""
    if is_main():
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        yield


def tells_of_failure() -> bool:
    """Whether it is for this process to say what went wrong: the first that asks, so that it is said once.

    Without torch's agent (processes that Slurm itself starts) nobody counts, and each says it.
    """
    if count() == 1 or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return True
    from torch.distributed import TCPStore

    try:
        place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = TCPStore(*place, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=20))
        first: bool = store.add(f"blogtwin failed {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", 1) == 1
    except (RuntimeError, ValueError, KeyError):
        return True
    return first


@contextmanager
def together(cpu: bool) -> Iterator[None]:
    """Meet the others before the block, and once more after it. cpu: they train on processors.

    Raises BlogtwinError when another one has ended in between.
    """
    if count() == 1:
        yield
        return
    import torch.distributed
    from accelerate import PartialState

    if cpu:
        os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"  # else "cpu:0", where torch finds no optimizer's state again
    if sharded():
        os.environ["FSDP_STATE_DICT_TYPE"] = (
            "FULL_STATE_DICT"  # the main process writes the adapter, which is small, whole
        )
    try:
        PartialState(cpu=cpu)
        yield
        wait()
    except RuntimeError as fault:
        if not isinstance(fault, torch.distributed.DistError) and not _LOST.search(str(fault)):
            raise
        raise BlogtwinError(
            f"another of the {count()} processes ended, so this one ends too: {str(fault).strip().splitlines()[0]}",
            "the cause is in what that one wrote; the same command goes on from the last checkpoint",
        ) from fault
    _part_at_the_end()


@contextmanager
def in_turn() -> Iterator[None]:
    """The main process first, then one on each machine, then the others: they find on disk what the first have left there."""
    mine = 0 if is_main() else 1 if os.environ.get("LOCAL_RANK", "0") == "0" else 2
    for turn in range(3):
        if turn == mine:
            yield
        wait()


def wait() -> None:
    """Until all are here."""
    if count() > 1:
        import torch.distributed

        torch.distributed.barrier(_meeting())


def told(value: T) -> T:
    """What the main process has as `value`, on all of them. It has to be small."""
    if count() == 1:
        return value
    import torch.distributed

    values = [value]
    torch.distributed.broadcast_object_list(values, src=0, group=_meeting())
    return values[0]


def gathered(value: T) -> list[T]:
    """What each of them has as `value`, in their order, on all of them. It has to be small."""
    if count() == 1:
        return [value]
    import torch.distributed

    values = [value] * count()
    torch.distributed.all_gather_object(values, value, group=_meeting())
    return values


def check_same(value: object, what: str, hint: str) -> None:
    """Raises UsageError, on all of them, when `value` is not the same everywhere."""
    values = gathered(value)
    for other, found in enumerate(values):
        if found != values[0]:
            raise UsageError(f"process {other} of {count()} has {what} than the main one", hint)


@cache
def _meeting() -> Any:
    """A group of its own for meetings: it speaks by way of the processors, and waits for as long as a download takes."""
    import torch.distributed

    return torch.distributed.new_group(backend="gloo", timeout=_A_DOWNLOAD)


@cache
def _part_at_the_end() -> None:
    """Close the connections when all went well; where it did not, that would wait for those that are gone."""
    import torch.distributed

    atexit.register(torch.distributed.destroy_process_group)
