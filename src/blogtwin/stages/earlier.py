"""What the last ingest of the same folder made, so that files that have not changed need not be read again.

Beside raw_blogs.jsonl lies an index, in the same order: of every file its size, its time, how many bytes of raw_blogs.jsonl
are its post, and its report. While index and folder are compared, a file that has not changed costs a few numbers in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from blogtwin.records import FileReport
from blogtwin.sources.walk import Found


@dataclass(frozen=True, slots=True)
class Known:
    """A file that has not changed. start, length: its post in raw_blogs.jsonl, in bytes; line: its place in the index."""

    start: int
    length: int
    line: int


def index_beside(posts: Path) -> Path:
    """Where the index of `posts` is kept."""
    return posts.with_name(f".{posts.stem}.index.jsonl")


def index_line(found: Found, post: str, report: FileReport) -> str:
    """What the next run must know of a file. post: its line of raw_blogs.jsonl, newline included, or ""."""
    # ensure_ascii: a file name's bytes that are no UTF-8 survive as escapes.
    known = [found.path, found.size, found.mtime_ns, len(post.encode()), report.model_dump(mode="json")]
    return json.dumps(known, separators=(",", ":")) + "\n"


class Earlier:
    """The last run's posts and index, open for reading; nothing is known where there was none."""

    def __init__(self, posts: Path | None) -> None:
        self._posts = posts
        self._open = ExitStack()

    def __enter__(self) -> Earlier:
        if self._posts is not None:
            self._lines: IO[bytes] = self._open.enter_context(self._posts.open("rb"))
            self._index: IO[bytes] = self._open.enter_context(index_beside(self._posts).open("rb"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def compared(self, found: Iterable[Found]) -> Iterator[Found | Known]:
        """Every file in order: as it was found when it has to be read, else as what is known of it."""
        entries = self._entries()
        known = next(entries, None)
        for one in found:
            place = one.path.split("/")
            while known is not None and known[0].split("/") < place:
                known = next(entries, None)
            if known is not None and known[:3] == (one.path, one.size, one.mtime_ns):
                yield known[3]
            else:
                yield one

    def of(self, known: Known) -> tuple[str, str, FileReport]:
        """The post's line ("" without one), the index line and the report of a file that has not changed."""
        self._lines.seek(known.start)
        self._index.seek(known.line)
        line = self._index.readline().decode()
        return self._lines.read(known.length).decode(), line, FileReport.model_validate(json.loads(line)[4])

    def _entries(self) -> Iterator[tuple[str, int, int, Known]]:
        if self._posts is None:
            return
        start = line = 0
        with index_beside(self._posts).open("rb") as index:  # of its own: `of` moves about in the other
            for raw in index:
                name, size, mtime_ns, length, _ = json.loads(raw)
                yield name, size, mtime_ns, Known(start, length, line)
                start, line = start + length, line + len(raw)
