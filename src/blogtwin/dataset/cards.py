"""What is known of a post while its text is on disk: a few hundred bytes, so that a hundred thousand posts fit in memory."""

from __future__ import annotations

from dataclasses import dataclass

from blogtwin.jsonl import Line
from blogtwin.records import Post


@dataclass(slots=True)
class Card:
    """One post. line: where its text stands. day: "" where no date means anything. text: a hash of its normalised words.

    code: hashes of lines of its code, at most a few: a translation has the same code. cuts: what was taken out → words.
    dropped: the kind of reason and the reason, None for one that stays.
    """

    id: str
    path: str
    line: Line
    day: str
    words: int  # as they were read, and once it is measured, as they are learned from
    words_before: int
    text: int = 0
    code: tuple[int, ...] = ()
    cuts: dict[str, int] | None = None
    remarks: tuple[str, ...] = ()
    dropped: tuple[str, str] | None = None
    author: str | None = None  # as the post is signed


def day_of(post: Post) -> str:
    """The day a post was written; "" where only the file system tells one, which is the day of the last copy."""
    if post.created_at is None or post.created_from == "file system":
        return ""
    return post.created_at.date().isoformat()
