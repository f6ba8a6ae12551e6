"""A folder of posts: which files are posts, who reads them, and what kind of failure each had.

In: a folder and the endings to read. Out: a Listing in the order of paths, independent of the file system's own order.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from blogtwin.sources.asciidoc import AsciidocSource
from blogtwin.sources.base import Source
from blogtwin.sources.djot import DjotSource
from blogtwin.sources.docx import DocxSource
from blogtwin.sources.html import HtmlSource
from blogtwin.sources.markdown import MarkdownSource
from blogtwin.sources.notebook import NotebookSource
from blogtwin.sources.org import OrgSource
from blogtwin.sources.rst import RstSource
from blogtwin.sources.text import TextSource
from blogtwin.sources.walk import Found, walk

__all__ = ["REGISTRY", "Found", "Listing", "listing", "walk"]

_SOURCES: tuple[Source, ...] = (
    MarkdownSource(),
    TextSource(),
    DocxSource(),
    HtmlSource(),
    RstSource(),
    OrgSource(),
    NotebookSource(),
    AsciidocSource(),
    DjotSource(),
)
REGISTRY: dict[str, Source] = {ending: source for source in _SOURCES for ending in source.endings}

# Files that stand in blog folders and are no posts, by their name up to the first dot (README.ja.md, _index.md).
_NOT_POSTS = {"readme", "_index", "license", "licence", "contributing", "code_of_conduct", "robots", "humans", "ads"}
_NOT_BLOGS = {"node_modules", "__MACOSX", "_site", "_layouts", "_includes", "_templates"}


@dataclass
class Listing:
    """posts: paths to read. other: how many files of every other ending. refused: folders and why they stay shut.

    not_posts: how many READMEs, list pages and hidden files were passed over.
    """

    posts: list[Path] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)
    not_posts: int = 0
    refused: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def skipped(self) -> int:
        return self.not_posts + self.other.total()


def listing(folder: Path, endings: Collection[str]) -> Listing:
    """The posts below `folder`, sorted by path. A link to a folder is followed unless that folder was already seen."""
    found = Listing()
    for path in _files(folder, {os.path.realpath(folder)}, found):
        ending = path.suffix.lower().lstrip(".")
        if path.name.split(".")[0].lower() in _NOT_POSTS or path.name.startswith((".", "~$")):
            found.not_posts += 1
        elif ending in endings:
            found.posts.append(path)
        else:
            found.other[f".{ending}" if ending else "no ending"] += 1
    found.posts.sort(key=lambda path: path.relative_to(folder).parts)
    return found


def _files(folder: Path, seen: set[str], found: Listing) -> Iterator[Path]:
    try:
        children = sorted(folder.iterdir())
    except OSError as refusal:
        found.refused.append((folder, f"cannot be opened: {(refusal.strerror or str(refusal)).lower()}"))
        return
    for child in children:
        if not child.is_dir():
            yield child
        elif not child.name.startswith(".") and child.name not in _NOT_BLOGS:
            real = os.path.realpath(child)
            if real not in seen:  # a link to a folder above would go round for ever
                seen.add(real)
                yield from _files(child, seen, found)
