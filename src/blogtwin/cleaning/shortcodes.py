"""What a site generator puts between braces or brackets: Liquid, Hugo, Zola, Jinja and WordPress shortcodes.

In: Markdown, and where its code is. Out: Markdown without them. Those that wrap code leave it as a fenced block, those that
wrap prose leave the prose; pictures, embeds, comments and variables go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from blogtwin.cleaning.edits import Cuts, Edits
from blogtwin.markup.captions import is_prose
from blogtwin.markup.markdown import parse
from blogtwin.markup.pairs import replaced

_CODE = {
    "highlight",
    "codeblock",
    "code",
    "sourcecode",
    "prettify",
    "verbatim",
    "raw",
    "code_block",
    "prism",
    "codetabs",
}
_UNREAD = {
    "comment",
    "mermaid",
    "chart",
    "javascript",
    "css",
    "style",
    "script",
    "stylesheet",
    "schema",
    "svg",
    "math_macros",
}
_OPENING = re.compile(r"\{(?:%|\{[<%]?|#)")
_CLOSING = {"{%": "%}", "{{": "}}", "{{<": ">}}", "{{%": "%}}", "{#": "#}"}
_NAME = re.compile(r"[-\s]*(/?)\s*(end(?=\w)|end\b)?([\w-]*)")
_LANGUAGE = re.compile(r"(?:lang(?:uage)?\s*[:=]\s*)?[\"']?([\w+#-]*)")
_NAMED_LANGUAGE = re.compile(r"\blang(?:uage)?\s*[:=]\s*[\"']?([\w+#-]+)")
_FAR = 3000  # characters: no tag is longer
_CAPTION = re.compile(r"\bcaption\s*[:=]\s*(?:\"([^\"]*)\"|'([^']*)')")

_WORDPRESS = (
    "caption|gallery|embed|youtube|vimeo|audio|video|playlist|toc|more|sourcecode|code|gist|tweet|twitter|instagram|slideshare|"
    "contact-form(?:-7)?|contact-field|googlemaps|soundcloud|wpvideo|polldaddy|poll|ngg\\w*|nggallery|wp_ad_camp_\\d"
)
_BRACKET = re.compile(rf"\[(?<![\[!\\]\[)({_WORDPRESS})\b([^\]\n\[]{{0,1000}})\](?![(\[:])", re.IGNORECASE)
_WITH_INSIDE = {"caption", "embed", "video", "audio", "contact-form", "youtube", "gist", "playlist", "googlemaps"}
_PICTURE = re.compile(r"<[^<>]{0,2000}>|!\[[^\]\n]{0,500}\]\([^)\n]{0,2000}\)")
_SHOWN = re.compile(r"\{\{(<|%)/\*\s*(.*?)\s*\*/(>|%)\}\}")  # how Hugo shows a shortcode instead of running it
_RAW = re.compile(r"\{%-?\s*raw\s*-?%\}\n?"), re.compile(r"\{%-?\s*endraw\s*-?%\}\n?")


def without_shortcodes(text: str, cuts: Cuts) -> str:
    """`text` without shortcodes; code that holds some stays."""
    if "{%" in text or "{{" in text or "{#" in text:
        text = _without_braces(text, cuts)
    return _without_brackets(text, cuts) if "[" in text and _BRACKET.search(text) else text


def _without_braces(text: str, cuts: Cuts) -> str:
    edits, verbatim = Edits(text, cuts), parse(text).verbatim()
    for start, end in verbatim.spans:
        if "endraw" in text[start:end] or "/*" in text[start:end]:
            shown = replaced(text[start:end], *_RAW, lambda begin, inside: inside)
            edits.put(start, end, _SHOWN.sub(r"{{\1 \2 \3}}", shown))
    at, unclosed, next_close = 0, set[str](), dict.fromkeys(_CLOSING, -2)
    while begin := _OPENING.search(text, at):
        at = begin.end()
        if verbatim.hold(begin.start()) or text[begin.start() - 1 : begin.start()] == "\\":
            continue
        close = next_close[begin.group()]
        if close != -1 and close < at:  # found once for all the openings before it
            close = next_close[begin.group()] = text.find(_CLOSING[begin.group()], at)
        ends = "\n#" if begin.group() == "{#" else "\n\n"  # a comment may have paragraphs, a tag has none
        if not 0 <= close < at + _FAR or ends in text[at:close]:
            continue
        end = close + len(_CLOSING[begin.group()])
        if text[begin.start() - 1 : begin.start()] == "=" and _in_tag(text, begin.start()):
            edits.put(begin.start(), end, '""', "components")  # style={{ color: 'red' }}
            at = end
            continue
        at = _tag(edits, begin, close, end, unclosed)
    return edits.text_now()


def _tag(edits: Edits, begin: re.Match[str], close: int, end: int, unclosed: set[str]) -> int:
    """One tag and, where it wraps what is no prose, all up to its closing; → where to go on."""
    text, start = edits.text, begin.start()
    if begin.group() == "{#":
        if re.match(r"\{#[\w-]+\}?$", text[start:close]):  # {#id} of a heading
            return begin.end()
        edits.cut(start, end, "comments")
        return end
    inside = text[begin.end() : close].strip()
    if shown := _SHOWN.match(text, start):
        edits.put(start, end, f"`{{{{{shown[1]} {shown[2]} {shown[3]}}}}}`")
        return end
    named = _NAME.match(inside)
    assert named is not None  # every part may be empty
    name = named[3].lower()
    if named[1] or named[2] or name not in _CODE | _UNREAD or begin.group() == "{{" or inside.endswith("/"):
        edits.put(start, end, _said_below(inside), "shortcodes")
        return end
    closing = None if name in unclosed else _closing(begin.group(), name).search(text, end)
    if closing is None:
        unclosed.add(name)
        edits.cut(start, end, "shortcodes")
        return end
    if name in _UNREAD:
        edits.cut(start, closing.end(), "comments" if name == "comment" else "shortcodes")
    elif name in ("raw", "verbatim"):
        edits.put(start, closing.end(), _unwrapped(text[end : closing.start()]), "shortcodes")
    else:
        arguments = inside[named.end() :].strip()
        before = text[text.rfind("\n", 0, start) + 1 : start]
        code = _fenced(text[end : closing.start()], _language(name, arguments), before)
        edits.put(start, closing.end(), code, "shortcodes")
    return closing.end()


def _in_tag(text: str, at: int) -> bool:
    return "<" in text[max(0, at - 300) : at].rpartition(">")[2]


def _said_below(inside: str) -> str:
    """What the author says in the caption of a picture, as a paragraph."""
    found = _CAPTION.search(inside) if "caption" in inside else None
    caption = (found[1] or found[2] or "").strip() if found else ""
    return f"\n\n{caption}\n\n" if is_prose(caption) else ""


def _closing(kind: str, name: str) -> re.Pattern[str]:
    if kind == "{%":
        return re.compile(rf"\{{%-?\s*end_?{re.escape(name)}\s*-?%\}}|\{{%-?\s*end\s*-?%\}}")
    return re.compile(rf"\{{\{{[<%]\s*/\s*{re.escape(name)}\s*[>%]\}}\}}")


def _language(name: str, arguments: str) -> str:
    if found := _NAMED_LANGUAGE.search(arguments):
        return found[1]
    first = _LANGUAGE.match(arguments)
    after = arguments[first.end() : first.end() + 1] if first else ""
    return first[1] if first and name != "codeblock" and after != "=" else ""


def _unwrapped(inside: str) -> str:
    """What {% raw %} shows: words as they are, and code for what would be a shortcode outside it."""
    if "{{" not in inside and "{%" not in inside:
        return inside
    if "\n" not in inside.strip():
        ticks = "``" if "`" in inside else "`"
        return f"{ticks}{inside.strip()}{ticks}"
    verbatim = parse(inside).verbatim()
    if all(verbatim.hold(match.start()) for match in _OPENING.finditer(inside)):
        return inside
    return _fenced(inside, "", "")


def _fenced(code: str, language: str, before: str) -> str:
    """`code` as a fenced block; `before` is what stands before it on its line: blanks of a list item, or words."""
    code = code.strip("\n").rstrip()
    if before.strip() and "\n" not in code and not before.strip("> \t-*+0123456789.)"):
        before = ""
    if before.strip() and "\n" not in code:
        return f"`{code.strip()}`"
    fence = "```"
    while fence in code:
        fence += "`"
    indent = before if not before.strip() else ""
    lead = "\n\n" if before.strip() else ""
    return f"{lead}{fence}{language}\n{code}\n{indent}{fence}"


def _without_brackets(text: str, cuts: Cuts) -> str:
    edits, verbatim, unclosed = Edits(text, cuts), parse(text).verbatim(), set[str]()
    at = 0
    while begin := _BRACKET.search(text, at):
        at = begin.end()
        if not verbatim.hold(begin.start()):
            at = _bracket(edits, begin, unclosed)
    for match in _closings(text):
        if not verbatim.hold(match.start()):
            edits.cut(match.start(), match.end(), "shortcodes")
    return edits.text_now()


def _closings(text: str) -> Iterator[re.Match[str]]:
    return re.finditer(rf"\[/(?:{_WORDPRESS})\]", text, re.IGNORECASE)


def _bracket(edits: Edits, begin: re.Match[str], unclosed: set[str]) -> int:
    text, name = edits.text, begin[1].lower()
    closing = None
    if name not in unclosed and (name in _WITH_INSIDE or name in _CODE):
        closing = re.compile(rf"\[/{re.escape(name)}\]", re.IGNORECASE).search(text, begin.end())
        unclosed |= {name} if closing is None else set()
    if closing and name in _CODE:
        before = text[text.rfind("\n", 0, begin.start()) + 1 : begin.start()]
        code = text[begin.end() : closing.start()]
        edits.put(begin.start(), closing.end(), _fenced(code, _language(name, begin[2].strip()), before), "shortcodes")
        return closing.end()
    if closing:
        caption = _PICTURE.sub("", text[begin.end() : closing.start()]).strip() if name == "caption" else ""
        said = f"\n\n{caption}\n\n" if is_prose(caption) else ""
        edits.put(begin.start(), closing.end(), said, "images" if name == "caption" else "embeds")
        return closing.end()
    line = text[text.rfind("\n", 0, begin.start()) + 1 : (text.find("\n", begin.end()) + 1 or len(text) + 1) - 1]
    if "=" in begin[2] or line.strip() == begin.group():  # in a sentence [code] is a label or a word in brackets
        edits.cut(begin.start(), begin.end(), "table of contents" if name == "toc" else "shortcodes")
    return begin.end()
