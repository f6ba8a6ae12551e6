"""Org posts, of ox-hugo, org-publish, Nikola and org-static-blog. In: .org files. Out: a Document whose text is Markdown.

orgparse finds the headings with their keywords, tags and drawers; what stands between them is read in org_blocks.py. What
its author would not export is not read: subtrees tagged :noexport:, COMMENT headings, properties, clocks and schedules.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from blogtwin.markup.html_blocks import Blocks, joined, numbered
from blogtwin.sources import front_matter, org_blocks, org_inline
from blogtwin.sources.base import Document, unreadable
from blogtwin.sources.compose import composed, text_of

_KEYWORD = re.compile(r"^#\+([A-Za-z][\w-]*):[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_PLANNING = re.compile(r"^[ \t]*(?:(?:SCHEDULED|DEADLINE|CLOSED):[ \t]*[<\[][^>\]\n]*[>\]][ \t]*)+$|^[ \t]*CLOCK:.*$")
_MACRO = re.compile(r"^#\+MACRO:[ \t]+([\w-]{1,60})[ \t]+(.{1,300})$", re.IGNORECASE | re.MULTILINE)
_CALL = re.compile(r"\{\{\{([\w-]{1,60})(?:\(([^{}\n]{0,200})\))?\}\}\}")
_TAGS = re.compile(r":[\w@:]+:")
# What orgparse reads as numbers, without need of ours; a word joiner hides it from its patterns, and is no letter of the text.
_COUNTED = re.compile(r"(?<=\d{4})(?=-\d\d-\d\d)|(?<=:)(?=Effort:)", re.IGNORECASE)
_HIDDEN = "\u2060"
_LONG = 500  # characters of a line; a heading has fewer
_NOT_EXPORTED = {"noexport", "no_export"}
_ALSO = {  # Org's and ox-hugo's names → everyone's
    "filetags": "tags", "hugo_tags": "tags", "hugo_categories": "categories", "hugo_draft": "draft", "export_date": "date",
    "export_hugo_draft": "draft", "export_author": "author", "export_title": "title", "export_hugo_tags": "tags",
    "hugo_publishdate": "publishdate", "export_hugo_publishdate": "publishdate", "post_date": "date", "email": "",
}  # fmt: skip
MAX_HEADINGS = 10_000
MAX_CHARS = 500_000  # marks without words cost four seconds a million


class OrgSource:
    """Org, with orgparse for its structure."""

    def read(self, path: Path) -> Document:
        text, remarks = text_of(path)
        if len(text) > MAX_CHARS:
            raise unreadable(
                path, f"has {len(text):,} characters; Org is read up to {MAX_CHARS:,}", "cut it into posts"
            )
        values: dict[str, object] = {}
        if text.lstrip("\n").startswith("---\n"):  # Jekyll and some exporters put YAML above Org
            front = front_matter.split(text)
            values, text, remarks = dict(front.values), front.body, (*remarks, *front.remarks)
        if text.count("\n*") > MAX_HEADINGS:
            raise unreadable(path, f"has more than {MAX_HEADINGS:,} headings")
        text = _expanded(text)
        if len(text) > MAX_CHARS:
            raise unreadable(path, f"has more than {MAX_CHARS:,} characters when its macros are expanded")
        nodes, long = _nodes(text)
        posts = [node for node in nodes[1:] if node.get_property("EXPORT_FILE_NAME")]
        values = {**_keywords(text), **values}
        if isinstance(values.get("title"), str):
            values["title"] = org_inline.markdown_of(str(values["title"]))
        if len(posts) == 1:
            values = {**values, **_properties(posts[0])}
            nodes = _below(posts[0], nodes)
        elif posts:
            remarks = (*remarks, f"holds {len(posts)} posts (subtrees with EXPORT_FILE_NAME), which were read as one")
        left: Counter[str] = Counter()
        blocks = _blocks(nodes, long, "title" in values, left, posts[0].level if len(posts) == 1 else 0)
        body = numbered(joined(blocks))
        if left:
            remarks = (
                *remarks,
                "left out what is not exported: " + ", ".join(f"{name} ({n})" for name, n in left.items()),
            )
        return composed("org", body, values, remarks)


def _expanded(text: str) -> str:
    """`text` with its own #+MACRO: lines put in where {{{name(words)}}} calls them."""
    macros = {name.lower(): body for name, body in _MACRO.findall(text)} if "{{{" in text else {}
    if not macros:
        return text

    def put(call: re.Match[str]) -> str:
        words = ["", *re.split(r"(?<!\\),", call[2] or "")]
        said = macros.get(call[1].lower(), call[0])
        return re.sub(r"\$(\d)", lambda at: "".join(words[int(at[1]) : int(at[1]) + 1]), said)[:500]

    return _CALL.sub(put, text)


