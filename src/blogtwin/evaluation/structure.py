"""What a text is built of: headings, lists, code, quotations, links, pictures, emphasis, paragraphs.

In: Markdown. Out: a Structure. Read by the Markdown grammar, so that a `#` in code is no heading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from blogtwin.evaluation.contrast import Counted, contrast
from blogtwin.evaluation.words import prose, words
from blogtwin.markup.markdown import Parsed, grammar, parse
from blogtwin.records import Record

# How they are spoken of, one and several.
ELEMENTS: Mapping[str, tuple[str, str]] = {
    "headings": ("heading", "headings"),
    "lists": ("list", "lists"),
    "items": ("list item", "list items"),
    "code_blocks": ("block of code", "blocks of code"),
    "code_spans": ("piece of code in the text", "pieces of code in the text"),
    "quotes": ("block quotation", "block quotations"),
    "tables": ("table", "tables"),
    "links": ("link", "links"),
    "images": ("picture", "pictures"),
    "emphasis": ("word or phrase in italics", "words or phrases in italics"),
    "strong": ("word or phrase in bold", "words or phrases in bold"),
    "footnotes": ("footnote", "footnotes"),
    "paragraphs": ("paragraph", "paragraphs"),
}
_TOLD = 2.0  # the ratio from which a difference is told
_SURE = 2.6  # its z-score: one in a hundred by chance


class Structure(Record):
    """One side. per_thousand: element → how many per 1,000 words. texts_with: element → the share of the texts that have any."""

    texts: int
    words: int
    per_thousand: dict[str, float]
    texts_with: dict[str, float]
    words_a_paragraph: float


class StructureMatch(Record):
    """Twin and author beside each other, and in words what differs by more than chance, the largest difference first."""

    twin: Structure
    author: Structure
    differences: tuple[str, ...]


class _Text(NamedTuple):
    counts: Counter[str]
    words: int


def structure_match(answers: Sequence[str], posts: Sequence[str]) -> StructureMatch:
    """How `answers` are built beside the author's `posts`, which need not be as many."""
    mine, theirs = [_counted(text) for text in answers], [_counted(text) for text in posts]
    return StructureMatch(twin=_added(mine), author=_added(theirs), differences=_differences(mine, theirs))


def structure(texts: Sequence[str]) -> Structure:
    """How one side's texts are built."""
    return _added([_counted(text) for text in texts])


def _counted(text: str) -> _Text:
    parsed = parse(text.replace("\r\n", "\n"))
    kinds = Counter(block.kind for block in parsed.blocks)
    counts = Counter(
        headings=kinds["heading"],
        lists=sum(block.kind == "list" and block.depth == 0 for block in parsed.blocks),
        items=kinds["item"],
        code_blocks=kinds["code"],
        code_spans=len(parsed.code),
        quotes=kinds["quote"],
        tables=kinds["table"],
        links=len(parsed.links) + len(parsed.autolinks),
        images=len(parsed.images),
        footnotes=kinds["footnote"],
        paragraphs=sum(block.kind == "paragraph" and block.depth == 0 for block in parsed.blocks),
    )
    return _Text(counts + _emphasis(parsed), len(words(prose(text))))


def _emphasis(parsed: Parsed) -> Counter[str]:
    """Italics and bold, of which a Parsed does not tell."""
    from pyromark import events

    if "*" not in parsed.text and "_" not in parsed.text:
        return Counter()
    names = {"Emphasis": "emphasis", "Strong": "strong"}
    starts = (event.get("Start") for event in events(parsed.text, options=grammar()) if isinstance(event, dict))
    return Counter(names[one] for one in starts if isinstance(one, str) and one in names)


def _added(texts: Sequence[_Text]) -> Structure:
    total = sum((text.counts for text in texts), Counter[str]())
    spoken = sum(text.words for text in texts)
    return Structure(
        texts=len(texts),
        words=spoken,
        per_thousand={one: 1000 * total[one] / spoken if spoken else 0.0 for one in ELEMENTS},
        texts_with={
            one: sum(text.counts[one] > 0 for text in texts) / len(texts) if texts else 0.0 for one in ELEMENTS
        },
        words_a_paragraph=spoken / total["paragraphs"] if total["paragraphs"] else 0.0,
    )


def _differences(mine: Sequence[_Text], theirs: Sequence[_Text]) -> tuple[str, ...]:
    told = []
    for element, (_, several) in ELEMENTS.items():
        sides = [
            Counted([text.counts[element] for text in side], [text.words for text in side]) for side in (mine, theirs)
        ]
        found = contrast(*sides)
        if abs(found.z) >= _SURE and max(found.ratio, 1 / found.ratio) >= _TOLD:
            more = "more" if found.z > 0 else "fewer"
            rates = f"{_number(1000 * found.twin)} per 1,000 words, you {_number(1000 * found.author)}"
            told.append((-abs(found.z), f"the twin writes {more} {several}: {rates}"))
    return tuple(sentence for _, sentence in sorted(told))


def _number(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}"
