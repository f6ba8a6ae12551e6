"""In which numbers to train: what fits the machine's memory and what its processor multiplies fast."""

from __future__ import annotations

from dataclasses import dataclass

from blogtwin.config import Method
from blogtwin.training.hardware import Hardware

_LARGE = 100_000_000  # parameters; from here on memory matters more than the time to compute something twice


@dataclass(frozen=True)
class Precision:
    """bf16: the base's weights are held and multiplied in bfloat16. frugal: spend time to save memory."""

    bf16: bool
    frugal: bool

    @classmethod
    def choose(cls, parameters: int, hardware: Hardware) -> Precision:
        """For a base of so many parameters.

        bfloat16 halves the memory and is about four times as fast on processors that multiply it themselves (measured:
        300 against 66 GFLOP/s on one thread); others have to convert each number, so they keep float32.
        """
        large = parameters >= _LARGE
        return cls(bf16=large and hardware.bf16, frugal=large)

    def memory_needed(self, parameters: int, method: Method = "sft", shards: int = 1) -> int:
        """Bytes that training takes at its peak: about 1.7 times the weights (measured: 4.2 GB for 1.24 billion in bfloat16).

        The weights once, and 0.7 of them for a row's activations, the adapter and its optimizer. dpo computes two rows at
        once, either answer of a pair, so for it that second part counts twice (reckoned, not measured); what it measures
        the answers against is taken before the first step and is a few bytes a row. shards: the parts that the weights are
        shared out in.
        """
        rows = 2 if method == "dpo" else 1
        return round((1.0 / shards + 0.7 * rows) * parameters * (2 if self.bf16 else 4))
