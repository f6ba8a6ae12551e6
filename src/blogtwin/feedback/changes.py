"""What training changed between two versions. In: two versions and the posts each saw. Out: what differs, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from blogtwin.feedback.versions import SeenPost
from blogtwin.service_records import Version

_FIELDS = ("base_model", "base_hash", "method", "parent", "data_hash", "settings_hash", "runtime")
_NAMED = 5  # posts


class Change(NamedTuple):
    """One thing that differs; "" where a version has nothing of the kind."""

    what: str
    one: str
    other: str


def changes(
    one: Version, other: Version, posts: Sequence[SeenPost], other_posts: Sequence[SeenPost]
) -> Iterator[Change]:
    """What `other` has otherwise than `one`: how it was made, its sizes, what was measured, the posts it saw."""
    for field in _FIELDS:
        values = getattr(one, field) or "", getattr(other, field) or ""
        if values[0] != values[1]:
            yield Change(field.replace("_", " "), *values)
    for before, after in ((one.sizes, other.sizes), (one.metrics, other.metrics)):
        for name in {**before, **after}:
            if before.get(name) != after.get(name):
                yield Change(name.replace("_", " "), *(_told(side.get(name)) for side in (before, after)))
    yield from _posts({post.post_id: post for post in posts}, {post.post_id: post for post in other_posts})


def _posts(before: dict[str, SeenPost], after: dict[str, SeenPost]) -> Iterator[Change]:
    gone = [post for key, post in before.items() if key not in after]
    new = [post for key, post in after.items() if key not in before]
    if gone or new:
        yield Change("posts seen", f"{len(before)}", f"{len(after)}")
        yield Change("posts only there", _named(gone), _named(new))


def _named(posts: Sequence[SeenPost]) -> str:
    told = ", ".join(post.path or post.post_id for post in posts[:_NAMED])
    return f"{told} and {len(posts) - _NAMED} more" if len(posts) > _NAMED else told


def _told(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
