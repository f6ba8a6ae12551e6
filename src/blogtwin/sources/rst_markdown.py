"""A docutils tree → front matter values and Markdown.

In: the document that docutils made. Out: its fields by name, and the Markdown a person would have written for the rest.
Messages of the parser, comments and targets are no text.
"""

from __future__ import annotations

import re
from typing import Any

from blogtwin.markup.html_blocks import Blocks, footnote, joined, listed, quoted
from blogtwin.markup.html_code import fenced
from blogtwin.markup.html_inline import Mark, Token, formula, markdown
from blogtwin.markup.html_table import Cell, pipe_table
from blogtwin.sources.base import one_line

_SILENT = {
    "comment", "target", "substitution_definition", "system_message", "docinfo", "pending", "meta",
    "decoration", "generated", "raw", "label", "colspec",
}  # fmt: skip
_INLINE_MARKS = {"emphasis": "em", "strong": "strong", "title_reference": "em"}
_NO_LANGUAGE = {"", "code", "text", "none", "plain", "guess", "default", "literal-block"}


def written(document: Any) -> tuple[dict[str, object], str]:
    """The values of a docutils document and its Markdown."""
    values: dict[str, object] = {}
    for info in document.findall(lambda node: node.__class__.__name__ == "docinfo"):
        for one in info.children:
            if one.tagname == "field":
                values[one[0].astext().lower()] = one_line(one[1].astext())
            elif one.tagname == "authors":
                values["authors"] = [one_line(author.astext()) for author in one.children]
            else:
                values[one.tagname] = one_line(one.astext())
    return values, joined(_blocks(document, 1))


def _blocks(parent: Any, depth: int) -> Blocks:
    """The blocks below a node. depth: the level of a title found there."""
    out: Blocks = []
    last_list = ""
    for node in parent.children:
        before = len(out)
        kind = node.tagname
        if kind in _SILENT:
            continue
        if kind in ("bullet_list", "enumerated_list"):
            ordered = kind == "enumerated_list"
            items = [_blocks(item, depth) for item in node.children]
            name = "ol" if ordered else "ul"
            text = listed(items, ordered, int(node.get("start", 1)), last_list == name)
            out.append((name, text))
            last_list = "" if last_list == name else name
            continue
        out += _block(node, kind, depth)
        if len(out) > before:
            last_list = ""
    return [(kind, text) for kind, text in out if text.strip()]


def _block(node: Any, kind: str, depth: int) -> Blocks:
    if kind == "section":
        return _blocks(node, depth + 1)
    if kind in ("title", "subtitle", "rubric"):
        level = min(depth if kind == "title" else depth + 1, 6)
        return [("h", f"{'#' * level} {_inline(node)}".replace("\n", " "))]
    if kind in ("literal_block", "doctest_block"):
        language = next((name for name in node.get("classes", []) if name not in _NO_LANGUAGE), "")
        return [("pre", fenced(node.astext().strip("\n"), "python" if kind == "doctest_block" else language))]
    if kind == "block_quote":
        return [("quote", quoted(_blocks(node, depth)))]
    if kind == "attribution":
        return [("p", f"— {_inline(node)}")]
    if kind == "table":
        return _table(node, depth)
    if kind in ("footnote", "citation"):
        return [("note", footnote(_label(node[0].astext()), _blocks(node, depth)))]
    if kind == "math_block":
        return [("p", formula(node.astext(), display=True))]
    if kind == "line_block":
        return [("p", _lines(node))]
    if kind in ("definition_list_item", "option_list_item", "field"):
        return _definition(node, depth)
    if kind == "image":
        return [("p", _inline(_Paragraph([node])))]
    if kind == "transition":
        return [("hr", "---")]
    if _is_inline(node):
        return [("p", _inline(node))]
    if kind == "topic" and "contents" in node.get("classes", []):
        return []
    # Admonitions, sidebars, figures, lists of definitions and whatever a plugin made: what they hold.
    return _blocks(node, min(depth + 1, 6))


class _Paragraph:
    """Nodes as the children of a paragraph."""

    def __init__(self, children: list[Any]) -> None:
        self.children = children


def _is_inline(node: Any) -> bool:
    return node.tagname in ("paragraph", "caption", "term", "line", "problematic", "reference", "#text", "literal")


def _definition(node: Any, depth: int) -> Blocks:
    terms = [one for one in node.children if one.tagname in ("term", "option_group", "field_name")]
    rest = [one for one in node.children if one.tagname in ("definition", "description", "field_body")]
    classifiers = [one.astext() for one in node.children if one.tagname == "classifier"]
    name = " ".join([_inline(term) if term.tagname == "term" else one_line(term.astext()) for term in terms])
    name += "".join(f" ({one})" for one in classifiers)
    blocks = [block for one in rest for block in _blocks(one, depth)]
    body = re.sub(r"\n(?=[^\n])", "\n  ", joined(blocks))
    return [("p", name), ("dd", f": {body}")] if body else [("p", name)]


def _table(node: Any, depth: int) -> Blocks:
    out: Blocks = [("p", _inline(one)) for one in node.children if one.tagname == "title"]
    rows = [
        [Cell(_blocks(entry, depth), False, 1 + int(entry.get("morecols", 0))) for entry in row.children]
        for row in node.findall(lambda one: one.tagname == "row")
    ]
    pipes = pipe_table(rows)
    if pipes:
        return [*out, ("table", pipes)]
    return out + [block for row in rows for cell in row for block in cell.blocks]


def _lines(node: Any) -> str:
    found = [_inline(line) for line in node.findall(lambda one: one.tagname == "line")]
    return "\\\n".join(line for line in found if line) if any(found) else ""


def _inline(node: Any) -> str:
    tokens: list[Token] = []
    _tokens(node, tokens)
    return markdown(tokens)


def _tokens(parent: Any, out: list[Token]) -> None:
    for node in parent.children:
        kind = node.tagname
        if kind == "#text":
            out.append(("text", node.astext(), None))
        elif kind == "literal":
            out.append(("code", node.astext(), None))
        elif kind == "math":
            out.append(("raw", formula(node.astext()), None))
        elif kind == "image":
            out.append(("raw", f"![{one_line(node.get('alt', ''))}]({node.get('uri', '')})", None))
        elif kind in ("footnote_reference", "citation_reference"):
            out.append(("raw", f"[^{_label(node.astext())}]", None))
        elif kind in _INLINE_MARKS or (kind == "reference" and node.get("refuri")):
            mark = Mark(_INLINE_MARKS.get(kind, "link"), node.get("refuri", ""))  # type: ignore[arg-type]
            out.append(("open", "", mark))
            _tokens(node, out)
            out.append(("close", "", mark))
        elif kind not in _SILENT:
            _tokens(node, out)


def _label(said: str) -> str:
    return re.sub(r"[\s\[\]]+", "-", said.strip())
