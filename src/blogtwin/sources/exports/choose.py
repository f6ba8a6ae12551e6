"""A blog that its host wrote into one file: which host, and its posts one after the other.

In: the path of an export. Out: the name of each post inside it, and what reads it. An export is known by its content, never
by its name. Adding a host: write an Export in a file of its own, add it to _EXPORTS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from blogtwin.errors import InputError
from blogtwin.sources.base import Document
from blogtwin.sources.exports import xml_stream
from blogtwin.sources.exports.blogger import BloggerExport
from blogtwin.sources.exports.feed import FeedExport, JsonFeedExport
from blogtwin.sources.exports.ghost import GhostExport
from blogtwin.sources.exports.medium import MediumExport
from blogtwin.sources.exports.substack import SubstackExport
from blogtwin.sources.exports.wordpress import WordPressExport


class Export(Protocol):
    """One kind of export."""

    @property
    def name(self) -> str:
        """What a user calls it."""

    def recognises(self, path: Path) -> bool:
        """Whether the beginning of the file says that it is one. Raises UnreadableFile for a file that cannot be opened."""

    def read(self, path: Path) -> Iterator[tuple[str, Callable[[], Document]]]:
        """The posts, without pages, comments and attachments; each by a name of its own, with what reads it.

        Raises UnreadableFile when the export is damaged or hostile; what reads a post raises it for that post alone.
        """


# The special before the general: WordPress's and Blogger's exports are feeds too.
_EXPORTS: tuple[Export, ...] = (
    WordPressExport(), BloggerExport(), FeedExport(), GhostExport(), JsonFeedExport(), SubstackExport(), MediumExport(),
)  # fmt: skip


def export_for(path: Path) -> Export:
    """What reads this export. Raises InputError, which lists what is understood, and UnreadableFile for a hostile file."""
    start = xml_stream.head(path).lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith((b"<?xml", b"<!DOCTYPE rss", b"<!DOCTYPE feed", b"\xff\xfe<", b"\xfe\xff\0<")):
        xml_stream.check(path)
    for export in _EXPORTS:
        if export.recognises(path):
            return export
    known = ", ".join(export.name for export in _EXPORTS)
    raise InputError(
        f"{path} is a file, but no export of a blog that is understood: {known}",
        f"name the folder with your posts, or an export: --input-dir {path.parent}",
    )
