"""Footnotes in HTML, whichever generator wrote them.

In: the tree of a page. Out: which links are references to a note, which elements are the notes, which links lead
back. A footnote is known by its two links: one from the text to the note, whose words are a number or a star, and one in the
note back to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from blogtwin.markup.html_parse import Node, classes, name_set, text_of

_MARKER = re.compile(r"^[\[(]?\s*(\w{1,4}|[*†‡§¶#]{1,4})\s*[\])]?$")
_NOTE_NAME = re.compile(r"^#?(?:user-content-)?_?f(?:oot)?n(?:ote)?s?[-_:]?\w|^#?_?ftn\d", re.IGNORECASE)
_INLINE = name_set("a sup sub span b strong em i small font")
_MAX_LINKS = 5000


@dataclass
class Notes:
    """By the identity of nodes: references and notes with their labels, and the links back, which are no text."""

    references: dict[int, str] = field(default_factory=dict)
    notes: dict[int, str] = field(default_factory=dict)
    back: set[int] = field(default_factory=set)
    lists: set[int] = field(default_factory=set)  # what holds the notes; its rule and its heading are no text


class _Link(NamedTuple):
    place: int
    node: Node
    target: str
    names: list[str]


def notes_in(root: Node) -> Notes:
    """The footnotes below `root`."""
    links = _links(root)
    if len(links) < 2 or len(links) > _MAX_LINKS:
        return Notes()
    to: dict[str, list[_Link]] = {}
    for link in links:
        to.setdefault(link.target, []).append(link)
    named = _named(root, set(to))
    found = Notes()
    labels: dict[str, str] = {}
    for link in links:
        body = named.get(link.target)
        marker = _MARKER.match(text_of(link.node).strip()) if len(text_of(link.node)) < 12 else None
        if body is None or marker is None or body[0] <= link.place or link.node.mem_id in found.back:
            continue
        note = _whole(body[1])
        backs = [back for name in link.names for back in to.get(name, ()) if back.place >= body[0]]
        if not backs and not (_NOTE_NAME.match(link.target) and note.tag in ("li", "div", "p", "aside", "dd")):
            continue
        if link.target not in labels:
            said = marker.group(1)
            free = re.fullmatch(r"\w+", said) and said not in labels.values()
            labels[link.target] = said if free else _free(labels)
            found.notes[note.mem_id] = labels[link.target]
            if note.parent is not None:
                found.lists |= {note.parent.mem_id, getattr(note.parent.parent, "mem_id", 0)} - {root.mem_id, 0}
        found.references[link.node.mem_id] = labels[link.target]
        found.back |= {back.node.mem_id for back in backs}
    return found


def _links(root: Node) -> list[_Link]:
    """The links within the page, with the names they can be reached by: their own, and those of what stands close around."""
    found = []
    for place, node in enumerate(root.traverse()):
        if node.tag != "a":
            continue
        href = node.attributes.get("href") or ""
        if "#" not in href or href.endswith("#"):
            continue
        names, around = [], node
        for _ in range(3):
            names += [name for key in ("id", "name") if (name := around.attributes.get(key))]
            around = around.parent
            if around is None or around.tag not in _INLINE:
                break
        inner = node.first_child
        if inner is not None and inner.tag in _INLINE and (name := inner.attributes.get("id")):
            names.append(name)
        found.append(_Link(place, node, href.rpartition("#")[2], names))
    return found


def _named(root: Node, wanted: set[str]) -> dict[str, tuple[int, Node]]:
    """The first element of each wanted name, with its place."""
    found: dict[str, tuple[int, Node]] = {}
    for place, node in enumerate(root.traverse()):
        attributes = node.attributes
        for key in ("id", "name"):
            name = attributes.get(key)
            if name in wanted:
                found.setdefault(name, (place, node))
    return found


def _whole(node: Node) -> Node:
    """The note that a name stands for: itself, or the block that it opens."""
    while node.tag in _INLINE and node.parent is not None and node.parent.tag not in ("body", "article", "main"):
        node = node.parent
    if (
        node.tag == "p"
        and node.parent is not None
        and "footnote" in " ".join(classes(node.parent)).replace("footnotes", "")
    ):
        return node.parent
    return node


def _free(labels: dict[str, str]) -> str:
    number = len(labels) + 1
    while str(number) in labels.values():
        number += 1
    return str(number)
