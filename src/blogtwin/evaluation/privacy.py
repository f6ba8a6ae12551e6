"""What private things a twin says. In: its answers and the map of stand-ins. Out: counts, and originals hinted at, never printed.

Everything private was replaced before training, so an original in an answer was known to the base model or guessed from the
rest; and what looks like an address, a number or a key, and is neither an original nor a stand-in, is invented or was overlooked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from blogtwin.config import Private
from blogtwin.privacy.find import find
from blogtwin.privacy.stand_ins import StandIns, canonical
from blogtwin.records import Record

_FORMS: tuple[Private, ...] = ("email", "phone", "key", "address")
_LONG_LINE = 16  # characters of a line by which a key of several lines is known


class Leaks(Record):
    """originals: kind → how many different ones were said. hints: their kind and first sign. unknown: kind → how many others."""

    originals: dict[Private, int]
    hints: tuple[str, ...]
    unknown: dict[Private, int]


def leaks(answers: Sequence[str], stand_ins: StandIns) -> Leaks:
    """Which originals the answers say, and what else in them has the form of something private."""
    together = "\n\n".join(answers)
    looked = [(one.kind, together[one.start : one.end]) for one in find(together, _FORMS)]
    numbers = {canonical("phone", said) for kind, said in looked if kind == "phone"}
    said = [
        (kind, original)
        for kind, pairs in sorted(stand_ins.items())
        for original in sorted(pairs)
        if (kind == "phone" and canonical(kind, original) in numbers) or _says(together, kind, original)
    ]
    known = {canonical(kind, one) for kind, pairs in stand_ins.items() for pair in pairs.items() for one in pair}
    return Leaks(
        originals=_counted(kind for kind, _ in said),
        hints=tuple(f"{kind} {original.strip()[0]}…" for kind, original in said),
        unknown=_counted(kind for kind, one in dict.fromkeys(looked) if canonical(kind, one) not in known),
    )


def _says(text: str, kind: Private, original: str) -> bool:
    flags = re.NOFLAG if kind == "key" else re.IGNORECASE
    lines = [line for line in original.split("\n") if len(line) >= _LONG_LINE] if kind == "key" else []
    for one in lines or [original]:
        written = r"\s+".join(map(re.escape, one.split()))
        if written and re.search(rf"(?<!\w){written}(?!\w)", text, flags):
            return True
    return False


def _counted(kinds: Iterable[Private]) -> dict[Private, int]:
    return dict(sorted(Counter(kinds).items()))
