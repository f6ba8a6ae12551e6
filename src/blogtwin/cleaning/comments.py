"""Readers' comments that were archived in the body of a post. In: cleaned Markdown. Out: the same without them, and their words.

A heading "Comments" alone proves nothing: there are posts about comments. What proves it are entries with the name of who
wrote and a date or a "says:", in the forms in which WordPress, Blogger, Drupal, Posterous and people's own scripts left them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from blogtwin.words import count_words

_TITLE_WORDS = (
    "omment",
    "espon",
    "epl",
    "eedback",
    "eaction",
    "eakti",
    "ntwort",
    "houghts on",
    "omentario",
    "コメント",
)
_TITLE_WORD = re.compile("|".join(_TITLE_WORDS))
_TITLE = re.compile(
    r"(?P<level>#{1,6}[ \t]+)?[*_]{0,3}(?:"
    r"(?P<strong>\d[\d,.]*\s+(?:(?:old|archived|readers?['’]?s?)\s+)?"
    r"(?:comments?|responses?|repl(?:y|ies)|thoughts? on|reactions?|kommentare?|antwort(?:en)?|commentaires?|r[ée]ponses?|"
    r"comentarios?|respuestas?)\b.{0,120}"
    r"|(?:archived?|old|legacy|imported|previous|original|past|readers?['’]?s?)\s+(?:comments|feedback|responses)\b.{0,60}"
    r"|comments (?:from|imported|on the old|archive|\(\d+\)|\[\d+\]).{0,60}|コメント\s*[(（]?\d+.{0,10})"
    r"|(?:(?:reader|user|blog) )?(?:comments|responses|replies|feedback|reactions|kommentare|commentaires|comentarios|コメント)"
    r"(?: (?:on|for|to) this (?:post|entry|article)| (?:&|and) (?:comments|responses|trackbacks|pingbacks))?)"
    r"[*_]{0,3}\s*[:：]?[*_]{0,3}\s*#*",
    re.IGNORECASE,
)
_TITLE_SIGNS = frozenset("#*_0123456789")
_HEADING = re.compile(r"(#{1,6})[ \t]")
_MARKS = re.compile(r"^[\s>]*(?:(?:[-*+]|#?\d{1,4}[.):]|#\d{1,4})[ \t]+)?[#>*_\s\[(—–-]*")
_DAY = (
    r"(?:(?:19|20)\d\d[-/.年]\s?\d{1,2}[-/.月]\s?\d{1,2}日?|\d{1,2}[-/.]\d{1,2}[-/.](?:20)?\d\d"
    r"|[^\W\d_]{3,10}\.? \d{1,2}(?:st|nd|rd|th)?,? (?:at )?(?:19|20)\d\d"
    r"|\d{1,2}(?:st|nd|rd|th|\.)? (?:of |de )?[^\W\d_]{3,10}\.?,?(?: de)? (?:19|20)\d\d)"
)
_HOUR = r"\d{1,2}[:.h]\d\d(?::\d\d)?\s?(?:[ap]\.?m\.?)?(?: ?\(?[A-Z]{2,5}\)?)?|\d{1,2} ?[ap]\.?m\.?"
_WHEN = rf"(?:[^\W\d_]{{3,10}},? ?)?{_DAY}(?:[T,@|•·–-]?\s*(?:at|um|à|a las|@|-|–|•|·)?\s*(?:{_HOUR}))?(?:\s?[+-]\d{{4}}|\s?Z)?"
_NAME = r"(?P<name>[^\W_][^\n:!?;#>|*`]{0,40}?)"
_SAYS = (
    r"(?:said|says|wrote|writes|responded|responds|replied|replies|commented|comments|schrieb|schreibt|sagte?|meint|"
    r"antwortete|a écrit|a dit|dit|escribió|dice|dijo|ha scritto|さん|より)"
)
_TAIL = r"[\s:：.…*_)\]]*$"
_ENTRY = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?:comment|reply|posted|submitted|kommentar|comentario) (?:by|from|von|de) {_NAME}"
        rf"(?P<when>[\s,(|–—-]*(?:on |at |am )?{_WHEN})?{_TAIL}",
        rf"{_NAME},? (?P<says>{_SAYS})[\s,:：*_(|–—-]*(?:on |at |am |le )?(?P<when>{_WHEN}){_TAIL}",
        rf"{_NAME} ?(?P<says>{_SAYS})\s?[*_]*(?::|：|\.\.\.|…)[*_\s]*$",
        rf"{_NAME}(?:[*_]* on |[*_]* at |[\s*_]*[,@|•·(–—-]+[\s*_]*)(?P<when>{_WHEN}){_TAIL}",
        rf"{_NAME} ?[(,|—–-]+ ?(?P<when>{_WHEN})\)? ?[:：] \S",
        rf"(?:on|at|am)? ?(?P<when>{_WHEN}),? {_NAME} (?P<says>{_SAYS}){_TAIL}",
    )
)
_DATE_ALONE = re.compile(rf"(?:on |posted (?:on|at) )?{_WHEN}(?: (?:permalink|reply|link))?{_TAIL}", re.IGNORECASE)
_SIGNED = re.compile(rf"(?:--|—|–) ?{_NAME},? (?P<when>{_WHEN}){_TAIL}", re.IGNORECASE)
_NAMED_ITEM = re.compile(r"[-*+>][ \t]*\*\*[^*\n]{1,40}(?:\*\*:|:\*\*)")
_RULE = re.compile(r"[ \t]*(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$")
_NO_NAME = re.compile(
    r"(?:updated?|edit(?:ed)?|version|release[ds]?|v?\d|day|week|month|part|chapter|year|added|correction|posted|published|"
    r"written|last|first|mon|tues|wednes|thurs|fri|satur|sun|january|february|march|april|may|june|july|august|september|"
    r"october|november|december|changelog|today|yesterday|note|ps|the|this|that|it|he|she|they|we|i|so|and|but|as|in|on|at)\b",
    re.IGNORECASE,
)
_MIN_ENTRIES = 3  # where no title says what they are
_FOOTNOTE = re.compile(r"^\[\^[^\]\s]+\]:", re.MULTILINE)


@dataclass(frozen=True)
class _Entry:
    """The line that says whose comment follows (or stood above)."""

    line: int
    name: str
    dated: bool
    says: bool


def without_comments(text: str) -> tuple[str, int]:
    """`text` without readers' comments, and how many words they had."""
    lines = text.split("\n")
    titled = any(word in text for word in _TITLE_WORDS)  # looked for at the speed of memory, as most posts have none
    for start, end in (_section(lines) if titled else (0, 0), _run(lines)):
        if start < end:
            cut = "\n".join(lines[start:end])
            notes = cut[match.start() :] if (match := _FOOTNOTE.search(cut)) else ""  # the author's own
            left = ["\n".join(lines[:start]).rstrip(), notes, "\n".join(lines[end:]).strip("\n")]
            return "\n\n".join(filter(None, left)), count_words(cut) - count_words(notes)
    return text, 0


