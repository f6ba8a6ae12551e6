"""What a blog says under post after post in the same words: licences, "discuss this on …", who the author is, series notes.

In: the text of every post, as hashes of its passages. Out: the hashes of passages that recur, and texts without them.

A passage is a paragraph, a list or a quotation, or a line of its own at the edge of one. Digits are folded, so that "part 3 of
7" recurs; case and punctuation do not count. Headings and code never recur by themselves: many posts have a "Conclusion", many
tutorials one import.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from blogtwin.dataset.sections import blocks, heading_of
from blogtwin.words import count_words, normalised

if TYPE_CHECKING:
    import numpy

    Hashes = numpy.ndarray[tuple[int], numpy.dtype[numpy.uint64]]

# How many posts a passage must stand in, by its length. Tried on five blogs of 60 to 366 posts: what recurs in three posts with
# twelve words or more was never written anew, while four words ("Let's look at this") may be, so those must recur in many.
_LONG, _MEDIUM, _SHORT = 12, 7, 4  # words
_POSTS, _MEDIUM_SHARE, _SHORT_POSTS, _SHORT_SHARE = 3, 0.01, 5, 0.03
_UNSPACED_WORD = 2.5  # characters of Chinese or Japanese say as much as a word
_CODE = ("```", "~~~", "    ", "\t")
_DIGITS = re.compile(r"\d+")
_ENDS = re.compile(r"[.!?…:。！？][\"'”’)\]*_]*$|[*_)\]]$")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class Passage:
    """A passage that may recur. words: how much it says, in words of a language with spaces."""

    hash: int
    words: int


def passages(text: str) -> list[Passage]:
    """The passages of a post that could be boilerplate if they recurred, each once."""
    found: dict[int, int] = {}
    for block in blocks(text):
        if block.lstrip(">").startswith(_CODE) or heading_of(block):
            continue
        for passage in {block, *_edges(block)}:
            if one := _passage(passage):
                found[one.hash] = one.words
    return [Passage(hash_, words) for hash_, words in sorted(found.items())]


def _edges(block: str) -> list[str]:
    """Lines that begin or end a block and are whole sentences: a signature under the last paragraph."""
    lines = block.split("\n")
    if len(lines) < 2:
        return []
    first = [lines[0]] if _ENDS.search(lines[0].rstrip()) else []
    last = [lines[-1]] if _ENDS.search(lines[-2].rstrip()) or lines[-2].endswith("  ") else []
    return first + last


def _passage(text: str) -> Passage | None:
    said = normalised(_DIGITS.sub("0", text))
    if len(said) < 8 or not _LETTER.search(said):
        return None
    parts = said.split()
    spaced = len(parts) if said.isascii() else sum(len(part) > 1 or part.isascii() for part in parts)
    words = spaced + int((len(parts) - spaced) / _UNSPACED_WORD)
    if words < _SHORT:
        return None
    return Passage(int.from_bytes(blake2b(said.encode(), digest_size=8).digest()), min(words, 0xFFFF))


def recurring(posts: numpy.ndarray, hashes: Hashes, words: numpy.ndarray, total: int) -> frozenset[int]:
    """The hashes of boilerplate, from every passage of every post.

    posts, hashes, words: shape (passages of all posts,): the post each stands in, its hash, its length. total: number of posts.
    Copies of a whole post prove nothing about their passages: a post of which more than half would go does not count.
    """
    import numpy as np

    if not len(hashes):
        return frozenset()
    candidates = _often(hashes, words, total)
    suspected = np.isin(hashes, candidates)
    said = np.bincount(posts, weights=words, minlength=total)
    cut = np.bincount(posts, weights=words * suspected, minlength=total)
    many = np.bincount(posts, weights=suspected, minlength=total)
    copies = ((cut > said / 2) & (many >= 3)) | (cut > said * 0.9)
    originals = suspected & ~copies[posts]
    return frozenset(map(int, _often(hashes[originals], words[originals], total)))


def _often(hashes: Hashes, words: numpy.ndarray, total: int) -> Hashes:
    import numpy as np

    different, first, times = np.unique(hashes, return_index=True, return_counts=True)
    length = words[first]
    wanted = np.where(
        length >= _LONG,
        _POSTS,
        np.where(
            length >= _MEDIUM, max(_POSTS, round(total * _MEDIUM_SHARE)), max(_SHORT_POSTS, round(total * _SHORT_SHARE))
        ),
    )
    return different[times >= wanted]


def without(text: str, boilerplate: Collection[int]) -> tuple[str, list[str]]:
    """`text` without its boilerplate, and what was cut; a heading over nothing but boilerplate goes with it."""
    if not boilerplate:
        return text, []
    is_boilerplate: Callable[[str], bool] = lambda said: (one := _passage(said)) is not None and one.hash in boilerplate  # noqa: E731
    kept: list[str] = []
    gone: list[str] = []
    over_nothing = False  # whether what was cut last stood right under the heading that is kept last
    for block in blocks(text):
        heading = heading_of(block)
        if heading and over_nothing and kept and _closes(kept[-1], heading[0]):
            gone.append(kept.pop())
        if heading:
            over_nothing = False
        elif not block.lstrip(">").startswith(_CODE):
            if is_boilerplate(block):
                gone.append(block)
                over_nothing = bool(kept) and heading_of(kept[-1]) is not None
                continue
            edges = [edge for edge in _edges(block) if is_boilerplate(edge)]
            for edge in edges:
                block = _without_edge(block, edge)
            gone += edges
        kept.append(block)
        over_nothing = False
    if over_nothing and kept and heading_of(kept[-1]):
        gone.append(kept.pop())
    return ("\n\n".join(kept), gone) if gone else (text, [])


def _closes(heading: str, level: int) -> bool:
    """Whether a heading of this level ends the section of the one before."""
    before = heading_of(heading)
    return before is not None and level <= before[0]


def _without_edge(block: str, edge: str) -> str:
    lines = block.split("\n")
    return "\n".join(lines[1:] if lines[0] == edge else lines[:-1]).rstrip()


def shown(passage: str) -> str:
    """A passage as one line that is the same wherever it recurs."""
    return _DIGITS.sub("#", " ".join(passage.split()))


def words_of(cut: list[str]) -> int:
    """How many words were cut."""
    return sum(map(count_words, cut))
