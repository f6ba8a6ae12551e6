"""One file → one post, or the reason why there is none; and what became of its words.

In: a file, or a post of an export. Out: a Reading. This is what worker processes do; nothing here looks at two files.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath

from blogtwin.cleaning import authorship
from blogtwin.cleaning.clean import clean
from blogtwin.config import Part, Settings
from blogtwin.errors import UnreadableFile
from blogtwin.records import FileReport, Post, content_id
from blogtwin.sources import dates, drafts, language, titles
from blogtwin.sources.base import Document
from blogtwin.sources.folder import REGISTRY
from blogtwin.sources.walk import Found
from blogtwin.words import count_words


@dataclass(frozen=True)
class Reading:
    """post: None for one that was dropped or could not be read."""

    post: Post | None
    report: FileReport


@dataclass(frozen=True)
class Reader:
    """How posts are read, small enough to be sent to a worker with every chunk."""

    folder: Path
    drop: tuple[Part, ...]
    author: str | None
    language: str | None

    @classmethod
    def of(cls, settings: Settings) -> Reader:
        data = settings.data
        return cls(data.input_dir, data.drop, data.author, language.code(data.language) if data.language else None)

    def file(self, found: Found) -> Reading:
        """A file below the folder."""
        modified = datetime.fromtimestamp(found.mtime_ns // 10**9, UTC)
        return self.post(found.path, partial(document_of, self.folder / found.path), modified)

    def post(self, name: str, read: Callable[[], Document], modified: datetime) -> Reading:
        """A post by its name below the folder or inside an export. modified: the file system's date."""
        shown = shown_name(name)
        try:
            document = read()
        except UnreadableFile as refusal:
            return Reading(None, unreadable(shown, str(refusal.args[-1])))
        before = count_words(document.text)
        cleaned = clean(document.text, document.format, self.drop)
        own = authorship.own_words(cleaned.text)
        cuts = dict(+(Counter(cleaned.cuts) + Counter(own.cuts)))
        relative = PurePosixPath(name)
        title = document.title or titles.from_path(self.folder.absolute() / relative)
        created_at, created_from, conflict = dates.settle(document, relative)
        said = language.code(document.language) if document.language else None
        remarks = tuple(remark for remark in (*document.remarks, conflict) if remark)
        post = Post(
            # Not from the date: a file system's date changes with every copy of the folder.
            id=content_id("post", shown, title, own.text),
            path=shown,
            title=title,
            text=own.text,
            format=document.format,
            word_count=count_words(own.text),
            created_at=created_at or modified,
            created_from=created_from or "file system",
            language=said or language.from_path(relative) or language.detect(own.text),
            author=document.author,
            tags=document.tags,
            draft=document.draft or drafts.is_draft_path(relative),
        )
        reason = self._why_not(post, document)
        report = FileReport(
            path=shown,
            verdict="dropped" if reason else "cut" if cuts else "kept",
            words_before=before,
            words_after=0 if reason else post.word_count,
            cuts=cuts,
            reasons=(reason, *remarks) if reason else remarks,
        )
        return Reading(None if reason else post, report)

    def _why_not(self, post: Post, document: Document) -> str | None:
        if not post.text:
            return "has no text of its own"
        if self.language and post.language and post.language != self.language:
            return f"is in another language: {post.language}"
        return authorship.not_the_authors(post.title, post.text, post.author, self.author, document.text)


def document_of(path: Path) -> Document:
    """What stands in the file at `path`. Raises UnreadableFile."""
    return REGISTRY[path.suffix.lower().lstrip(".")].read(path)


def unreadable(name: str, reason: str) -> FileReport:
    """The report on a file that gave no text."""
    return FileReport(path=name, verdict="unreadable", words_before=0, words_after=0, reasons=(reason,))


def shown_name(name: str) -> str:
    """A name with bytes that are no UTF-8 shown as \ufffd, because JSON cannot hold them."""
    return os.fsencode(name).decode("utf-8", "replace")
