"""A post in Markdown → a tree of its elements, and that tree as one HTML file.

In: what a model wrote, which nobody has read yet. Out: elements of a known few kinds. HTML in the text is shown, not run; a
link leads to a web or mail address or nowhere; an image is its description, because a model invents addresses and opening
the file must not ask them for anything.
"""

from __future__ import annotations

import contextlib
import re
from html import escape
from html.parser import HTMLParser
from xml.etree.ElementTree import Element, TreeBuilder

from blogtwin.writing.lists import regular_lists

_BLOCKS = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "hr", "div"}
_TABLE = {"table", "thead", "tbody", "tr", "th", "td"}
_INLINE = {"strong", "em", "code", "a", "br", "sup"}
_KEPT = _BLOCKS | _TABLE | _INLINE
_VOID = {"br", "hr"}
_ATTRIBUTES = {"href", "id", "class", "start"}
_DEEPEST = 100  # elements within each other
_MOST_OPEN = 200  # links of a paragraph
_SAFE_ADDRESS = re.compile(r"(?:https?://|mailto:|#)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")  # XML has no place for them

_PAGE = """<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ max-width: 40rem; margin: 2rem auto; padding: 0 1rem; font: 1.1rem/1.6 Georgia, serif; }}
pre, code {{ font-family: ui-monospace, Consolas, monospace; font-size: 0.9em; }}
pre {{ overflow-x: auto; padding: 1rem; background: #f4f4f4; }}
blockquote {{ margin-left: 0; padding-left: 1rem; border-left: 3px solid #bbb; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: 0.3rem 0.6rem; border: 1px solid #bbb; text-align: left; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def parse(text: str) -> Element:
    """The elements of Markdown `text` (tables, fenced code and footnotes included) under one root."""
    import markdown

    reader = markdown.Markdown(extensions=["tables", "fenced_code", "footnotes", "sane_lists"], output_format="html")
    reader.preprocessors.deregister("html_block")
    reader.inlinePatterns.deregister("html")
    readable = _CONTROL.sub("", text)
    if not _tangled(readable):
        with contextlib.suppress(RecursionError):
            tree = _Tree()
            tree.feed(reader.convert(regular_lists(readable)))
            if tree.deepest < _DEEPEST:
                return tree.done()
    tree = _Tree()  # no post, but what the model said can still be read
    tree.feed("".join(f"<p>{escape(part)}</p>" for part in re.split(r"\n\s*\n", readable)))
    return tree.done()


def html(text: str, title: str = "") -> str:
    """The post as a whole HTML file that needs nothing else. title: for a post without a heading of its own."""
    root = parse(text)
    body = "".join(_rendered(child) for child in root).strip()
    return _PAGE.format(title=escape(heading(root) or title), body=body)


def heading(root: Element) -> str:
    """The text of the first heading, or ""."""
    first = next((one for one in root.iter() if re.fullmatch("h[1-6]", one.tag)), None)
    return "" if first is None else " ".join("".join(first.itertext()).split())


def _tangled(text: str) -> bool:
    """Whether hundreds of links are begun and never ended: for each, the reader looks through all that follows."""
    return any(
        part.count("[") - part.count("]") > _MOST_OPEN or part.count("](") - part.count(")") > _MOST_OPEN
        for part in re.split(r"\n\s*\n", text)
    )


class _Tree(HTMLParser):
    """HTML → elements: tags that are not known are left out, their text is kept."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._builder = TreeBuilder()
        self._builder.start("post", {})
        self._open: list[str] = []
        self.deepest = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "img":
            self._builder.data(given.get("alt", ""))
        elif tag in _KEPT and (tag != "a" or _SAFE_ADDRESS.match(given.get("href", ""))):
            self._builder.start(tag, {name: value for name, value in given.items() if name in _ATTRIBUTES})
            if tag in _VOID:
                self._builder.end(tag)
            else:
                self._open.append(tag)
                self.deepest = max(self.deepest, len(self._open))

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while True:
                closed = self._open.pop()
                self._builder.end(closed)
                if closed == tag:
                    break

    def handle_data(self, data: str) -> None:
        self._builder.data(data)

    def done(self) -> Element:
        self.close()
        for tag in reversed(self._open):
            self._builder.end(tag)
        self._builder.end("post")
        return self._builder.close()


def _rendered(element: Element) -> str:
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in element.items())
    tail = escape(element.tail or "", quote=False)
    if element.tag in _VOID:
        return f"<{element.tag}{attributes}>{tail}"
    inner = escape(element.text or "", quote=False) + "".join(_rendered(child) for child in element)
    return f"<{element.tag}{attributes}>{inner}</{element.tag}>{tail}"
