"""Posts that say the same thing, and which one of them stays.

In: posts and the shingles of their texts. Out: how alike each pair is, and the posts to leave out. MinHash finds the pairs that
may be alike (Broder, 1997, On the resemblance and containment of documents); their true Jaccard likeness decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blogtwin.records import Post
from blogtwin.words import jaccard, normalised

Likeness = dict[tuple[int, int], float]  # places of two posts, the lower first → 0 to 1

_PERMUTATIONS = 128


@dataclass(frozen=True)
class Duplicate:
    """A post to leave out, by its place. likeness: 1.0 when only case, punctuation or white space differ."""

    place: int
    of: int
    likeness: float
    why: str


def likenesses(shingles: Sequence[frozenset[str]], at_least: float) -> Likeness:
    """Every pair whose Jaccard likeness is `at_least` this (0 to 1, exclusive of 0). The order of posts does not matter."""
    from datasketch import MinHash, MinHashLSH

    # Candidates are looked for below the bound, because MinHash is an estimate and a missed pair would stand on both sides.
    index = MinHashLSH(threshold=max(0.1, at_least * 0.8), num_perm=_PERMUTATIONS)
    found: Likeness = {}
    for place, one in enumerate(shingles):
        if not one:
            continue
        sketch = MinHash(num_perm=_PERMUTATIONS, seed=1)
        sketch.update_batch([shingle.encode() for shingle in sorted(one)])
        for other in index.query(sketch):
            likeness = jaccard(one, shingles[other])
            if likeness >= at_least:
                found[other, place] = likeness
        index.insert(place, sketch)
    return found


def duplicates(posts: Sequence[Post], pairs: Mapping[tuple[int, int], float], threshold: float) -> list[Duplicate]:
    """The posts to leave out so that no two are exact copies or alike by `threshold`.

    The newer of two stays, for it is the author's last word on the matter; of two without a date that means anything (the
    file system's own does not: it is the day of the copy), or of the same day, the longer.
    """
    order = sorted(range(len(posts)), key=lambda place: _rank(posts[place]), reverse=True)
    kept: list[int] = []
    by_text: dict[str, int] = {}
    out: list[Duplicate] = []
    for place in order:
        same = by_text.get(normalised(posts[place].text))
        if same is not None:
            out.append(Duplicate(place, same, 1.0, _why(posts[same], posts[place])))
            continue
        alike = [(pairs.get((min(place, one), max(place, one)), 0.0), one) for one in kept]
        likeness, nearest = max(alike, default=(0.0, -1))
        if likeness >= threshold:
            out.append(Duplicate(place, nearest, likeness, _why(posts[nearest], posts[place])))
            continue
        kept.append(place)
        by_text[normalised(posts[place].text)] = place
    return sorted(out, key=lambda one: one.place)


def _date(post: Post) -> str:
    if post.created_at is None or post.created_from == "file system":
        return ""
    return post.created_at.date().isoformat()


def _rank(post: Post) -> tuple[str, int, str]:
    return _date(post), post.word_count, post.path


def _why(kept: Post, dropped: Post) -> str:
    if _date(kept) != _date(dropped):
        return "the newer one is kept"
    return "the longer one is kept" if kept.word_count != dropped.word_count else "one of them is kept"
