"""How many processor threads a piece of training takes.

Small models are trained on one: their matrices are too small to share out, and on a busy machine threads that wait for
each other cost more than they bring (measured: 54 seconds of processor time with one, 230 with two, for the same work).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def limited(threads: int | None) -> Iterator[None]:
    """Let torch take so many threads while the block runs; None leaves it as it is."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