def _section(lines: list[str]) -> tuple[int, int]:
    """From a heading "Comments" to the next heading of its level, when entries stand below it."""
    tried = 0
    # Titles are short, or begin like one.
    for number in [place for place, line in enumerate(lines) if line and (line[0] in _TITLE_SIGNS or len(line) < 40)]:
        line = lines[number]
        if len(line) > 160 or tried > 20 or not _TITLE_WORD.search(line):
            continue
        title = _TITLE.fullmatch(line.strip())
        if not title or (not title["level"] and number and lines[number - 1].strip()):
            continue
        tried += 1
        end = _end(lines, number + 1, len(title["level"].strip()) if title["level"] else 6)
        if _proved(lines, number, end, title["strong"] is not None):
            return _with_rules(lines, number), end
    return 0, 0


def _end(lines: list[str], start: int, level: int) -> int:
    for number in range(start, len(lines)):
        heading = _HEADING.match(lines[number])
        if heading and len(heading[1]) <= level and not _entry(lines, number):
            return number
    return len(lines)


def _proved(lines: list[str], start: int, end: int, strong: bool) -> bool:
    """Whether what stands between two lines is a list of comments; `strong`: the title says as much."""
    entries = list(_entries(lines, start + 1, min(end, start + 400)))
    dated = [entry for entry in entries if entry.dated]
    if strong:
        return bool(dated) or len(entries) > 1 or _named_items(lines, start + 1, end) > 1
    filled = [number for number in range(start + 1, min(end, start + 20)) if lines[number].strip()]
    if dated and dated[0].line in filled[:2]:
        return True
    said = [entry for entry in entries if entry.says and not _quote_follows(lines, entry.line)]
    return len(dated) > 1 or ("omment" in lines[start] and len(said) > 1)


