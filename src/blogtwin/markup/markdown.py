"""What stands where in a Markdown text. In: Markdown. Out: its blocks, links, pictures, tags, code and formulas as places in it.

The grammar is pyromark's (CommonMark with tables, footnotes and $formulas$), so a line of `#` inside code is no heading and a
`[` in a formula no link. Every place is a pair of character offsets into the text, start and end, ready to slice with:
whoever cuts by them leaves all the rest as its author typed it. 1 MB of anything takes well under two seconds.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import pyromark

Kind = Literal["paragraph", "heading", "quote", "list", "item", "code", "html", "table", "footnote", "rule"]
Span = tuple[int, int]

_KINDS: dict[str, Kind] = {
    "Paragraph": "paragraph",
    "Heading": "heading",
    "BlockQuote": "quote",
    "List": "list",
    "Item": "item",
    "CodeBlock": "code",
    "HtmlBlock": "html",
    "Table": "table",
    "FootnoteDefinition": "footnote",
    "Rule": "rule",
}
_DEEPEST = 100  # blocks in blocks: what stands deeper was not written by hand, and is not told of
_AROUND = frozenset({"BlockQuote", "List", "Item", "FootnoteDefinition"})  # blocks that hold blocks
# What makes `$5 for x, $6` no formula and `$x^2$`, `$n$` and `$2n + 1$` ones.
_MATHEMATICAL = re.compile(r"[\\^_{=<>]|^\W*[a-zA-Z](?:[\s()+*/,'-]*[a-zA-Z0-9]?)?$|[0-9a-zA-Z)] ?[-+*/] ?[a-zA-Z(]")
_TEX = ((re.compile(r"\\\\?\("), re.compile(r"\\\\?\)")), (re.compile(r"\\\\?\["), re.compile(r"\\\\?\]")))

# pyromark counts bytes. A text whose every character is one byte long has the same places, and no rule of Markdown that matters
# here tells one letter from another.
codecs.register_error("blogtwin.letters", lambda fault: _letters(fault))


class Block(NamedTuple):
    """One block; `end` is after its last line. `level`: of a heading, 1 to 6, else 0. `depth`: how many blocks it stands in."""

    kind: Kind
    start: int
    end: int
    level: int
    depth: int


class Link(NamedTuple):
    """One link, [words](address) in any of its spellings; what its reader sees is text[words_start:words_end].

    `address` is good for telling what it begins with; letters outside ASCII are not in it.
    """

    start: int
    end: int
    words_start: int
    words_end: int
    address: str


@dataclass(slots=True)
class Parsed:
    """A text and what stands in it, each list in the order of the text.

    code: code spans (blocks of code are blocks). formulas: with their dollars. tags: HTML inside paragraphs, one tag or
    comment each. references: [^1]. definitions: [label]: address, which no reader sees. autolinks: <https://…>.
    """

    text: str
    blocks: list[Block] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    autolinks: list[Span] = field(default_factory=list)
    images: list[Span] = field(default_factory=list)
    tags: list[Span] = field(default_factory=list)
    code: list[Span] = field(default_factory=list)
    formulas: list[Span] = field(default_factory=list)
    references: list[Span] = field(default_factory=list)
    definitions: list[Span] = field(default_factory=list)

    def of(self, *kinds: Kind) -> list[Block]:
        """The blocks of these kinds."""
        return [block for block in self.blocks if block.kind in kinds]

    def verbatim(self) -> Ranges:
        """Where nothing is markup: code of both sorts and formulas."""
        return Ranges(
            [*((one.start, one.end) for one in self.blocks if one.kind == "code"), *self.code, *self.formulas]
        )


class Ranges:
    """Places of a text that may be asked whether they hold a position."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.spans = sorted(spans)
        self._starts = [start for start, _ in self.spans]

    def hold(self, position: int) -> bool:
        at = bisect_right(self._starts, position) - 1
        return at >= 0 and position < self.spans[at][1]


@cache
def grammar() -> pyromark.Options:
    """What is known beside CommonMark; putting flags together takes as long as reading a paragraph."""
    from pyromark import Options

    return Options.ENABLE_TABLES | Options.ENABLE_FOOTNOTES | Options.ENABLE_MATH


