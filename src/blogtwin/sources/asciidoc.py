"""AsciiDoc posts, of JBake, Jekyll and Hugo. In: .adoc and .asciidoc files. Out: a Document whose text is Markdown.

No library in Python reads these well enough, as of November 2026. asciidoctrine 0.2.0a8 took 8 s for a post of 60 lines and
13 s for 3 KB of plain paragraphs, reads files that an include names, and refuses `|1 |2`; asciidoc 10.2.1, the classic, is a
process for each file and in its safe mode gives up on `:toc:`. So this is a reader of lines: it keeps prose, headings, lists,
tables, code, quotations and notes, runs nothing and opens nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from blogtwin.markup.html_blocks import joined, numbered
from blogtwin.sources import asciidoc_blocks, front_matter
from blogtwin.sources.base import Document, unreadable
from blogtwin.sources.compose import composed, text_of

_ATTRIBUTE = re.compile(r":(!?[\w][\w-]*!?):(?:[ \t]+(.*))?$")
_AUTHOR = re.compile(r"([^\W\d_][\w.'-]*(?:[ \t]+[\w.'-]+){0,3})(?:[ \t]+<([^<>\n]{3,200})>)?(?:;.*)?$")
_REVISION = re.compile(r"(?:v?[\d.]+,[ \t]*)?([^:\n]*\d{4}[^:\n]*?)(?::.*)?$")
_PREFIXES = ("page-", "jbake-", "hp-", "post-", "awestruct-")  # page-tags: Jekyll's and Antora's own attributes
MAX_CHARS = 500_000


class AsciidocSource:
    """AsciiDoc, line by line."""

    def read(self, path: Path) -> Document:
        text, remarks = text_of(path)
        if len(text) > MAX_CHARS:
            raise unreadable(
                path, f"has {len(text):,} characters; AsciiDoc is read up to {MAX_CHARS:,}", "cut it into posts"
            )
        front = front_matter.split(text)
        values, lines, titled = _header(front.body)
        left: Counter[str] = Counter()
        body = numbered(joined(asciidoc_blocks.blocks(lines, values, left)))
        if left:
            names = ", ".join(f"{name} ({count})" for name, count in sorted(left.items()))
            remarks = (*remarks, f"left out what is no text: {names}")
        if titled:  # as Markdown has it; compose takes it off again where it is the title
            body = f"# {values['title']}\n\n{body}"
        said = {key: value for key, value in values.items() if value} | dict(front.values)
        return composed("asciidoc", body, said, (*remarks, *front.remarks))


def _header(text: str) -> tuple[dict[str, str], list[str], bool]:
    """Attributes, title, author and date above the text; the lines below; and whether there was a title."""
    lines = text.lstrip("\n").split("\n")
    values: dict[str, str] = {}
    place, titled, after_title = 0, False, 0
    while place < len(lines):
        line = lines[place].rstrip()
        if match := _ATTRIBUTE.match(line):
            _put(values, match.group(1), match.group(2) or "")
        elif not titled and (match := re.match(r"[=#][ \t]+(\S.*)$", line)):
            titled, after_title = True, 0
            values["title"] = asciidoc_blocks.inline(match.group(1), values)
            place += 1
            continue
        elif line.startswith("//") and not line.startswith("////"):
            pass
        elif titled and after_title == 0 and (match := _AUTHOR.match(line)) and "author" not in values:
            values["author"] = match.group(1)
        elif titled and after_title <= 1 and (match := _REVISION.match(line)):
            values.setdefault("revdate", match.group(1).strip())
        elif (titled and line) or line or titled:
            break
        after_title += titled
        place += 1
    return values, lines[place:], titled


def _put(values: dict[str, str], key: str, value: str) -> None:
    key = key.strip("!").lower()
    values[key] = value.strip()
    for prefix in _PREFIXES:
        if key.startswith(prefix):
            values.setdefault(key.removeprefix(prefix), value.strip())
