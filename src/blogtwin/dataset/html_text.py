"""The HTML that authors write inside Markdown → Markdown. In: Markdown whose code is sheltered. Out: the same without tags.

Only known element names count as tags, so that `Option<T>`, `Vec<u8>` and <your-name> stay what they are.
"""

from __future__ import annotations

import html
import re

# Elements whose content is no prose of the author's.
_DROPPED = re.compile(
    r"<(script|style|iframe|svg|video|audio|object|canvas|form|button|noscript|template|map|select|picture)\b[^>]*>.*?</\1\s*>",
    re.DOTALL | re.IGNORECASE,
)
_FIGURE = re.compile(
    r"<figure\b[^>]*>(?:(?!</figure>).)*?<(?:img|a\b[^>]*>\s*<img)(?:(?!</figure>).)*</figure\s*>",
    re.DOTALL | re.IGNORECASE,
)
_COMMENT = re.compile(r"<!--.*?-->|<!(?:DOCTYPE|doctype)[^>]*>|<\?xml.*?\?>", re.DOTALL)
_QUOTE = re.compile(r"<blockquote\b[^>]*>(.*?)</blockquote\s*>", re.DOTALL | re.IGNORECASE)
_ANCHOR = re.compile(r"<a\b[^>]*?\shref\s*=\s*[\"']?([^\"'\s>]+)[\"']?[^>]*>(.*?)</a\s*>", re.DOTALL | re.IGNORECASE)
_EMPHASIS = re.compile(r"<(em|i|strong|b)(?:\s[^<>]*)?>(\s*)(\S(?:[^<>]*\S)?)(\s*)</\1\s*>", re.IGNORECASE)
_HEADING = re.compile(r"<h([1-6])\b[^>]*>(.*?)</h\1\s*>", re.DOTALL | re.IGNORECASE)
_INLINE = [
    "a",
    "abbr",
    "acronym",
    "address",
    "b",
    "bdi",
    "bdo",
    "big",
    "center",
    "cite",
    "code",
    "data",
    "del",
    "dfn",
    "em",
    "embed",
    "font",
    "i",
    "img",
    "input",
    "ins",
    "kbd",
    "label",
    "mark",
    "meta",
    "link",
    "nobr",
    "param",
    "q",
    "rp",
    "rt",
    "ruby",
    "s",
    "samp",
    "small",
    "source",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "time",
    "track",
    "tt",
    "u",
    "var",
    "wbr",
]
_BLOCK = [
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "col",
    "colgroup",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "head",
    "header",
    "hr",
    "html",
    "legend",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "picture",
    "pre",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "ul",
    "br",
]
_TAG = re.compile(
    rf"(?P<before>\w?)<(?P<close>/?)(?P<name>{'|'.join(_INLINE + _BLOCK)})(?P<rest>\s[^<>]*|\s*/?)>", re.IGNORECASE
)
_AS = {"br": "\n", "hr": "\n\n---\n\n", "li": "\n- ", "td": " ", "th": " ", "tr": "\n", "dt": "\n\n"}


def without_html(text: str) -> str:
    """Markdown for emphasis, links, headings, lists and quotations; every other tag goes, and its text stays."""
    text = _DROPPED.sub("", _FIGURE.sub("", _COMMENT.sub("", text)))
    if "<" in text:
        text = _HEADING.sub(
            lambda match: f"\n\n{'#' * int(match.group(1))} {' '.join(match.group(2).split())}\n\n", text
        )
        text = _EMPHASIS.sub(_emphasised, text)
        text = _ANCHOR.sub(
            lambda match: f"[{match.group(2).strip()}]({match.group(1)})" if match.group(2).strip() else "", text
        )
        text = _QUOTE.sub(_quoted, text)
        text = _TAG.sub(lambda match: _untagged(match, text), text)
    return html.unescape(text) if "&" in text else text


def _emphasised(match: re.Match[str]) -> str:
    mark = "*" if match.group(1).lower() in ("em", "i") else "**"
    return f"{match.group(2)}{mark}{match.group(3)}{mark}{match.group(4)}"


def _quoted(match: re.Match[str]) -> str:
    lines = without_html(match.group(1)).strip().split("\n")
    return "\n\n" + "\n".join(f"> {line.strip()}".rstrip() for line in lines) + "\n\n"


def _untagged(match: re.Match[str], text: str) -> str:
    name, before = match["name"].lower(), match["before"]
    # Vec<i> and Set<p> are types: an element that begins inside a word and is never closed is none.
    if (
        before
        and not match["close"]
        and not match["rest"].strip()
        and len(name) == 1
        and f"</{name}" not in text.lower()
    ):
        return match.group()
    if name in _INLINE:
        return before
    if match["close"]:
        return before + ("" if name in ("li", "td", "th", "tr") else "\n\n")
    return before + _AS.get(name, "\n\n")
