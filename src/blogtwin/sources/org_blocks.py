"""The lines below an Org heading → blocks of Markdown: paragraphs, lists, tables, code, quotations, footnotes.

In: lines. Out: (kind, Markdown) in order. Each function takes lines and the place to begin, and gives back where it ended;
nothing is looked at twice, save what stands inside a list or a block.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence

from blogtwin.markup.captions import is_prose
from blogtwin.markup.html_blocks import Blocks, footnote, joined, listed, quoted
from blogtwin.markup.html_code import fenced
from blogtwin.markup.html_table import Cell, pipe_table
from blogtwin.sources.org_inline import inline_notes, markdown_of

_BEGIN = re.compile(r"[ \t]*#\+BEGIN_(\w+)[ \t]*([^\s]*)(.*)$", re.IGNORECASE)
_ITEM = re.compile(r"([ \t]*)([-+]|\*(?<=[ \t]\*)|\d{1,9}[.)]|[A-Za-z][.)](?=[ \t]))(?:[ \t]+|$)(.*)$")
_TERM = re.compile(r"(.{1,200}?)[ \t]+::(?:[ \t]+(.*)|)$")
_COOKIE = re.compile(r"\[@\d+\][ \t]*")
_NOTE = re.compile(r"\[fn:([\w-]+)\][ \t]*(.*)$")
_DRAWER = re.compile(r"[ \t]*:([\w-]+):[ \t]*$")
_END = re.compile(r"[ \t]*:END:[ \t]*$", re.IGNORECASE)
_ENVIRONMENT = re.compile(r"[ \t]*\\begin\{([\w*]+)\}")
_CLOSES = re.compile(r"[ \t]*(?:#\+END_\w+|:END:)[ \t]*$|.{0,500}?(\\end\{[\w*]+\})", re.IGNORECASE)
_MAX_COLUMNS = 60
_MAX_DEPTH = 40  # of lists and blocks in one another; deeper ones are read as plain lines


class Lines(list[str]):
    """Lines, and where each kind of block is closed: looking for it line by line would take the square of their number."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(lines)
        self._ends: dict[str, list[int]] = {}
        for place, line in enumerate(lines):
            if closes := _CLOSES.match(line):
                self._ends.setdefault((closes.group(1) or line.strip()).upper(), []).append(place)

    def closing(self, what: str, place: int) -> int | None:
        """The first line from `place` on that closes `what`."""
        ends = self._ends.get(what.upper(), [])
        found = bisect_left(ends, place)
        return ends[found] if found < len(ends) else None


def blocks(given: Sequence[str], left: Counter[str], depth: int = 0) -> Blocks:
    """The blocks in `given`; what is no text is counted in `left`."""
    lines = Lines(given)
    out: Blocks = []
    paragraph: list[str] = []
    place = 0

    def close() -> None:
        words = "\n".join(paragraph)
        paragraph.clear()
        out.extend(_notes_in(words))
        if written := markdown_of(words):
            out.append(("p", written))

    while place < len(lines):
        line = lines[place]
        found = _special(lines, place, left, depth) if line.strip() else ([], place + 1)
        if found is None:
            paragraph.append(line.strip())
            place += 1
            continue
        close()
        out += found[0]
        place = found[1]
    close()
    return out


def _special(lines: Lines, place: int, left: Counter[str], depth: int) -> tuple[Blocks, int] | None:
    """The block that begins at `place` and where it ends, or None for a line of a paragraph."""
    line = lines[place]
    start = line.lstrip()
    if depth < _MAX_DEPTH:
        if begin := _BEGIN.match(line):
            return _block(lines, place, begin, left, depth)
        if _ITEM.match(line):
            return _list(lines, place, left, depth)
    if start.startswith("#"):
        if start.upper().startswith("#+RESULTS"):  # what a run printed is the machine's
            printed = (
                _special(lines, place + 1, left, depth) if place + 1 < len(lines) and lines[place + 1].strip() else None
            )
            return ([], printed[1]) if printed else ([], place + 1)
        if start.upper().startswith("#+CAPTION") and is_prose(caption := start.partition(":")[2].strip()):
            return [("p", markdown_of(caption))], place + 1
        return ([], place + 1) if start.startswith(("# ", "#+")) or start == "#" else None
    if start.startswith("|") and line.count("|") <= _MAX_COLUMNS:
        return _table(lines, place)
    if start.startswith(":"):
        return _colon(lines, place, left)
    if note := _NOTE.match(line):
        end = _until(lines, place + 1, lambda one: not one.strip() or bool(_NOTE.match(one)))
        words = " ".join([note.group(2), *(one.strip() for one in lines[place + 1 : end])])
        return [("note", footnote(note.group(1), [("p", markdown_of(words))])), *_notes_in(words)], end
    if re.fullmatch(r"[ \t]*-{5,}[ \t]*", line):
        return [("hr", "---")], place + 1
    if begin := _ENVIRONMENT.match(line):
        closed = lines.closing(f"\\end{{{begin.group(1)}}}", place)
        if closed is not None:
            return [("p", "$$\n" + "\n".join(lines[place : closed + 1]).strip() + "\n$$")], closed + 1
    return None


def _notes_in(words: str) -> Blocks:
    return [("note", footnote(label, [("p", markdown_of(note))])) for label, note in inline_notes(words)]


