"""Two texts beside each other, line by line, with what one has and the other has not in colour. In: texts. Out: rows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

_FAR = 50  # lines; what a line became stands close to where it was
_MANY_LINES = 5000  # above that difflib's shortcut for frequent lines is worth its roughness


def rows(before: str, after: str) -> Iterator[tuple[Text, Text]]:
    """The lines of both texts in pairs: equal ones beside each other, what was cut on the left in red, what is new in green."""
    from rich.text import Text

    left, right = before.splitlines(), after.splitlines()
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=len(left) > _MANY_LINES)
    for kind, start, end, begin, stop in matcher.get_opcodes():
        if kind == "equal":
            yield from ((Text(line), Text(line)) for line in left[start:end])
        else:
            for cut, new in _paired(left[start:end], right[begin:stop]):
                yield _compared(cut, new)


def _paired(left: list[str], right: list[str]) -> Iterator[tuple[str, str]]:
    """Lines that became others beside those, the rest beside nothing."""
    place = 0
    for line in left:
        near = next((at for at in range(place, min(place + _FAR, len(right))) if _alike(line, right[at])), None)
        if near is None:
            yield line, ""
            continue
        yield from (("", new) for new in right[place:near])
        yield line, right[near]
        place = near + 1
    yield from (("", new) for new in right[place:])


def _alike(one: str, other: str) -> bool:
    words, others = set(one.split()), set(other.split())
    return bool(words & others) and len(words & others) * 2 >= min(len(words), len(others))


def _compared(left: str, right: str) -> tuple[Text, Text]:
    from rich.text import Text

    words, others = (re.findall(r"\s+|\w+|\W", line) for line in (left, right))
    shown, kept = Text(), Text()
    for kind, start, end, begin, stop in difflib.SequenceMatcher(None, words, others, autojunk=False).get_opcodes():
        shown.append("".join(words[start:end]), None if kind == "equal" else "red")
        kept.append("".join(others[begin:stop]), None if kind == "equal" else "green")
    return shown, kept
