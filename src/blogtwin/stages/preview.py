"""One post before and after reading, for a person to judge.

In: settings and a file, or the name of a post in an export. Out: a Preview.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from blogtwin.config import Settings
from blogtwin.errors import InputError
from blogtwin.records import FileReport, Post
from blogtwin.sources import encoding
from blogtwin.sources.base import Document
from blogtwin.sources.exports.choose import export_for
from blogtwin.sources.folder import REGISTRY
from blogtwin.stages.reading import Reader, document_of

_NO_TEXT_FILES = ("docx", "ipynb")  # shown as the Markdown they become; what is in the file is XML and JSON


@dataclass(frozen=True)
class Preview:
    """before: the file as its author sees it. post: what is left of it, None when it is left out; the report says why."""

    before: str
    post: Post | None
    report: FileReport


def preview(settings: Settings, wanted: Path) -> Preview:
    """Read one post. wanted: a file, anywhere or below data.input_dir; for an export, the name of one of its posts.

    Raises InputError when there is no such post, and UnreadableFile.
    """
    source = settings.data.input_dir
    if source.is_file():
        return _in_export(settings, str(wanted))
    path = wanted if wanted.is_file() else source / wanted
    if not path.is_file():
        raise InputError(f"{wanted} is not there", f"name a file, as a path or as it stands below {source}")
    if path.suffix.lower().lstrip(".") not in REGISTRY:
        endings = ", ".join(f".{ending}" for ending in REGISTRY)
        raise InputError(f"{path} is of a kind that is not read", f"these are: {endings}")
    below = path.resolve().is_relative_to(source.resolve())
    folder = source.resolve() if below else path.resolve().parent
    name = path.resolve().relative_to(folder).as_posix()
    document = document_of(path)
    modified = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    reading = replace(Reader.of(settings), folder=folder).post(name, lambda: document, modified)
    return Preview(_as_written(path, document), reading.post, reading.report)


def _in_export(settings: Settings, wanted: str) -> Preview:
    path = settings.data.input_dir
    names = []
    for name, read in export_for(path).read(path):
        if name == wanted:
            modified = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
            document = read()
            reading = Reader.of(settings).post(name, partial(_same, document), modified)
            return Preview(document.text, reading.post, reading.report)
        names.append(name)
    raise InputError(f"{path} has no post {wanted}", f"it has {len(names)}, such as: {', '.join(names[:5])}")


def _same(document: Document) -> Document:
    return document


def _as_written(path: Path, document: Document) -> str:
    if path.suffix.lower().lstrip(".") in _NO_TEXT_FILES:
        return document.text
    return encoding.decode(path.read_bytes())[0]