def _until(lines: Sequence[str], place: int, ends: Callable[[str], bool]) -> int:
    while place < len(lines) and not ends(lines[place]):
        place += 1
    return place


def _block(lines: Lines, place: int, begin: re.Match[str], left: Counter[str], depth: int) -> tuple[Blocks, int] | None:
    kind, argument = begin.group(1).upper(), begin.group(2)
    end = lines.closing(f"#+END_{kind}", place + 1)
    if end is None:
        return [], place + 1  # never closed: its line goes, its text stays
    inside = [re.sub(r"^([ \t]*),(?=[*,]|#\+)", r"\1", line) for line in lines[place + 1 : end]]
    return _written(kind, argument, inside, left, depth), end + 1


def _written(kind: str, argument: str, inside: list[str], left: Counter[str], depth: int) -> Blocks:
    if kind in ("SRC", "EXAMPLE"):
        language = re.sub(r"[^\w+#.-]", "", argument) if kind == "SRC" and argument[:1] != "-" else ""
        code = "\n".join(_dedented(inside)).strip("\n")
        return (
            [("pre", fenced(code, {"emacs-lisp": "elisp", "sh": "sh"}.get(language, language)))] if code.strip() else []
        )
    if kind in ("COMMENT", "EXPORT", "HTML", "LATEX"):
        if kind == "EXPORT" and argument.lower() in ("md", "markdown"):
            return [("p", "\n".join(inside))]
        left[f"{kind.lower()} block"] += 1
        return []
    if kind == "QUOTE":
        return [("quote", quoted(blocks(inside, left, depth + 1)))]
    if kind == "VERSE":
        words = [markdown_of(line.strip()) for line in inside]
        verses = "\n".join(words).strip("\n").split("\n\n")
        return [("p", "\\\n".join(line for line in verse.split("\n") if line)) for verse in verses if verse.strip()]
    return blocks(inside, left, depth + 1)


def _dedented(lines: Sequence[str]) -> list[str]:
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[margin:] if line.strip() else "" for line in lines]


def _colon(lines: Lines, place: int, left: Counter[str]) -> tuple[Blocks, int] | None:
    """`: code` lines, or a drawer, which holds data."""
    start = lines[place].lstrip()
    if start == ":" or start.startswith(": "):
        end = _until(lines, place, lambda one: not (one.lstrip() == ":" or one.lstrip().startswith(": ")))
        code = "\n".join(line.lstrip()[2:] for line in lines[place:end])
        return [("pre", fenced(code, ""))], end
    if _DRAWER.match(lines[place]) and not _END.match(lines[place]):
        closing = lines.closing(":END:", place)
        if closing is not None:
            return [], closing + 1
    return None


def _table(lines: Sequence[str], place: int) -> tuple[Blocks, int]:
    end = _until(lines, place, lambda one: not one.lstrip().startswith("|") or one.count("|") > _MAX_COLUMNS)
    rows = [
        [Cell([("p", written)] if (written := markdown_of(cell.strip())) else []) for cell in _cells(line)]
        for line in lines[place:end]
        if not re.match(r"[ \t]*\|[-+|]*-", line)
        and not re.match(r"[ \t]*\|[ \t]*(?:<[lrc]?\d*>[ \t]*\|[ \t]*)+$", line)
    ]
    pipes = pipe_table(rows)
    return ([("table", pipes)] if pipes else [block for row in rows for cell in row for block in cell.blocks]), end


def _cells(line: str) -> list[str]:
    return line.strip().removeprefix("|").removesuffix("|").split("|")


def _list(lines: Sequence[str], place: int, left: Counter[str], depth: int) -> tuple[Blocks, int]:
    """One list with what is nested in it; an item goes on as far as lines are indented more than its mark."""
    first = _ITEM.match(lines[place])
    margin = len(first.group(1).expandtabs()) if first else 0
    ordered = first is not None and first.group(2)[0].isalnum()
    items: list[Blocks] = []
    terms = False
    while place < len(lines) and (item := _ITEM.match(lines[place])) and len(item.group(1).expandtabs()) == margin:
        if item.group(2)[0].isalnum() != ordered:
            break
        end = _end_of_item(lines, place + 1, margin)
        words = _COOKIE.sub("", item.group(3))
        if not items:  # the first item tells whether this is a list of definitions
            terms = not ordered and bool(_TERM.match(words))
        term = _TERM.match(words) if terms else None
        inside = _dedented(lines[place + 1 : end])
        if term:
            name = markdown_of(term.group(1))
            body = joined(blocks([term.group(2) or "", *inside], left, depth + 1))
            items.append([("p", name), ("dd", ": " + re.sub(r"\n(?=[^\n])", "\n  ", body))] if body else [("p", name)])
        else:
            items.append(blocks([words, *inside], left, depth + 1))
        place = end
    if terms:
        return [block for item_ in items for block in item_], place
    return [("ol" if ordered else "ul", listed(items, ordered, 1, False))], place


def _end_of_item(lines: Sequence[str], place: int, margin: int) -> int:
    """After the last line that belongs to an item: two blank lines, or a line as far left as its mark, end it."""
    end = place
    blank = 0
    for index in range(place, len(lines)):
        line = lines[index].expandtabs()
        if not line.strip():
            blank += 1
            if blank > 1:
                break
        elif len(line) - len(line.lstrip()) <= margin:
            return index if _ITEM.match(line) else end
        else:
            end, blank = index + 1, 0
    return end
