"""Markdown posts, with or without front matter. In: .md and .markdown files. Out: a Document whose text is the body."""

from __future__ import annotations

from pathlib import Path

from blogtwin.sources import titles
from blogtwin.sources.base import Document
from blogtwin.sources.text import read_plain


class MarkdownSource:
    """Markdown of any generator; shortcodes and HTML stay for the cleaner, which runs on posts of every source."""

    endings = ("md", "markdown")

    def read(self, path: Path) -> Document:
        return read_plain(path, "markdown", titles.from_heading)
