"""Posts → those to train on and those held out.

In: posts, and which of them are alike. Out: the ids held out. Posts that are alike, and translations of one another, stand on the
same side: a twin that has read one would otherwise be examined on what it knows by heart.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from blogtwin.dataset.cards import Card
from blogtwin.errors import NothingUsable
from blogtwin.records import content_id

_LANGUAGE = re.compile(r"\.([a-z]{2,3}(?:-[A-Za-z]{2,4})?)$")
# Folders that hold one language of a blog. ISO 639-1, without those that are words: "no", "is", "so", "to", "my".
_CODES = (
    "af ar az be bg bn bs ca cs cy da de el en eo es et eu fa fi fr ga gl gu he hi hr hu hy id it ja ka kk km kn ko ku ky lb lt "
    "lv mk ml mn mr ms mt nb ne nl nn pa pl ps pt ro ru sa sk sl sq sr sv sw ta te tg th tl tr tt ug uk ur uz vi yi zh zu"
)
_LANGUAGE_FOLDER = re.compile(rf"(?:{'|'.join(_CODES.split())})(?:[-_](?:[a-z]{{2}}|hans|hant))?", re.IGNORECASE)
_SHARED_LINES = 3  # of code, and half of the lines that are known: translated text shares nothing else


def held_out(posts: Sequence[Card], alike: Iterable[tuple[int, int]], share: float, seed: int) -> set[str]:
    """The ids of the posts for validation: about 1 - `share` of them, at least one, and never all.

    posts: in any order. alike: pairs of places in it. share: of posts to train on, 0 to 1.
    Which ones depends on `seed` and each post's path alone, so that a new or edited post moves hardly any other.
    Raises NothingUsable when there are not two groups of posts to put on two sides.
    """
    groups = _groups(posts, alike)
    if len(groups) < 2:
        many = (
            f"all {len(posts)} posts are versions of the same text"
            if len(posts) > 1
            else "there is only one usable post"
        )
        raise NothingUsable(
            f"{many}: one side is for training and the other to measure the twin on what it has not read",
            "add posts to the blog folder; ten are a beginning, thirty or more give a voice",
        )
    order = sorted(groups, key=lambda group: min(content_id(str(seed), post.path) for post in group))
    wanted = min(max(1, round(len(posts) * (1 - share))), len(posts) - 1)
    chosen: list[Card] = []
    for group in order:
        if len(chosen) + len(group) <= wanted:
            chosen += group
    if not chosen:  # every group is larger than what is wanted: the smallest comes nearest
        chosen = min(order, key=len)
    return {post.id for post in chosen}


def _groups(posts: Sequence[Card], alike: Iterable[tuple[int, int]]) -> list[list[Card]]:
    parent = list(range(len(posts)))

    def root(place: int) -> int:
        while parent[place] != place:
            place = parent[place] = parent[parent[place]]
        return place

    for one, other in [*alike, *_translations(posts)]:
        parent[root(one)] = root(other)
    groups: dict[int, list[Card]] = {}
    for place, post in enumerate(posts):
        groups.setdefault(root(place), []).append(post)
    return list(groups.values())


def _translations(posts: Sequence[Card]) -> Iterator[tuple[int, int]]:
    """Pairs that are one post in two languages: by their names, or by their day and their code."""
    first: dict[str, int] = {}
    by_day: dict[str, list[int]] = {}
    for place, post in enumerate(posts):
        original = first.setdefault(_without_language(post.path), place)
        if original != place:
            yield original, place
        if post.day and len(post.code) >= _SHARED_LINES:
            by_day.setdefault(post.day, []).append(place)
    for places in by_day.values():
        first_with: dict[int, int] = {}
        for place in places:
            others = Counter(first_with[line] for line in posts[place].code if line in first_with)
            for other, shared in others.items():
                if shared >= max(_SHARED_LINES, min(len(posts[place].code), len(posts[other].code)) / 2):
                    yield other, place
            for line in posts[place].code:
                first_with.setdefault(line, place)


def _without_language(name: str) -> str:
    """cups.md for cups.md and cups.ja.md, posts/cups.md for ja/posts/cups.md: generators name a post's languages so."""
    path = PurePosixPath(name)
    folders = [folder for folder in path.parts[:-1] if not _LANGUAGE_FOLDER.fullmatch(folder)]
    return "/".join([*folders, _LANGUAGE.sub("", path.stem) or path.stem])
