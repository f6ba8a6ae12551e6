"""The lines of an AsciiDoc text → blocks of Markdown.

In: lines and the attributes that `{name}` stands for. Out: (kind, Markdown) in order. A reader of lines, which looks at
each once: a block ends at its own fence, a list where a paragraph begins without `+`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from blogtwin.markup.html_blocks import Blocks, footnote, joined, listed, quoted
from blogtwin.markup.html_code import fenced
from blogtwin.markup.html_table import Cell, pipe_table
from blogtwin.sources.asciidoc_inline import inline, notes_in

__all__ = ["blocks", "inline"]

_FENCE = re.compile(r"(-{4,}|\.{4,}|={4,}|\*{4,}|_{4,}|\+{4,}|/{4,}|--|```+\w*|[|,:!]={3,})[ \t]*$")
_HEADING = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*)$")
_STYLE = re.compile(r"\[([^\[\]\n]{0,500})\][ \t]*$")
_MACRO = re.compile(r"(include|video|audio|toc|ifdef|ifndef|ifeval|endif|gist|tweet)::[^\[\n]{0,500}\[[^\n]*\][ \t]*$")
_IMAGE = re.compile(r"image::([^\[\n]{1,1000})\[([^\n]*)\][ \t]*$")
_ITEM = re.compile(r"[ \t]*(\*{1,6}|-|\.{1,6}|\d{1,4}\.|[a-z]\.|<[\d.]{1,3}>)[ \t]+(\S.*)$")
_TERM = re.compile(r"[ \t]*(\S.{0,200}?)(:{2,4}|;;)(?:[ \t]+(.*))?$")
_ADMONITION = re.compile(r"(NOTE|TIP|WARNING|IMPORTANT|CAUTION):[ \t]+(.*)$", re.DOTALL)
_NAMED = frozenset(("note", "tip", "warning", "important", "caution"))
_CELL = re.compile(r"(?:(?<=\s)|^)[\d.+<^>*aemshdlv]{0,8}[|!]|\|")
_UNDERLINES = {"=": 1, "-": 2, "~": 3, "^": 4, "+": 5}
_MAX_DEPTH = 20
_MAX_COLUMNS = 60


def blocks(lines: Sequence[str], attributes: dict[str, str], left: Counter[str], depth: int = 0) -> Blocks:
    """The blocks in `lines`, footnotes last; what is no text is counted in `left`."""
    reader = _Reader(lines, attributes, left, depth)
    return [*reader.all(), *(reader.notes if depth == 0 else [])]


class _Reader:
    """Where in the lines we are, and the attribute line (`[source,ruby]`) that waits for its block."""

    def __init__(self, lines: Sequence[str], attributes: dict[str, str], left: Counter[str], depth: int) -> None:
        self.lines = lines
        self.attributes = attributes
        self.left = left
        self.depth = depth
        self.place = 0
        self.style: list[str] = []
        self.notes: Blocks = []
        self.fences: dict[str, list[int]] = {}
        for place in range(len(lines) - 1, -1, -1):  # the nearest is last
            if lines[place][:1] in "-.=*_+/`|,:!" and _FENCE.match(lines[place]):
                self.fences.setdefault(lines[place].rstrip(), []).append(place)

    def all(self) -> Blocks:
        out: Blocks = []
        while self.place < len(self.lines):
            out += self.one()
        return out

    def one(self) -> Blocks:
        """The block at this place; nothing for a blank line, a comment or an attribute."""
        line = self.lines[self.place].rstrip()
        if not line:
            self.place += 1
            return []
        if fence := _FENCE.match(line):
            return self._delimited(fence.group(1))
        if found := self._line(line):
            self.place += 1
            return found[0]
        style, self.style = self.style, []
        if line[0] in " \t" and not _ITEM.match(line):
            return self._literal()
        if _ITEM.match(line) and not (style and style[0] in ("source", "listing")):
            return self._list(())
        if (term := _TERM.match(line)) and self.depth < _MAX_DEPTH:
            return self._definition(term)
        return self._paragraph(style)

    def _line(self, line: str) -> tuple[Blocks] | None:
        """What a single line is: a heading, a picture, an attribute, a rule, a comment."""
        if line.startswith("//"):
            return ([],)
        if line.startswith("[[") or (line == "+"):
            return ([],)
        if match := _STYLE.match(line):
            self.style = [part.strip().strip("\"'") for part in match.group(1).split(",")]
            return ([],)
        if re.fullmatch(r"'{3,9}|<<<|-{3}|\*{3}|- - -|\* \* \*", line):
            return ([] if line == "<<<" else [("hr", "---")],)
        if match := _HEADING.match(line):
            words = re.sub(r"\[\[[^\[\]]*\]\]|[ \t]+[=#]+$", "", match.group(2))
            return ([("h", f"{'#' * len(match.group(1))} {self._inline(words)}")],)
        if match := re.match(r":(!?\w[\w-]*!?):(?:[ \t]+(.*))?$", line):
            self.attributes[match.group(1).strip("!").lower()] = (match.group(2) or "").strip()
            return ([],)
        if match := _IMAGE.match(line):
            alt = match.group(2).split(",")[0].strip().strip('"')
            return ([("p", f"![{'' if '=' in alt else alt}]({match.group(1).replace(' ', '%20')})")],)
        if match := _MACRO.match(line):
            if not match.group(1).endswith(("def", "if", "eval", "toc")):
                self.left[match.group(1)] += 1
            return ([],)
        if match := re.match(r"\.([^\s.].{0,300})$", line):  # the title of the block below
            return ([("p", self._inline(match.group(1)))],)
        return None

    def _inline(self, text: str) -> str:
        self.notes += [("note", footnote(label, [("p", words)])) for label, words in notes_in(text, self.attributes)]
        return inline(text, self.attributes)

    def _inside(self, lines: Sequence[str]) -> Blocks:
        reader = _Reader(lines, self.attributes, self.left, self.depth + 1)
        found = reader.all()
        self.notes += reader.notes
        return found

    def _delimited(self, fence: str) -> Blocks:
        style, self.style = self.style, []
        start = self.place + 1
        closing = "```" if fence.startswith("```") else self.lines[self.place].rstrip()
        ends = self.fences.get(closing, [])
        while ends and ends[-1] < start:
            ends.pop()
        end = ends[-1] if ends else len(self.lines)
        inside = self.lines[start:end]
        self.place = end + 1
        kind = style[0].lower().split("%")[0].split("#")[0] if style else ""
        if fence[0] == "/" or kind == "comment":
            return []
        if fence[0] == "+":
            if kind in ("stem", "latexmath", "asciimath"):
                return [("p", "$$\n" + "\n".join(inside).strip() + "\n$$")]
            self.left["passthrough"] += 1
            return []
        if fence[0] in "|,:!" and len(fence) > 2:
            return self._table(inside, fence[0])
        if (fence[0] in "-.`" and fence != "--") or kind in ("source", "listing", "literal"):
            return self._code(inside, fence[3:] if fence[0] == "`" else self._language(style))
        if kind == "verse":
            return [("p", "\\\n".join(self._inline(line.strip()) for line in inside if line.strip()))]
        if self.depth >= _MAX_DEPTH:
            return [("p", self._inline("\n".join(inside)))]
        found = self._inside(inside)
        if kind in _NAMED and found and found[0][0] == "p":
            found[0] = ("p", f"**{kind.capitalize()}:** {found[0][1]}")
        return self._quotation(found, style) if fence[0] == "_" or kind == "quote" else found

    def _quotation(self, found: Blocks, style: list[str]) -> Blocks:
        said = [part for part in style[1:3] if part]
        return [("quote", quoted([*found, *([("p", "— " + self._inline(", ".join(said)))] if said else [])]))]

    def _language(self, style: list[str]) -> str:
        if style and style[0].split("%")[0] in ("source", "") and len(style) > 1 and "=" not in style[1]:
            return re.sub(r"[^\w+#.-]", "", style[1])
        return self.attributes.get("source-language", "") if style and style[0] == "source" else ""

    def _code(self, inside: Sequence[str], language: str) -> Blocks:
        code = re.sub(
            r"[ \t]*(?:(?://|#|;;|--)[ \t]*)?(?:<[\d.]{1,3}>[ \t]*)+$", "", "\n".join(inside), flags=re.MULTILINE
        )
        return [("pre", fenced(code.strip("\n"), language))] if code.strip() else []

    def _literal(self) -> Blocks:
        start = self.place
        while self.place < len(self.lines) and self.lines[self.place].strip():
            self.place += 1
        lines = self.lines[start : self.place]
        margin = min(len(line) - len(line.lstrip()) for line in lines)
        return [("pre", fenced("\n".join(line[margin:].rstrip() for line in lines), ""))]

    def _text(self) -> str:
        """The lines of a paragraph, or of an item."""
        start = self.place
        self.place += 1
        while self.place < len(self.lines):
            line = self.lines[self.place].rstrip()
            if not line or line == "+" or _FENCE.match(line) or _STYLE.match(line) or line.startswith("//"):
                break
            if "::" in line and _MACRO.match(line):
                break
            self.place += 1
        return "\n".join(
            line.strip(" \t") if line.endswith(" +") else line.strip() for line in self.lines[start : self.place]
        )

    def _paragraph(self, style: list[str]) -> Blocks:
        kind = style[0].lower() if style else ""
        line = self.lines[self.place].strip()
        below = self.lines[self.place + 1].rstrip() if self.place + 1 < len(self.lines) else ""
        if below and below[0] in _UNDERLINES and below == below[0] * len(below) and abs(len(below) - len(line)) <= 3:
            self.place += 2
            return [("h", f"{'#' * _UNDERLINES[below[0]]} {self._inline(line)}")]
        start = self.place
        text = self._text()
        if kind in ("source", "listing", "literal"):
            return self._code(self.lines[start : self.place], self._language(style))
        if match := _ADMONITION.match(text):
            return [("p", f"**{match.group(1).capitalize()}:** {self._inline(match.group(2))}")]
        if kind == "verse":
            return [("p", "\\\n".join(self._inline(one) for one in text.split("\n")))]
        found: Blocks = [("p", written)] if (written := self._inline(text)) else []
        if kind in _NAMED and found:
            return [("p", f"**{kind.capitalize()}:** {written}")]
        return self._quotation(found, style) if kind == "quote" and found else found

    def _list(self, above: tuple[str, ...]) -> Blocks:
        """Items with one mark; another mark begins a list inside the last item, one from `above` ends this list."""
        first = _ITEM.match(self.lines[self.place])
        own = _mark(first.group(1)) if first else ""
        items: list[Blocks] = []
        while self.place < len(self.lines) and (item := _ITEM.match(self.lines[self.place])):
            mark = _mark(item.group(1))
            if mark != own and (mark in above or not items):
                break
            if mark != own:
                items[-1] += self._list((*above, own))
            else:
                task = re.match(r"\[([ xX*])\][ \t]+", item.group(2))
                text = self._item_text(item.group(2)[task.end() :] if task else item.group(2))
                box = f"[{' ' if task.group(1) == ' ' else 'x'}] " if task else ""
                items.append([("p", box + self._inline(text))])
            self._attached(items[-1])
        ordered = own[0] in ".1a<"
        return [("ol" if ordered else "ul", listed(items, ordered, 1, False))]

    def _item_text(self, first: str) -> str:
        self.place += 1
        words = [first.strip()]
        while self.place < len(self.lines):
            line = self.lines[self.place].rstrip()
            if not line or line == "+" or line.startswith("//"):
                break
            if any(pattern.match(line) for pattern in (_ITEM, _FENCE, _STYLE, _TERM)):
                break
            words.append(line.strip())
            self.place += 1
        return "\n".join(words)

    def _attached(self, item: Blocks) -> None:
        """Blocks that `+` ties to an item, and the blank lines before the next one."""
        while self.place < len(self.lines):
            if self.lines[self.place].strip() == "+":
                self.place += 1
                before = len(item)
                while self.place < len(self.lines) and len(item) == before and self.lines[self.place].strip():
                    item += self.one()
                continue
            ahead = self.place
            while ahead < len(self.lines) and not self.lines[ahead].strip():
                ahead += 1
            if ahead > self.place and ahead < len(self.lines) and _ITEM.match(self.lines[ahead]):
                self.place = ahead
            return

    def _definition(self, term: re.Match[str]) -> Blocks:
        if term.group(3):
            text = self._item_text(term.group(3))
        else:
            self.place += 1
            while self.place < len(self.lines) and not self.lines[self.place].strip():
                self.place += 1
            here = self.lines[self.place] if self.place < len(self.lines) else ""
            plain = here.strip() and not any(
                pattern.match(here) for pattern in (_ITEM, _FENCE, _HEADING, _TERM, _STYLE)
            )
            text = self._item_text(here) if plain else ""
        body: Blocks = [("p", written)] if (written := self._inline(text)) else []
        self._attached(body)
        name = self._inline(term.group(1))
        words = re.sub(r"\n(?=[^\n])", "\n  ", joined(body))
        return [("p", name), ("dd", f": {words}")] if words else [("p", name)]

    def _table(self, inside: Sequence[str], mark: str) -> Blocks:
        separator = {"|": "|", "!": "!", ",": ",", ":": ":"}[mark]
        rows: list[list[str]] = []
        for line in inside:
            if not line.strip() or line.startswith("//"):
                continue
            if separator in "|!" and not re.match(r"[\d.+<^>*a-z]{0,8}[|!]", line.strip()) and rows:
                rows[-1][-1] += " " + line.strip()
                continue
            cells = _CELL.split(line.strip())[1:] if separator in "|!" else line.split(separator)
            if cells:
                rows.append(cells[:_MAX_COLUMNS])
        width = len(rows[0]) if rows else 0
        flat = [cell.strip() for row in rows for cell in row]
        if width > 1 and any(len(row) != width for row in rows):  # one cell a line, below a head of one line
            rows = [flat[start : start + width] for start in range(0, len(flat), width)]
        cells_ = [[Cell([("p", text)] if (text := self._inline(cell.strip())) else []) for cell in row] for row in rows]
        pipes = pipe_table(cells_)
        return [("table", pipes)] if pipes else [block for row in cells_ for cell in row for block in cell.blocks]


def _mark(mark: str) -> str:
    return "1." if mark[0].isdigit() else "a." if mark[0].isalpha() else "<" if mark[0] == "<" else mark
