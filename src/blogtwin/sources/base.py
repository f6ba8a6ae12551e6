"""What every kind of file becomes, and what reads it.

In: the path of one file. Out: a Document, which the ingest stage makes into a Post. A source knows its format and
nothing of the folder the file stands in. Adding a format: write a Source, add it to the table in folder.py.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from blogtwin.errors import UnreadableFile
from blogtwin.records import DateSource, PostFormat

MAX_TEXT_BYTES = 10 * 1024 * 1024  # 1.6 million words: no post, but a log, a dump or somebody's database
_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)}
_ASCII_CONTROLS = bytes(code for code in _CONTROLS if code < 0x80)
_HIGH_CONTROLS = re.compile(rb"\xc2[\x80-\x9f]")


@dataclass(frozen=True)
class Document:
    """One file, read. `text` is its Markdown (or plain) body; None means the file does not say.

    remarks: what a reader should know, though nothing was lost: a repaired encoding, broken front matter.
    """

    text: str
    format: PostFormat
    title: str | None = None
    created_at: datetime | None = None
    created_from: DateSource | None = None
    language: str | None = None
    author: str | None = None
    tags: tuple[str, ...] = ()
    draft: bool = False
    remarks: tuple[str, ...] = ()


class Source(Protocol):
    """One format."""

    def read(self, path: Path) -> Document:
        """The file's content. Raises UnreadableFile with the reason; anything else is a bug."""


def unreadable(path: Path, reason: str, hint: str = "") -> UnreadableFile:
    """The error for one post that cannot be read; `args[1]` keeps the bare reason for lists that name the path anyway."""
    error = UnreadableFile(f"{path}: {reason}", hint or "mend or remove the file, or move it out of the blog folder")
    error.args = (error.message, reason)
    return error


def file_bytes(path: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes. Raises UnreadableFile."""
    try:
        if not path.is_file():  # a pipe or device would make us wait for ever, a dangling link has nothing
            raise unreadable(path, "is a link that leads nowhere" if path.is_symlink() else "is not a regular file")
        size = path.stat().st_size
        if size > limit:
            raise unreadable(
                path,
                f"has {size / 2**20:,.0f} MB; a post may have {limit / 2**20:,.0f} MB",
                "cut it into posts, or move it out of the blog folder",
            )
        return path.read_bytes()
    except OSError as refusal:
        reason = f"cannot be opened: {(refusal.strerror or str(refusal)).lower()}"
        raise unreadable(path, reason, f"see its rights: ls -l '{path}'") from refusal


def without_controls(text: str) -> str:
    """`text` with line ends as newlines and without control characters, which no tokenizer should learn."""
    # Looking is twenty times as fast as replacing, and nearly all posts have none.
    data = text.encode("utf-8", "surrogatepass")
    if len(data.translate(None, _ASCII_CONTROLS)) == len(data) and (text.isascii() or not _HIGH_CONTROLS.search(data)):
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x85", "\n").replace("\x0c", "\n")
    return text.translate(_CONTROLS)


def one_line(value: object) -> str:
    """A title, a name or a tag: one line in NFC, without control characters or halves of surrogate pairs."""
    text = str(value)
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    text = text.encode("utf-8", "replace").decode("utf-8")
    return unicodedata.normalize("NFC", " ".join(text.replace("\xa0", " ").translate(_CONTROLS).split()))
