"""Marks inside a paragraph of reStructuredText: docutils finds them, here a stretch of the paragraph at a time.

In: nothing; `inliner()` makes what docutils' parser takes. Out: the same nodes as docutils' own in time that grows with the
length of a paragraph, not with its square: it looks for the end of every mark, and for addresses, through all that follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

STRETCH = 2_000  # characters: paragraphs that people write are shorter
MAX_PARTS = 8_000  # paragraphs, items and marks of a file: docutils takes up to 0.2 ms for each
# A name in docutils' eyes; it looks for the end of one at every sign in it.
_ENDLESS = re.compile(r"[\w.+:-]{300}")
# Bounded, and begun once for every run of their characters. \x00 is docutils' backslash.
_ADDRESS = re.compile(
    r"(?<![\w.+:/@-])(?:(?:https?|ftps?|gopher|gemini|ircs?)://[^\s<>\"|]{1,1000}[\w/~=&#+*]"
    r"|mailto:[^\s<>\"|]{1,200}\w|[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,6})"
)


class TooManyParts(Exception):
    """The file has more than MAX_PARTS."""


def inliner() -> Any:
    """A docutils Inliner for one file; it raises TooManyParts."""
    return _class()()


@cache
def _class() -> Any:
    from docutils import nodes
    from docutils.parsers.rst.states import Inliner
    from docutils.utils import unescape

    class Stretches(Inliner):
        def parse(self, text: str, lineno: int, memo: Any, parent: Any) -> Any:
            """The nodes of a paragraph; each stretch of a long one stands in a node of its own, which bounds its siblings."""
            if len(text) <= STRETCH:
                return self._parse(text, lineno, memo, parent)
            found: list[Any] = []
            messages: list[Any] = []
            for stretch in _stretches(text):
                inside, said = self._parse(stretch, lineno, memo, parent)
                found.append(nodes.inline("", "", *inside))
                messages += said
            return found, messages

        def _parse(self, text: str, lineno: int, memo: Any, parent: Any) -> Any:
            found = super().parse(text, lineno, memo, parent)
            self.read_so_far = getattr(self, "read_so_far", 0) + len(found[0])
            if self.read_so_far > MAX_PARTS:
                raise TooManyParts
            return found

        def implicit_inline(self, text: str, lineno: int) -> Any:
            """Addresses that stand in the text as such."""
            found: list[Any] = []
            at = 0
            for match in _ADDRESS.finditer(text):
                address = unescape(match.group())
                found.append(nodes.Text(text[at : match.start()]))
                found.append(nodes.reference(match.group(), match.group(), refuri=address))
                at = match.end()
            return [node for node in (*found, nodes.Text(text[at:])) if node.astext()]

    for name, part in vars(
        Inliner
    ).items():  # it makes its patterns of the strings in its own class, not of those inherited
        if isinstance(part, str) and not name.startswith("__"):
            setattr(Stretches, name, part)
    return Stretches


def _stretches(text: str) -> Iterator[str]:
    """The paragraph in parts, parted at a blank where no mark seems to be open."""
    start = 0
    most = 300 if _ENDLESS.search(text) else STRETCH
    while len(text) - start > most:
        end = at = start + most
        for _ in range(100):
            at = max(text.rfind(" ", start + 1, at), text.rfind("\n", start + 1, at))
            if at < start + most // 2:
                break
            before = text[start:at]
            if before.count("`") % 2 == before.count("*") % 2 == before.count("|") % 2 == 0:
                end = at
                break
        yield text[start:end]
        start = end
    yield text[start:]
