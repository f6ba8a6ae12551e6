"""Medium exports. In: the zip of Settings → Download your information. Out: its stories.

Medium stores a response to somebody else's story just as a story. It has no title of its own, though: Medium makes one of its
first words. So what begins with its title, and has no heading that says it, is marked as a draft, with a remark that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from blogtwin.markup.html_parse import Node, parsed, text_of
from blogtwin.sources import archive
from blogtwin.sources.base import MAX_TEXT_BYTES, Document
from blogtwin.sources.exports import xml_stream
from blogtwin.sources.exports.entries import Entry, Names, reader
from blogtwin.sources.exports.substack import MAX_BYTES, zip_names

_RESPONSE = "seems to be a response to somebody else's story: its title is its first words"


class MediumExport:
    """Medium."""

    name = "Medium (zip)"

    def recognises(self, path: Path) -> bool:
        if xml_stream.head(path, 4) != b"PK\x03\x04":
            return False
        names = zip_names(path)
        return any(_is_story(name) for name in names) and not any(name.endswith("posts.csv") for name in names)

    def read(self, path: Path) -> Iterator[tuple[str, Callable[[], Document]]]:
        with archive.opened(path, "a Medium export", "export it again", MAX_BYTES) as package:
            names = Names()
            for member in sorted(filter(_is_story, package.namelist())):
                page = archive.read(path, package, member, MAX_TEXT_BYTES).decode("utf-8", "replace")
                stem = member.rpartition("/")[2].removesuffix(".html")
                name = names.name(stem, "", "")
                yield name, reader(path, name, _entry(page, stem.startswith("draft_")))


def _is_story(name: str) -> bool:
    folders, _, file = name.rpartition("/")
    return folders.split("/")[-1] == "posts" and file.endswith(".html") and folders.count("/") <= 1


def _entry(page: str, draft: bool) -> Entry:
    tree = parsed(page)
    body = tree.css_first("[data-field=body]") or tree.css_first(".e-content") or tree.body
    title = _words(tree.css_first(".p-name") or tree.css_first("title"))
    time = tree.css_first("time.dt-published") or tree.css_first("time[datetime]")
    heading = body.css_first("h1, h2, h3, h4") if body is not None else None
    start = _words(body)[:200] if body is not None else ""
    own = heading is not None and _words(heading).startswith(title.rstrip("…"))
    response = bool(title) and not own and start.startswith(title.rstrip("…")) and not draft
    if heading is not None and own:
        heading.remove()  # it repeats the title, at whatever level Medium gave it
    return Entry(
        html=(body.inner_html or "") if body is not None else "",
        title=title,
        date=(time.attributes.get("datetime") or "") if time is not None else "",
        author=_words(tree.css_first(".p-author")),
        draft=draft or response,
        remarks=(_RESPONSE,) if response else (),
    )


def _words(node: Node) -> str:
    return " ".join(text_of(node).split()) if node is not None else ""
