"""What preparation does to one post at a time, on any processor core: read it, measure it, compare two, make its examples.

In: the place of a post in a file. Out: small results; texts go from file to file and never gather in memory.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np

from blogtwin import jsonl
from blogtwin.config import Private
from blogtwin.dataset import boilerplate
from blogtwin.dataset.boilerplate import Passage
from blogtwin.dataset.cards import day_of
from blogtwin.dataset.examples import Room, examples
from blogtwin.dataset.privacy import Privacy
from blogtwin.dataset.prompts import Wordings
from blogtwin.dataset.prose import prose_words
from blogtwin.dataset.sections import blocks
from blogtwin.dataset.sketches import PERMUTATIONS, Shingles, jaccard, shingles, shingles_of, signature
from blogtwin.errors import BrokenRecord
from blogtwin.jsonl import Line
from blogtwin.records import ExampleKind, Post
from blogtwin.words import count_words, normalised

KINDS: tuple[ExampleKind, ...] = ("topic", "outline", "continuation", "section")
_CODE_LINES = 12  # hashes of code lines that are kept for telling translations
_CODE_LINE = 12  # characters: shorter lines are alike in every program
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class Reading:
    """posts: the file that ingest wrote."""

    posts: Path
    privacy: Privacy
    drafts: bool


class Read(NamedTuple):
    """One post as it was read. line: the post for the spool, empty for a draft that is not wanted or a line that is no post."""

    path: str
    id: str
    day: str
    words_before: int
    line: bytes
    passages: list[Passage]
    originals: dict[Private, dict[str, str]]  # kind → original → stand-in
    replaced: dict[Private, int]  # kind → places
    words_replaced: int
    author: str | None = None
    broken: bool = False


def read(job: Reading, line: Line) -> Read:
    """The post on one line, with stand-ins for what is private."""
    try:
        post = jsonl.read_at(job.posts, line, Post)
    except BrokenRecord:
        return Read("", "", "", 0, b"", [], {}, {}, 0, broken=True)
    if post.draft and not job.drafts:
        return Read(post.path, post.id, "", post.word_count, b"", [], {}, {}, 0)
    text, made = job.privacy.replaced(post.text, post.language)
    title, in_title = job.privacy.replaced(post.title, post.language)
    originals: dict[Private, dict[str, str]] = {}
    replaced: dict[Private, int] = {}
    for one in (*made, *in_title):
        originals.setdefault(one.kind, {})[one.original] = one.stand_in
        replaced[one.kind] = replaced.get(one.kind, 0) + 1
    spooled = post.model_copy(update={"text": text, "title": title}).model_dump_json().encode() + b"\n"
    return Read(
        post.path,
        post.id,
        day_of(post),
        post.word_count,
        spooled,
        boilerplate.passages(text),
        originals,
        replaced,
        sum(count_words(one.original) for one in made),
        post.author,
    )


@dataclass(frozen=True)
class Spooled:
    """posts: as `read` left them. boilerplate: the hashes of passages to cut."""

    posts: Path
    boilerplate: frozenset[int]

    def post(self, line: Line) -> tuple[Post, list[str]]:
        """The post as it is learned from, and what was cut as boilerplate."""
        with self.posts.open("rb") as file:
            file.seek(line.start)
            post = Post.model_validate_json(file.read(line.length))
        text, gone = boilerplate.without(post.text, self.boilerplate)
        return (post.model_copy(update={"text": text}) if gone else post), gone


class Measured(NamedTuple):
    """One post as it is compared. signature: the bytes of its MinHash values. cut: passages of boilerplate."""

    words: int
    prose: int
    empty: bool
    text: int
    signature: bytes
    code: tuple[int, ...]
    cut: list[str]


def measure(job: Spooled, line: Line) -> Measured:
    """How long the post is, and what it is like."""
    post, cut = job.post(line)
    words = normalised(post.text).split()
    return Measured(
        count_words(post.text),
        prose_words(post.text),
        not post.text,
        _hash(" ".join(words)),
        signature(shingles_of(words)).tobytes(),
        _code(post.text),
        cut,
    )


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def _code(text: str) -> tuple[int, ...]:
    """The smallest hashes of the lines of code, which are the same ones in a translation."""
    if "```" not in text and "~~~" not in text and "\n    " not in text:
        return ()
    lines = {
        _SPACES.sub(" ", line.strip())
        for block in blocks(text)
        if block.startswith(("```", "~~~", "    "))
        for line in block.split("\n")
        if len(line.strip()) >= _CODE_LINE
    }
    return tuple(sorted(map(_hash, lines))[:_CODE_LINES])


def compare(job: Spooled, pair: tuple[Line, Line]) -> float:
    """The true likeness of two posts, 0 to 1."""
    return jaccard(_shingles(job, pair[0]), _shingles(job, pair[1]))


@lru_cache(maxsize=256)
def _shingles(job: Spooled, line: Line) -> Shingles:
    return shingles(job.post(line)[0].text)


@dataclass(frozen=True)
class Making:
    """With which words, and how much room, examples are made."""

    spooled: Spooled
    wordings: Wordings
    room: Room
    seed: int


class Made(NamedTuple):
    """lines: the examples as JSON lines. kinds: how many of each of KINDS. left_out: blocks that fit no example."""

    lines: bytes
    kinds: tuple[int, ...]
    left_out: int


def make(job: Making, line: Line) -> Made:
    """The examples of one post."""
    found, left_out = examples(job.spooled.post(line)[0], job.wordings, job.room, job.seed)
    kinds = Counter(example.kind for example in found)
    lines = "".join(example.model_dump_json() + "\n" for example in found)
    return Made(lines.encode(), tuple(kinds[kind] for kind in KINDS), left_out)


def unpacked(signatures: Path) -> np.ndarray:
    """The signatures that `measure` gave, one after the other, as rows."""
    return np.fromfile(signatures, np.uint16).reshape(-1, PERMUTATIONS)
