"""A text that is to be rewritten → passages, in order: prose that fits the twin's context, and what is left as it is.

In: Markdown of any length. Out: Passages; "\\n\\n".join of their texts is the text again, but for the white space between blocks.
Code, tables and front matter, which are nobody's voice, stay as they are, and part what stands around them. Prose that fits is
one passage; longer prose is cut where training cuts posts (sections.py), and a block that no cut makes short enough stays. A
short text of nothing but code or a table is a passage all the same: somebody asked for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from blogtwin.dataset.sections import blocks, estimated_tokens, pieces

_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n.*?\n\1[ \t]*(?:\n+|\Z)", re.DOTALL)
_NO_PROSE = re.compile(r"(?:```|~~~|    |\t|\|.*\||<[a-z!/])")


@dataclass(frozen=True)
class Passage:
    """rewritten: whether the twin is asked; otherwise the text stays as it is."""

    text: str
    rewritten: bool = True


def passages(text: str, budget: int) -> list[Passage]:
    """The passages of `text`, none that is rewritten longer than `budget` estimated tokens; none for a text without words."""
    text = text.replace("\r\n", "\n")
    found: list[Passage] = []
    if head := _FRONT_MATTER.match(text):
        found.append(Passage(head[0].strip(), False))
        text = text[head.end() :]
    if not text.strip():
        return found
    every = blocks(text)
    left_alone = sum(_NO_PROSE.match(block) is not None for block in every)
    if left_alone in (0, len(every)) and estimated_tokens(text) <= budget:
        return [*found, Passage(text.strip())]
    run: list[str] = []
    for block in every:
        if _NO_PROSE.match(block):
            found += _cut(run, budget)
            run = []
            found.append(Passage(block, False))
        else:
            run.append(block)
    return [*found, *_cut(run, budget)]


def _cut(run: Sequence[str], budget: int) -> Iterator[Passage]:
    """Blocks of prose in passages; one that is too long for any stays as it is, and parts what stands around it."""
    whole, left_out = pieces(run, budget)
    if not left_out:
        yield from (Passage(piece.text) for piece in whole)
        return
    near: list[str] = []
    for block in run:
        if pieces([block], budget)[1]:
            yield from _cut(near, budget)
            near = []
            yield Passage(block, False)
        else:
            near.append(block)
    yield from _cut(near, budget)
