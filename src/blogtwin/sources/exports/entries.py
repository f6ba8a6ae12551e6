"""One post of an export, as its host stored it → a Document.

In: the HTML of a post and what the export says of it. Out: a Document whose text is Markdown. Entries are plain data, so that the
posts of one export can be read in several processes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from blogtwin.markup.html import to_markdown
from blogtwin.sources import titles
from blogtwin.sources.base import MAX_TEXT_BYTES, Document, one_line, unreadable, without_controls
from blogtwin.sources.compose import composed

if TYPE_CHECKING:
    from collections.abc import Callable

_UNSAFE = re.compile(r"[^\w.~-]+")


@dataclass(frozen=True)
class Entry:
    """html: as stored. date: in any spelling. markdown: whether `html` is Markdown already."""

    html: str
    title: str = ""
    date: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    language: str = ""
    draft: bool = False
    remarks: tuple[str, ...] = ()
    markdown: bool = False


@dataclass
class Names:
    """Gives every post of an export a name of its own, the same one each time."""

    taken: set[str] = field(default_factory=set)

    def name(self, slug: str, title: str, key: str) -> str:
        """The slug, else the title, else the key; with the key behind it when that name is taken."""
        stem = (
            _UNSAFE.sub("-", one_line(slug or title.lower())).strip("-.")[:120]
            or _UNSAFE.sub("-", one_line(key))[-60:]
            or "post"
        )
        names = [stem, f"{stem}-{_UNSAFE.sub('-', one_line(key))[-60:].strip('-')}"]
        found = next((name for name in names if name not in self.taken), None)
        number = 2
        while found is None or found in self.taken:
            found, number = f"{stem}-{number}", number + 1
        self.taken.add(found)
        return found


def reader(path: Path, name: str, entry: Entry) -> Callable[[], Document]:
    """What reads `entry`, and can be sent to another process."""
    return partial(document, path / name, entry)


def document(path: Path, entry: Entry) -> Document:
    """The Document of one entry. Raises UnreadableFile for one that is too long."""
    if len(entry.html) > MAX_TEXT_BYTES:
        raise unreadable(
            path, f"has {len(entry.html) / 2**20:,.0f} MB; a post may have {MAX_TEXT_BYTES / 2**20:,.0f} MB"
        )
    source = without_controls(entry.html)
    values: dict[str, object] = {
        "title": entry.title, "date": entry.date, "author": entry.author, "tags": list(entry.tags), "lang": entry.language,
    }  # fmt: skip
    said = {key: value for key, value in values.items() if value}
    found = composed("html", source if entry.markdown else to_markdown(source), said, entry.remarks)
    origin = "document" if found.created_from == "front matter" else found.created_from
    title = found.title or titles.from_words(found.text)
    return replace(found, title=title, created_from=origin, draft=found.draft or entry.draft)
