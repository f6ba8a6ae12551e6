"""A post's Markdown → its sections, and pieces that fit a model's context.

In: cleaned Markdown and a budget in tokens. Out: headings, sections, pieces. A cut falls before a heading where it can, else
between paragraphs, and between sentences only where one paragraph is longer than the budget; never inside a sentence, a
table, a list item or a code block, and never between a heading or a "like this:" and what it announces.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

# Bytes of UTF-8 a token. Vocabularies of 49,000 to 150,000 tokens take 4 to 4.5 bytes of English prose at a time. These figures
# are those of small vocabularies (2,048 and 6,144 tokens, fitted by least squares to rows of three blogs: 3.3 to 4.6 for letters,
# 0.8 to 1.4 for the rest), so they are on the careful side for large ones. Code, with its many signs, comes out at
# about 2.5, prose at 3.3, Japanese at one character. The tokenizer itself is not known here: the same examples serve
# every base model, and a cut-off answer costs more than an example that could have been a little longer.
_LETTER_BYTES = 3.6
_SIGN_BYTES = 1.4
_OTHER_SCRIPT_BYTES = 3.0
_LETTERS = bytes(range(ord("a"), ord("z") + 1)) + bytes(range(ord("A"), ord("Z") + 1)) + b" "
_ASCII = bytes(range(0x80))

_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(\S.*?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r"^[ \t]*(?:>[ \t]?)*(```+|~~~+)")
_ITEM = re.compile(r"^(?:[-*+]|\d{1,9}[.)])[ \t]")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]*_]*(?P<space>\s+)(?=[^\sa-z])|[。！？][」』）”’]*(?=\S)")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|vs|e\.g|i\.e|etc|cf|No|Fig|fig|approx|ca|al|Inc|Ltd|Jr|Sr)\.$"
)


def estimated_tokens(text: str) -> int:
    """How many tokens `text` may have, guessed from its bytes."""
    data = text.encode()
    other_script = len(data.translate(None, _ASCII))
    signs = len(data.translate(None, _LETTERS)) - other_script
    letters = len(data) - other_script - signs
    return math.ceil(letters / _LETTER_BYTES + signs / _SIGN_BYTES + other_script / _OTHER_SCRIPT_BYTES)


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it, up to the next heading of its level or above."""

    heading: str
    text: str


@dataclass(frozen=True)
class Piece:
    """A part of a post. before: the piece it goes on from, None when it opens the post or what came before was left out."""

    text: str
    before: str | None
    opens: bool
    ends: bool


def blocks(text: str) -> list[str]:
    """Paragraphs, headings, lists, tables and whole code blocks, in order; "\\n\\n".join gives the text back."""
    found: list[list[str]] = []
    fence = ""
    open_block = False
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            found[-1].append(line)
            if mark and mark.group(1).startswith(fence) and line.strip().strip("`~> \t") == "":
                fence = ""
            continue
        if not line.strip():
            open_block = False
            continue
        if not open_block and line.startswith(("    ", "\t", "  ")) and found and _goes_on(found[-1]):
            found[-1] += ["", line]  # code with a blank line in it, or a list item's second paragraph
        elif open_block and not _HEADING.match(line) and not _HEADING.match(found[-1][-1]):
            found[-1].append(line)
        else:
            found.append([line])
        open_block = True
        fence = mark.group(1) if mark else ""
    return ["\n".join(lines) for lines in found]


def _goes_on(lines: list[str]) -> bool:
    return lines[0].startswith(("    ", "\t")) or bool(_ITEM.match(lines[0].lstrip()))


def heading_of(block: str) -> tuple[int, str] | None:
    """Level and words of a heading block."""
    match = _HEADING.match(block)
    return (len(match.group(1)), match.group(2)) if match and "\n" not in block else None


def sections(text: str) -> list[Section]:
    """The sections at the highest level that has two headings or more; what stands above the first is in none."""
    parts = blocks(text)
    levels = [found[0] for block in parts if (found := heading_of(block))]
    level = min((one for one in set(levels) if levels.count(one) > 1), default=0)
    out: list[tuple[str, list[str]]] = []
    inside = False
    for block in parts:
        found = heading_of(block)
        if found and found[0] <= level:
            inside = found[0] == level
            if inside:
                out.append((found[1], []))
        elif inside:
            out[-1][1].append(block)
    return [Section(heading, "\n\n".join(body)) for heading, body in out]


