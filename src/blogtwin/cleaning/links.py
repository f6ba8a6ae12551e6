"""Links → their words; pictures, definitions, tables of contents and embeds go. In: a parsed text. Out: edits of it."""

from __future__ import annotations

import re
from bisect import bisect_left

from blogtwin.cleaning.edits import Edits
from blogtwin.markup.markdown import Block, Parsed, Ranges

_WIKI = re.compile(r"(!?)\[\[(?![\s\[!-])([^\[\]|\n]{1,200}?)(?:\\?\|([^\[\]\n]{1,200}?))?(?<!\s)\]\](?![(\[])")
_CONTENTS = (
    r"(?:table of contents|contents|toc|on this page|in this (?:post|article)|inhalt(?:sverzeichnis)?|sommaire|目次|índice|"
    r"содержание)"
)
_TOC_MARK = re.compile(
    r"\n[ \t]*(?:\[\[?_?toc_?\]?\]|\$\{toc\}|<!-- ?toc ?-->|\[\[?TableOfContents\]?\]|@\[toc\])[ \t]*(?=\n|\Z)",
    re.IGNORECASE,
)
_CONTENTS_LINE = re.compile(
    rf"(?:\A|\n)[ \t]*(?:#{{1,6}}[ \t]*|\*\*|__)?{_CONTENTS}:?(?:\*\*|__)?[ \t#:]*(?:\n[=-]+[ \t]*)?\s*\Z",
    re.IGNORECASE,
)
_HEADING_LINE = re.compile(r"(?:\A|\n)#{1,6}[ \t][^\n]*\n\s*\Z")
_TOC_MARKS = ("oc]", "OC]", "oc}", "OC}", "oc_]", "OC_]", "Contents]")
_ADDRESS_LINE = re.compile(r"\n[ \t]*<?https?://[^\s<>]+>?[ \t]*(?=\n|\Z)")
_DEFINITION = re.compile(
    r"\n {0,3}\[(?!\^)[^\]\n]{1,999}\]:[ \t]*\S+[ \t]*(?:\"[^\"\n]*\"|'[^'\n]*'|\([^)\n]*\))?[ \t]*(?=\n|\Z)"
)
_ABBREVIATION = re.compile(r"\n {0,8}\*\[[^\]\n]+\]:.*")  # in a footnote too
# What an author meant to be a link though its address has blanks or one bracket too many.
_BROKEN = re.compile(
    r"(!?)\[((?:[^\[\]]|\[[^\[\]\n]{0,200}\]){0,300})\]"
    r"\((?:(?:https?:|[/.#])(?:[^()\n]*(?:\([^()\n]*\)[^()\n]*)*|[^()\s]*\([^()\s]*)\)"
    r"|\(https?:[^()\s]{0,2000}(?:\([^()\s]{0,2000}\))?\)\)?)"
)
# Words that mean more without the link around them.
_MAY_BE_MORE = re.compile(
    r"[\[<{&]|://|^[ \t]*(?:\d{1,9}[.)]|[-+*#]+[ \t]|=|_?toc|tags|share|next|prev|pic\.twitter)", re.IGNORECASE
)
BACK = re.compile(r"\s*[↩⤴↑^]\ufe0e?\s*")  # the words of a link from a note back to its place
# What Twitter makes of an address, behind the words of a post of its own; nobody types it.
_SHORTENED = re.compile(
    r"(?:(?:https?://t\.co/[A-Za-z0-9]{10}|pic\.twitter\.com/\w{1,40}) ?)+(?=[ \t]{0,9}(?:\n|\Z|—))"
)
# A picture's attributes, and the line break behind it.
_AFTER_IMAGE = re.compile(r"(?:\{[^{}\n]{0,300}\})?(?:[ \t]{0,9}\\(?=\n|\Z))?")


def edit_links(parsed: Parsed, edits: Edits, verbatim: Ranges) -> None:
    """Write into `edits` what becomes of every link and picture of `parsed`."""
    text = parsed.text
    for start, end in parsed.images:
        after = _AFTER_IMAGE.match(text, end)
        edits.cut(start, after.end() if after else end, "images")
    _contents(parsed, edits)
    _by_line(parsed, edits, verbatim)  # before the addresses in sentences: one alone on its line goes whole
    pictures = Ranges(parsed.images)
    for link in parsed.links:
        words = text[link.words_start : link.words_end]
        if BACK.fullmatch(words):
            edits.cut(link.start, link.end, "addresses")
            continue
        if not words.strip() or (pictures.hold(link.words_start) and not _besides(words)):
            edits.cut(link.start, link.end, "images" if words.strip() else "addresses")
            continue
        edits.cut(link.start, link.words_start, "addresses")
        edits.cut(link.words_end, link.end, "addresses")
        edits.deep |= bool(_MAY_BE_MORE.search(words)) and not words.startswith("![")
    for start, end in parsed.autolinks:
        edits.put(start, end, text[start + 1 : end - 1].removeprefix("mailto:"))
    for start, end in parsed.definitions:
        edits.cut(start, end, "addresses")
    _broken(parsed, edits, verbatim)
    if "[[" in text:
        _wiki(text, edits, verbatim)


