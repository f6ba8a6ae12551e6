"""What this machine has and lacks: the findings that `doctor` shows.

Backends and runtimes say themselves why they cannot serve; the same sentence is the error when one is forced.
"""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from blogtwin import __version__
from blogtwin.config import Settings
from blogtwin.errors import BlogtwinError
from blogtwin.feedback.database import Database
from blogtwin.runtimes.choose import all_runtimes
from blogtwin.server.listening import bind
from blogtwin.server.security import on_loopback
from blogtwin.training.choose import backends
from blogtwin.training.hardware import Hardware, detect_hardware_platform
from blogtwin.workspace import home

# What a 1B base costs here: its weights to train on and to merge, the GGUF, and room for checkpoints.
_FREE_BYTES = 8 * 2**30
_MEMORY_BYTES = 8 * 2**30
_PATIENCE = 2.0  # seconds that a database may take to answer


@dataclass(frozen=True)
class Finding:
    """One line of doctor. usable: None where it is neither good nor bad. fact: what was found, or why not and what mends it."""

    subject: str
    usable: bool | None
    fact: str


def diagnose(settings: Settings) -> list[Finding]:
    """Everything a twin needs, in the order the pipeline needs it."""
    hardware = detect_hardware_platform()
    found = [
        Finding("blogtwin", None, f"{__version__}, Python {platform.python_version()}"),
        Finding("system", None, f"{platform.system()} {platform.machine()}"),
        Finding("platform", None, f"{hardware.platform}: {hardware.reason}"),
        Finding(
            "memory",
            hardware.memory >= _MEMORY_BYTES or not hardware.memory,
            f"{hardware.memory / 2**30:.0f} GiB; a base of 1 billion parameters wants {_MEMORY_BYTES / 2**30:.0f}",
        ),
        _disk(Path.cwd()),
    ]
    found += [Finding(f"accelerator: {name}", None, seen) for name, seen in hardware.found.items() if name != "cpu"]
    found += _backends(hardware)
    for runtime in all_runtimes(settings.deployment.ollama_base_url):
        reason = runtime.unavailable()
        found.append(Finding(f"runtime: {runtime.name}", reason is None, reason or _served(runtime.names())))
    found.append(Finding("twins", None, f"served from {home()}"))
    return [*found, _database(settings), _server(settings)]


def _backends(hardware: Hardware) -> list[Finding]:
    """Each with its reason, or with what it would train on."""
    told, taken = [], False
    for backend in backends():
        reason = backend.unavailable(hardware)
        fact = reason or hardware.found["cpu" if backend.name == "transformers" else hardware.platform]
        if reason is None and not taken:
            fact, taken = f"{fact}; --backend auto takes this one", True
        told.append(Finding(f"training: {backend.name}", reason is None, fact))
    return told


def _database(settings: Settings) -> Finding:
    """Where what readers say is kept; one that is not there yet is not made for this."""
    url, file = settings.feedback.database_url, home() / "feedback.db"
    if url is None and not file.exists():
        return Finding("database", True, f"none yet; the first deploy makes {file}")
    try:
        database = Database.open(url, _PATIENCE)
        database.close()
    except BlogtwinError as fault:
        return Finding("database", False, _told(fault))
    return Finding("database", True, f"feedback and versions are in {database.name}")


def _server(settings: Settings) -> Finding:
    """Whether `blogtwin serve` gets its address."""
    host, port = settings.server.host, settings.server.port
    try:
        bind(host, port).close()
    except BlogtwinError as fault:
        return Finding("server", False, _told(fault))
    asked = (
        ""
        if on_loopback(host)
        else "; clients must send the token"
        + ("" if settings.server.token else ", which `serve` makes anew at each start (server.token keeps one)")
    )
    return Finding("server", True, f"{host}:{port} is free for `blogtwin serve`{asked}")


def _told(fault: BlogtwinError) -> str:
    return f"{fault.message}: {fault.hint}" if fault.hint else fault.message


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    return Finding(
        "disk", free >= _FREE_BYTES, f"{free / 2**30:.0f} GiB free here; a 1B base wants {_FREE_BYTES / 2**30:.0f}"
    )


def _served(names: list[str]) -> str:
    return f"serves {', '.join(names)}" if names else "ready; serves no model yet"
