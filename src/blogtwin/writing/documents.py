"""A finished post on disk, as Markdown, HTML or Word."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from blogtwin import atomic
from blogtwin.writing.page import html
from blogtwin.writing.word import docx

Format = Literal["md", "html", "docx"]


def save(text: str, path: Path, form: Format, title: str = "") -> None:
    """Write Markdown `text` to `path`, whole or not at all. title: for a post that has no heading. Raises OutputError."""
    if form == "docx":
        atomic.write_bytes(path, docx(text, title))
    else:
        atomic.write_text(path, html(text, title) if form == "html" else text.strip() + "\n")
