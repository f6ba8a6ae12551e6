"""Where each vendor's accelerator is looked for: its own tool first, then what the driver leaves in the file system.

In: the root of the file system (proc, sys, dev) and the PATH. Out: Found, with the fact that `doctor` shows. Nothing here
raises: a driver that hangs or answers nonsense is a fact too.
"""

from __future__ import annotations

import csv
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_GIB = 2**30
_INTEL = "0x8086"  # PCI vendor
_DISPLAY = "0x03"  # PCI class


@dataclass(frozen=True)
class Found:
    """fact: what was seen. device: the name of the largest, "" for none. memory: its bytes, None for unknown. count: how many."""

    fact: str
    device: str = ""
    memory: int | None = None
    count: int = 1


Look = Callable[[Path], Found]


def nvidia(root: Path) -> Found:
    """By nvidia-smi; without it, by what the driver says of itself in /proc."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return Found("hidden from this process: CUDA_VISIBLE_DEVICES names no device")
    tool = shutil.which("nvidia-smi") or _file(root / "usr/lib/wsl/lib/nvidia-smi")
    if not tool:
        return _nvidia_in_proc(root)
    told = ask(tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
    cards = [(name, int(size) * 2**20) for name, size in re.findall(r"^(.+), *(\d+)\s*$", told, re.MULTILINE)]
    if visible and all(one.strip().isdigit() for one in visible.split(",")):
        cards = [cards[int(one)] for one in visible.split(",") if int(one) < len(cards)]
    if not cards:
        said = told.strip().splitlines()
        return Found(f"nvidia-smi is there but names no GPU{': ' + said[0] if said else ', and says nothing'}")
    return _largest("nvidia-smi names", cards)


def _nvidia_in_proc(root: Path) -> Found:
    told = [_read(path) for path in sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))]
    names = [match[1].strip() for text in told if (match := re.search(r"^Model:\s*(.+)$", text, re.MULTILINE))]
    if names:
        return Found(
            f"no nvidia-smi on the PATH, but the driver names {_times(len(names))}{names[0]}",
            names[0],
            None,
            len(names),
        )
    if "microsoft" in _read(root / "proc/version").lower():
        return Found("no NVIDIA driver: nvidia-smi is not on the PATH; under WSL it comes with the driver for Windows")
    return Found("no NVIDIA driver: nvidia-smi is not on the PATH")


def amd(root: Path) -> Found:
    """By rocm-smi; without it, by the topology that the driver shows in /sys/class/kfd."""
    if not (root / "dev/kfd").exists():
        return Found("no AMD compute driver: /dev/kfd is not there")
    if not os.access(root / "dev/kfd", os.R_OK | os.W_OK):
        return Found(
            "/dev/kfd is there, but you may not use it: sudo usermod -aG render,video $USER, then log in again"
        )
    cards = _rocm_smi() if shutil.which("rocm-smi") else []
    if cards:
        return _largest("rocm-smi names", cards)
    cards = _kfd_nodes(root / "sys/class/kfd/kfd/topology/nodes")
    return _largest("the AMD driver names", cards) if cards else Found("/dev/kfd is there, but no AMD GPU behind it")


def _rocm_smi() -> list[tuple[str, int]]:
    """(name, bytes) of each card; the columns' names have changed from version to version."""
    told = ask("rocm-smi", "--showproductname", "--showmeminfo", "vram", "--csv").strip()
    cards = []
    for row in csv.DictReader(line for line in told.splitlines() if "," in line):
        fields = {str(key).lower(): str(value).strip() for key, value in row.items()}
        names = [
            fields[key] for key in ("card series", "card model", "card sku") if fields.get(key, "n/a").lower() != "n/a"
        ]
        sizes = [value for key, value in fields.items() if "vram total memory" in key and value.isdigit()]
        if fields.get("device", "").startswith("card"):
            cards.append((names[0] if names else "AMD GPU", int(sizes[0]) if sizes else 0))
    return cards


def _kfd_nodes(nodes: Path) -> list[tuple[str, int]]:
    """The nodes that compute: a processor's node has no SIMD units."""
    cards = []
    for node in sorted(nodes.glob("*")):
        properties = dict(re.findall(r"^(\w+) (\d+)$", _read(node / "properties"), re.MULTILINE))
        if int(properties.get("simd_count", 0)):
            banks = [_read(bank) for bank in node.glob("mem_banks/*/properties")]
            sizes = [
                int(match[1]) for text in banks if (match := re.search(r"^size_in_bytes (\d+)$", text, re.MULTILINE))
            ]
            name = _read(node / "name").strip()
            cards.append((f"AMD {name}" if name else "AMD GPU", sum(sizes)))
    return cards


def intel(root: Path) -> Found:
    """By xpu-smi alone: an Intel display chip is in most laptops, and says nothing of computing."""
    if shutil.which("xpu-smi"):
        told = ask("xpu-smi", "discovery")
        names = [name.strip() for name in re.findall(r"Device Name: *([^|\n]+)", told)]
        return _largest("xpu-smi names", [(name, 0) for name in names]) if names else Found("xpu-smi names no GPU")
    for device in (root / "sys/class/drm").glob("card*/device"):
        if _read(device / "vendor").strip() == _INTEL and _read(device / "class").startswith(_DISPLAY):
            return Found(
                "an Intel GPU is there, but xpu-smi is not on the PATH: install Intel's compute driver to use it"
            )
    return Found("no Intel GPU driver: xpu-smi is not on the PATH")


def apple(_: Path) -> Found:
    """A Mac's own chip; its GPU shares the main memory."""
    if platform.system() != "Darwin":
        return Found("this is no Mac")
    if platform.machine() != "arm64":
        if ask("sysctl", "-n", "sysctl.proc_translated").strip() == "1":
            return Found("this Python is made for Intel and runs translated: install one for Apple silicon (arm64)")
        return Found("this Mac has an Intel processor")
    chip = ask("sysctl", "-n", "machdep.cpu.brand_string").strip() or "Apple silicon"
    return Found(f"{chip}, whose GPU shares the main memory", chip)


def ask(*command: str) -> str:
    """What a command prints, errors too; "" when it is not there or takes over five seconds."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout or done.stderr


def _largest(who: str, cards: list[tuple[str, int]]) -> Found:
    """Of several, the one with the most memory: training takes one device unless it is launched on more."""
    name, size = max(cards, key=lambda card: card[1])
    with_memory = f" with {size / _GIB:.0f} GiB" if size else ""
    alike = sum(card[0] == name for card in cards)
    others = sorted({other for other, _ in cards} - {name})
    beside = f", and {', '.join(others)}" if others else ""
    return Found(f"{who} {_times(alike)}{name}{with_memory}{beside}", name, size or None, alike)


def _times(count: int) -> str:
    return f"{count} × " if count > 1 else ""


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _file(path: Path) -> str | None:
    return str(path) if path.is_file() else None
