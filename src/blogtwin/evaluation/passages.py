"""Texts of several writers → passages whose form does not say who wrote them.

In: Markdown. Out: paragraphs of running text with one typography, cut to about equal length at the end of a sentence. What stays
different is what a reader is to judge: words, sentences, paragraphs, what is said.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from blogtwin.evaluation.words import cut, words
from blogtwin.markup.markdown import grammar

LEAST = 30  # words: less shows nobody's voice
LONGEST = 100  # words: two passages fit a small terminal, and are read in a minute
_EVEN = 1.25  # the longest passage of a round is at most so many times as long as the shortest
_SHORT_LINE = 8  # words: without an end sign it is a heading or a bare item
_TITLE_LINE = 14  # words: the same, for what stands first

_NOT_PROSE = frozenset({"Heading", "CodeBlock", "HtmlBlock", "Table", "FootnoteDefinition", "Image", "MetadataBlock"})
_PARTING = _NOT_PROSE - {"Image"} | {
    "Paragraph",
    "Item",
    "List",
    "BlockQuote",
}  # words before and after are not one line
_END = re.compile(r"[.!?…][\"')\]]*(?=\s|\Z)|[。！？][」』）\"']*")
_CLOSED = re.compile(r"[.!?…:;。！？：；][\"')\]」』）]*\Z")

_ASIDE = re.compile(r"[^\S\n]*(?:—|―|(?<!-)--+(?!-)|(?<=\s)–(?=\s))[^\S\n]*")
_RANGE = re.compile(r"(?<=\w)[–‑‐](?=\w)")
_QUOTES = (
    (re.compile(r"«\s?([^«»]{0,500}?)\s?»"), r'"\1"'),  # the French put spaces inside, the Germans turn them round
    (re.compile(r"[«»“”„‟″]|``|''"), '"'),
    (re.compile(r"[‘’‚‛′`]"), "'"),
)
_DOTS = re.compile(r"…|\.(?: ?\.){2,}")
_BEFORE_SIGN = re.compile(r"(?<=\w)[ \u00a0\u202f]+(?=[?!:;](?:\s|\Z))")
_ADDRESS = re.compile(r"\b(?:https?://|www\.)\S*[\w/]")
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_WIDE_GAP = re.compile(r"(?<=[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]) (?=[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef])")


def plain(text: str) -> str:
    """The prose of a Markdown text: paragraphs between blank lines, with nothing in them that a keyboard or an editor decides.

    Headings, the title, code, tables, pictures and footnotes are left out; the words of lists, links and emphasis stay.
    """
    paragraphs = [level(paragraph) for paragraph in _paragraphs(text)]
    kept = [one for one in paragraphs if _CLOSED.search(one) or len(words(one)) > _SHORT_LINE]
    if len(kept) > 1 and not _CLOSED.search(kept[0]) and len(words(kept[0])) <= _TITLE_LINE:
        kept = kept[1:]
    return "\n\n".join(kept)


def level(text: str) -> str:
    """One line with straight quotation marks, one sort of dash, three dots for an ellipsis, plain spaces, and no address."""
    text = _ADDRESS.sub("[link]", _UNSEEN.sub("", unicodedata.normalize("NFC", text)))
    for marks, typed in _QUOTES:
        text = marks.sub(typed, text)
    text = _RANGE.sub("-", _ASIDE.sub(" – ", text))
    text = _BEFORE_SIGN.sub("", _DOTS.sub("...", text))
    return _WIDE_GAP.sub("", " ".join(text.split()))


def _paragraphs(text: str) -> Iterator[str]:
    from pyromark import events

    said: list[str] = []
    skipped = 0
    for event in events(_UNSEEN.sub("", text.replace("\r\n", "\n")), options=grammar()):
        kind, value = _parts(event)
        if kind in ("Start", "End"):
            name = value if isinstance(value, str) else next(iter(value))
            skipped += (name in _NOT_PROSE) * (1 if kind == "Start" else -1)
            if name in _PARTING and said:
                yield "".join(said)
                said = []
        elif not skipped:
            said.append(" " if kind.endswith("Break") else value if kind in ("Text", "Code", "InlineMath") else "")
    yield "".join(said)


def _parts(event: Any) -> tuple[str, Any]:
    """pyromark's events are dictionaries of one item, or bare words."""
    return next(iter(event.items())) if isinstance(event, dict) else (str(event), "")


def alike(texts: Sequence[str]) -> tuple[list[str], list[str]] | None:
    """A passage from the beginning of each text, all about equally long, and the rests; None where a text is too short.

    texts: as `plain` leaves them. The passages end with a sentence; where that would make them too unequal, all are cut off at
    the same word, and say so by “ …”.
    """
    most = min(LONGEST, *(len(words(text)) for text in texts))
    if most < LEAST:
        return None
    ends = [_ends(text, round(most * _EVEN)) for text in texts]
    if all(ends):
        target = min(max((count for count, _ in found if count <= most), default=found[0][0]) for found in ends)
        chosen = [min(found, key=lambda end: abs(end[0] - target)) for found in ends]
        counts = [count for count, _ in chosen]
        if min(counts) >= LEAST and max(counts) <= _EVEN * min(counts):
            return (
                [text[:end].strip() for text, (_, end) in zip(texts, chosen, strict=True)],
                [text[end:].strip() for text, (_, end) in zip(texts, chosen, strict=True)],
            )
    heads = [cut(text, most) for text in texts]
    rests = [text[len(head) :].strip() for text, head in zip(texts, heads, strict=True)]
    return [f"{head.rstrip('.,;:!? ')} …" for head in heads], rests


def skip(text: str, count: int) -> str:
    """What comes after the sentence that ends nearest to word number `count`."""
    ends = _ends(text, 2 * count)
    return text[min(ends, key=lambda end: abs(end[0] - count))[1] :].strip() if ends else ""


def _ends(text: str, most: int) -> list[tuple[int, int]]:
    """How many words come before the end of each sentence, up to `most`, and where it is."""
    found = []
    count = start = 0
    for end in _END.finditer(text):
        count += len(words(text[start : end.end()]))
        start = end.end()
        if count > most:
            break
        found.append((count, start))
    return found
