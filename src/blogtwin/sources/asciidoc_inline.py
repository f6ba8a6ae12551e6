"""A paragraph of AsciiDoc → a paragraph of Markdown: quotes of all kinds, links, footnotes, attributes.

In: text as it stands in the file, and what `{name}` stands for. Out: Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from blogtwin.markup.html_blocks import unnamed_note
from blogtwin.markup.html_inline import Mark, Token, formula, markdown
from blogtwin.markup.html_special import shifted

_INLINE = re.compile(
    r"\\(?P<escaped>[*_`#{<\[^~+]|https?://)"
    r"|footnote(?:ref)?:(?P<note>[\w-]{0,60})\[(?P<said>(?:[^\[\]\\]|\\.|\[[^\[\]]{0,300}\]){0,2000})\]"
    r"|(?:link:|xref:)?(?P<url>(?:https?://|mailto:|(?<=link:)|(?<=xref:))[^\s\[\]<>\"]{1,1000})\[(?P<words>[^\[\]]{0,500})\]"
    r"|image:(?P<image>[^:\s\[\]][^\s\[\]]{0,500})\[(?P<alt>[^\[\]]{0,500})\]"
    r"|(?P<macro>kbd|btn|menu|pass|icon|stem|latexmath|asciimath|indexterm2?|anchor):(?P<of>[^\s\[\]]{0,100})\[(?P<inside>[^\[\]]{0,500})\]"
    r"|<<(?P<xref>[^<>,\n]{1,200})(?:,(?P<xwords>[^<>]{1,300}))?>>"
    r"|(?P<gone>\[\[\[[^\[\]\n]{1,200}\]\]\]|\[\[[^\[\]\n]{1,200}\]\]|\(\(\([^()]{1,200}\)\)\))|\(\((?P<term>[^()]{1,200})\)\)"
    r"|(?P<break> \+(?:\n|$))"
    r"|\"`(?P<double>[^`\n]{1,500}?)`\"|'`(?P<single>[^`\n]{1,500}?)`'"
    r"|\+\+\+(?P<passed>[^+\n]{1,300})\+\+\+|\+\+(?P<raw>[^+\n]{1,300})\+\+"
    r"|``(?P<code2>[^`\n]{1,300}?)``|(?<![\w`])`\+?(?P<code>[^`\s](?:[^`\n]{0,300}[^`\s])??)\+?`(?![\w`])"
    r"|(?:\[[^\[\]\n]{0,80}\])?(?:(?P<mark2>\*\*|__|\#\#)(?P<in2>\S(?:.{0,300}?\S)??)(?P=mark2)"
    r"|(?<!\w)(?P<mark>[*_#])(?P<in1>\S(?:.{0,300}?\S)??)(?P=mark)(?!\w))"
    r"|(?<!\w)\+(?P<literal>\S(?:[^+\n]{0,200}\S)??)\+(?!\w)"
    r"|\^(?P<super>[^\s^~]{1,40})\^|~(?P<lower>[^\s^~]{1,40})~"
    r"|\{(?P<attribute>[\w-]{1,60})\}",
    re.DOTALL,
)
_KINDS = {"*": "strong", "_": "em"}
_BUILT_IN = {
    "nbsp": " ", "empty": "", "blank": "", "sp": " ", "zwsp": "", "apos": "'", "quot": '"', "lsquo": "‘", "rsquo": "’",
    "ldquo": "“", "rdquo": "”", "deg": "°", "plus": "+", "brvbar": "¦", "vbar": "|", "amp": "&", "lt": "<", "gt": ">",
    "startsb": "[", "endsb": "]", "caret": "^", "asterisk": "*", "tilde": "~", "backslash": "\\", "backtick": "`",
    "two-colons": "::", "two-semicolons": ";;", "cpp": "C++", "cxx": "C++", "pp": "++",
}  # fmt: skip
_MAX_DEPTH = 6


def inline(text: str, attributes: Mapping[str, str]) -> str:
    """A paragraph of AsciiDoc as Markdown."""
    return markdown(list(_tokens(text, attributes, 0)))


def notes_in(text: str, attributes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The label and the Markdown of each footnote in `text`."""
    if "footnote" in text:
        for match in _INLINE.finditer(text):
            if match.group("said"):
                yield _label(match), inline(match.group("said"), attributes)


def _label(match: re.Match[str]) -> str:
    return match.group("note") or unnamed_note(match.group("said"))


def _tokens(text: str, attributes: Mapping[str, str], depth: int) -> Iterator[Token]:
    start = 0
    for match in _INLINE.finditer(text):
        if match.start() > start:
            yield "text", text[start : match.start()], None
        start = match.end()
        yield from _token(match, attributes, depth)
    if start < len(text):
        yield "text", text[start:], None


def _token(match: re.Match[str], attributes: Mapping[str, str], depth: int) -> Iterator[Token]:
    group = match.groupdict()
    if group["said"] is not None:
        yield "raw", f"[^{_label(match)}]" if group["said"] or group["note"] else "", None
    elif group["url"]:
        words = group["words"].split(",")[0].rstrip("^").strip("\"' ")
        yield from _marked(Mark("link", group["url"]), words or group["url"], attributes, depth)
    elif group["image"]:
        yield "raw", f"![{group['alt'].split(',')[0]}]({group['image']})", None
    elif group["macro"]:
        yield from _macro(group["macro"], group["of"], group["inside"])
    elif code := group["code"] or group["code2"] or group["literal"]:
        yield "code", code, None
    elif group["break"]:
        yield "break", "", None
    elif group["double"] or group["single"]:
        yield "text", f"“{group['double']}”" if group["double"] else f"‘{group['single']}’", None
    elif mark := group["mark2"] or group["mark"]:
        kind = _KINDS.get(mark[0])
        yield from _marked(Mark(kind) if kind else None, group["in2"] or group["in1"], attributes, depth)  # type: ignore[arg-type]
    elif name := group["attribute"]:
        yield "text", _BUILT_IN.get(name.lower(), attributes.get(name.lower(), match.group())), None
    elif script := group["super"] or group["lower"]:
        yield "text", shifted(script, bool(group["super"])) or script, None
    elif passed := group["passed"]:
        yield "raw" if "<" in passed else "text", passed, None
    elif not group["gone"]:
        words = group["escaped"] or group["xwords"] or group["xref"] or group["term"] or group["raw"]
        yield "text", (words or "").strip("\n"), None


def _marked(mark: Mark | None, words: str, attributes: Mapping[str, str], depth: int) -> Iterator[Token]:
    if mark:
        yield "open", "", mark
    if depth < _MAX_DEPTH:
        yield from _tokens(words, attributes, depth + 1)
    else:
        yield "text", words, None
    if mark:
        yield "close", "", mark


def _macro(name: str, of: str, inside: str) -> Iterator[Token]:
    if name in ("stem", "latexmath", "asciimath"):
        yield "raw", formula(inside), None
    elif name == "menu":
        yield "text", " › ".join(part for part in (of, *inside.split(">")) if part.strip()), None
    elif name == "pass" and "<" in inside:  # HTML, which the cleaner knows
        yield "raw", inside, None
    elif name in ("kbd", "btn", "pass", "indexterm2"):
        yield "text", inside, None
