"""Where plain transformers computes, and in which numbers: on the processor, or on an accelerator that torch itself reaches.

In: a Hardware, which says what the machine has. Out: a device, and the training arguments for it. What is decided is tested;
nothing of it has been run on CUDA, XPU or MPS: no such device was to be had when it was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from blogtwin.training.hardware import Hardware, Platform
from blogtwin.training.precision import Precision

Name = Literal["cpu", "cuda", "xpu", "mps"]
# torch drives AMD's cards by the name of NVIDIA's.
_TORCHS_NAME: dict[Platform, Name] = {"cuda": "cuda", "rocm": "cuda", "xpu": "xpu", "apple_silicon": "mps"}


@dataclass(frozen=True)
class Device:
    """name: torch's. bf16: it multiplies bfloat16 itself. memory: bytes that training takes its own from; 0: unknown."""

    name: Name
    bf16: bool
    memory: int

    @classmethod
    def choose(cls, hardware: Hardware) -> Device:
        """The accelerator that was found, if the installed torch can use it, else the processor. May load torch."""
        name = _TORCHS_NAME.get(hardware.platform, "cpu")
        if name == "cpu" or not reaches(name):
            return cls("cpu", hardware.bf16, hardware.memory)
        if name == "mps":  # Apple's GPU shares the memory; from the M2 on, as the processor beside it, it has bfloat16
            return cls(name, hardware.bf16, hardware.memory)
        return cls(name, _has_bf16(name), hardware.device_memory or 0)

    def precision(self, parameters: int, hardware: Hardware) -> Precision:
        """For a base of so many parameters: as on a processor, by what this device multiplies."""
        return Precision.choose(parameters, replace(hardware, bf16=self.bf16))

    def arguments(self, precision: Precision) -> Mapping[str, Any]:
        """transformers' training arguments. Adapters are float32 everywhere.

        On CUDA and XPU operations are cast to bfloat16 where the base is in it (mixed precision), so that the adapters'
        products are as fast as the base's; on a processor, and on MPS, they stay in float32.
        """
        return {
            "use_cpu": self.name == "cpu",
            "bf16": precision.bf16 and self.name in ("cuda", "xpu"),
            "gradient_checkpointing": precision.frugal and not precision.roomy,
            "dataloader_pin_memory": self.name == "cuda",  # elsewhere torch warns that there is nothing to pin for
        }


def reaches(name: Name) -> bool:
    """Whether the installed torch was built for this device and its driver answers."""
    import torch

    if name == "cpu":
        return True
    return bool({"cuda": torch.cuda, "xpu": torch.xpu, "mps": torch.backends.mps}[name].is_available())


def _has_bf16(name: Name) -> bool:
    import torch

    if name == "xpu":
        return bool(torch.xpu.is_bf16_supported())
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))  # emulated, it saves no time
