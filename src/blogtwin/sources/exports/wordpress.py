"""WordPress exports (WXR). In: the XML that Tools → Export writes. Out: its posts.

Pages, attachments, revisions, menus and comments are not posts. WordPress stores what was typed, and makes paragraphs of
blank lines when it shows a post: so does this, save where the block editor has written them.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from blogtwin.markup.pairs import element, replaced
from blogtwin.sources.base import Document
from blogtwin.sources.exports import xml_stream
from blogtwin.sources.exports.entries import Entry, Names, reader
from blogtwin.sources.exports.xml_stream import Element, local, text

_CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
_NO_POSTS = ("trash", "auto-draft", "inherit")
_CODE = (
    re.compile(
        r"\[(?:code|sourcecode|source|cc)(?:\s+(?:lang(?:uage)?=)?[\"']?([\w+#.-]*)[^\[\]]{0,200})?\]", re.IGNORECASE
    ),
    re.compile(r"\[/(?:code|sourcecode|source|cc)\]", re.IGNORECASE),
)
_VERSE = re.compile(r"<pre class=\"wp-block-verse[^<>]{0,300}>"), re.compile(r"</pre>")
_MARK = re.compile("\ue0f0(\\d{1,9})\ue0f1")
_BREAK = re.compile(r"<[^<>]*>|\n")


class WordPressExport:
    """WordPress, hosted or not."""

    name = "WordPress (WXR)"

    def recognises(self, path: Path) -> bool:
        return b"wordpress.org/export/" in xml_stream.head(path)

    def read(self, path: Path) -> Iterator[tuple[str, Callable[[], Document]]]:
        authors: dict[str, str] = {}
        names = Names()
        for found in xml_stream.elements(path, ("author", "item")):
            if local(found) == "author":
                authors[text(found, "author_login")] = text(found, "author_display_name")
            elif text(found, "post_type") == "post" and text(found, "status") not in _NO_POSTS:
                entry = _entry(found, authors)
                name = names.name(text(found, "post_name"), entry.title, text(found, "post_id"))
                yield name, reader(path, name, entry)


def _entry(item: Element, authors: dict[str, str]) -> Entry:
    login = text(item, "creator")
    dates = [text(item, name) for name in ("post_date_gmt", "post_date", "pubDate")]
    tags = [
        child.text or ""
        for child in item
        if local(child) == "category"
        and child.get("domain") in ("category", "post_tag")
        and child.get("nicename") != "uncategorized"
    ]
    content = item.find(_CONTENT)
    protected = bool(text(item, "post_password").strip())
    return Entry(
        html=typed("".join(content.itertext()) if content is not None else "") + _footnotes(item),
        title=text(item, "title"),
        date=next((date for date in dates if date.strip() and not date.startswith("0000")), ""),
        author=authors.get(login) or login,
        tags=tuple(tags),
        draft=text(item, "status") != "publish",
        remarks=("has a password on the blog",) if protected else (),
    )


def _footnotes(item: Element) -> str:
    """The notes that the block editor keeps beside a post, as the blog shows them."""
    for meta in item:
        if local(meta) != "postmeta" or text(meta, "meta_key") != "footnotes":
            continue
        try:
            notes = json.loads(text(meta, "meta_value"))
            items = [_note(html.escape(note["id"]), note["content"]) for note in notes]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return ""
        return f'<ol class="wp-block-footnotes">{"".join(items)}</ol>'
    return ""


def _note(label: str, said: str) -> str:
    return f'<li id="{label}">{said} <a href="#{label}-link">↩︎</a></li>'


def typed(content: str) -> str:
    """The HTML of what an author typed into WordPress: code as code, blank lines as the ends of paragraphs."""
    kept: list[str] = []

    def keep(piece: str) -> str:
        kept.append(piece)
        return f"\ue0f0{len(kept) - 1}\ue0f1"

    content = content.replace("\r\n", "\n").replace("\ue0f0", "").replace("$latex ", "$")
    content = replaced(content, *_CODE, lambda begin, code: keep(_preformatted(begin.group(1) or "", code)))
    content = replaced(content, *_VERSE, lambda begin, verse: f"<p>{verse.strip().replace(chr(10), '<br>')}</p>")
    if "<!-- wp:" not in content:
        for name in ("pre", "script", "style"):
            content = replaced(content, *element(name), partial(_whole, name, keep))
        # A second <br> in a row ends a paragraph, as it does for a reader.
        content = _BREAK.sub(lambda match: "<br>" if match.group() == "\n" else match.group(), content)
    while _MARK.search(content):
        content = _MARK.sub(lambda match: kept[int(match.group(1))] if int(match.group(1)) < len(kept) else "", content)
    return content


def _whole(name: str, keep: Callable[[str], str], begin: re.Match[str], inside: str) -> str:
    return keep(f"{begin.group()}{inside}</{name}>")


def _preformatted(language: str, code: str) -> str:
    # The editor stores `<` in code as it is or as a reference, whichever was at work.
    return f'<pre><code class="language-{language}">{html.escape(html.unescape(code), quote=False)}</code></pre>'
