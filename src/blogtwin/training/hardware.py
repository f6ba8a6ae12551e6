"""What this machine has to train with: read from the system alone, so that `doctor` can tell without loading torch.

Out: one Hardware. A backend's `unavailable(hardware)` reads it; `found` says where each platform was looked for.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Platform = Literal["cpu", "cuda", "rocm", "xpu", "apple_silicon"]

# Flags by which processors say that they multiply bfloat16 themselves: x86 (AVX-512, AMX) and ARM.
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


@dataclass(frozen=True)
class Hardware:
    """platform: the best that was found. device: its name. memory, device_memory: bytes (device_memory None: shared or unknown).

    cores: those this process may use. bf16: whether the processor multiplies bfloat16 natively.
    found: platform → what was seen when it was looked for.
    """

    platform: Platform
    device: str
    device_memory: int | None
    memory: int
    cores: int
    bf16: bool
    found: Mapping[str, str]


def detect() -> Hardware:
    """Look at this machine; never raises, and takes at most a few seconds where a driver hangs."""
    found: dict[str, str] = {}
    best: tuple[Platform, str, int | None] | None = None
    for name, look in (("cuda", _cuda), ("rocm", _rocm), ("xpu", _xpu), ("apple_silicon", _apple)):
        device, memory, found[name] = look()
        if device and best is None:
            best = (name, device, memory)  # type: ignore[assignment]  # the four names above are Platforms
    processor, flags = _processor()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    bf16 = bool(_BF16_FLAGS & flags)
    found["cpu"] = f"{processor}, {cores} cores, {'with' if bf16 else 'without'} native bfloat16"
    where, device, device_memory = best or ("cpu", processor, None)
    return Hardware(where, device, device_memory, _memory(), cores, bf16, found)


Look = tuple[str, int | None, str]  # device ("" for none), its memory in bytes, what was seen


def _cuda() -> Look:
    if not shutil.which("nvidia-smi"):
        return "", None, "no NVIDIA driver: nvidia-smi is not on the PATH"
    told = _ask("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
    first = re.match(r"(.+), *(\d+)", told)
    if not first:
        return "", None, "nvidia-smi is there but names no GPU: see what it says when you run it"
    return first[1], int(first[2]) * 2**20, f"nvidia-smi names {first[1]} with {int(first[2]) / 1024:.0f} GiB"


def _rocm() -> Look:
    if not Path("/dev/kfd").exists():
        return "", None, "no AMD compute driver: /dev/kfd is not there"
    told = _ask("rocm-smi", "--showproductname", "--csv") if shutil.which("rocm-smi") else ""
    lines = [line for line in told.splitlines() if line.startswith("card")]
    device = lines[0].split(",")[1] if lines and "," in lines[0] else "AMD GPU"
    return device, None, f"/dev/kfd is there ({device})"


def _xpu() -> Look:
    if not shutil.which("xpu-smi"):
        return "", None, "no Intel GPU driver: xpu-smi is not on the PATH"
    named = re.search(r"Device Name: *([^|\n]+)", _ask("xpu-smi", "discovery"))
    return (
        (named[1].strip(), None, f"xpu-smi names {named[1].strip()}") if named else ("", None, "xpu-smi names no GPU")
    )


def _apple() -> Look:
    if platform.system() != "Darwin":
        return "", None, "this is no Mac"
    if platform.machine() != "arm64":
        return "", None, "this Mac has an Intel processor"
    chip = _ask("sysctl", "-n", "machdep.cpu.brand_string").strip() or "Apple silicon"
    return chip, None, f"{chip}, whose GPU shares the main memory"


def _ask(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _processor() -> tuple[str, set[str]]:
    """The processor's name and its feature flags."""
    try:
        told = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        if platform.system() != "Darwin":
            return platform.processor() or platform.machine(), set()
        bf16 = _ask("sysctl", "-n", "hw.optional.arm.FEAT_BF16").strip() == "1"
        return _ask("sysctl", "-n", "machdep.cpu.brand_string").strip() or "processor", {"bf16"} if bf16 else set()
    name = re.search(r"^model name\s*: *(.+)$", told, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*: *(.+)$", told, re.MULTILINE)
    return name[1].strip() if name else platform.machine(), set(flags[1].split()) if flags else set()


def _memory() -> int:
    """Bytes of main memory this process may use: a container's limit where there is one. 0: unknown."""
    try:
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _windows_memory()
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text("utf-8").strip()
    except OSError:
        return installed
    return min(installed, int(limit)) if limit.isdigit() else installed


def _windows_memory() -> int:
    told = _ask("powershell", "-NoProfile", "-Command", "(Get-CimInstance Win32_ComputerSystem).TotalPhysicalMemory")
    return int(told) if told.strip().isdigit() else 0
