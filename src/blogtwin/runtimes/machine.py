"""What this process may use of the machine to run a model: processor cores, and bytes of memory.

A container or a job scheduler often allows less than is built in: threads beyond that would wait for each other.
"""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from pathlib import Path

_ROOT = Path("/")


def cores(root: Path = _ROOT) -> int:
    """Physical cores among the processors this process may run on, no more than a container's quota pays for; at least 1.

    Two threads on one core wait for the same multiplier. root: where proc and sys are.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    siblings = {_siblings(root, number) for number in allowed}
    found = len(siblings) if platform.system() != "Darwin" else _performance_cores(len(allowed))
    quota = _quota(root)
    return max(1, found if quota is None else min(found, int(quota)))


def memory(root: Path = _ROOT) -> int | None:
    """Bytes of main memory that this process may fill, whether or not it is free now; None: it cannot be told."""
    try:
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return None
    for limit in _limits(root, "memory.max", "memory/memory.limit_in_bytes"):
        if limit.strip().isdigit():
            installed = min(installed, int(limit))
    return installed


def _siblings(root: Path, number: int) -> str:
    """The processors that share a core with this one, as the system writes it; by itself where it does not say."""
    try:
        return (root / f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list").read_text("ascii").strip()
    except OSError:
        return str(number)


@cache
def _performance_cores(otherwise: int) -> int:
    """Of a Mac: its slow cores would hold up the quick ones at every step."""
    try:
        told = subprocess.run(["sysctl", "-n", "hw.perflevel0.physicalcpu"], capture_output=True, text=True, check=True)
        return int(told.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return otherwise


def _quota(root: Path) -> float | None:
    """How many processors' time a control group may use up, or None without a limit."""
    shares = []
    for told in _limits(root, "cpu.max", None):  # version 2: `quota period`, or `max period`
        quota, _, period = told.strip().partition(" ")
        if quota.isdigit() and period.isdigit():
            shares.append(int(quota) / int(period))
    first = root / "sys/fs/cgroup/cpu"
    try:  # version 1; -1 is no limit
        quota, period = ((first / f"cpu.cfs_{part}_us").read_text("ascii").strip() for part in ("quota", "period"))
        if quota.isdigit():
            shares.append(int(quota) / int(period))
    except (OSError, ValueError):
        pass
    return min(shares, default=None)


def _limits(root: Path, name: str, version_1: str | None) -> list[str]:
    """What the control groups of this process say under `name`: its own and those above it."""
    try:
        own = (root / "proc/self/cgroup").read_text("ascii").rpartition("::")[2].strip().strip("/")
    except (OSError, UnicodeDecodeError):
        own = ""
    top = root / "sys/fs/cgroup"
    group = top / own
    places = [group / name, *(above / name for above in group.parents if above == top or top in above.parents)]
    if version_1:
        places.append(top / version_1)
    found = []
    for place in places:
        try:
            found.append(place.read_text("ascii"))
        except (OSError, UnicodeDecodeError):
            continue
    return found
