"""One paragraph of HTML, as tokens → one paragraph of Markdown.

In: text, code, marks (emphasis, links) and line breaks in their order. Out: Markdown that a parser reads as just that: white
space collapsed as browsers do, marks that cling to words, and a backslash where text would become markup by accident, and
nowhere else.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

MARKS = {"em": "*", "strong": "**", "del": "~~"}


@dataclass(frozen=True, eq=False)
class Mark:
    """An emphasis or a link, from where it opens to where it closes."""

    kind: Literal["em", "strong", "del", "link"]
    href: str = ""


# (kind, text, mark): text, code, raw (Markdown already), open, close, break.
Kind = Literal["text", "code", "raw", "open", "close", "break"]
Token = tuple[Kind, str, Mark | None]

_SPACE = re.compile(r"[ \t\n\r\f]+")
_SPECIAL = re.compile(r"[\\<\[\]!]|`+|\*+|_+|~+|&(?:[A-Za-z][A-Za-z0-9]{1,31}|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});")
_RUNS = {mark: re.compile(re.escape(mark) + "+") for mark in "`*_~"}
_LINK_LIKE = re.compile(r"\[[^\[\]]{0,300}\][(\[]|\[\^[^\[\]\s]{1,100}\]|\[\[")
_LINE_START = re.compile(
    r"(?P<mark>#{1,6}(?=\s|$)|[-+](?=\s|$)|\*(?=\s|$)|>|:(?=\s)|={1,}\s*$|-{2,}\s*$|~{3}|\[[^\[\]]{1,300}\]:)|(?P<number>\d{1,9})(?=[.)](?:\s|$))"
)
_RULE = re.compile(r"\s*(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$")
_FORMULA = re.compile(r"\\\(|\\\[|\$\$?")
_CLOSING = {"\\(": "\\)", "\\[": "\\]", "$$": "$$", "$": "$"}
_MOVABLE = ".,:;!?…"


def markdown(tokens: Sequence[Token]) -> str:
    """The paragraph, without blank at either end; "" when there is nothing to see in it."""
    if all(kind == "text" for kind, _, _ in tokens):  # most paragraphs are words and nothing else
        words = _SPACE.sub(" ", "".join([text for _, text, _ in tokens])).strip(" ")
        if not words or not _SPECIAL.search(words):
            return words if _RULE.match(words) else _at_line_start(words)
    pieces = _sound(_nested(_collapsed(tokens)))
    if not any(kind in ("text", "code", "raw") for kind, _, _ in pieces):
        return ""
    return _written(pieces)


def code_span(code: str) -> str:
    """Code between as many backticks as it needs."""
    code = " ".join(code.split())
    longest = max((len(run) for run in _RUNS["`"].findall(code)), default=0)
    fence = "`" * (longest + 1) if longest else "`"
    pad = " " if code.startswith("`") or code.endswith("`") else ""
    return f"{fence}{pad}{code}{pad}{fence}"


def formula(tex: str, display: bool = False) -> str:
    """TeX between dollars."""
    tex = " ".join(tex.split()) if not display else tex.strip()
    if not tex:
        return ""
    return f"$${tex}$$" if display else f"${tex}$"


def _collapsed(tokens: Sequence[Token]) -> list[Token]:
    """White space as it is seen: none at the ends, none inside the marks, one blank elsewhere; empty marks are gone."""
    out: list[Token] = []
    waiting: list[Mark] = []
    same: dict[Mark, Mark] = {}  # </b><b> is one mark that goes on
    space = line = False

    def put(kind: Kind, text: str) -> None:
        nonlocal space, line
        if out and line:
            out.append(("break", "", None))
        elif out and space:
            out.append(("text", " ", None))
        space = line = False
        for mark in waiting:
            before = out[-1] if out else None
            if before and before[0] == "close" and before[2] and before[2].kind == mark.kind != "link":
                same[mark] = before[2]
                out.pop()
            else:
                out.append(("open", "", mark))
        waiting.clear()
        if kind == "code" and out and out[-1][0] == "code":
            out[-1] = ("code", out[-1][1] + text, None)
        else:
            out.append((kind, text, None))

    for kind, text, mark in tokens:
        if kind == "open" and mark:
            waiting.append(mark)
        elif kind == "close" and mark:
            if mark in waiting:
                waiting.remove(mark)
            else:
                out.append(("close", "", same.get(mark, mark)))
        elif kind == "break":
            line = True
        elif kind == "raw":
            put(kind, text)
        else:
            text = _SPACE.sub(" ", text)
            words = text.strip(" ")
            space = space or text.startswith(" ")
            if words:
                put(kind, words)
                space = text.endswith(" ")
    return out


def _nested(pieces: list[Token]) -> list[Token]:
    """A link whose words are its own address is that address."""
    out: list[Token] = []
    for piece in pieces:
        kind, _, mark = piece
        if kind == "close" and mark and mark.kind == "link" and len(out) >= 2 and out[-2][2] is mark:
            words = out[-1][1]
            if out[-1][0] == "text" and words in (mark.href, mark.href.rstrip("/"), mark.href.removeprefix("mailto:")):
                out[-2:] = [("raw", f"<{words}>" if re.search(r"[*~`]|\b_|_\b", words) else words, None)]
                continue
        out.append(piece)
    return out


def _sound(pieces: list[Token]) -> list[Token]:
    """Marks that a Markdown parser will see: `**Note:**text` is none, so it becomes `**Note**:text`."""
    lost: set[Mark] = set()
    seen: list[Token] = []
    for index, piece in enumerate(pieces):
        kind, _, mark = piece
        if mark is None or mark.kind == "link":
            seen.append(piece)
            continue
        if kind == "open":
            if not _flanks(_before(seen), _after(pieces, index)) or (
                seen and seen[-1][0] == "close" and _star(seen[-1])
            ):
                lost.add(mark)
                continue
        elif mark in lost:
            continue
        else:
            following = _after(pieces, index)
            if not _flanks(following, _before(seen)):
                last, words, _ = seen[-1]
                stem = words.rstrip(_MOVABLE)
                if last == "text" and stem and stem != words and not _punctuation(stem[-1]):
                    seen[-1:] = [("text", stem, None), piece, ("text", words[len(stem) :], None)]
                    continue
                seen = [other for other in seen if other[2] is not mark]
                continue
        seen.append(piece)
    return seen


def _star(piece: Token) -> bool:
    return piece[2] is not None and piece[2].kind != "link"


def _flanks(outside: str, inside: str) -> bool:
    """CommonMark's flanking rule, the same for both ends."""
    return not _punctuation(inside) or not outside or outside.isspace() or _punctuation(outside)


