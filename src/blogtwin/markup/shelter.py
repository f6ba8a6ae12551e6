"""A shelter for code and mathematics while the text around them is cleaned.

In: Markdown. Out: Markdown in which every code block, code span and formula is a mark, and afterwards the way back.
Nothing that looks like a tag, a shortcode or a reference inside code is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_MARK = re.compile("\x02(\\d+)\x03")  # cleaned text has no control characters of its own
_FENCE = re.compile(
    r"^([ \t]*(?:>[ \t]?)*)(```+|~~~+)([^\n`]*)\n(.*?)(?:^[ \t>]*\2[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
_SPAN = re.compile(r"(?<![`\\])(`+)(?!`)((?:[^\n]|\n(?!\s*\n))+?)(?<!`)\1(?!`)")
_FORMULA = re.compile(
    r"\$\$.{1,2000}?\$\$|\\\\?\[.{1,2000}?\\\\?\]|\\\\?\(.{1,2000}?\\\\?\)|(?<![\\$\w])\$(?=\S)[^$\n]*[\\^_{][^$\n]*(?<=\S)\$(?!\w)",
    re.DOTALL,
)
_LIST_ITEM = re.compile(r"^[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]")


class Shelter:
    """Keeps pieces of text; a mark stands for each."""

    def __init__(self) -> None:
        self._kept: list[str] = []

    def keep(self, piece: str) -> str:
        """The mark that stands for `piece`."""
        self._kept.append(piece)
        return f"\x02{len(self._kept) - 1}\x03"

    def keep_all(
        self, pattern: re.Pattern[str], text: str, change: Callable[[re.Match[str]], str] | None = None
    ) -> str:
        """`text` with a mark for every match, which is changed first where `change` says how."""
        return pattern.sub(lambda match: self.keep(change(match) if change else match.group()), text)

    def restored(self, text: str) -> str:
        """`text` with every mark replaced by what it stands for; pieces may hold marks themselves."""
        while _MARK.search(text):
            text = _MARK.sub(lambda match: self._kept[int(match.group(1))], text)
        return text

    def take_fences(self, text: str) -> str:
        """Shelter fenced code blocks."""
        return self.keep_all(_FENCE, text, lambda match: match.group().rstrip())

    def take_rest(self, text: str) -> str:
        """Shelter indented code blocks, code spans and formulas."""
        text = self._without_indented(text)
        text = self.keep_all(_SPAN, text)
        return self.keep_all(_FORMULA, text)

    def _without_indented(self, text: str) -> str:
        """Lines indented by four after a blank line are code, unless they go on with a list item."""
        out: list[str] = []
        block: list[str] = []
        in_list = False
        for line in [*text.split("\n"), "end"]:
            indented = line.startswith(("    ", "\t"))
            if block and (indented or not line.strip()):
                block.append(line)
                continue
            if block:
                blanks = len(block) - len("\n".join(block).rstrip().split("\n"))
                out += [self.keep("\n".join(block[: len(block) - blanks])), *[""] * blanks]
                block = []
            if indented and line.strip() and not in_list and (not out or not out[-1].strip()):
                block = [line]
                continue
            if line.strip() and not line[0].isspace():
                in_list = bool(_LIST_ITEM.match(line))
            elif _LIST_ITEM.match(line):
                in_list = True
            out.append(line)
        return "\n".join(out[:-1])
