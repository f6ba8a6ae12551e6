"""Plain text posts, and what Markdown shares with them: bytes → text → front matter → title.

In: .txt files. Out: a Document whose text is the body.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from blogtwin.records import PostFormat
from blogtwin.sources import dates, encoding, front_matter, titles
from blogtwin.sources.base import MAX_TEXT_BYTES, Document, file_bytes, unreadable, without_controls

TitleFinder = Callable[[str, str | None], tuple[str | None, str]]


class TextSource:
    """Plain text; its first line is the title when it stands alone and is short."""

    endings = ("txt",)

    def read(self, path: Path) -> Document:
        return read_plain(path, "text", titles.from_first_line)


def read_plain(path: Path, kind: PostFormat, find_title: TitleFinder) -> Document:
    """A text file with front matter. `find_title` takes body and known title, and gives both back."""
    try:
        text, guessed = encoding.decode(file_bytes(path, MAX_TEXT_BYTES))
    except encoding.NotText as fault:
        raise unreadable(path, str(fault)) from fault
    front = front_matter.split(without_controls(text))
    said = front_matter.text_value(front.values, "title")
    title, body = find_title(front.body, titles.plain(said) if said else None)
    moment, strange = dates.from_front_matter(front.values)
    return Document(
        text=body.strip("\n").rstrip(),
        format=kind,
        title=title or None,
        created_at=moment,
        created_from="front matter" if moment else None,
        language=front_matter.text_value(front.values, "lang", "language", "locale"),
        author=front_matter.text_value(front.values, "author", "authors", "by"),
        tags=front_matter.tags(front.values),
        draft=front_matter.is_draft(front.values),
        remarks=tuple(remark for remark in (guessed, front.remark, strange) if remark),
    )
