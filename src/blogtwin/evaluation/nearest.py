"""Which posts are nearest in topic to a prompt? In: prompts, posts. Out: for each prompt numbers of posts, the nearest first."""

from __future__ import annotations

from collections.abc import Sequence

from blogtwin.evaluation.relevance import cosines, term_weights, terms
from blogtwin.evaluation.words import prose


def nearest(prompts: Sequence[str], posts: Sequence[str], many: int) -> list[list[int]]:
    """At most `many` posts a prompt, by the cosine of TF-IDF weights as in relevance.py; of equal ones the first."""
    asked, theirs = [terms(prompt) for prompt in prompts], [terms(prose(post)) for post in posts]
    near = cosines(theirs, asked, term_weights(theirs, asked)).T
    return [sorted(range(len(posts)), key=lambda post: (-row[post], post))[:many] for row in near.tolist()]
