"""A post's Markdown → what its author wrote: without a site generator's machinery, pictures and invisible characters.

In: the body of a Post and its format. Out: Markdown with its code, emphasis, lists, tables and footnotes as they were, and
how many words of what were cut. Plain text and Word posts hold no machinery; they are only tidied.

Machinery is found in the source by the grammar of Markdown and cut out of it; nothing is printed anew. What a wrapper held
may be machinery itself, so this goes on until nothing changes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from blogtwin.cleaning import characters
from blogtwin.cleaning.edits import Cuts, Edits
from blogtwin.cleaning.endings import without_ending
from blogtwin.cleaning.links import edit_links
from blogtwin.cleaning.raised_notes import with_notes
from blogtwin.cleaning.shortcodes import without_shortcodes
from blogtwin.cleaning.tags import edit_tags
from blogtwin.cleaning.wrappers import edit_attributes, unwrapped
from blogtwin.config import Part
from blogtwin.markup.markdown import Parsed, parse
from blogtwin.records import PostFormat

_BEFORE_CODE = " \t>-*+0123456789.)"  # on its line: the marks of quotations and items
_BARE_FENCE = re.compile(r"(`{3,}|~{3,})[ \t]*\n")
_ADDRESSES = re.compile(r"\n {0,3}\[[^\]\n]{1,100}\]: +https?://")
_ROUNDS = 6  # machinery inside machinery; no post needed more than three


@dataclass(frozen=True)
class Cleaned:
    """text: the author's words as Markdown, "" where there was nothing but machinery. cuts: what was taken out → words."""

    text: str
    cuts: Mapping[str, int] = field(default_factory=dict)


def clean(text: str, format: PostFormat, drop: Collection[Part] = ()) -> Cleaned:
    """The author's text, without the parts in `drop`. Cleaning what was cleaned changes nothing."""
    text = characters.plain(text)
    cuts = Cuts()
    if format in ("text", "docx"):
        text = characters.joined(characters.tidied([(text, False)]))
        return Cleaned(_dropped(text, drop, cuts) if format == "docx" and drop else text, cuts.words())
    if "<sup" in text:
        text = with_notes(text, cuts)
    for _ in range(_ROUNDS):
        before = text
        text, deep = _once(text, cuts)
        if not deep or text == before:
            break
    if drop:
        text = _dropped(text, drop, cuts)
    return Cleaned(text, cuts.words())


def _once(text: str, cuts: Cuts) -> tuple[str, bool]:
    """The text after one reading, and whether another may find more."""
    shown = unwrapped(without_shortcodes(text, cuts), cuts)
    parsed = parse(shown)
    edits = Edits(shown, cuts)
    edits.deep = shown is not text
    verbatim = parsed.verbatim()
    _keep_code(parsed, edits)
    if "<" in shown:
        edit_tags(parsed, edits, verbatim)
    edit_links(parsed, edits, verbatim)
    if "{" in shown:
        edit_attributes(parsed, edits, verbatim)
    _edit_headings(parsed, edits)
    if "&" in shown:
        for start, end, said in characters.entities(shown, verbatim):
            edits.put(start, end, said)
            edits.deep = True
    return _put_together(edits, cuts), edits.deep


def _put_together(edits: Edits, cuts: Cuts) -> str:
    pieces = edits.applied()
    tidied = characters.tidied(pieces)
    if tidied[-1].strip() or len(tidied) == 1:
        tidied[-1] = without_ending(tidied[-1], cuts)
    return characters.joined(tidied)


def _keep_code(parsed: Parsed, edits: Edits) -> None:
    """Blocks of code from the beginning of their first line, so that no blank of theirs is tidied away."""
    text = parsed.text
    last = len(text.rstrip())
    for block in parsed.blocks:
        if block.kind == "code":
            if block.end >= last and (fence := _left_open(text[block.start : block.end])):
                edits.put(block.start, block.start + fence, "")
                edits.deep = True
                continue
            line = text.rfind("\n", 0, block.start) + 1
            start = block.start if text[line : block.start].strip(_BEFORE_CODE) else line
            edits.keep(start, start + len(text[start : block.end].rstrip("\n")))


def _left_open(code: str) -> int:
    """How long the line of a fence is that nothing closes; 0 where what follows may be code.

    When addresses of links stand below it, the rest of the post was never meant to be code.
    """
    fence = _BARE_FENCE.match(code)
    last = code.rstrip().rpartition("\n")[2].strip(" \t>")
    if fence is None or not last.strip(fence[1][0]) or not _ADDRESSES.search(code):
        return 0
    return fence.end()


def _edit_headings(parsed: Parsed, edits: Edits) -> None:
    """One spelling of headings, `## Words`, so that sections are found and the twin learns one."""
    text = parsed.text
    for block in parsed.blocks:
        if block.kind == "heading" and text[block.start] != "#":
            source = text[block.start : block.end].rstrip("\n")
            words = source[: source.rfind("\n")].rstrip()
            edits.put(block.start, block.start, "#" * block.level + " ")
            edits.put(block.start + len(words), block.start + len(source), "")
            for place, sign in enumerate(words):
                if sign == "\n":
                    edits.put(block.start + place, block.start + place + 1, " ")


def _dropped(text: str, drop: Collection[Part], cuts: Cuts) -> str:
    """`text` without the parts that a setting leaves out."""
    parsed = parse(text)
    edits = Edits(text, cuts)
    for block in parsed.blocks:
        part = {"code": "code", "table": "tables", "footnote": "footnotes"}.get(block.kind)
        if part in drop and part is not None:
            edits.cut(block.start, block.end, part)
    if "code" not in drop:
        _keep_code(parsed, edits)
    if "footnotes" in drop:
        for start, end in parsed.references:
            edits.cut(start, end, "footnotes")
    if "math" in drop:
        for start, end in parsed.formulas:
            edits.cut(
                start - (text[start - 1 : start] == " " and text[end : end + 1] in ("", " ", ".", ",", ";")),
                end,
                "math",
            )
    return _put_together(edits, cuts)
