"""Posts that are put together from what others said or wrote: quotations, lists of links, transcripts.

In: cleaned Markdown, and for links the text as it was before links became words. Out: what it is, in words, or None.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from blogtwin.markup.quotations import quotations
from blogtwin.words import count_words

_OWN_WORDS = 60  # with fewer of the author's own, what others wrote is what a reader would remember
_NOT_OWN = (">", "```", "~~~", "    ")
_FENCED = re.compile(r"^[ \t]*(```|~~~)", re.MULTILINE)

_MIN_LINKS = 5
_ITEM = re.compile(r"[ \t]*(?:(?:[-*+]|\d{1,4}[.)])[ \t]+|<li\b[^<>]{0,200}>)")
_ITEM_SIGNS = ("\n- ", "\n* ", "\n+ ", "<li", ". [", ". <a")
_LINK = re.compile(
    r"!?\[[^\[\]\n]{0,300}\](?:\([^()\s]{0,2000}(?:\([^()\s]{0,200}\))?[^()\n]{0,300}\)|\[[^\[\]\n]{0,100}\])|<a\b[^<>]{0,2000}>[^<>]{0,300}</a>"
    r"|<?https?://\S{1,2000}"
)
_DEFINITION = re.compile(r"[ \t]{0,3}\[[^\]\n]{1,300}\]:[ \t]")
_HEADING = re.compile(r"[ \t]{0,3}#{1,6}[ \t]|<h[1-6]\b")

_TURN = re.compile(r"(?:\*\*|__|\*)?(?P<who>[^\W\d_][\w .'’-]{0,30}?)(?:\*\*|__|\*)?[ ]?[:：](?:\*\*|__|\*)?(?=\s)\s*")
_MIN_TURNS, _MIN_TURNS_EACH = 6, 3
_SPOKEN = re.compile(
    r"\binterview(?:ed|ing)? (?:with|of|by)\b|\b(?:i|we) (?:recently )?interviewed\b|\binterview:|\btranscript(?:ion)?\b"
    r"|\b(?:conversation|chat|q\s?&\s?a) with\b|\bpodcast\b|インタビュー|対談|文字起こし|\binterview mit\b|\bim gespräch\b"
    r"|\bentretien avec\b|\bentrevista (?:a|con)\b|интервью",
    re.IGNORECASE,
)
# What authors put before a colon in a text of their own, or in a dialogue they made up.
_NO_SPEAKER = frozenset(
    ("me", "you", "him", "her", "us", "them", "my wife", "my husband", "my boss", "the good", "the bad", "the ugly")
)


def mostly_quotation(text: str) -> str | None:
    """Where more is quoted than written."""
    if "\n>" not in text and not text.startswith(">"):
        return None
    if sum(len(part) for part in text.split("\n\n") if not part.startswith(_NOT_OWN)) > 20 * _OWN_WORDS:
        return None  # certainly more words than that
    found = quotations(text)
    quoted = sum(one.words for one in found)
    if quoted < 20:
        return None
    parts, at = [], 0
    for one in found:
        parts.append(text[at : one.start])
        at = one.end
    own = count_words(_without_code("\n".join([*parts, text[at:]])))
    if own >= min(quoted, _OWN_WORDS):
        return None
    return f"is mostly quotation: {quoted} words quoted, {own} of the author's own"


def link_list(text: str, source: str) -> str | None:
    """Where nearly every item is a link and nothing is said about it. source: `text` as it was, with its links."""
    # Each link may have so much text at most, else there are no so many.
    links = source.count("](") + source.count("://")
    if links < _MIN_LINKS or len(text) > 160 * links + 20 * _OWN_WORDS:
        return None
    if sum(map(source.count, _ITEM_SIGNS)) < _MIN_LINKS - 1:
        return None
    items: list[list[str]] = []
    inside = False
    rest: list[str] = []
    for line in _without_code(source).split("\n"):
        if _ITEM.match(line):
            items.append([line])
            inside = True
        elif inside and line.startswith(("  ", "\t")) and line.strip():
            items[-1].append(line)
        elif line.strip() and not _HEADING.match(line) and not _DEFINITION.match(line):
            inside = False
            rest.append(line)
    linked = [item for item in items if any(map(_LINK.search, item))]
    if len(linked) < _MIN_LINKS or len(linked) < 0.8 * len(items):
        return None
    said = [_own_words(item) for item in linked]
    own = sum(said) + _own_words(rest)
    if own >= max(_OWN_WORDS, 3 * len(linked)) or sum(words <= 6 for words in said) < 0.8 * len(said):
        return None
    return f"is a list of links: {len(linked)} of them, {own} words of the author's own"


def _own_words(lines: list[str]) -> int:
    return count_words(_LINK.sub(" ", re.sub(r"</?(?!a\b)[a-zA-Z][^<>]{0,500}>", " ", "\n".join(lines))))


def transcript(title: str, text: str) -> str | None:
    """Where two or more people speak by turns: an interview, a podcast, a chat."""
    paragraphs = text.split("\n\n")
    if sum(":" in part[:40] or "：" in part[:40] for part in paragraphs) < _MIN_TURNS:
        return None
    said: Counter[str] = Counter()
    turns: list[str] = []
    introduction: list[str] = [title]
    spoken = other = 0
    for paragraph in paragraphs:
        match = _TURN.match(paragraph) if ":" in paragraph[:40] or "：" in paragraph[:40] else None
        words = paragraph.count(" ") + 1
        if match:
            turns.append(match["who"].strip().casefold())
            said[turns[-1]] += 1
            spoken += words
        elif turns and not paragraph.startswith("#"):
            other += words  # what a speaker goes on with, or what the author says between
        elif not turns and len(introduction) < 8:
            introduction.append(paragraph[:1000])
            other += words
    speakers = [who for who, count in said.items() if count >= _MIN_TURNS_EACH]
    if len(turns) < _MIN_TURNS or len(speakers) < 2 or sum(said[who] for who in speakers) < 0.8 * len(turns):
        return None
    if spoken < 1.5 * other or sum(one == after for one, after in pairwise(turns)) > len(turns) // 3:
        return None
    named = [who for who in speakers if who not in _NO_SPEAKER and " " in who]
    if len(named) < 2 and not _SPOKEN.search("\n".join(introduction)):
        return None
    return "is an interview or a transcript: " + " and ".join(who.title() for who in speakers[:3]) + " speak by turns"


def _without_code(text: str) -> str:
    """`text` without fenced code."""
    if "```" not in text and "~~~" not in text:
        return text
    parts = _FENCED.split(text)  # text, sign, code, sign, text, …
    out = [parts[0]]
    inside = ""
    for sign, part in zip(parts[1::2], parts[2::2], strict=True):
        if not inside:
            inside = sign
        elif inside == sign:
            inside = ""
            out.append(part)
    return "".join(out)
