"""The process of a job: a command of our own command line, that outlives the server which started it.

In: arguments, the folder to work in, and a folder for what it leaves: log.txt, progress.jsonl, result.json (its stdout).
Out: a process in a group of its own, known again by its number and the time it began, however often the server starts anew.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil  # type: ignore[import-untyped]

from blogtwin import workspace

LOG, PROGRESS, RESULT = "log.txt", "progress.jsonl", "result.json"
_SAME_START = 2.0  # seconds that two readings of when a process began may differ by: the clock may have been set
# The process waits for a byte before it does anything: a job that is not yet on record must not run, and where the server
# dies first, the byte never comes. A server that was started in the background ignores Ctrl-C, and so would its children.
_BEGIN = """
import os, runpy, signal, sys
if sys.stdin.buffer.read(1) != b"!":
    sys.exit()
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(os, "nice"):
    os.nice(10)
sys.argv[:] = ["blogtwin", *sys.argv[1:]]
runpy.run_module("blogtwin", run_name="__main__")
"""

if sys.platform == "win32":
    _APART = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _APART = 0


@dataclass(frozen=True)
class Begun:
    """A process that waits for go()."""

    child: subprocess.Popen[bytes]
    started: float  # seconds since the epoch

    def go(self) -> None:
        """Let it begin; a process that has ended already is found out by whoever follows it."""
        assert self.child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.write(b"!")
            self.child.stdin.flush()
        self.leave()

    def part(self) -> None:
        """It goes on without us, and Python is not to warn of a child that nobody waits for."""
        self.child.returncode = 0

    def leave(self) -> None:
        """Give it up: if it was not let begin, it ends without having done anything."""
        assert self.child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.close()


def begin(arguments: Sequence[str], work: Path, folder: Path, environment: Mapping[str, str]) -> Begun:
    """A process for `blogtwin ARGUMENTS` in the folder `work`, that waits. environment: beside the server's own.

    It is nicer than the server, and takes a processor core less than there are, so that answers keep coming meanwhile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    own = {
        **os.environ,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 2) - 1)),
        "BLOGTWIN_HOME": str(workspace.home().absolute()),
        "BLOGTWIN_PROGRESS": str((folder / PROGRESS).absolute()),
        "PYTHONUNBUFFERED": "1",
        **environment,
    }
    with (folder / LOG).open("ab") as log, (folder / RESULT).open("wb") as result:
        # -P: a blog's folder may hold a file of the name of a module.
        command = [sys.executable, "-P", "-c", _BEGIN, *arguments]
        child = _popen(command, work, own, result, log)
    try:
        return Begun(child, psutil.Process(child.pid).create_time())
    except psutil.NoSuchProcess:
        return Begun(child, 0.0)


def _popen(
    command: Sequence[str], work: Path, own: Mapping[str, str], result: IO[bytes], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=work,
        env=dict(own),
        stdin=subprocess.PIPE,
        stdout=result,
        stderr=log,
        start_new_session=True,  # a Ctrl-C in the server's terminal is not meant for it
        creationflags=_APART,
    )


def running(pid: int | None, started: float | None) -> bool:
    """Whether the process that was given this number at this time still runs; the number may be another's by now."""
    return _process(pid, started) is not None


def stop(pid: int | None, started: float | None, hard: bool) -> None:
    """Ask the process and all that it started to end, as Ctrl-C does; hard: end them."""
    process = _process(pid, started)
    if process is None:
        return
    if sys.platform == "win32":
        with contextlib.suppress(psutil.Error):
            for one in [*process.children(recursive=True), process]:
                one.kill() if hard else one.terminate()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL if hard else signal.SIGINT)


def _process(pid: int | None, started: float | None) -> psutil.Process | None:
    if pid is None or started is None:
        return None
    try:
        found = psutil.Process(pid)
        same = abs(found.create_time() - started) < _SAME_START and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:  # somebody else's, so not ours
        return None
    return found if same else None


def tail(path: Path, lines: int, characters: int = 8000) -> str:
    """The last lines of a text file, "" where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - characters))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
