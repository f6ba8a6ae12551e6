"""When git first saw each file. In: a folder, perhaps inside a repository. Out: the date of the commit that added each file.

One call of git for the whole folder. Nothing that a repository could bring runs: no hooks, no file system monitor, no
settings of the caller's environment; a repository that belongs to somebody else is left alone, as git itself asks.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

_SECONDS = 60
_QUIET = (
    "core.fsmonitor=false", "core.hooksPath=/dev/null", "core.pager=cat", "core.quotePath=false", "log.showSignature=false",
    "diff.external=", "core.attributesFile=/dev/null", "protocol.allow=never", "log.mailmap=false",
)  # fmt: skip


def first_commits(folder: Path) -> Mapping[str, datetime]:
    """Paths below `folder`, with `/`, and when the commit that added each was written; the oldest where there are several.

    Empty where there is no git, no repository, or one whose history was cut off when it was cloned.
    """
    if _git(folder, "rev-parse", "--is-shallow-repository") != b"false\n":
        return {}
    log = _git(
        folder, "log", "--no-merges", "--no-renames", "--no-ext-diff", "--no-textconv", "--diff-filter=A", "--name-only",
        "--relative", "-z", "--format=%x01%at", "--", ".",
    )  # fmt: skip
    return _read(log) if log else {}


def _read(log: bytes) -> dict[str, datetime]:
    """Commits come newest first, so that the last word on a file is its oldest."""
    found: dict[str, datetime] = {}
    for commit in log.split(b"\x01")[1:]:
        moment, _, names = commit.partition(b"\0")
        seconds = moment.strip()
        if not seconds.isdigit() or int(seconds) > 7_000_000_000:
            continue
        date = datetime.fromtimestamp(int(seconds), UTC)
        for name in names.split(b"\0"):
            if name := name.lstrip(b"\n"):
                found[os.fsdecode(name)] = date
    return found


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git prints, or None where it is not there, refuses or takes too long."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {
        "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C", "GIT_PAGER": "cat",
    }  # fmt: skip
    settings = [word for setting in _QUIET for word in ("-c", setting)]
    try:
        done = subprocess.run(
            ["git", *settings, "-C", os.fspath(folder.absolute()), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
