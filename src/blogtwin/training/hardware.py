"""What this machine has to train with: read from the system alone, so that `doctor` can tell without loading torch.

Out: one Hardware. A backend's `unavailable(hardware)` reads it; `found` says what was seen where each platform was looked for.
The looks themselves, one function a vendor, are in accelerators.py.
"""

from __future__ import annotations

import os
import platform as system
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from blogtwin.training import accelerators
from blogtwin.training.accelerators import Look, ask
from blogtwin.training.table import KNOWN

Platform = Literal["cpu", "cuda", "rocm", "xpu", "apple_silicon"]

# In this order: a machine with several trains on the first.
_LOOKS: dict[Platform, Look] = {
    "cuda": accelerators.nvidia,
    "rocm": accelerators.amd,
    "xpu": accelerators.intel,
    "apple_silicon": accelerators.apple,
}
# Flags by which processors say that they multiply bfloat16 themselves: x86 (AVX-512, AMX) and ARM.
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


@dataclass(frozen=True)
class Hardware:
    """platform: the best that was found. device: its name. memory, device_memory: bytes (device_memory None: shared or unknown).

    cores: those this process may use. bf16: whether the processor multiplies bfloat16 natively.
    found: platform → what was seen when it was looked for. devices: how many of that device there are.
    """

    platform: Platform
    device: str
    device_memory: int | None
    memory: int
    cores: int
    bf16: bool
    found: Mapping[str, str]
    devices: int = 1

    @property
    def reason(self) -> str:
        """What was seen that decided for this platform."""
        return self.found[self.platform]


def detect_hardware_platform(root: Path = Path("/")) -> Hardware:
    """Look at this machine; never raises, and takes at most a few seconds where a driver hangs.

    root: where proc, sys and dev are; commands are looked for on the PATH.
    """
    processor, flags = _processor(root)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    bf16 = bool(_BF16_FLAGS & flags)
    found: dict[str, str] = {}
    best: tuple[Platform, accelerators.Found] = ("cpu", accelerators.Found("", processor))
    for name, look in _LOOKS.items():
        seen = look(root)
        found[name] = seen.fact
        if seen.device and best[0] == "cpu":
            best = (name, seen)
    found["cpu"] = f"{processor}, {cores} cores, {'with' if bf16 else 'without'} native bfloat16"
    where, device = best
    return Hardware(
        platform=where,
        device=device.device,
        device_memory=device.memory,
        memory=_memory(root),
        cores=cores,
        bf16=bf16,
        found=found,
        devices=device.count,
    )


def get_platform_model_name(platform: Platform, base_model: str) -> str:
    """The repository of a name in the table whose files suit this platform; what is not in the table stays as it is.

    ROCm and XPU train with the same backend as CUDA, so they take the same files.
    """
    known = KNOWN.get(base_model)
    if known is None:
        return base_model
    return {"cpu": known.cpu, "apple_silicon": known.mlx}.get(platform, known.cuda)


def _processor(root: Path) -> tuple[str, set[str]]:
    """The processor's name and its feature flags."""
    try:
        told = (root / "proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        if system.system() != "Darwin":
            return system.processor() or system.machine(), set()
        bf16 = ask("sysctl", "-n", "hw.optional.arm.FEAT_BF16").strip() == "1"
        return ask("sysctl", "-n", "machdep.cpu.brand_string").strip() or "processor", {"bf16"} if bf16 else set()
    name = re.search(r"^model name\s*: *(.+)$", told, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*: *(.+)$", told, re.MULTILINE)
    return name[1].strip() if name else system.machine(), set(flags[1].split()) if flags else set()


def _memory(root: Path) -> int:
    """Bytes of main memory this process may use: a container's limit where there is one. 0: unknown."""
    if system.system() == "Darwin":
        return _number(ask("sysctl", "-n", "hw.memsize"))
    try:
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _windows_memory()
    for limit in ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"):  # version 2, version 1
        try:
            installed = min(installed, _number((root / limit).read_text("utf-8")) or installed)
        except OSError:
            continue
    return installed


def _windows_memory() -> int:
    return _number(
        ask("powershell", "-NoProfile", "-Command", "(Get-CimInstance Win32_ComputerSystem).TotalPhysicalMemory")
    )


def _number(told: str) -> int:
    return int(told) if told.strip().isdigit() else 0
