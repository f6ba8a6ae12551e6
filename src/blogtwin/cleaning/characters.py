"""Odd characters, entities and blanks → those a person types. In: text. Out: the same words."""

from __future__ import annotations

import html
import re

from blogtwin.markup.markdown import Ranges

# Soft hyphens, zero-width spaces, word joiners, byte order marks, controls, what stands for a pasted picture; a lone half of a
# surrogate pair is no character.
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff\ufffc\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]+")
_SPACE = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f]")
_LINE_END = re.compile("\r\n?|[\x85\u2028\u2029\x0c]")
# Joiners belong between letters of the scripts that use them, and between emoji; between Latin letters they are debris.
_JOINER = re.compile(
    "(?<![\u0600-\u109f\u1780-\u18af\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])[\u200c\u200d]+|[\u200c\u200d]+(?![^\\x00-\u05ff])"
)
_ENTITY = re.compile(r"&(?:#[xX][0-9a-fA-F]{1,6}|#\d{1,7}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_MARKUP = frozenset("\\`*_[]{}#|~$<")  # in a text these would mean something
# A pattern that begins with a newline is looked for by jumping from line to line; `^` tries every character.
_TRAILING = re.compile(r"(?<![ \t])[ \t]+(?=\n|\Z)")
_EMPTY_ITEM = re.compile(r"\n[ \t>]*(?:[-*+]|\d{1,9}[.)]|#{1,6})[ \t]*(?=\n|\Z)")
_EMPTY_QUOTE = re.compile(r"(?:\n[ \t]*>[> \t]*(?=\n|\Z))+")
_QUOTED = ">."  # stands for a line of a quotation that says something
# A line that begins a block of its own.
_NO_BREAK = re.compile(r"[ \t>]*(?:\Z|\n|[-*+][ \t]|\d{1,9}[.)][ \t]|#{1,6}[ \t]|```|~~~|\|)")
_RULE = r"[ \t]*(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})"
_RULES_FIRST = re.compile(rf"\A(?:\s*^{_RULE}(?:\n|\Z))+", re.MULTILINE)
_RULE_LINE = re.compile(_RULE)


def plain(text: str) -> str:
    """`text` with newlines as line ends, common spaces, and nothing invisible but the joiners of scripts and emoji."""
    # Nearly always, and many times as quick as looking.
    if text.replace("\n", "").replace("\t", "").isprintable() and "\ufffc" not in text:
        return text
    text = _INVISIBLE.sub("", _LINE_END.sub("\n", text))
    if text.isascii():
        return text
    return _SPACE.sub(" ", _JOINER.sub("", text))


def entities(text: str, verbatim: Ranges) -> list[tuple[int, int, str]]:
    """(start, end, what it stands for) of every &entity; outside code. What would be markup when decoded is escaped."""
    found = []
    for match in _ENTITY.finditer(text):
        said = html.unescape(match.group())
        if said == match.group() or verbatim.hold(match.start()):
            continue
        if said == "&" and re.match(r"#?\w{1,32};", text[match.end() : match.end() + 34]):
            continue  # &amp;lt; speaks of an entity
        if said == "<" and not re.match(r"[a-zA-Z/!?]|&#", text[match.end() : match.end() + 2]):
            found.append((match.start(), match.end(), said))
            continue
        said = f"\\{said}" if said in _MARKUP else " " if said.isspace() else plain(said)
        found.append((match.start(), match.end(), said))
    return found


def tidied(pieces: list[tuple[str, bool]]) -> list[str]:
    """The pieces, those that are not kept without trailing blanks, empty items, and second blank lines between blocks."""
    out = []
    for number, (piece, kept) in enumerate(pieces):
        # An empty line of a quotation may stand next to code that is quoted with it.
        before = "" if kept or not number or not _quotes(pieces[number - 1][0].rpartition("\n")[2]) else _QUOTED
        after = "" if kept or number + 1 == len(pieces) or not _quotes(pieces[number + 1][0]) else _QUOTED
        tidy = piece if kept else _tidy(f"{before}{piece}{after}")
        out.append(tidy[len(before) : len(tidy) - len(after)])
    return out


def _quotes(text: str) -> bool:
    return text[:80].lstrip(" \t").startswith(">")


def joined(pieces: list[str]) -> str:
    """One text of them, without the rules and blank lines that open or close it."""
    text = re.sub(r"\A(?:[ \t]*\n)+", "", "".join(pieces)).rstrip()
    if text[:1] in "-*_ ":
        text = _RULES_FIRST.sub("", text).lstrip("\n")
    end = len(text)  # from behind, a line at a time: a pattern would begin anew at every rule of the text
    while _RULE_LINE.fullmatch(text, line := text.rfind("\n", 0, end) + 1, end):
        text = text[:line].rstrip()
        end = len(text)
    return text


def _tidy(text: str) -> str:
    if ">" in text:
        text = _EMPTY_QUOTE.sub(_between_quotes, "\n" + text)[1:]
    text = _EMPTY_ITEM.sub("", "\n" + text)[1:]
    if " \n" in text or "\t\n" in text or text[-1:] in (" ", "\t"):
        text = _TRAILING.sub(lambda blank: _break(text, blank), text)
    return re.sub(r"\n{3,}", "\n\n", text) if "\n\n\n" in text else text


def _break(text: str, blank: re.Match[str]) -> str:
    """Two blanks break a line when words stand before them and the next line goes on with words."""
    start, end = blank.span()
    broken = blank.group().endswith("  ") and start and text[start - 1] not in "\n>"
    return "  " if broken and text[end : end + 1] and not _NO_BREAK.match(text, end + 1, end + 200) else ""


def _between_quotes(blank: re.Match[str]) -> str:
    """One empty line of a quotation stays between two that say something."""
    text, start, end = blank.string, blank.start(), blank.end()
    before = text[text.rfind("\n", 0, start) + 1 : start]
    quoted = before.lstrip().startswith(">") and text[end : end + 80].lstrip().startswith(">")
    return "\n" + blank.group()[1:].split("\n")[0].rstrip() if quoted else "\n"
