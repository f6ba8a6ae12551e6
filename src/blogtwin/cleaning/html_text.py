"""The HTML that authors write inside Markdown → Markdown. In: Markdown whose code is sheltered. Out: the same without tags.

Only known element names count as tags, so that `Option<T>`, `Vec<u8>` and <your-name> stay what they are.
"""

from __future__ import annotations

import html
import re
from functools import partial

from blogtwin.markup.pairs import element, replaced, without

# Elements whose content is no prose of the author's.
_NO_PROSE = "script|style|iframe|svg|video|audio|object|canvas|form|button|noscript|template|map|select|picture"
_DROPPED = tuple(element(name) for name in _NO_PROSE.split("|"))
_FIGURE, _QUOTE, _ANCHOR = element("figure"), element("blockquote"), element("a")
_HEADINGS = tuple(("#" * level, *element(f"h{level}")) for level in range(1, 7))
_COMMENT = re.compile("<!--"), re.compile("-->")
_DECLARATION = re.compile(r"<!doctype[^<>]{0,500}>|<\?xml[^<>]{0,500}>", re.IGNORECASE)
_ADDRESS = re.compile(r"\shref\s*=\s*[\"']?([^\"'\s>]+)", re.IGNORECASE)
_EMPHASIS = re.compile(r"<(em|i|strong|b)(?:\s[^<>]{0,200})?>(\s*)(\S(?:[^<>]{0,500}\S)?)(\s*)</\1\s*>", re.IGNORECASE)
_INLINE = (
    "a|abbr|acronym|address|b|bdi|bdo|big|center|cite|code|data|del|dfn|em|embed|font|i|img|input|ins|kbd|label|link|mark|meta|"
    "nobr|param|q|rp|rt|ruby|s|samp|small|source|span|strike|strong|sub|sup|time|track|tt|u|var|wbr"
)
_BLOCK = (
    "article|aside|blockquote|body|br|caption|col|colgroup|dd|details|div|dl|dt|fieldset|figcaption|figure|footer|h[1-6]|head|"
    "header|hr|html|legend|li|main|nav|ol|p|picture|pre|section|summary|table|tbody|td|tfoot|th|thead|title|tr|ul"
)
_INLINE_NAMES = frozenset(_INLINE.split("|"))
_TAG = re.compile(rf"<(?P<close>/?)(?P<name>{_INLINE}|{_BLOCK})(?P<rest>\s[^<>]{{0,2000}}|\s*/?)>", re.IGNORECASE)
_AS = {"br": "\n", "hr": "\n\n---\n\n", "li": "\n- ", "td": " ", "th": " ", "tr": "\n", "dt": "\n\n"}


def without_html(text: str) -> str:
    """Markdown for emphasis, links, headings, lists and quotations; every other tag goes, and its text stays."""
    if "<" in text:
        text = _DECLARATION.sub("", without(text, *_COMMENT))
        text = replaced(text, *_FIGURE, _figure)
        for opening, closing in _DROPPED:
            text = without(text, opening, closing)
        for mark, opening, closing in _HEADINGS:
            text = replaced(text, opening, closing, partial(_headed, mark))
        text = _EMPHASIS.sub(_emphasised, text)
        text = replaced(text, *_ANCHOR, _linked)
        text = replaced(text, *_QUOTE, _quoted)
        closed = frozenset(name.lower() for name in re.findall(r"</([a-zA-Z])\b", text))
        text = _TAG.sub(lambda match: _untagged(match, closed), text)
    return html.unescape(text) if "&" in text else text


def _headed(mark: str, opening: re.Match[str], inside: str) -> str:
    return f"\n\n{mark} {' '.join(inside.split())}\n\n"


def _figure(opening: re.Match[str], inside: str) -> str:
    """A picture with its caption goes; a figure around code or a table is only unwrapped."""
    return "" if "<img" in inside.lower() else f"\n\n{inside}\n\n"


def _linked(opening: re.Match[str], inside: str) -> str:
    address, words = _ADDRESS.search(opening.group()), inside.strip()
    return f"[{words}]({address.group(1)})" if address and words else words


def _emphasised(match: re.Match[str]) -> str:
    mark = "*" if match.group(1).lower() in ("em", "i") else "**"
    return f"{match.group(2)}{mark}{match.group(3)}{mark}{match.group(4)}"


def _quoted(opening: re.Match[str], inside: str) -> str:
    lines = without_html(inside).strip().split("\n")
    return "\n\n" + "\n".join(f"> {line.strip()}".rstrip() for line in lines) + "\n\n"


def _untagged(match: re.Match[str], closed: frozenset[str]) -> str:
    name, before = match["name"].lower(), match.string[max(0, match.start() - 1) : match.start()]
    # Vec<i> and Set<p> are types: an element that begins inside a word and is never closed is none.
    if before.isalnum() and not match["close"] and not match["rest"].strip() and len(name) == 1 and name not in closed:
        return match.group()
    if name in _INLINE_NAMES:
        return ""
    if match["close"]:
        return "" if name in ("li", "td", "th", "tr") else "\n\n"
    return _AS.get(name, "\n\n")
