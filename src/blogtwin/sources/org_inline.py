"""A paragraph of Org → a paragraph of Markdown: emphasis, code, links, footnotes, formulas.

In: text as it stands in the file. Out: Markdown. Marks count as Org's manual has it: *bold* clings to its words, and stands
between blanks or punctuation; everything else that looks like one is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from blogtwin.markup.html_blocks import unnamed_note
from blogtwin.markup.html_inline import Mark, Token, formula, markdown
from blogtwin.markup.html_special import shifted

# No alternative looks further than a few hundred characters: a page of unclosed marks must not cost minutes.
_INLINE = re.compile(
    r"\[\[(?P<target>[^\[\]\n]{1,1000})\](?:\[(?P<words>[^\[\]]{1,500})\])?\]"
    r"|\[fn:(?P<note>[\w-]{0,60})(?P<said>:[^\[\]]{0,1000})?\]"
    r"|\\\((?P<tex>.{1,500}?)\\\)|\\\[(?P<display>.{1,1000}?)\\\]"
    r"|(?P<break>\\\\[ \t]*(?:\n|$))"
    r"|(?P<gone>@@[\w-]{1,20}:[^@]{0,300}@@|\{\{\{[^{}]{1,200}\}\}\}|<<<?[^<>\n]{1,100}>>>?)"
    r"|(?<!\w)src_(?P<lang>\w{1,20})(?:\[[^\[\]]{0,100}\])?\{(?P<source>[^{}\n]{1,300})\}"
    r"|<(?P<url>(?:https?|mailto):[^<>\s]{1,500})>|[<\[](?P<stamp>\d{4}-\d\d-\d\d[^<>\[\]\n]{0,30})[>\]]"
    r"|(?<![^\s\-–—({'\"“‘（「|])(?P<mark>[*/_+=~])(?P<inside>\S|\S.{0,300}?\S)(?P=mark)(?![^\s\-–—.,;:!?')}\"\\\[”’）」、。|])"
    r"|(?<=\w)(?P<script>[_^])\{(?P<shifted>[^{}\n]{1,40})\}"
    r"|(?P<entity>\\(?:ldots|dots|rarr|larr|to|mdash|ndash|nbsp|copy|deg|times|eacute|alpha|beta|pi|hellip)\b(?:\{\})?)",
    re.DOTALL,
)
_KINDS = {"*": "strong", "/": "em", "_": "em", "+": "del"}
_ENTITIES = {
    "ldots": "…", "dots": "…", "hellip": "…", "rarr": "→", "to": "→", "larr": "←", "mdash": "—", "ndash": "–", "nbsp": " ",
    "copy": "©", "deg": "°", "times": "×", "eacute": "é", "alpha": "α", "beta": "β", "pi": "π",
}  # fmt: skip
_PICTURE = re.compile(r"\.(?:png|jpe?g|gif|svg|webp|avif|bmp)$", re.IGNORECASE)
_MAX_DEPTH = 6


def markdown_of(text: str) -> str:
    """A paragraph of Org as Markdown."""
    return markdown(list(_tokens(text, 0)))


def inline_notes(text: str) -> Iterator[tuple[str, str]]:
    """The label and text of every footnote that is written where it is referred to."""
    for match in _INLINE.finditer(text) if "[fn:" in text else ():
        if match.group("said"):
            yield _label(match), match.group("said")[1:]


def _label(match: re.Match[str]) -> str:
    return match.group("note") or unnamed_note(match.group("said"))


def _tokens(text: str, depth: int) -> Iterator[Token]:
    start = 0
    for match in _INLINE.finditer(text):
        if match.start() > start:
            yield "text", text[start : match.start()], None
        start = match.end()
        yield from _token(match, depth)
    if start < len(text):
        yield "text", text[start:], None


def _token(match: re.Match[str], depth: int) -> Iterator[Token]:
    group = match.groupdict()
    if group["target"]:
        yield from _link(group["target"], group["words"], depth)
    elif group["note"] is not None:
        yield "raw", f"[^{_label(match)}]" if group["note"] or group["said"] else "", None
    elif group["tex"] or group["display"]:
        yield "raw", formula(group["tex"] or group["display"], display=bool(group["display"])), None
    elif group["break"]:
        yield "break", "", None
    elif group["source"]:
        yield "code", group["source"], None
    elif group["url"] or group["stamp"]:
        yield "text", group["url"] or group["stamp"], None
    elif group["script"]:
        yield "text", shifted(group["shifted"], group["script"] == "^") or match.group(), None
    elif group["entity"]:
        yield "text", _ENTITIES[group["entity"].lstrip("\\").removesuffix("{}")], None
    elif group["mark"] in ("=", "~"):
        yield "code", group["inside"], None
    elif group["mark"]:
        mark = Mark(_KINDS[group["mark"]])  # type: ignore[arg-type]
        yield "open", "", mark
        yield from _inside(group["inside"], depth)
        yield "close", "", mark


def _inside(words: str, depth: int) -> Iterator[Token]:
    if depth < _MAX_DEPTH:
        yield from _tokens(words, depth + 1)
    else:
        yield "text", words, None


def _link(target: str, words: str | None, depth: int) -> Iterator[Token]:
    address = re.sub(r"^file:", "", target)
    if words is None and _PICTURE.search(address):
        yield "raw", f"![]({address})", None
    elif words is None and target.startswith(("id:", "#")):
        return
    elif words is None:
        yield "text", address.lstrip("*"), None
    else:
        if _PICTURE.search(words) and re.match(r"(?:file|https?):|\./", words):
            yield "raw", f"![]({words.removeprefix('file:')})", None
            return
        mark = (
            Mark("link", address) if re.match(r"[a-z]+:|[./]|[\w-]+\.\w", address) else None
        )  # else: a place in the text
        if mark:
            yield "open", "", mark
        yield from _inside(words, depth)
        if mark:
            yield "close", "", mark
