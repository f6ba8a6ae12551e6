"""HTML of any age and state → a tree, in time that grows with its length, and a walk over it.

In: the source of a page or a fragment. Out: its tree as browsers build it (Lexbor follows the HTML standard), in which no
element is nested more than a few hundred deep. What an HTML parser does with ten thousand unclosed elements takes
quadratic time, in browsers too; they stop nesting at some depth, and so does this.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser

Node = Any  # selectolax.lexbor.LexborNode
After = Callable[[], None]  # what to do when the children of an element have been seen


def name_set(text: str) -> frozenset[str]:
    """The names in `text`."""
    return frozenset(text.split())


_MAX_DEPTH = 512  # as in Chromium
# Every unclosed <b> or <font> is opened again in each paragraph that follows: at most so many copies in all.
_MAX_COPIES = 200_000
_LONG = 20_000  # characters; a shorter tag has no room for as many attributes as would slow the parser down
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,20})(?:[\s/][^<>]*)?>?")
_WHOLE_TAG = re.compile(r"<[a-zA-Z](?>[^\"'<>]+|\"[^\"]*\"|'[^']*'|[\"'])*")
_PAGE = re.compile(r"<(?:!doctype\s|html\b|body\b|head\b|frameset\b)", re.IGNORECASE)
_VOID = name_set("area base br col embed hr img input link meta param source track wbr")
_FORMATTING = name_set("a b big code em font i nobr s small strike strong tt u")
_ENDED_BY_NEXT = name_set("p li dt dd tr td th option")


def skip() -> None:
    """What an `enter` answers for an element whose children are not to be seen."""


def parsed(source: str) -> LexborHTMLParser:
    """The tree of `source`; its `body` is None for frame sets alone."""
    from selectolax.lexbor import LexborHTMLParser

    return LexborHTMLParser(_shallow(_few_attributes(source)))


def is_page(source: str) -> bool:
    """Whether `source` is a whole page, with a head or a body of its own."""
    return _PAGE.search(source, 0, 20_000) is not None


def walk(root: Node, enter: Callable[[Node], After | None]) -> None:
    """Visit what is below `root` in the order of the text. Iterative: no page is nested too deeply for it."""
    opened: list[tuple[Node, After | None]] = []
    node = root.first_child
    while True:
        if node is None:
            if not opened:
                return
            node, after = opened.pop()
            if after:
                after()
            node = node.next
            continue
        after = enter(node)
        child = None if after is skip else node.first_child
        if child is not None:
            opened.append((node, after))
            node = child
            continue
        if after:
            after()
        node = node.next


def text_of(node: Node) -> str:
    """All text below `node`, with white space as it stands."""
    return str(node.text(deep=True) or "")


def classes(node: Node) -> list[str]:
    """The classes of an element, in lower case."""
    return (node.attributes.get("class") or "").lower().split()


def _few_attributes(source: str) -> str:
    """`source` in which a tag with thousands of attributes has none: the parser compares each with all before it."""
    if len(source) <= _LONG or all(len(tag) <= _LONG for tag in _WHOLE_TAG.findall(source)):
        return source

    def plain(match: re.Match[str]) -> str:
        tag = match.group()
        # An embedded picture is long too, but next to nothing in it separates attributes.
        crowded = len(tag) > _LONG and sum(map(tag.count, " \n\t\r\f/\"'")) > len(tag) / 40
        return re.match(r"<[a-zA-Z0-9]+", tag).group() if crowded else tag  # type: ignore[union-attr]

    return _WHOLE_TAG.sub(plain, source)


def _shallow(source: str) -> str:
    """`source` without the tags that nest too deeply or stay open too often; their content stays."""
    tags = source.count("<")
    if tags <= _MAX_DEPTH:
        return source
    may_stay_open = max(4, _MAX_COPIES // tags)
    opened: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    depth = formatting = 0

    def kept(match: re.Match[str]) -> str:
        nonlocal depth, formatting
        name = match.group(2).lower()
        if name in _VOID or (name in _ENDED_BY_NEXT and not match.group(1)):
            return match.group()  # a page of unclosed paragraphs is not deep
        if match.group(1):
            if dropped[name]:
                dropped[name] -= 1
                return ""
            if opened[name]:
                opened[name] -= 1
                depth -= 1
                formatting -= name in _FORMATTING
        elif depth >= _MAX_DEPTH or (name in _FORMATTING and formatting >= may_stay_open):
            dropped[name] += 1
            return ""
        else:
            opened[name] += 1
            depth += 1
            formatting += name in _FORMATTING
        return match.group()

    return _TAG.sub(kept, source)
