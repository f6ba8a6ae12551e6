"""All posts of a blog folder, or of an export, in order: those that have not changed as they are known, the others read anew.

In: settings and what the last run left. Out: for every file its line of raw_blogs.jsonl, its line of the index and its report.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from blogtwin import workers
from blogtwin.config import Settings
from blogtwin.progress import Task
from blogtwin.records import FileReport, Post
from blogtwin.sources import git_history
from blogtwin.sources.base import Document
from blogtwin.sources.walk import Found, walk
from blogtwin.stages.earlier import Earlier, Known, index_line
from blogtwin.stages.reading import Reader, Reading, shown_name, unreadable

_CRASHED = "ends the process that reads it; that is a fault of a parser, and worth a report with this file"


@dataclass(frozen=True)
class Read:
    """What one file gave. line: of raw_blogs.jsonl, "" without a post. entry: of the index, "" where there is none."""

    line: str
    entry: str
    report: FileReport


def of_folder(settings: Settings, earlier: Earlier, task: Task) -> Iterator[Read]:
    """Every file below data.input_dir."""
    folder = settings.data.input_dir
    births = _Births(folder)
    waiting: deque[Found | Known] = deque()

    def to_read() -> Iterator[Found]:
        for one in earlier.compared(walk(folder, settings.data.formats)):
            waiting.append(one)
            if isinstance(one, Found) and one.reason is None:
                yield one

    readings = workers.ordered(
        partial(read_file, Reader.of(settings)),
        to_read(),
        workers.count(settings.machine.threads),
        lambda found: _crashed(found.path),
    )
    for reading in readings:
        while isinstance(one := waiting.popleft(), Known) or one.reason is not None:
            yield _not_read(one, earlier)
            task.advance()
        yield _read(births.dated(reading, one), one)
        task.advance()
    for one in waiting:
        yield _not_read(one, earlier)
        task.advance()


def of_export(settings: Settings, task: Task) -> Iterator[Read]:
    """Every post of the export that data.input_dir is."""
    from blogtwin.sources.exports.choose import (
        export_for,  # what reads XML and zips costs a folder's readers a tenth of a second
    )

    path = settings.data.input_dir
    modified = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    many = workers.count(settings.machine.threads)
    read = partial(read_entry, Reader.of(settings), modified)
    entries = export_for(path).read(path)
    readings = workers.ordered(read, entries, many, lambda entry: _crashed(entry[0]))
    for reading in readings:
        yield Read(_line(reading.post), "", reading.report)
        task.advance()


def read_entry(reader: Reader, modified: datetime, entry: tuple[str, Callable[[], Document]]) -> Reading:
    """A post of an export; at the top of the module, because it is sent to workers."""
    name, read = entry
    return reader.post(name, read, modified)


def read_file(reader: Reader, found: Found) -> Reading:
    """A file; at the top of the module, because it is sent to workers."""
    return reader.file(found)


def _crashed(name: str) -> Reading:
    return Reading(None, unreadable(shown_name(name), _CRASHED))


def _not_read(one: Found | Known, earlier: Earlier) -> Read:
    if isinstance(one, Known):
        return Read(*earlier.of(one))
    report = FileReport(
        path=shown_name(one.path),
        verdict="unreadable" if one.reason and one.reason.startswith("cannot be opened") else "passed over",
        words_before=0,
        words_after=0,
        reasons=(one.reason or "",),
    )
    return Read("", index_line(one, "", report), report)


def _read(reading: Reading, found: Found) -> Read:
    line = _line(reading.post)
    return Read(line, index_line(found, line, reading.report), reading.report)


def _line(post: Post | None) -> str:
    return post.model_dump_json() + "\n" if post else ""


@dataclass
class _Births:
    """When git first saw each file, for posts that say nowhere when they were written; git is asked once."""

    folder: Path
    _commits: Mapping[str, datetime] | None = field(default=None)

    def dated(self, reading: Reading, found: Found) -> Reading:
        post = reading.post
        if post is None or post.created_from != "file system":
            return reading
        if self._commits is None:
            self._commits = git_history.first_commits(self.folder)
        moment = self._commits.get(found.path)
        if moment is None:
            return reading
        dated = post.model_copy(update={"created_at": moment, "created_from": "git"})
        return Reading(dated, reading.report)
