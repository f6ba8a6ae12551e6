"""XML that may be hostile, one element at a time.

In: the path of an XML file of any size. Out: its elements of certain names, each forgotten when the next is asked for, or
UnreadableFile. A document type declaration is refused before a parser sees it: without one no entity can grow, and nothing
outside can be asked for. Blog hosts write none. The parser's own bounds (10 MB a text, 256 levels) stay in force.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from blogtwin.sources.base import file_bytes, one_line, unreadable

Element = Any  # lxml.etree._Element

HEAD_BYTES = 65_536
_MAX_PROLOG = 2**20
_CHUNK = 2**18
_CONTROLS = bytes(code for code in range(0x20) if code not in (0x09, 0x0A, 0x0D))  # XML has none; WordPress exports do
_PROLOG = re.compile(rb"\s*(?:<\?(?:(?!\?>).)*\?>|<!--(?:(?!-->).)*-->)", re.DOTALL)


def head(path: Path, length: int = HEAD_BYTES) -> bytes:
    """The first bytes of a file. Raises UnreadableFile."""
    if not path.is_file():
        file_bytes(path, 0)  # says why: a dangling link, a pipe
    try:
        with path.open("rb") as file:
            return file.read(length)
    except OSError as refusal:
        raise unreadable(path, f"cannot be opened: {(refusal.strerror or str(refusal)).lower()}") from refusal


def check(path: Path) -> None:
    """Raises UnreadableFile for XML with a document type declaration, in any encoding."""
    start = head(path, _MAX_PROLOG).replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    place = 0
    while match := _PROLOG.match(start, place):
        place = match.end()
    rest = start[place:].lstrip()
    if rest[:2] == b"<!":
        raise unreadable(
            path, "declares a document type, by which XML can blow up or ask for other files; no blog host writes one"
        )
    if not re.match(rb"<[A-Za-z_]", rest):
        raise unreadable(path, "is not XML: no element stands at its beginning")


def elements(path: Path, names: Collection[str]) -> Iterator[Element]:
    """The elements with these names (without their namespaces), in order. Constant memory. Raises UnreadableFile."""
    from lxml import etree  # type: ignore[import-untyped]

    check(path)
    parser = etree.XMLPullParser(
        events=("end",), tag=[f"{{*}}{name}" for name in names], resolve_entities=False, no_network=True, load_dtd=False
    )
    try:
        with path.open("rb") as file:
            wide = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
            file.seek(0)
            while chunk := file.read(_CHUNK):
                parser.feed(chunk if wide else chunk.translate(None, _CONTROLS))
                for _, element in parser.read_events():
                    yield element
                    _forget(element)
            parser.close()
    except etree.XMLSyntaxError as fault:
        reason = one_line(fault)[:120]
        raise unreadable(path, f"is damaged XML: {reason}", "export it again") from fault
    except OSError as refusal:
        raise unreadable(path, f"cannot be read: {(refusal.strerror or str(refusal)).lower()}") from refusal


def local(element: Element) -> str:
    """The name of an element without its namespace; "" for a comment."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def text(element: Element, name: str) -> str:
    """The text of the first child with this name."""
    return next((("".join(child.itertext())) for child in element if local(child) == name), "")


def _forget(element: Element) -> None:
    """Free an element and what stands before it."""
    element.clear(keep_tail=False)
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]
