"""Ghost exports. In: the JSON of Settings → Export. Out: its posts.

Pages are not posts. A post that was never shown has no HTML yet; then its editor's own document is read (Lexical or Mobiledoc).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from blogtwin.sources import encoding
from blogtwin.sources.base import Document, file_bytes, one_line, unreadable
from blogtwin.sources.exports import ghost_documents, xml_stream
from blogtwin.sources.exports.entries import Entry, Names, reader

_MAX_BYTES = 256 * 2**20
Object = dict[str, Any]


class GhostExport:
    """Ghost, any version."""

    name = "Ghost (JSON)"

    def recognises(self, path: Path) -> bool:
        start = xml_stream.head(path).lstrip(b"\xef\xbb\xbf \t\r\n")
        tables = (b'"posts"', b'"exported_on"', b'"posts_tags"', b'"posts_authors"', b'"benefits"', b'"actions"')
        return (
            start[:1] == b"{"
            and any(sign in start for sign in (b'"db"', b'"exported_on"'))
            and any(t in start for t in tables)
        )

    def read(self, path: Path) -> Iterator[tuple[str, Callable[[], Document]]]:
        data = _tables(json_of(path))
        authors, tags = _authors(data), _tags(data)
        names = Names()
        for post in listed(data, "posts"):
            if post.get("type", "post") != "post" or post.get("page") in (True, 1):
                continue
            key = said(post, "id")
            content, remarks = _content(post)
            entry = Entry(
                html=content,
                title=said(post, "title"),
                date=said(post, "published_at") or said(post, "created_at"),
                author=", ".join(authors.get(key, ())),
                tags=tuple(tags.get(key, ())),
                language=said(post, "locale") or said(post, "language"),
                draft=said(post, "status") not in ("published", "sent"),
                remarks=remarks,
            )
            name = names.name(said(post, "slug"), entry.title, key)
            yield name, reader(path, name, entry)


def json_of(path: Path) -> Object:
    """The object in a JSON file. Raises UnreadableFile, also for one that is nested too deeply."""
    try:
        found = json.loads(encoding.decode(file_bytes(path, _MAX_BYTES))[0])
    except RecursionError as fault:
        raise unreadable(path, "is JSON that is nested too deeply") from fault
    except ValueError as fault:  # damaged, or no text
        raise unreadable(path, f"is damaged JSON: {one_line(fault)[:120]}", "export it again") from fault
    if not isinstance(found, dict):
        raise unreadable(path, "is JSON, but no export: no object stands in it")
    return found


def listed(holder: Object, key: str) -> list[Object]:
    """The objects in a list."""
    found = holder.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def said(holder: Object, key: str) -> str:
    """A word or a number as text; "" for anything else."""
    found = holder.get(key)
    return str(found) if isinstance(found, str | int | float) and not isinstance(found, bool) else ""


def _tables(export: Object) -> Object:
    first = next(iter(listed(export, "db")), export)
    data = first.get("data")
    return data if isinstance(data, dict) else first


def _content(post: Object) -> tuple[str, tuple[str, ...]]:
    if content := said(post, "html"):
        return content, ()
    for key, html_of in (("lexical", ghost_documents.lexical), ("mobiledoc", ghost_documents.mobiledoc)):
        if document := said(post, key):
            try:
                return html_of(json.loads(document)), ()
            except (ValueError, RecursionError, TypeError, KeyError, IndexError, AttributeError):
                return "", (f"its {key} document is damaged",)
    return "", ()


def _authors(data: Object) -> dict[str, list[str]]:
    people = {said(user, "id"): said(user, "name") for user in listed(data, "users")}
    found: dict[str, list[str]] = {}
    for link in sorted(listed(data, "posts_authors"), key=lambda link: said(link, "sort_order").zfill(6)):
        if name := people.get(said(link, "author_id")):
            found.setdefault(said(link, "post_id"), []).append(name)
    for post in listed(data, "posts"):
        if name := people.get(said(post, "author_id")):
            found.setdefault(said(post, "id"), [name])
    return found


def _tags(data: Object) -> dict[str, list[str]]:
    """The tags of each post; those that begin with # are for the theme."""
    labels = {said(tag, "id"): said(tag, "name") for tag in listed(data, "tags")}
    found: dict[str, list[str]] = {}
    for link in sorted(listed(data, "posts_tags"), key=lambda link: said(link, "sort_order").zfill(6)):
        label = labels.get(said(link, "tag_id"), "")
        if label and not label.startswith("#"):
            found.setdefault(said(link, "post_id"), []).append(label)
    return found
