"""In which numbers to train: what fits the machine's memory and what its processor multiplies fast."""

from __future__ import annotations

from dataclasses import dataclass

from blogtwin.config import Method
from blogtwin.training.hardware import Hardware

_LARGE = 100_000_000  # parameters; from here on memory matters more than the time to compute something twice


@dataclass(frozen=True)
class Precision:
    """bf16: the base's weights are held and multiplied in bfloat16. frugal: spend time to save memory.

    narrow: they are held in bfloat16 and multiplied in float32, each converted when its turn comes. roomy: the memory is large
    enough for a frugal run that computes nothing twice.
    """

    bf16: bool
    frugal: bool
    narrow: bool = False
    roomy: bool = False

    @classmethod
    def choose(cls, parameters: int, hardware: Hardware) -> Precision:
        """For a base of so many parameters.

        bfloat16 halves the memory and is about four times as fast on processors that multiply it themselves (measured:
        300 against 66 GFLOP/s on one thread); others have to convert each number, so they keep float32.
        """
        large = parameters >= _LARGE
        return cls(bf16=large and hardware.bf16, frugal=large)

    def threads(self, wanted: int | None) -> int | None:
        """Those that are `wanted`, else all (None) for what is large and one for what is small (see threads.py)."""
        return wanted or (None if self.frugal else 1)

    def memory_needed(self, parameters: int, method: Method = "sft", shards: int = 1) -> int:
        """Bytes that training takes at its peak, as measured with 1.24 billion parameters and rows of 1,024 tokens.

        There 4.4 GB in bfloat16, or 5.9 when roomy; 5.8 held narrow, or 7.9 when roomy; 8.3 in float32: the weights, and for
        each parameter some bytes for the libraries, a row's activations, the adapter and its optimizer. dpo computes two rows
        at once, either answer of a pair, so for it that second part counts twice (reckoned, not measured); what it measures
        the answers against is taken before the first step and is a few bytes a row. shards: the parts that the weights are
        shared out in.
        """
        weights = 2 if self.bf16 or self.narrow else 4
        working = (2.8 if self.bf16 else 4.5) if self.roomy else (1.6 if self.bf16 else 2.7)
        return round(parameters * (weights / shards + working * (2 if method == "dpo" else 1)))
