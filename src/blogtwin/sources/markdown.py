"""Markdown posts, with or without front matter. In: .md .markdown .mdx .Rmd files. Out: a Document whose text is the body.

Shortcodes, JSX and HTML stay for the cleaner, which runs on posts of every source. The code of R Markdown is fenced as
everyone else's: ```{r, echo=FALSE} becomes ```r, and a chunk that only sets up the page goes.
"""

from __future__ import annotations

import re
from pathlib import Path

from blogtwin.sources import front_matter
from blogtwin.sources.base import Document
from blogtwin.sources.compose import composed, text_of

_CHUNK = re.compile(r"^([ \t]*(?:>[ \t]?)*)(```+|~~~+)[ \t]*\{\.?([A-Za-z]\w*)\b[^}\n]*\}[ \t]*$", re.MULTILINE)
# Chunks that set up the page, or of which a reader sees the picture alone.
_SETUP = re.compile(
    r"^(```+)[ \t]*\{r[ \t,]+(?:setup\b|[^}\n]*\b(?:include|echo)[ \t]*=[ \t]*F)[^}\n]*\}[ \t]*$", re.MULTILINE
)


class MarkdownSource:
    """Markdown of any generator."""

    def read(self, path: Path) -> Document:
        text, remarks = text_of(path)
        front = front_matter.split(text)
        body = _without_knitr(front.body) if path.suffix.lower() == ".rmd" else front.body
        return composed("markdown", body, front.values, (*remarks, *front.remarks))


def _without_knitr(body: str) -> str:
    """R Markdown as Markdown: plain languages on the fences, and no chunks that the reader never sees."""
    out, start = [], 0
    while begin := _SETUP.search(body, start):
        end = re.compile(rf"^{begin.group(1)}`*[ \t]*$", re.MULTILINE).search(body, begin.end())
        if not end:
            break
        out.append(body[start : begin.start()])
        start = end.end()
    body = "".join([*out, body[start:]])
    return _CHUNK.sub(lambda chunk: f"{chunk.group(1)}{chunk.group(2)}{chunk.group(3).lower()}", body)
