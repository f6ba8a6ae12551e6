"""reStructuredText posts, of Pelican, Nikola, Sphinx and Tinkerer. In: .rst files. Out: a Document whose text is Markdown.

docutils reads them: no file is included, no raw HTML let through, no configuration looked for, and nothing written to the
terminal. What a post says above its text counts as front matter: fields, Nikola's `.. title:` lines, ablog's `.. post::`.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from blogtwin.sources import front_matter, rst_directives, rst_inline, rst_markdown
from blogtwin.sources.base import Document, one_line, unreadable
from blogtwin.sources.compose import composed, text_of

_SETTINGS = {
    "_disable_config": True,
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 5,
    "halt_level": 6,
    "warning_stream": False,
    "syntax_highlight": "none",
    "smart_quotes": False,
    "line_length_limit": 100_000,
}
_NIKOLA = re.compile(r"\.\.[ \t]+([A-Za-z][\w-]*):(?!:)[ \t]*(.*)")
# docutils reads 900,000 characters a second of real posts, and a tenth of that where every line has markup.
MAX_CHARS = 120_000
_UNDERLINE = re.compile(r"^([=\-~^\"'`#*+.:_])\1*[ \t]*$", re.MULTILINE)
MAX_HEADINGS = 1_000  # its time grows with their square
_LIST_IN_LIST = re.compile(r"(?<=[-*+][ \t])[ \t]*+[-*+](?=\s)")
MAX_LISTS = 2_000  # that begin in the line of another: each takes a parser of its own


class RstSource:
    """reStructuredText, through docutils."""

    def read(self, path: Path) -> Document:
        text, remarks = text_of(path)
        if len(text) > MAX_CHARS:
            raise unreadable(
                path, f"has {len(text):,} characters; reStructuredText is read up to {MAX_CHARS:,}", "cut it into posts"
            )
        if sum(1 for _ in _UNDERLINE.finditer(text)) > 2 * MAX_HEADINGS:
            raise unreadable(path, f"has more than {MAX_HEADINGS:,} headings")
        if sum(1 for _ in _LIST_IN_LIST.finditer(text)) > MAX_LISTS:
            raise unreadable(path, f"has more than {MAX_LISTS:,} lists in lists")
        values, body, broken = _values_above(text)
        try:
            tree = _tree(body)
            found, written = rst_markdown.written(tree)
        except RecursionError as fault:
            raise unreadable(path, "is nested too deeply") from fault
        except rst_inline.TooManyParts as fault:
            raise unreadable(
                path, f"has more than {rst_inline.MAX_PARTS:,} paragraphs and marks", "cut it into posts"
            ) from fault
        left = getattr(tree, "left_out", Counter())
        if left:
            names = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in sorted(left.items()))
            remarks = (*remarks, f"left out what is no text: {names}")
        said = {**found, **getattr(tree, "said", {}), **values}
        return composed("rst", written, said, (*remarks, *broken))


def _tree(text: str) -> Any:
    from docutils.core import publish_doctree
    from docutils.parsers.rst import Parser

    rst_directives.learn(text)
    return publish_doctree(text, parser=Parser(inliner=rst_inline.inliner()), settings_overrides=_SETTINGS)


def _values_above(text: str) -> tuple[dict[str, object], str, tuple[str, ...]]:
    """YAML between ---, or Nikola's comments; a heading between two rules is neither."""
    start = text.lstrip("\n")
    if start.startswith("---\n"):
        front = front_matter.split(text)
        if len(front.values) > 1:
            return dict(front.values), front.body, front.remarks
    values: dict[str, object] = {}
    lines = start.split("\n")
    end = 0
    for number, line in enumerate(lines[:60]):
        if match := _NIKOLA.match(line):
            values[match.group(1).lower()] = one_line(match.group(2))
            end = number + 1
        elif line.strip():
            break
    if not values.keys() & {"title", "date", "slug", "tags", "author"}:
        return {}, text, ()
    return values, "\n".join(lines[end:]), ()