def _nodes(text: str) -> tuple[list[Any], dict[str, str]]:
    """The root and every heading, in order; and the long lines that were kept from orgparse, by what stands for them."""
    import orgparse.node

    # Its own looks for tags by a pattern that takes the cube of a heading's length, and others take the square of a line's.
    orgparse.node.parse_heading_tags = _tags
    lines = text.split("\n")
    long = {f"{_HIDDEN}{place}": line for place, line in enumerate(lines) if len(line) > _LONG}
    text = "\n".join(f"{_HIDDEN}{place}" if len(line) > _LONG else line for place, line in enumerate(lines))
    try:
        return list(orgparse.loads(text)), long
    except (ValueError, OverflowError):  # the 30th of February, 24:00, an effort of "a while"
        return list(orgparse.loads(_COUNTED.sub(_HIDDEN, text))), long


def _tags(heading: str) -> tuple[str, list[str]]:
    """A heading, and the :tags:of:it: that its last word holds."""
    words = heading.rstrip()
    last = words[max(words.rfind(" "), words.rfind("\t")) + 1 :]
    if not _TAGS.fullmatch(last):
        return heading, []
    return words[: len(words) - len(last)].rstrip(), last.strip(":").split(":")


def _keywords(text: str) -> dict[str, object]:
    """#+TITLE: and its kin, which may stand anywhere; one that comes twice goes on."""
    found: dict[str, object] = {}
    for key, value in _KEYWORD.findall(text):
        name = _ALSO.get(key.lower(), key.lower())
        if name and value:
            found[name] = f"{found[name]} {value}" if name in ("title", "tags") and name in found else value
    return {key: value for key, value in found.items() if key not in ("caption", "name", "begin", "end", "attr_html")}


def _properties(node: Any) -> dict[str, object]:
    """What ox-hugo takes from the properties of a subtree that is a post."""
    values: dict[str, object] = {"title": _heading(node)}
    for key, value in node.properties.items():
        if name := _ALSO.get(key.lower()):
            values[name] = value
    if node.tags:
        values.setdefault("tags", [tag.lstrip("@") for tag in sorted(node.tags)])
    if node.todo in ("DRAFT", "TODO"):
        values.setdefault("draft", "true")
    if closed := getattr(node.closed, "start", None):
        values.setdefault("date", str(closed))
    return values


def _below(post: Any, nodes: list[Any]) -> list[Any]:
    start = nodes.index(post)
    end = next((n for n in range(start + 1, len(nodes)) if nodes[n].level <= post.level), len(nodes))
    return nodes[start:end]


def _heading(node: Any) -> str:
    words = node.get_heading(format="raw").replace(_HIDDEN, "")
    return org_inline.markdown_of(re.sub(r"\s*\[\d*(?:/\d*|%)\]\s*$", "", words))


def _blocks(nodes: list[Any], long: dict[str, str], titled: bool, left: Counter[str], above: int) -> Blocks:
    """The headings and what is below each. titled: whether level one is free for sections.

    above: the level of the heading that is the post's own title, 0 for a file that is one post.
    """
    tops = sum(node.level == 1 for node in nodes[1:])
    shift = (1 if titled or tops > 1 else 0) - above
    out: Blocks = []
    notes: Blocks = []
    shut = 0  # the level of a heading whose subtree is not exported
    for node in nodes:
        level = getattr(node, "level", 0)
        if shut and level > shut:
            continue
        shut = 0
        if level:
            heading = node.get_heading(format="raw")
            if heading.split(" ")[0] == "COMMENT" or _NOT_EXPORTED & {tag.lower() for tag in node.shallow_tags}:
                shut = level
                left["subtree"] += 1
                continue
            if level > above and (words := _heading(node)):
                out.append(("h", f"{'#' * min(level + shift, 6)} {words}"))
        body = [line for line in node.get_body(format="raw").split("\n") if not _PLANNING.match(line)]
        lines = [long.get(line, line.replace(_HIDDEN, "")) for line in body]
        found = org_blocks.blocks(lines, left)
        notes += [block for block in found if block[0] == "note"]
        out += [block for block in found if block[0] != "note"]
    return [*out, *notes]