def parse(text: str) -> Parsed:
    """What stands where in `text`; line ends are newlines."""
    import pyromark

    options = grammar()
    shadow = text if text.isascii() else text.encode("ascii", "blogtwin.letters").decode("ascii")
    found = Parsed(text)
    slip = _slip if "][" in text else None  # asking costs a call for every bracket
    _read(pyromark.events_with_range(shadow, options=options, broken_link_callback=slip), found)
    if "]:" in text:
        known = pyromark.reference_definitions(shadow, options=options)
        found.definitions = sorted((one["span"]["start"], one["span"]["end"]) for one in known.values())
    if "\\(" in text or "\\[" in text:
        found.formulas = sorted([*found.formulas, *_tex(found)])
    return found


def _letters(fault: UnicodeError) -> tuple[str, int]:
    if not isinstance(fault, UnicodeEncodeError):
        raise fault
    return "x" * (fault.end - fault.start), fault.end


def _read(events: Iterable[Any], found: Parsed) -> None:
    """Events are dictionaries of one item, {"Start": "Paragraph"} or {"Start": {"Heading": …}}, or bare words."""
    blocks = found.blocks
    around: list[int] = []  # where the blocks end that hold the next one
    picture = 0  # where the last picture ends: what stands in its words is no reader's
    simple = {"InlineHtml": found.tags, "Code": found.code, "FootnoteReference": found.references}
    for event, span in events:
        if "Text" in event or "End" in event or event == "SoftBreak":
            continue
        start, end = span["start"], span["end"]
        if start < picture:
            continue
        said: str
        value: Any
        ((said, value),) = event.items() if type(event) is dict else (("Start", event),)
        if said == "Start":
            name = value if type(value) is str else next(iter(value))
            if name in _KINDS:
                while around and around[-1] <= start:
                    around.pop()
                if len(around) > _DEEPEST:
                    continue
                level = int(value["Heading"]["level"][1]) if name == "Heading" else 0
                blocks.append(Block(_KINDS[name], start, end, level, len(around)))
                if name in _AROUND:
                    around.append(end)
            elif name == "Image":
                found.images.append((start, end))
                picture = end
            elif name == "Link":
                _link(found, start, end, value["Link"])
        elif said in simple:
            simple[said].append((start, end))
        elif said == "DisplayMath" or (said == "InlineMath" and _MATHEMATICAL.search(value)):
            found.formulas.append((start, end))


def _link(found: Parsed, start: int, end: int, said: Any) -> None:
    text, kind = found.text, said["link_type"]
    if kind in ("Autolink", "Email"):
        found.autolinks.append((start, end))
    elif kind == "Inline":
        close = text.rfind("](", start, end)
        found.links.append(Link(start, end, start + 1, close, said["dest_url"]))
    else:
        if kind.startswith("Collapsed") and text.startswith("[]", end):  # pyromark's range leaves them out
            end += 2
        between = -1 if kind.startswith("Shortcut") else text.rfind("][", start, end)
        found.links.append(Link(start, end, start + 1, end - 1 if between < 0 else between, said["dest_url"]))


def _slip(broken: Any) -> tuple[str, str] | None:
    """[words that no array index has][label] is a link whose definition its author forgot; [x] and grid[i][j] are none."""
    label = broken["reference"]
    meant = broken["link_type"] in ("Reference", "Collapsed")
    return ("", "") if meant and len(label) > 1 and not label.isdigit() else None


def _tex(found: Parsed) -> list[Span]:
    r"""\(…\) and \[…\] outside code; `\[sic\]` is a bracket that somebody escaped."""
    code = Ranges([*((one.start, one.end) for one in found.blocks if one.kind == "code"), *found.code])
    spans: list[Span] = []
    for opening, closing in _TEX:
        at = 0
        while (begin := opening.search(found.text, at)) and (end := closing.search(found.text, begin.end())):
            inside = found.text[begin.end() : end.start()]
            at = end.end()
            if "\n\n" not in inside and re.search(r"[\\^_={]", inside) and not code.hold(begin.start()):
                spans.append((begin.start(), end.end()))
            else:
                at = begin.end()
    return spans
