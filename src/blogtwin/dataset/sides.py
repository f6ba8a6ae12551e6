"""Which questions are held out. In: texts. Out: the places of those for validation.

Texts that say nearly the same stand on one side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blogtwin.dataset.dedupe import likenesses
from blogtwin.dataset.sketches import jaccard, shingles, signature
from blogtwin.records import content_id
from blogtwin.words import normalised


def held_out(texts: Sequence[str], share: float, alike: float, seed: int) -> set[int]:
    """About 1 - `share` of the texts, at least one, and never all; none where all of them say the same.

    share: of texts to train on, 0 to 1. alike: the Jaccard likeness of word sequences from which two texts stand together.
    Which ones depends on `seed` and the words, so that one more text moves hardly any other.
    """
    groups = sorted(_groups(texts, alike), key=lambda group: group[0])
    groups.sort(key=lambda group: min(content_id(str(seed), normalised(texts[place])) for place in group))
    wanted = max(1, round(len(texts) * (1 - share)))
    held: set[int] = set()
    for group in groups[:-1]:
        if not held or len(held) + len(group) <= wanted:
            held.update(group)
    return held


def _groups(texts: Sequence[str], alike: float) -> list[list[int]]:
    first: dict[str, int] = {}
    of = [first.setdefault(normalised(text) or text, place) for place, text in enumerate(texts)]
    different = sorted(set(of))
    sets = [shingles(texts[place]) for place in different]
    if len(different) > 1:
        signatures = np.stack([signature(one) for one in sets])
        pairs = likenesses(signatures, alike, lambda likely: (jaccard(sets[one], sets[other]) for one, other in likely))
        for one, other in sorted(pairs):
            of[different[other]] = _root(of, different[one])
    groups: dict[int, list[int]] = {}
    for place in range(len(texts)):
        groups.setdefault(_root(of, place), []).append(place)
    return list(groups.values())


def _root(of: list[int], place: int) -> int:
    while of[place] != place:
        place = of[place]
    return place
