"""Posts → those to train on and those held out.

In: posts, and which of them are alike. Out: the ids held out. Posts that are alike, and translations of one another, stand on the
same side: a twin that has read one would otherwise be examined on what it knows by heart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from blogtwin.errors import NothingUsable
from blogtwin.records import Post, content_id

_LANGUAGE = re.compile(r"\.([a-z]{2,3}(?:-[A-Za-z]{2,4})?)$")


def held_out(posts: Sequence[Post], alike: Iterable[tuple[int, int]], share: float, seed: int) -> set[str]:
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
    chosen: list[Post] = []
    for group in order:
        if len(chosen) + len(group) <= wanted:
            chosen += group
    if not chosen:  # every group is larger than what is wanted: the smallest comes nearest
        chosen = min(order, key=len)
    return {post.id for post in chosen}


def _groups(posts: Sequence[Post], alike: Iterable[tuple[int, int]]) -> list[list[Post]]:
    parent = list(range(len(posts)))

    def root(place: int) -> int:
        while parent[place] != place:
            place = parent[place] = parent[parent[place]]
        return place

    for one, other in [*alike, *_translations(posts)]:
        parent[root(one)] = root(other)
    groups: dict[int, list[Post]] = {}
    for place, post in enumerate(posts):
        groups.setdefault(root(place), []).append(post)
    return list(groups.values())


def _translations(posts: Sequence[Post]) -> list[tuple[int, int]]:
    """Pairs like cups.md and cups.ja.md: static site generators name a post's languages so."""
    first: dict[str, int] = {}
    pairs: list[tuple[int, int]] = []
    for place, post in enumerate(posts):
        path = PurePosixPath(post.path)
        name = str(path.with_name(_LANGUAGE.sub("", path.stem) or path.stem))
        if name in first:
            pairs.append((first[name], place))
        first.setdefault(name, place)
    return pairs