def _broken(parsed: Parsed, edits: Edits, verbatim: Ranges) -> None:
    """Links that are none by the grammar, but were meant."""
    text = parsed.text
    known = Ranges([*verbatim.spans, *parsed.images, *((link.start, link.end) for link in parsed.links)])
    if all(known.hold(match.start()) for match in re.finditer(r"\]\(", text)):
        return
    for match in _BROKEN.finditer(text):
        if "\n\n" not in match[2] and not known.hold(match.start()) and not known.hold(match.end() - 1):
            edits.put(match.start(), match.end(), "" if match[1] else match[2], "images" if match[1] else "addresses")
            edits.deep = True


def _besides(words: str) -> bool:
    """Whether a link has words beside its picture."""
    return bool(re.sub(r"!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])?(?:\{[^}]*\})?", "", words).strip())


def _by_line(parsed: Parsed, edits: Edits, verbatim: Ranges) -> None:
    """What is told by its line or its look: an address alone, marks for a table of contents, definitions told twice."""
    text = parsed.text
    patterns = [(_TOC_MARK, "table of contents")] if any(mark in text for mark in _TOC_MARKS) else []
    if "://" in text:
        patterns.append((_ADDRESS_LINE, "embeds"))
    if "]:" in text:
        patterns += [(_ABBREVIATION, "definitions")]
        if parsed.definitions:
            patterns += [(_DEFINITION, "addresses")]
    lines = "\n" + text
    for pattern, name in patterns:
        for match in pattern.finditer(lines):
            start, end = match.start(), match.end() - 1
            if not verbatim.hold(start) and not verbatim.hold(end - 1):
                edits.cut(start, end, name)
    if "t.co/" in text or "pic.twitter.com/" in text:
        for match in _SHORTENED.finditer(text):
            if not verbatim.hold(match.start()):
                edits.cut(match.start(), match.end(), "addresses")


def _wiki(text: str, edits: Edits, verbatim: Ranges) -> None:
    """[[a page|words]] and [[a page#part]] → what the reader sees; ![[a picture]] goes; x[[1]] is an index."""
    for match in _WIKI.finditer(text):
        before = text[match.start() - 1 : match.start()]
        if verbatim.hold(match.start()) or before.isalnum() or before in ("]", ")", "\\"):
            continue
        if match[1]:
            edits.cut(match.start(), match.end(), "embeds")
        elif not re.fullmatch(r"[\d\s,.]+", match[2]):
            words = match[3] or match[2].lstrip("#").replace("#", ": ")
            edits.put(match.start(), match.end(), words, "addresses")
            edits.deep = True


def _contents(parsed: Parsed, edits: Edits) -> None:
    """Lists whose every item is a link into this page, with the heading that says what they are."""
    inner = [link for link in parsed.links if link.address.startswith("#")]
    if len(inner) < 2:
        return
    text = parsed.text
    starts = [item.start for item in parsed.of("item")], [link.start for link in parsed.links]
    for block in parsed.blocks:
        if block.kind == "list" and block.depth == 0 and _is_contents(parsed, block, *starts):
            start = block.start
            # Only what stands near can be its heading.
            near = text[max(0, start - 200) : start]
            if said := _CONTENTS_LINE.search(near):
                start -= len(near) - said.start()
            elif near.rstrip().endswith(":"):  # a sentence goes on in the list
                continue
            elif (alone := _HEADING_LINE.search(near)) and text[block.end : block.end + 9].lstrip().startswith("#"):
                start -= len(near) - alone.start()
            comments = all(link.address.startswith("#comment") for link in inner)
            edits.put(start, block.end, "\n\n", "readers' comments" if comments else "table of contents")


def _is_contents(parsed: Parsed, block: Block, items: list[int], links: list[int]) -> bool:
    inside = bisect_left(items, block.end) - bisect_left(items, block.start)
    linked = parsed.links[bisect_left(links, block.start) : bisect_left(links, block.end)]
    if inside < 2 or len(linked) < inside or not all(link.address.startswith("#") for link in linked):
        return False
    source = parsed.text[block.start : block.end]
    return len(re.sub(r"[\s\d.*+()`-]", "", source)) <= sum(link.end - link.start for link in linked) * 1.1
