"""Files and folders that appear whole or not at all.

Everything is written to a temporary neighbour and moved into place, so a killed run leaves the old
content or the new, never half of either. A full disk or a forbidden folder becomes an OutputError.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from blogtwin.errors import OutputError

_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space, then run the same command again: nothing was half-written"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, then run the same command again"),
    errno.EFBIG: (
        "a file this large is not allowed there",
        "choose another disk (FAT ends at 4 GB), or lift the limit",
    ),
    errno.EACCES: ("permission denied", "choose another place with --output, or give yourself write access"),
    errno.EPERM: ("permission denied", "choose another place with --output, or give yourself write access"),
    errno.EROFS: ("the file system is read-only", "choose another place with --output"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "choose another place with --output"),
    errno.EEXIST: ("a part of the path is a file, not a folder", "choose another place with --output"),
    errno.EISDIR: ("it is a folder, not a file", "choose another place with --output"),
}


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write `path` into an OutputError that names it."""
    try:
        yield
    except OSError as refusal:
        if refusal.errno not in _REASONS:
            raise
        reason, hint = _REASONS[refusal.errno]
        raise OutputError(f"{path} cannot be written: {reason}", hint) from refusal


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """A UTF-8 text file (newline as written) that takes `path`'s place when the block ends well."""
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        try:
            with partial.open("w", encoding="utf-8", newline="\n") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace `path` with `text`, whole or not at all."""
    with open_text(path) as file:
        file.write(text)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` with `content`, whole or not at all."""
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        try:
            partial.write_bytes(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def open_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes `path`'s place when the block ends well; what was there is removed."""
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            shutil.rmtree(path, ignore_errors=True)
            partial.replace(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
