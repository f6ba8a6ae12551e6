"""Posts in HTML: a fragment below Jekyll's front matter, or a whole page. In: .html and .htm files. Out: Markdown.

Of a page, the article alone is read. Liquid stays for the cleaner; the code of its {% highlight %} blocks is fenced, because what
an HTML parser takes for a tag in it would be lost.
"""

from __future__ import annotations

import codecs
import html
import re
from dataclasses import replace
from pathlib import Path

from blogtwin.markup.html import to_markdown
from blogtwin.markup.html_parse import is_page
from blogtwin.markup.pairs import replaced
from blogtwin.sources import encoding, front_matter
from blogtwin.sources.base import MAX_TEXT_BYTES, Document, file_bytes, unreadable, without_controls
from blogtwin.sources.compose import composed

_CHARSET = re.compile(rb"<meta\b[^<>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{2,30})", re.IGNORECASE)
_HIGHLIGHT = re.compile(r"\{%-?\s*highlight\s+([\w+#.-]*)[^%{}]*%\}"), re.compile(r"\{%-?\s*endhighlight\s*-?%\}")
_LIQUID = (
    (re.compile(r"\{%"), re.compile(r"%\}")),
    (re.compile(r"\{\{"), re.compile(r"\}\}")),
)
# Private characters that no text has, around the number of a piece of Liquid; an HTML parser leaves them alone.
_MARK = re.compile("\ue0f0(\\d{1,9})\ue0f1")


class HtmlSource:
    """Web pages, and what site generators make them of."""

    def read(self, path: Path) -> Document:
        text, remarks = _text(path)
        front = front_matter.split(text)
        remarks = (*remarks, *front.remarks)
        if not is_page(front.body):
            return composed("html", _with_liquid(front.body), front.values, remarks)
        from blogtwin.markup.html_page import article_of

        article = article_of(front.body)
        if article.left_out:
            remarks = (*remarks, f"{article.left_out} words of the page stand around its article and were left out")
        if article.others > 2:
            remarks = (*remarks, f"the page holds {article.others + 1} articles; the longest was read")
        found = composed("html", article.markdown, {**article.values, **front.values}, remarks)
        from_page = found.created_from == "front matter" and "date" not in front.values
        return replace(found, created_from="document") if from_page else found


def _text(path: Path) -> tuple[str, tuple[str, ...]]:
    """The text of a page; the character set that it names is believed when its bytes are not UTF-8."""
    data = file_bytes(path, MAX_TEXT_BYTES)
    said = _CHARSET.search(data, 0, 8192)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        if said and (text := _decoded(data, said.group(1).decode())) is not None:
            return without_controls(text), ()
    try:
        text, guessed = encoding.decode(data)
    except encoding.NotText as fault:
        raise unreadable(path, str(fault)) from fault
    return without_controls(text), (guessed,) if guessed else ()


def _decoded(data: bytes, charset: str) -> str | None:
    """`data` as its page says, or None where that cannot be. Browsers read Latin-1 as Windows-1252."""
    name = {
        "iso-8859-1": "cp1252",
        "latin1": "cp1252",
        "ascii": "cp1252",
        "us-ascii": "cp1252",
        "shift_jis": "cp932",
    }.get(charset.lower(), charset)
    try:
        codecs.lookup(name)
        return data.decode(name)
    except (LookupError, UnicodeError):  # unknown, no text encoding, or a lie
        return None


def _with_liquid(body: str) -> str:
    """The Markdown of a fragment that a site generator has still to fill in."""
    if "{%" not in body and "{{" not in body:
        return to_markdown(body)
    kept: list[str] = []

    def keep(begin: re.Match[str], inside: str, closing: str) -> str:
        kept.append(begin.group() + inside + closing)
        return f"\ue0f0{len(kept) - 1}\ue0f1"

    body = replaced(body.replace("\ue0f0", ""), *_HIGHLIGHT, lambda begin, code: _preformatted(begin.group(1), code))
    for (opening, end), closing in zip(_LIQUID, ("%}", "}}"), strict=True):
        body = replaced(body, opening, end, lambda begin, inside, closing=closing: keep(begin, inside, closing))  # type: ignore[misc]
    text = to_markdown(body)
    while _MARK.search(text):  # a tag may hold another
        text = _MARK.sub(lambda match: kept[int(match.group(1))] if int(match.group(1)) < len(kept) else "", text)
    return text


def _preformatted(language: str, code: str) -> str:
    # Braces as references, so that what looks like Liquid in code is not kept apart.
    escaped = html.escape(code, quote=False).replace("{", "&#123;").replace("}", "&#125;")
    return f'<pre><code class="language-{language}">{escaped}</code></pre>'
