"""Substack exports. In: the zip of Settings → Export. Out: its newsletters.

posts.csv says what is published; the text of each post is a file beside it. Podcasts, threads and restacks are not posts.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from blogtwin.sources import archive
from blogtwin.sources.base import MAX_TEXT_BYTES, Document, one_line, unreadable
from blogtwin.sources.exports import xml_stream
from blogtwin.sources.exports.entries import Entry, Names, reader

MAX_BYTES = 2 * 2**30
_MAX_LIST_BYTES = 64 * 2**20
_TYPES = ("newsletter", "post", "")


class SubstackExport:
    """Substack."""

    name = "Substack (zip)"

    def recognises(self, path: Path) -> bool:
        return xml_stream.head(path, 4) == b"PK\x03\x04" and any(_is_list(name) for name in zip_names(path))

    def read(self, path: Path) -> Iterator[tuple[str, Callable[[], Document]]]:
        with archive.opened(path, "a Substack export", "export it again", MAX_BYTES) as package:
            members = set(package.namelist())
            table = next(name for name in package.namelist() if _is_list(name))
            folder = table.removesuffix("posts.csv")
            names = Names()
            for row in _rows(path, package, table):
                member = f"{folder}posts/{row.get('post_id', '')}.html"
                if row.get("type", "").lower() not in _TYPES or member not in members:
                    continue
                key, _, slug = row["post_id"].partition(".")
                entry = Entry(
                    html=archive.read(path, package, member, MAX_TEXT_BYTES).decode("utf-8", "replace"),
                    title=row.get("title", ""),
                    date=row.get("post_date", ""),
                    draft=row.get("is_published", "").lower() != "true",
                )
                name = names.name(slug, entry.title, key)
                yield name, reader(path, name, entry)


def zip_names(path: Path) -> list[str]:
    """The names in a zip; none where it is damaged. Raises UnreadableFile for a hostile one."""
    with archive.opened(path, "an export", "export it again", MAX_BYTES) as package:
        return package.namelist()


def _is_list(name: str) -> bool:
    return name == "posts.csv" or (name.endswith("/posts.csv") and name.count("/") == 1)


def _rows(path: Path, package: zipfile.ZipFile, table: str) -> Iterator[dict[str, str]]:
    text = archive.read(path, package, table, _MAX_LIST_BYTES).decode("utf-8-sig", "replace")
    try:
        for row in csv.DictReader(io.StringIO(text.replace("\0", ""))):
            yield {str(key): value if isinstance(value, str) else "" for key, value in row.items()}
    except csv.Error as fault:
        raise unreadable(path, f"{table!r} in it is damaged: {one_line(fault)}", "export it again") from fault
