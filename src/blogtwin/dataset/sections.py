"""A post's Markdown → its sections, and pieces that fit a model's context.

In: cleaned Markdown as blocks, and a budget in tokens. Out: headings, sections, pieces. A cut falls before a heading or a
long quotation where it can, else between paragraphs, and between sentences only where one paragraph is longer than the
budget; never inside a sentence, a table, a list item or a code block, and never between a heading or a "like this:" and
what it announces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from blogtwin.markup.quotations import long_quotations

# Bytes of UTF-8 a token. Vocabularies of 49,000 to 150,000 tokens take 4 to 4.5 bytes of English prose at a time. These figures
# are those of small vocabularies (2,048 and 6,144 tokens, fitted by least squares to rows of three blogs: 3.3 to 4.6 for letters,
# 0.8 to 1.4 for the rest), so they are on the careful side for large ones. Code, with its many signs, comes out at
# about 2.5, prose at 3.3, Japanese at one character. The tokenizer itself is not known here: the same examples serve
# every base model, and a cut-off answer costs more than an example that could have been a little longer.
# 3.6 bytes for letters, 1.4 for signs, 3 for other scripts; in 126ths of a token, because whole numbers can be added up.
_TOKEN, _LETTER, _SIGN, _OTHER_SCRIPT = 126, 35, 90, 42
_BETWEEN = 2 * _SIGN  # a blank line
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
    return _tokens(_weight(text))


def _tokens(weight: int) -> int:
    return -(-weight // _TOKEN)


def _weight(text: str) -> int:
    data = text.encode()
    other_script = 0 if text.isascii() else len(data.translate(None, _ASCII))
    signs = len(data.translate(None, _LETTERS)) - other_script
    letters = len(data) - other_script - signs
    return letters * _LETTER + signs * _SIGN + other_script * _OTHER_SCRIPT


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
    open_block = after_heading = False
    for line in text.split("\n"):
        mark = _FENCE.match(line) if "```" in line or "~~~" in line else None
        if fence:
            found[-1].append(line)
            if mark and mark.group(1).startswith(fence) and line.strip().strip("`~> \t") == "":
                fence = ""
            continue
        if not line or line.isspace():
            open_block = False
            continue
        heading = "#" in line[:4] and _HEADING.match(line) is not None
        if not open_block and line.startswith(("    ", "\t", "  ")) and found and _goes_on(found[-1]):
            found[-1] += ["", line]  # code with a blank line in it, or a list item's second paragraph
        elif open_block and not heading and not after_heading:
            found[-1].append(line)
        else:
            found.append([line])
        open_block, after_heading = True, heading
        fence = mark.group(1) if mark else ""
    return ["\n".join(lines) for lines in found]


def _goes_on(lines: list[str]) -> bool:
    return lines[0].startswith(("    ", "\t")) or bool(_ITEM.match(lines[0].lstrip()))


def heading_of(block: str) -> tuple[int, str] | None:
    """Level and words of a heading block."""
    match = _HEADING.match(block) if "#" in block[:4] and "\n" not in block else None
    return (len(match.group(1)), match.group(2)) if match else None


def sections(parts: Sequence[str]) -> list[Section]:
    """The sections at the highest level that has two headings or more; what stands above the first is in none."""
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


@dataclass
class _Run:
    """Units on their way to being one piece. weight: of the units with the blank lines between them."""

    units: list[str]
    weight: int

    def add(self, units: Sequence[str], weight: int) -> None:
        self.weight += weight + (_BETWEEN if self.units else 0)
        self.units += units


def pieces(parts: Sequence[str], budget: int) -> tuple[list[Piece], int]:
    """The blocks in pieces of at most `budget` estimated tokens and of similar size; how many were too long for any."""
    most = budget * _TOKEN
    total = sum(map(_weight, parts)) + _BETWEEN * max(len(parts) - 1, 0)
    # Even pieces: a full one followed by two lines would teach that posts end with two lines.
    target = _tokens(total) / max(_tokens(-(-total // budget)), 1)
    chains: list[list[_Run]] = [[_Run([], 0)]]  # what was left out stands between two chains
    left_out = 0
    for unit in _units(parts, budget):
        current = chains[-1][-1]
        weight = _weight(unit)
        if weight > most:
            left_out += 1
            chains.append([_Run([], 0)])
        elif current.units and (
            current.weight + _BETWEEN + weight > most or _tokens(current.weight) >= target * _enough_before(unit)
        ):
            chains[-1].append(_Run([unit], weight))
        else:
            current.add([unit], weight)
    for chain in chains:
        if (
            len(chain) > 1
            and _tokens(chain[-1].weight) < target / 4
            and _tokens(chain[-2].weight + chain[-1].weight) < budget
        ):
            last = chain.pop()
            chain[-1].add(last.units, last.weight)
    return list(_pieces([["\n\n".join(run.units) for run in chain] for chain in chains])), left_out


def _enough_before(unit: str) -> float:
    """The share of an even piece after which a cut may stand before `unit`."""
    if heading_of(unit.split("\n", 1)[0]):
        return 0.6
    return 0.3 if long_quotations(unit) else 0.95


def _pieces(runs: list[list[str]]) -> Iterator[Piece]:
    for number, run in enumerate(runs):
        for place, text in enumerate(run):
            if text:
                first, last = number == 0 and place == 0, number == len(runs) - 1 and place == len(run) - 1
                yield Piece(text, run[place - 1] if place else None, first, last)


def _units(parts: Sequence[str], budget: int) -> Iterator[str]:
    """Blocks that must stay together, joined, where they fit; long ones in their smallest whole parts."""
    held: list[str] = []
    for block in parts:
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
    group, weight = "", 0
    for atom in _items(lines) if _ITEM.match(block) else sentences(block):
        more = _weight(atom)
        if group and weight + more > budget * _TOKEN:
            yield group.strip()
            group, weight = "", 0
        group += atom
        weight += more
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
        stop = len(near) - (match.end() - match.start()) + 1
        if not inside and not _ABBREVIATION.search(near, max(0, stop - 12), stop):
            out.append(paragraph[start : match.end()])
            start = match.end()
    return [*out, paragraph[start:]] if start < len(paragraph) else out
