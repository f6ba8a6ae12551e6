"""Blogger exports. In: the Atom file of Settings → Back up, or of Google Takeout. Out: its posts.

Comments, pages, templates and settings are entries too; only those that call themselves posts are posts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from blogtwin.sources.base import Document
from blogtwin.sources.exports import xml_stream
from blogtwin.sources.exports.entries import Names, reader
from blogtwin.sources.exports.feed import entry_of_atom, slug_of
from blogtwin.sources.exports.xml_stream import Element, local, text

_KIND = "http://schemas.google.com/g/2005#kind"
_POST = "http://schemas.google.com/blogger/2008/kind#post"
_SIGNS = (b"schemas.google.com/blogger", b"<generator version='7.00'", b">Blogger</generator>", _KIND.encode())


class BloggerExport:
    """Blogger, also known as Blogspot."""

    name = "Blogger (Atom)"

    def recognises(self, path: Path) -> bool:
        start = xml_stream.head(path)
        return b"<feed" in start and any(sign in start for sign in _SIGNS)

    def read(self, path: Path) -> Iterator[tuple[str, Callable[[], Document]]]:
        names = Names()
        for found in xml_stream.elements(path, ("entry",)):
            if _is_post(found):
                entry = entry_of_atom(found, draft=_is_draft(found))
                name = names.name(
                    slug_of(text(found, "filename")) or slug_of(_address(found)), entry.title, text(found, "id")
                )
                yield name, reader(path, name, entry)


def _is_post(found: Element) -> bool:
    said = text(found, "type")  # Takeout
    kinds = [child.get("term") for child in found if local(child) == "category" and child.get("scheme") == _KIND]
    deleted = text(found, "status").upper() in ("SOFT_TRASHED", "DELETED", "TRASHED") or bool(
        text(found, "trashed").strip()
    )
    return not deleted and (said.upper() == "POST" if said else _POST in kinds)


def _is_draft(found: Element) -> bool:
    control = next((child for child in found if local(child) == "control"), None)
    said = text(control, "draft") if control is not None else ""
    return said == "yes" or text(found, "status").upper() in ("DRAFT", "SCHEDULED")


def _address(found: Element) -> str:
    return next(
        (child.get("href", "") for child in found if local(child) == "link" and child.get("rel") == "alternate"), ""
    )