def _run(lines: list[str]) -> tuple[int, int]:
    """From the first of at least three entries, each with a date and a "says" or below a rule, to the end of the text."""
    near = [
        number
        for number, line in enumerate(lines)
        if ("20" in line or "19" in line) and 4 < len(line) < 160 and _stands_alone(lines, number)
    ]
    if len(near) < _MIN_ENTRIES:
        return 0, 0
    found = []
    for number in near[-1000:]:
        entry = _entry(lines, number) or (_entry(lines, number - 1) if number else None)
        if (
            entry
            and (entry.says or (entry.line > 1 and any(map(_RULE.match, lines[entry.line - 2 : entry.line]))))
            and not _quote_follows(lines, number)
        ):
            found.append(entry)
    if len(found) < _MIN_ENTRIES or len({entry.name.casefold() for entry in found}) < 2:
        return 0, 0
    return _with_rules(lines, found[0].line), _end(lines, found[0].line, 2)


def _with_rules(lines: list[str], start: int) -> int:
    """The line from which to cut, so that no rule is left above nothing."""
    while start and (not lines[start - 1].strip() or _RULE.match(lines[start - 1])):
        start -= 1
    return start


def _stands_alone(lines: list[str], number: int) -> bool:
    """Whether a line begins a paragraph, or is the second of one that an entry begins."""
    return number < 2 or not lines[number - 1].strip() or not lines[number - 2].strip()


def _entries(lines: list[str], start: int, end: int) -> Iterator[_Entry]:
    for number in range(start, end):
        if entry := _entry(lines, number):
            yield entry
        elif len(lines[number]) > 20 and (match := _SIGNED.search(lines[number], max(0, len(lines[number]) - 120))):
            yield _Entry(number, match["name"], dated=True, says=False)


def _entry(lines: list[str], number: int) -> _Entry | None:
    """The entry that a line begins; a date may stand in the next line, or in the one before."""
    line = lines[number]
    if not 2 < len(line) < 160:
        return None
    words = _words(line)
    for pattern in _ENTRY:
        match = pattern.match(words)
        if not match or _NO_NAME.match(match["name"]) or len(match["name"].split()) > 5:
            continue
        found = match.groupdict()
        dated = bool(found.get("when")) or any(
            _DATE_ALONE.match(_words(near))
            for near in (_filled(lines, number, 1), _filled(lines, number, -1))
            if len(near) < 80
        )
        return _Entry(number, match["name"], dated, bool(found.get("says")) or pattern is _ENTRY[0])
    return None


def _words(line: str) -> str:
    """A line without what makes it bold, quoted or an item."""
    return _MARKS.sub("", line).replace("*", "").replace("`", "").replace("_ ", " ").rstrip("_")


def _filled(lines: list[str], number: int, step: int) -> str:
    """The nearest line that is not empty, up to two lines on."""
    for place in (number + step, number + 2 * step):
        if 0 <= place < len(lines) and lines[place].strip():
            return lines[place]
    return ""


def _quote_follows(lines: list[str], number: int) -> bool:
    """An author who answers others writes "Jane wrote:", quotes, and goes on."""
    return _filled(lines, number, 1).lstrip().startswith(">") and not lines[number].lstrip().startswith(">")


def _named_items(lines: list[str], start: int, end: int) -> int:
    return sum(_NAMED_ITEM.match(line.lstrip()) is not None for line in lines[start:end])