def pieces(text: str, budget: int) -> tuple[list[Piece], int]:
    """`text` in pieces of at most `budget` estimated tokens and of similar size, and how many blocks were too long for any."""
    total = estimated_tokens(text)
    # Even pieces: a full one followed by two lines would teach that posts end with two lines.
    target = total / math.ceil(total / budget)
    runs: list[list[str]] = [[""]]
    left_out = 0
    for unit in _units(text, budget):
        current = runs[-1][-1]
        joined = f"{current}\n\n{unit}" if current else unit
        if estimated_tokens(unit) > budget:
            left_out += 1
            runs.append([""])
        elif not current:
            runs[-1][-1] = unit
        elif estimated_tokens(joined) > budget or estimated_tokens(current) >= target * (
            0.6 if heading_of(unit.split("\n")[0]) else 0.95
        ):
            runs[-1].append(unit)
        else:
            runs[-1][-1] = joined
    for run in runs:
        if len(run) > 1 and estimated_tokens(run[-1]) < target / 4 and estimated_tokens(run[-2] + run[-1]) < budget:
            run[-2:] = ["\n\n".join(run[-2:])]
    return list(_pieces(runs)), left_out


def _pieces(runs: list[list[str]]) -> Iterator[Piece]:
    for number, run in enumerate(runs):
        for place, text in enumerate(run):
            if text:
                first, last = number == 0 and place == 0, number == len(runs) - 1 and place == len(run) - 1
                yield Piece(text, run[place - 1] if place else None, first, last)


def _units(text: str, budget: int) -> Iterator[str]:
    """Blocks that must stay together, joined, where they fit; long ones in their smallest whole parts."""
    held: list[str] = []
    for block in blocks(text):
        held.append(block)
        if heading_of(block) or block.rstrip().endswith((":", "：")):
            continue
        yield from _fitting(held, budget)
        held = []
    yield from _fitting(held, budget)


def _fitting(held: list[str], budget: int) -> Iterator[str]:
    together = "\n\n".join(held)
    if not held:
        return
    if estimated_tokens(together) <= budget:
        yield together
        return
    *before, last = held
    first, *others = _parts(last, budget)
    if estimated_tokens(first) > budget:  # it will be left out, and a heading over nothing with it
        while before and heading_of(before[-1]):
            before.pop()
        yield from (part for block in before for part in _parts(block, budget))
        yield from (first, *others)
        return
    opening = "\n\n".join([*before, first])
    if estimated_tokens(opening) <= budget:
        yield from (opening, *others)
    else:
        yield from (part for block in held for part in _parts(block, budget))


def _parts(block: str, budget: int) -> Iterator[str]:
    """A long paragraph as groups of sentences, a long list as groups of items; anything else as it is."""
    lines = block.split("\n")
    if estimated_tokens(block) <= budget:
        yield block
        return
    if _FENCE.match(block) or block.startswith(("    ", "\t", "|", ">", "\x02")) or heading_of(block):
        yield block
        return
    atoms = _items(lines) if _ITEM.match(block) else sentences(block)
    group = ""
    for atom in atoms:
        if group and estimated_tokens(group + atom) > budget:
            yield group.strip()
            group = ""
        group += atom
    yield group.strip()


def _items(lines: list[str]) -> list[str]:
    out: list[str] = []
    for line in lines:
        if _ITEM.match(line) or not out:
            out.append(line + "\n")
        else:
            out[-1] += line + "\n"
    return out


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph, each with the white space behind it; "".join gives the paragraph back."""
    out: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(paragraph):
        # Only what is near counts: one bracket that is never closed must not hold a page together.
        near = paragraph[max(start, match.end() - 600) : match.end()]
        inside = near.count("`") % 2 or near.count("[") > near.count("]") or near.count("(") > near.count(")")
        if not inside and not _ABBREVIATION.search(near[: len(near) - (match.end() - match.start()) + 1]):
            out.append(paragraph[start : match.end()])
            start = match.end()
    return [*out, paragraph[start:]] if start < len(paragraph) else out
