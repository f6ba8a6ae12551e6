"""Feeds saved as files. In: RSS, Atom or JSON Feed. Out: the posts in it, whole where the feed holds them whole.

A feed often holds only the beginning of each post; where it says so by giving a summary alone, the Document has a remark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from blogtwin.sources.base import Document
from blogtwin.sources.exports import xml_stream
from blogtwin.sources.exports.entries import Entry, Names, reader
from blogtwin.sources.exports.ghost import json_of, listed, said
from blogtwin.sources.exports.xml_stream import Element, local, text

_ROOT = re.compile(rb"<(?:\w+:)?(?:rss|feed|RDF)\b")
_CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
_SUMMARY = "the feed holds only a summary of this post"


class FeedExport:
    """RSS and Atom."""

    name = "RSS or Atom"

    def recognises(self, path: Path) -> bool:
        start = xml_stream.head(path)
        return (
            start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
            and _ROOT.search(start.replace(b"\0", b"")) is not None
        )

    def read(self, path: Path) -> Iterator[tuple[str, Callable[[], Document]]]:
        names = Names()
        for found in xml_stream.elements(path, ("item", "entry")):
            atom = local(found) == "entry"
            entry = entry_of_atom(found) if atom else _entry_of_rss(found)
            links = [
                child.get("href", "")
                for child in found
                if local(child) == "link" and child.get("rel", "alternate") == "alternate"
            ]
            address = next(iter(links), "") if atom else text(found, "link")
            key = text(found, "id") or text(found, "guid") or address
            name = names.name(slug_of(address), entry.title, slug_of(key))
            yield name, reader(path, name, entry)


class JsonFeedExport:
    """JSON Feed."""

    name = "JSON Feed"

    def recognises(self, path: Path) -> bool:
        return b"jsonfeed.org/version" in xml_stream.head(path) and xml_stream.head(path).lstrip()[:1] == b"{"

    def read(self, path: Path) -> Iterator[tuple[str, Callable[[], Document]]]:
        feed = json_of(path)
        names = Names()
        for item in listed(feed, "items"):
            content = said(item, "content_html")
            entry = Entry(
                html=content or said(item, "content_text") or said(item, "summary"),
                markdown=not content,
                title=said(item, "title"),
                date=said(item, "date_published"),
                author=", ".join(said(author, "name") for author in listed(item, "authors") or listed(feed, "authors")),
                tags=tuple(tag for tag in item.get("tags") or () if isinstance(tag, str))
                if isinstance(item.get("tags"), list)
                else (),
                language=said(item, "language") or said(feed, "language"),
                remarks=() if content or said(item, "content_text") else (_SUMMARY,),
            )
            name = names.name(slug_of(said(item, "url")), entry.title, slug_of(said(item, "id")))
            yield name, reader(path, name, entry)


def slug_of(address: str) -> str:
    """The last part of an address, which names the post: …/2020/01/my-day.html → my-day."""
    place, _, query = address.strip().partition("#")[0].partition("?")
    parts = PurePosixPath(place).parts
    slug = re.sub(r"\.(?:html?|php|aspx)$", "", parts[-1]) if len(parts) > 1 else place
    named_by_query = slug == "index" or (len(parts) == 2 and ":" in parts[0])  # https://blog.example/?p=12
    return f"{slug}-{query}" if query and named_by_query else slug


def entry_of_atom(found: Element, draft: bool = False) -> Entry:
    """One <entry>; its categories are its tags, save those by which Google marks kinds."""
    content = next((child for child in found if local(child) == "content" and (child.text or len(child))), None)
    summary = content if content is not None else next((child for child in found if local(child) == "summary"), None)
    author = next((child for child in found if local(child) == "author"), None)
    tags = [
        child.get("label") or child.get("term") or ""
        for child in found
        if local(child) == "category" and "schemas.google.com" not in child.get("scheme", "")
    ]
    return Entry(
        html=_inside(summary) if summary is not None else "",
        title=text(found, "title"),
        date=text(found, "published") or text(found, "issued") or text(found, "created") or text(found, "updated"),
        author=text(author, "name") if author is not None else "",
        tags=tuple(tags),
        language=found.get("{http://www.w3.org/XML/1998/namespace}lang", ""),
        draft=draft,
        remarks=() if content is not None else (_SUMMARY,),
    )


def _entry_of_rss(found: Element) -> Entry:
    whole = found.find(_CONTENT)
    content = "".join(whole.itertext()) if whole is not None else ""
    return Entry(
        html=content or text(found, "description"),
        title=text(found, "title"),
        date=text(found, "pubDate") or text(found, "date"),
        author=text(found, "creator") or re.sub(r"^\S+@\S+\s*\((.*)\)$", r"\1", text(found, "author")),
        tags=tuple(child.text or "" for child in found if local(child) == "category"),
        remarks=() if content or len(text(found, "description")) > 2000 else (_SUMMARY,),
    )


def _inside(content: Element) -> str:
    """The HTML of an Atom text: escaped, as elements, or plain."""
    import html

    from lxml import etree  # type: ignore[import-untyped]

    kind = content.get("type", "text")
    if kind == "xhtml" or len(content):
        whole = etree.tostring(content, encoding="unicode", with_tail=False)
        # The prefixes of a namespace mean nothing to an HTML parser.
        return re.sub(r"<(/?)(?:\w+:)(\w)", r"<\1\2", whole)
    return html.escape(content.text or "") if kind in ("text", "text/plain") else content.text or ""
