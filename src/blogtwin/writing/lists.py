"""Lists as models and most people type them → lists as Python-Markdown reads them.

It wants a blank line before a list, four spaces a level and `1.`; CommonMark, which everyone learned from, is content with a
list right under its paragraph, two or three spaces, and `1)`.
"""

from __future__ import annotations

import re

_ITEM = re.compile(r"^(\s*)([-*+]|(\d{1,9})[.)])(\s+)(?=\S)")
_RULE = re.compile(r"^\s*([-*_])(?:\s*\1){2,}\s*$")
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})")


def regular_lists(text: str) -> str:
    """`text` with blank lines before lists and four spaces a level; code blocks between fences stay as they are."""
    out: list[str] = []
    levels: list[int] = []  # the indents of the open list items, outermost first
    fence = ""
    for line in text.expandtabs(4).split("\n"):
        mark = _FENCE.match(line)
        if fence:
            fence = "" if mark and mark[1].startswith(fence) and line.strip() == mark[1] else fence
        elif mark:
            fence = mark[1]
        item = None if fence or _RULE.match(line) else _ITEM.match(line)
        if item and (levels or _starts_a_list(item, out)):
            if not levels and out and out[-1].strip():
                out.append("")
            indent = len(item[1])
            while levels and indent < levels[-1]:
                levels.pop()
            if not levels or indent >= levels[-1] + 2:
                levels.append(indent)
            marker = f"{item[3]}." if item[3] else item[2]
            out.append(f"{'    ' * (len(levels) - 1)}{marker} {line[item.end() :]}")
            continue
        if levels and line.strip():
            if line.startswith(" ") or fence:
                line = "    " * len(levels) + (
                    line[levels[-1] + 2 :] if not line[: levels[-1] + 2].strip() else line.strip()
                )
            elif not out[-1].strip():  # a line at the margin after a blank one ends the list
                levels = []
        out.append(line)
    return "\n".join(out)


def _starts_a_list(item: re.Match[str], before: list[str]) -> bool:
    """As in CommonMark: right under a paragraph, a numbered list begins with 1, because a year may end a sentence."""
    if len(item[1]) > 3:
        return False
    return not before or not before[-1].strip() or item[3] in (None, "1")
