"""The notes above and below a post that say where it comes from: guest posts, translations, licences, first publication.

In: cleaned Markdown. Out: who else wrote it, or the text without such notes. A note is a short paragraph of its own among the
first or the last of a post; the same words inside an essay are part of the essay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from blogtwin.cleaning.endings import DISCUSSED
from blogtwin.words import count_words

_FIRST, _LAST = 3, 3  # paragraphs in which a note may stand
_MAX_WORDS, _MAX_CHARS = 60, 600
_SIGNS = re.compile(r"^[\s>*_(\[#–—-]+|[\s*_)\]]+$")
_MARK = re.compile(r"\n[ \t]*>[ \t]?")
_HINTS = ("guest", "gast", "invit", "translat", "übersetz", "tradu", "перевод", "訳", "译", "譯", "原文")
_NAME = r"([^\W\d_a-z][\w.'’-]*(?: (?:[^\W\d_a-z][\w.'’-]*|van|von|de|der|la)){0,3})"
_THIS = (
    r"(?:this|the following|the above|below is|what follows is|today['’]?s|here is)"
    r"(?: (?:blog )?(?:post|article|essay|entry|piece|story|text|page|tutorial|interview))?"
)

_GUEST = (
    re.compile(
        rf"(?i:note: ?|editor['’]?s note: ?)?(?i:{_THIS})(?i:(?: is| was| has been)?(?: post)?(?: is)? an? )(?i:guest) "
        rf"(?i:(?:blog )?(?:post|article|entry|column|essay|contribution))(?:[.!]|,? (?:(?i:kindly |generously )?"
        rf"(?i:written |contributed |provided |submitted )?(?i:by|from|courtesy of)) "
        rf"(?:(?:[^.\nA-Z][^.\n]{{0,80}}? )?{_NAME})?)"
    ),
    re.compile(rf"(?i:guest (?:blog )?(?:post|article|column)) ?(?:(?i:by|from)|[:–—-]+(?: ?(?i:by))?) {_NAME}"),
    re.compile(rf"(?i:(?:dies(?:er artikel)? ist |es folgt )?ein gast(?:beitrag|artikel)) (?:von|des|der) {_NAME}"),
    re.compile(rf"(?i:gast(?:beitrag|artikel)) von {_NAME}"),
    re.compile(rf"(?i:(?:article|billet) invité|(?:artículo|entrada) invitad[ao]) ?(?:(?i:de|por|par)|:) {_NAME}"),
)
_GUEST_TITLE = re.compile(
    rf"(?i:\W*guest (?:blog )?(?:post|article|blogger|column))(?:\s*[:\]–—|-]|\s+(?i:by|from)\s+{_NAME})"
    rf"|.*[(\[](?i:a )?(?i:guest post)(?: (?i:by) {_NAME}[^)\]]*)?[)\]]$"
)

_TRANSLATION = re.compile(
    r"(?:note: ?)?(?:"
    rf"{_THIS}(?: is| was)? (?:an? )?(?:(?:\w+ ){{0,2}})(?:translation (?:of|from)|translated (?:version|from|by))"
    rf"|(?:an? )?(?:\w+ )?translation of (?:the|an|a|this|[^\W_]+['’]s) (?:\w+ ){{0,3}}(?:article|post|essay|blog|text|story)"
    r"|translated (?:(?:and \w+ )?(?:with permission )?)?(?:from|by)\b(?! hand)"
    r"|translat(?:or|ed by|ion by) ?[:：]|original(?: (?:article|post|text|author|title))? ?[:：]\s*\S.{0,200}translat"
    r"|(?:dies(?:er \w+)? ist eine |eine )übersetzung (?:des|der|von|eines)|aus dem \w+ übersetzt|übersetzt (?:von|aus)\b"
    r"|(?:ceci est une |cet article est (?:une |la ))?traduction (?:de|du) (?:l['’]|un |ce |cet )?(?:article|billet|texte)"
    r"|(?:article |texte )?traduit (?:de|du|par)\b"
    r"|(?:este artículo es una |una )?traducción (?:del?|de un) (?:artículo|texto|post)"
    r"|(?:artículo |texto )?traducido (?:del?|por)\b|перевод (?:статьи|поста|заметки|текста)\b"
    r"|(?:この|本)(?:記事|文章|エントリー?|ページ|翻訳)は.{0,150}(?:翻訳|日本語訳|和訳|抄訳|意訳|邦訳)(?:です|した|になり|であ|し)"
    r"|(?:訳者|翻訳者?|訳|原著者?|翻訳元|原題|原文)\s?[:：]|(?:译者|译文|译自|翻译自|原文(?:链接|地址|作者|标题)?|譯者|譯自)\s?[:：]"
    r"|(?:本文|这篇文章)(?:由.{0,40})?(?:翻译|译)自)",
    re.IGNORECASE,
)
# "translated into Polish by Jan", "read this in German": the post itself is the author's.
_ELSEWHERE = re.compile(
    r"(?:(?:update|note)\b[^:\n]{0,30}: ?)?(?:"
    rf"(?:{_THIS}|it) (?:has|was|is|have)(?: been| now| also| kindly| since| generously| just)*"
    r"(?: translated (?:in)?to| available in (?!the\b|a\b))"
    r"|(?:(?:an?|the) )?(?:\w+ ){1,2}(?:translation|version)s?(?: of (?:this|the) (?:post|article|page))?"
    r"(?:(?: is| are)?(?: also)? available| by\b| here\b| can be (?:found|read))"
    r"|(?:also |now )?(?:available|read this (?:post|article)|translated) (?:in|into|to) (?=[A-Z]))",
    re.IGNORECASE,
)
_FIRST_PUBLISHED = re.compile(
    r"(?:note: ?)?(?:"
    r"(?:(?:(?:this|the following|the above|a version of this|an? (?:earlier|longer|shorter|edited) version of this)"
    r"(?: (?:blog )?(?:post|article|essay|entry|piece|story|text|page|interview|tutorial|column))?|it) )?"
    r"(?:(?:was|is|has been|were|had been) )?"
    r"(?:(?:originally|first|initially|previously|also|simultaneously) (?:published|posted|appeared|run|ran|written|syndicated)"
    r"|(?:cross|x)-? ?posted|re-?posted|republished|reprinted|syndicated) "
    r"(?:with permission )?(?:on|at|in|by|for|as|to|from|over|here)\b"
    r"|dieser (?:artikel|beitrag|text) (?:ist|wurde) (?:zuerst|ursprünglich|auch) |zuerst erschienen (?:auf|in|bei)"
    r"|この記事は.{0,60}(?:転載|同時投稿))",
    re.IGNORECASE,
)
_LICENCE = re.compile(
    r"(?:(?:this|the) (?:work|post|article|page|blog|text|content|entry|site|essay)s?(?: \w+){0,4} (?:is|are) (?:hereby )?"
    r"(?:licen[sc]ed|released|available|published|distributed|made available) under\b"
    r"|(?:except where|unless) otherwise (?:noted|stated)[^.\n]{0,80}licen[sc]ed"
    r"|(?:content|text|words)(?: is)? licen[sc]ed under\b"
    r"|(?:©|\(c\)|copyright)\s*(?:©|\(c\))?\s*(?:19|20)\d\d|all rights reserved\b"
    r"|dieses werk ist (?:lizenziert|unter)|creative commons (?:attribution|licen[sc]e|by\b))",
    re.IGNORECASE,
)
_PICTURE = re.compile(
    r"(?:(?:header|cover|featured|title|hero|banner|main|top) )?(?:photo(?:graph)?s?|images?|pictures?|illustrations?|artwork)"
    r"(?:(?: credits?)?(?: by| courtesy of| via)\b|(?: credits?| source) ?:)",
    re.IGNORECASE,
)
_KINDS = (
    ("a note on translations", _ELSEWHERE, 30),
    ("a note on where it was published", _FIRST_PUBLISHED, 30),
    ("a note on where it is discussed", DISCUSSED, 30),
    ("a licence", _LICENCE, 45),
    ("a picture's credit", _PICTURE, 15),
)
_NOTE_HINTS = (
    *(
        "translat",
        "version",
        "vailable",
        "iscuss",
        "ublish",
        "posted",
        "ppear",
        "eprinted",
        "yndicated",
        "erschienen",
        "urspr",
        "転載",
        "同時投稿",
    ),
    *("icen", "ommons", "opyright", "©", "(c)", "reserved", "hoto", "mage", "icture", "llustration", "rtwork"),
)
_HEADING = re.compile(r"(#{1,6})[ \t][^\n]*")
_RULE = re.compile(r"[ \t]*(?:-{3,}|\*{3,}|_{3,}|\* \* \*)[ \t]*")


def guest_author(title: str, text: str) -> str | None:
    """Who wrote a guest post, "" when the post does not say, None when it is none."""
    match = _GUEST_TITLE.match(title) if "uest" in title else None
    if match is None:
        match = next((found for note in _notes(text, _HINTS) for kind in _GUEST if (found := kind.match(note))), None)
    return next((name.rstrip(".") for name in match.groups() if name), "") if match else None


def translation_note(text: str) -> str | None:
    """The note that says that the post is a translation, as written; None when there is none."""
    return next(
        (note for note in _notes(text, _HINTS) if _TRANSLATION.match(note) and not _ELSEWHERE.match(note)), None
    )


def without_notes(text: str) -> tuple[str, dict[str, int]]:
    """`text` without notes on licence, first publication, translations and pictures, and the words of each kind."""
    cuts: dict[str, int] = {}
    places = list(_paragraphs(text, _NOTE_HINTS))
    for start, end in reversed(places):
        note = _plain(text[start:end])
        for kind, pattern, most in _KINDS:
            if pattern.match(note) and count_words(note) <= most:
                before, text = text, _joined(text[:start].rstrip(), text[end:].lstrip("\n"))
                cuts[kind] = cuts.get(kind, 0) + count_words(before) - count_words(text)
                break
    return (_without_rules(text), cuts) if cuts else (text, cuts)


def _without_rules(text: str) -> str:
    """`text` without the rules that parted the notes from it."""
    lines = text.split("\n")
    start, end = 0, len(lines)
    while start < end and (not lines[start].strip() or _RULE.fullmatch(lines[start])):
        start += 1
    while end > start and (not lines[end - 1].strip() or _RULE.fullmatch(lines[end - 1])):
        end -= 1
    return "\n".join(lines[start:end]).rstrip()


def _joined(before: str, after: str) -> str:
    """What stands around a note, without a heading that had nothing but the note under it."""
    heading = _HEADING.match(before, before.rfind("\n") + 1)
    following = _HEADING.match(after)
    if heading and (not after or (following and len(following[1]) <= len(heading[1]))):
        before = before[: heading.start()].rstrip()
    return f"{before}\n\n{after}".strip("\n")


def _notes(text: str, hints: tuple[str, ...]) -> Iterator[str]:
    for start, end in _paragraphs(text, hints):
        note = _plain(text[start:end])
        if count_words(note) <= _MAX_WORDS or "訳" in note or "译" in note:
            yield note


def _paragraphs(text: str, hints: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """The places of the first and last paragraphs that hold one of the hints, in order."""
    short, lowered = _ends(text)
    if any(map("\n".join(lowered).__contains__, hints)):
        yield from (place for place, said in zip(short, lowered, strict=True) if any(map(said.__contains__, hints)))


@lru_cache(maxsize=2)  # of one text several things are asked in turn
def _ends(text: str) -> tuple[list[tuple[int, int]], list[str]]:
    """The places of the short ones among the first and last paragraphs, and their words in lower case."""
    places: list[tuple[int, int]] = []
    start = 0
    for _ in range(_FIRST):
        end = text.find("\n\n", start)
        places.append((start, len(text) if end < 0 else end))
        if end < 0:
            break
        start = end + 2
    least, end = places[-1][1], len(text)
    last: list[tuple[int, int]] = []
    while end > least and len(last) < _LAST:
        begin = text.rfind("\n\n", least, end) + 2
        if begin < 2:
            break
        last.append((begin, end))
        end = begin - 2
    short = [(start, end) for start, end in places + last[::-1] if 0 < end - start <= _MAX_CHARS]
    return short, [text[start:end].lower() for start, end in short]


def _plain(paragraph: str) -> str:
    """A paragraph on one line, without the emphasis, brackets and quotation marks around it."""
    return " ".join(_SIGNS.sub("", _SIGNS.sub("", _MARK.sub(" ", paragraph))).replace("**", "").split())
