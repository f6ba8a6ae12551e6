"""Tables in HTML → pipe tables, when they are tables.

In: the cells of each row, each with its blocks of Markdown. Out: a pipe table, or None for a table that only lays out a page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_COLUMNS = 60
_LONG_CELL = 600  # characters; prose in columns is layout


@dataclass
class Cell:
    """blocks: (kind, Markdown) in order. span, down: how many columns and rows it takes."""

    blocks: list[tuple[str, str]] = field(default_factory=list)
    header: bool = False
    span: int = 1
    down: int = 1


def spanned(said: str | None) -> int:
    """How many columns or rows a cell says it takes."""
    return int(said) if said and said.isdecimal() and 1 <= len(said) < 3 else 1


def pipe_table(rows: Sequence[Sequence[Cell]]) -> str | None:
    """GitHub's Markdown for a table of at least two columns and two rows whose cells hold a line of text each."""
    rows = [row for row in rows if any(cell.blocks for cell in row)]
    if any(cell.down > 1 for row in rows for cell in row):
        rows = _squared(rows)
    width = max((sum(cell.span for cell in row) for row in rows), default=0)
    if len(rows) < 2 or not 2 <= width <= MAX_COLUMNS or sum(bool(cell.blocks) for row in rows for cell in row) < 3:
        return None
    if not all(_is_line(cell) for row in rows for cell in row):
        return None
    lines = [_line(row, width) for row in rows]
    return "\n".join([lines[0], "| " + " | ".join(["---"] * width) + " |", *lines[1:]])


def _squared(rows: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    """The rows with an empty cell wherever one from above takes the place."""
    above: dict[int, int] = {}  # column → how many more rows of it are taken
    out: list[list[Cell]] = []
    for row in rows:
        line: list[Cell] = []
        left = list(reversed(row))
        place = 0
        while left or above.get(place, 0):
            if above.get(place, 0):
                above[place] -= 1
                line.append(Cell())
                place += 1
                continue
            cell = left.pop()
            line.append(cell)
            above.update((place + step, cell.down - 1) for step in range(cell.span))
            place += cell.span
        for column in [one for one in above if one > place and above[one]]:  # beyond a short row
            above[column] -= 1
        out.append(line)
    return out


def _is_line(cell: Cell) -> bool:
    return all(kind == "p" and len(text) <= _LONG_CELL for kind, text in cell.blocks) and len(cell.blocks) <= 2


def _line(row: Sequence[Cell], width: int) -> str:
    texts: list[str] = []
    for cell in row:
        text = " ".join(re.sub(r" *\n", " ", block) for _, block in cell.blocks)
        texts += [re.sub(r"(?<!\\)\|", r"\\|", text), *[""] * (cell.span - 1)]
    texts += [""] * (width - len(texts))
    return "| " + " | ".join(texts) + " |"
