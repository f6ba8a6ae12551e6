"""What every side of bench/train.py shares: its job comes in as a file, its steps go out as one line of JSON.

Only the standard library: each side runs in an environment of its own.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any


def job() -> dict[str, Any]:
    """What bench/train.py wrote: base, rows, tokens, examples (paths), steps, batch, max_length, threads, bf16, rate, room."""
    given: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    return given


class Clock:
    """Elapsed and processor seconds at the end of each step, and the tokens seen so far, padding left out."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, float, int]] = []
        self.losses: list[float] = []

    def step(self, tokens: int, loss: float = float("nan")) -> None:
        """One optimizer step is done; `tokens` since the beginning."""
        self.steps.append((time.perf_counter(), time.process_time(), tokens))
        self.losses.append(loss)

    def tell(self, **more: Any) -> None:
        """The line that bench/train.py reads. peak: bytes, as the kernel counted them."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        told = {"steps": self.steps, "losses": self.losses, "peak": peak, **more}
        print("RESULT " + json.dumps(told), flush=True)