def _punctuation(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS" if character else False


def _before(pieces: Sequence[Token]) -> str:
    for kind, text, mark in reversed(pieces):
        if mark is not None and mark.kind == "link":
            return "[" if kind == "open" else ")"
        if kind == "break":
            return "\n"
        if mark is None:
            return "`" if kind == "code" else text[-1:]
    return ""


def _after(pieces: Sequence[Token], index: int) -> str:
    for kind, text, mark in pieces[index + 1 :] if len(pieces) - index < 50 else pieces[index + 1 : index + 51]:
        if mark is not None and mark.kind == "link":
            return "[" if kind == "open" else "]"
        if kind == "break":
            return "\n"
        if mark is None:
            return "`" if kind == "code" else text[:1]
    return ""


def _written(pieces: Sequence[Token]) -> str:
    escape = _Escape(pieces)
    out: list[str] = []
    in_link = 0
    for index, (kind, text, mark) in enumerate(pieces):
        if kind == "break":
            out.append("  \n")
        elif kind == "code":
            out.append(code_span(text))
        elif kind == "raw":
            out.append(text)
        elif mark is not None and mark.kind == "link":
            in_link += 1 if kind == "open" else -1
            out.append("[" if kind == "open" else f"]({_target(mark.href)})")
        elif mark is not None:
            out.append(MARKS[mark.kind])
        else:
            before = out[-1][-1:] if out else "\n"
            out.append(escape(text, before, _after(pieces, index), bool(in_link)))
    return "".join(out)


def _target(href: str) -> str:
    href = "".join(href.split("\n")).strip().replace("\t", "")
    balanced = href.count("(") == href.count(")")
    if " " in href or not balanced or not href:
        return f"<{href.replace('<', '%3C').replace('>', '%3E')}>" if href else ""
    return href


class _Escape:
    """Puts backslashes into the text of one paragraph; which it needs depends on all of it."""

    def __init__(self, pieces: Sequence[Token]) -> None:
        text = "\0".join(text for kind, text, _ in pieces if kind == "text")
        code = sum(kind == "code" for kind, _, _ in pieces)
        self._clear = _SPECIAL.search(text) is None
        if self._clear:
            return
        stars = sum(kind == "open" and mark is not None and mark.kind in ("em", "strong") for kind, _, mark in pieces)
        self._many = {
            "`": len(_RUNS["`"].findall(text)) + code > 1,
            "*": len(_RUNS["*"].findall(text)) + 2 * stars > 1,
            "_": len(_RUNS["_"].findall(text)) > 1,
            "~": len(_RUNS["~"].findall(text)) + 2 * ("~~" in text) > 1,
        }
        self._closes = ">" in text

    def __call__(self, text: str, before: str, after: str, in_link: bool) -> str:
        starts = before == "\n"
        if starts and _RULE.match(text) and not after:
            return text  # three stars in the middle of a page are a rule in Markdown too
        if not self._clear:
            text = "".join(self._part(*part, in_link) for part in _parts(text, before, after))
        return _at_line_start(text) if starts else text

    def _part(self, text: str, before: str, after: str, in_link: bool) -> str:
        if not before:
            return text  # a formula
        links = {match.start() for match in _LINK_LIKE.finditer(text)} if "[" in text else set()

        def escaped(match: re.Match[str]) -> str:
            mark, start, end = match.group(), match.start(), match.end()
            left = text[start - 1] if start else before
            right = text[end : end + 1] or after
            opens_link = (mark == "[" and start in links) or (mark in "[]" and in_link)
            if opens_link or self._needs(mark, left, right, end == len(text)):
                return "\\" + mark if mark[0] == "&" else "".join("\\" + character for character in mark)
            return mark

        return _SPECIAL.sub(escaped, text)

    def _needs(self, mark: str, left: str, right: str, last: bool) -> bool:
        match mark[0]:
            case "\\":
                return right.isascii() and _punctuation(right)
            case "`":
                return self._many["`"]
            case "*":
                return self._many["*"] and not (left.isspace() and (right.isspace() or not right))
            case "_":
                return self._many["_"] and not (left.isalnum() and right.isalnum())
            case "~":
                return self._many["~"] and (len(mark) > 1 or not left.isspace())
            case "<":
                opens = bool(right) and (right in "/!?" or (right.isascii() and right.isalpha()))
                return opens and (self._closes or left == "\n")
            case "!":
                return right == "[" and last
        return len(mark) > 1  # an entity


def _parts(text: str, before: str, after: str) -> Iterator[tuple[str, str, str]]:
    r"""`text` cut at its formulas, which are between dollars here and come with no neighbour; \(x^2\) becomes $x^2$."""
    start = 0
    missing: set[str] = set()
    for opening in _FORMULA.finditer(text) if "$" in text or "\\" in text else ():
        closing = _CLOSING[opening.group()]
        if opening.start() < start or closing in missing:
            continue
        end = text.find(closing, opening.end())
        if end < 0:
            missing.add(closing)
            continue
        tex = text[opening.end() : end]
        if not _is_tex(tex, opening.group()):
            continue
        yield text[start : opening.start()], text[start - 1] if start else before, "$"
        yield formula(tex, opening.group() in ("\\[", "$$")), "", ""
        start = end + len(closing)
    yield text[start:], text[start - 1] if start else before, after


def _is_tex(tex: str, opening: str) -> bool:
    if len(tex) > 2000 or not tex.strip() or (opening == "$" and (tex[0] == " " or tex[-1] == " ")):
        return False
    return any(mark in tex for mark in "\\^_{=") or (len(tex.strip()) == 1 and tex.strip().isalpha())


def _at_line_start(text: str) -> str:
    match = _LINE_START.match(text)
    if match is None:
        return text
    return match["number"] + "\\" + text[match.end() :] if match["number"] else "\\" + text
