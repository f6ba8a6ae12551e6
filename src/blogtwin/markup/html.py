"""HTML → the Markdown that a person would have written.

In: the source of a fragment or a page, or a part of its tree. Out: Markdown with ATX headings, `-` lists, fences and pipe tables.
What is no text of a post goes: scripts, styles, forms, navigation, frames, line numbers beside code. Links and pictures keep
their addresses, so that whoever reads the Markdown can tell an embed from a link.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from blogtwin.markup import html_code, html_special
from blogtwin.markup.captions import is_prose
from blogtwin.markup.html_blocks import Box, footnote, joined, listed, quoted
from blogtwin.markup.html_inline import Mark, Token, markdown
from blogtwin.markup.html_notes import notes_in
from blogtwin.markup.html_parse import After, Node, is_page, name_set, parsed, skip, text_of, walk
from blogtwin.markup.html_table import Cell, pipe_table, spanned

_MAX_NESTING = 10  # quotations and lists inside each other; deeper ones are written like the tenth
_BREAKS = name_set(
    "address article aside body center dd details dir div dl dt fieldset figcaption footer form header hgroup "
    "html legend main p search section summary tbody tfoot thead tr caption td th noindex"
)
_DROPPED = name_set(
    "applet area audio base basefont bgsound button canvas dialog embed frame frameset head iframe link map meta "
    "nav noembed noframes noscript object param rp select source style svg template textarea title track video "
    "-comment"
)
_MARKS = {
    "em": "em", "i": "em", "cite": "em", "dfn": "em", "var": "em",
    "strong": "strong", "b": "strong", "summary": "strong", "del": "del", "s": "del", "strike": "del",
}  # fmt: skip


def to_markdown(source: str) -> str:
    """The Markdown of a fragment or a page of HTML."""
    # Without a body of its own, what a fragment begins with would be taken for the head of a page.
    body = parsed(source if is_page(source) else f"<body>{source}").body
    return "" if body is None else markdown_of(body)


def markdown_of(root: Node, without: frozenset[int] = frozenset()) -> str:
    """The Markdown of what is below `root`. without: elements, by their mem_id, that are left out."""
    writer = _Writer(root, without)
    walk(root, writer.enter)
    return writer.finished()


class _Writer:
    """Collects the tokens of the paragraph at hand, and the blocks before it."""

    def __init__(self, root: Node, without: frozenset[int]) -> None:
        self._without = without
        self._boxes = [Box("page")]
        self._tokens: list[Token] = []
        self._marks: list[Mark] = []
        self._in_heading = False
        self._nesting = 0
        self._notes = notes_in(root)

    def finished(self) -> str:
        """All of it, when the walk is over."""
        self._flush()
        blocks = self._boxes[0].blocks
        text = [place for place, (kind, _) in enumerate(blocks) if kind != "rule"] or [len(blocks)]
        # A rule at either end divides nothing, and would be taken for front matter.
        return joined(blocks[text[0] : text[-1] + 1]).strip("\n").rstrip()

    def enter(self, node: Node) -> After | None:
        """Take in one node; answers what is to be done after its children."""
        tag = node.tag
        if tag == "-text":
            self._tokens.append(("text", node.text_content or "", None))
            return None
        if tag in _DROPPED or (self._without and node.mem_id in self._without):
            return skip
        if tag == "br":
            self._line_break()
            return None
        attributes = node.attributes
        if attributes and html_special.is_hidden(node, attributes):
            return skip
        if self._notes.notes and (known := self._note(node)):
            return known
        if special := html_special.as_token(node, attributes, self._in_heading):
            if special[2]:
                self._flush()
                self._add("math", special[1])
            else:
                self._tokens.append((special[0], special[1], None))
            return skip
        if handler := _HANDLERS.get(tag):
            return handler(self, node)
        if tag in _MARKS:
            return self._mark(_MARKS[tag], node)
        if tag in _BREAKS:
            self._flush()
            return self._flush
        if attributes and (style := html_special.emphasis(attributes)):
            return self._mark(style, node)
        return None

    # Paragraphs

    def _flush(self, kind: str = "p") -> None:
        """End the paragraph; marks that are open go on in the next."""
        if self._in_heading:
            self._tokens.append(("text", " ", None))
            return
        if self._tokens:
            closing: list[Token] = [("close", "", mark) for mark in reversed(self._marks)]
            text = markdown([*self._tokens, *closing])
            self._tokens = [("open", "", mark) for mark in self._marks]
            if text:
                self._add(kind, text)

    def _add(self, kind: str, text: str) -> None:
        box = self._boxes[-1]
        if box.kind in ("ul", "ol"):  # a list in a list, or text between its items
            box.items[-1].append((kind, text)) if box.items else box.items.append([(kind, text)])
        else:
            box.blocks.append((kind, text))

    def _line_break(self) -> None:
        """One <br> is a line break; the second in a row ends the paragraph."""
        for kind, text, _ in reversed(self._tokens):
            if kind == "break" and not self._in_heading:
                self._tokens.pop()
                self._flush()
                return
            if kind in ("code", "raw") or (kind == "text" and text.strip(" \n\t\r\f")):
                break
        self._tokens.append(("text", " ", None) if self._in_heading else ("break", "", None))

    def _mark(self, kind: str, node: Node) -> After | None:
        if node.tag == "summary":
            self._flush()
        if any(mark.kind == kind for mark in self._marks) or html_special.is_plain(node):
            return self._flush if node.tag == "summary" else None
        mark = Mark(kind)  # type: ignore[arg-type]
        opened = self._opened(mark)

        def close() -> None:
            opened()
            if node.tag == "summary":
                self._flush()

        return close

    def _opened(self, mark: Mark) -> After:
        self._marks.append(mark)
        self._tokens.append(("open", "", mark))

        def close() -> None:
            if mark in self._marks:
                self._marks.remove(mark)
                self._tokens.append(("close", "", mark))

        return close

    def _link(self, node: Node) -> After | None:
        label = self._notes.references.get(node.mem_id)
        if label:
            self._tokens.append(("raw", f"[^{label}]", None))
            return skip
        if node.mem_id in self._notes.back:
            return skip
        href = (node.attributes.get("href") or "").strip()
        if self._in_heading and html_special.is_permalink(node, href):
            return skip
        if not href or href.lower().startswith(("javascript:", "data:")) or any(m.kind == "link" for m in self._marks):
            return None
        return self._opened(Mark("link", href))

    def _quoted(self, node: Node) -> After | None:
        self._tokens.append(("text", "“", None))
        return lambda: self._tokens.append(("text", "”", None))

    def _raised(self, node: Node) -> After | None:
        text = html_special.raised(node)
        if text is None:
            return None
        self._tokens.append(("text", text, None))
        return skip

    def _reading(self, node: Node) -> After | None:
        self._tokens.append(("text", "(", None))
        return lambda: self._tokens.append(("text", ")", None))

    def _picture(self, node: Node) -> None:
        kind, text = html_special.picture(node.attributes)
        if text:
            self._tokens.append((kind, text, None))
            for box in self._boxes:
                box.pictures += box.kind == "figure"

    # Blocks

    def _heading(self, node: Node) -> After | None:
        self._flush()
        if self._in_heading:
            return None
        self._in_heading = True
        marks, self._marks, self._tokens = self._marks, [], []

        def close() -> None:
            words = " ".join(markdown(self._tokens).split())
            self._in_heading, self._marks = False, marks
            self._tokens = [("open", "", mark) for mark in marks]
            if re.fullmatch(r"\*\*[^*]+\*\*", words):
                words = words.strip("*")
            if words and not (self._in_notes(node) and len(words) < 30):
                self._add("heading", "#" * int(node.tag[1]) + " " + re.sub(r"(?<=\s)(#+)$", r"\\\1", words))

        return close

    def _rule(self, node: Node) -> None:
        self._flush()
        if not self._in_heading and not self._in_notes(node):
            self._add("rule", "---")

    def _code(self, node: Node) -> After | None:
        code = html_code.code_of(node)
        if "\n" in code and not self._in_heading and html_special.is_block_of_code(node):
            return self._pre(node)
        # Blanks at the ends of code belong to the sentence.
        text = text_of(node)
        self._tokens += [("text", text[: len(text) - len(text.lstrip())], None)] if text.strip() else []
        if code.strip():
            self._tokens += [("code", code.strip(), None), ("text", " " if text[-1:].isspace() else "", None)]
        return skip

    def _pre(self, node: Node) -> After | None:
        code = html_code.code_of(node)
        if self._in_heading:
            self._tokens.append(("code", code, None))
        elif code.strip():
            self._flush()
            self._add("code", html_code.fenced(code, html_code.language_of(node)))
        return skip

    def _box(self, kind: str, done: Callable[[Box], None]) -> After | None:
        """Collect blocks apart, and hand them to `done` at the end."""
        self._flush()
        if self._in_heading:
            return self._flush
        box = Box(kind)
        self._boxes.append(box)

        def close() -> None:
            self._flush()
            self._boxes.pop()
            done(box)

        return close

    def _nested(self, kind: str, done: Callable[[Box], None]) -> After | None:
        """A box whose lines get something in front, which makes each level as long as all it holds."""
        if self._nesting >= _MAX_NESTING:
            self._flush()
            return self._flush
        self._nesting += 1

        def outward(box: Box) -> None:
            self._nesting -= 1
            done(box)

        close = self._box(kind, outward)
        self._nesting -= close == self._flush
        return close

    def _quote(self, node: Node) -> After | None:
        return self._nested("quote", lambda box: self._add("quote", quoted(box.blocks)) if box.blocks else None)

    def _list(self, node: Node) -> After | None:
        start = node.attributes.get("start") or "1"
        ordered = node.tag == "ol"

        def done(box: Box) -> None:
            for kind, text in box.blocks:
                self._add(kind, text)
            items = [item for item in box.items if item]
            if items:
                blocks = (
                    self._boxes[-1].items[-1:] if self._boxes[-1].kind in ("ul", "ol") else [self._boxes[-1].blocks]
                )
                other = bool(blocks and blocks[-1] and blocks[-1][-1][0] == ("ol" if ordered else "ul"))
                first = int(start) if start.isdecimal() and len(start) < 9 else 1
                self._add(f"{'ol' if ordered else 'ul'}{'*' * other}", listed(items, ordered, first, other))

        return self._nested("ol" if ordered else "ul", done)

    def _item(self, node: Node) -> After | None:
        if self._boxes[-1].kind not in ("ul", "ol"):
            return self._nested(
                "item", lambda box: self._add("ul", listed([box.blocks], False, 1, False)) if box.blocks else None
            )

        def done(box: Box) -> None:
            self._boxes[-1].items.append(box.blocks)

        return self._box("item", done)

    def _term(self, node: Node) -> After | None:
        self._flush()
        return lambda: self._flush("dt")

    def _description(self, node: Node) -> After | None:
        def done(box: Box) -> None:
            if text := joined(box.blocks):
                self._add("dd", ": " + text.replace("\n", "\n  "))

        if not self._boxes[-1].blocks or self._boxes[-1].blocks[-1][0] not in ("dt", "dd"):
            self._flush()
            return self._flush
        return self._nested("dd", done)

    def _table(self, node: Node) -> After | None:
        def done(box: Box) -> None:
            for kind, text in box.blocks:  # its caption
                self._add(kind, text)
            table = None if node.attributes.get("role") == "presentation" else pipe_table(box.rows)
            if table:
                self._add("table", table)
            else:
                for kind, text in (block for row in box.rows for cell in row for block in cell.blocks):
                    self._add(kind, text)

        return self._box("table", done)

    def _row(self, node: Node) -> After | None:
        self._flush()
        if self._boxes[-1].kind == "table":
            self._boxes[-1].rows.append([])
        return self._flush

    def _cell(self, node: Node) -> After | None:
        if html_code.is_gutter(node):
            return skip
        table = self._boxes[-1]
        if table.kind != "table":
            self._flush()
            return self._flush
        spans = [spanned(node.attributes.get(name)) for name in ("colspan", "rowspan")]

        def done(box: Box) -> None:
            cell = Cell(box.blocks, node.tag == "th", *spans)
            table.rows[-1].append(cell) if table.rows else table.rows.append([cell])

        return self._box("cell", done)

    def _figure(self, node: Node) -> After | None:
        """A picture's caption becomes the words of the picture, if it is no prose; a figure of code only holds it."""

        def done(box: Box) -> None:
            caption = " ".join(text for kind, text in box.blocks if kind == "caption")
            apart = is_prose(caption) or any(kind in ("code", "table", "quote") for kind, _ in box.blocks)
            if apart or not caption or not box.pictures:
                blocks = [("p" if kind == "caption" else kind, text) for kind, text in box.blocks]
            else:
                blocks = [block for block in box.blocks if block[0] != "caption"]
                blocks[-1:] = [("p", html_special.captioned(blocks[-1][1], caption) if blocks else caption)]
            for block in blocks:
                self._add(*block)

        return self._box("figure", done)

    def _caption(self, node: Node) -> After | None:
        self._flush()
        return lambda: self._flush("caption" if self._boxes[-1].kind == "figure" else "p")

    def _note(self, node: Node) -> After | None:
        label = self._notes.notes.get(node.mem_id)
        if label is None or any(box.kind == "note" for box in self._boxes):
            return None

        def done(box: Box) -> None:
            if box.blocks:  # it is no item of the list that it may stand in
                self._boxes[-1].blocks.append(("note", footnote(label, box.blocks)))

        return self._box("note", done)

    def _in_notes(self, node: Node) -> bool:
        return bool(self._notes.lists) and node.parent is not None and node.parent.mem_id in self._notes.lists


_Handler = Callable[[_Writer, Node], "After | None"]
_HANDLERS: dict[str, _Handler] = {
    "a": _Writer._link, "q": _Writer._quoted, "sup": _Writer._raised, "sub": _Writer._raised, "rt": _Writer._reading,
    "img": _Writer._picture, "hr": _Writer._rule, "blockquote": _Writer._quote, "li": _Writer._item,
    "dt": _Writer._term, "dd": _Writer._description, "figure": _Writer._figure, "figcaption": _Writer._caption,
    "table": _Writer._table, "tr": _Writer._row, "td": _Writer._cell, "th": _Writer._cell,
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), _Writer._heading),
    **dict.fromkeys(("ul", "ol", "menu", "dir"), _Writer._list),
    **dict.fromkeys(("pre", "xmp", "listing"), _Writer._pre),
    **dict.fromkeys(("code", "kbd", "samp", "tt"), _Writer._code),
}  # fmt: skip
