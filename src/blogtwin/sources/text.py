"""Plain text posts. In: .txt files, with or without front matter. Out: a Document whose text is the body."""

from __future__ import annotations

from pathlib import Path

from blogtwin.sources import front_matter, titles
from blogtwin.sources.base import Document
from blogtwin.sources.compose import composed, text_of


class TextSource:
    """Plain text; its first line is the title when it stands alone and is short."""

    def read(self, path: Path) -> Document:
        text, remarks = text_of(path)
        front = front_matter.split(text)
        return composed("text", front.body, front.values, (*remarks, *front.remarks), titles.from_first_line)
