"""A text as numbers that tell how alike two texts are.

In: texts. Out: sets of hashed word sequences, and MinHash signatures of them. Hashes depend on the words alone, so the same text
has the same sketch in every process and on every machine.
"""

from __future__ import annotations

import zlib
from functools import cache, lru_cache
from typing import Any

import numpy as np

from blogtwin.words import normalised

PERMUTATIONS = 128
Shingles = np.ndarray[tuple[int], np.dtype[np.uint64]]
Signature = np.ndarray[tuple[int], np.dtype[np.uint16]]

_LENGTH = 5  # words; characters in scripts without spaces, where five say about as much as two words do
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no word is lost
_MIX = np.uint64(0xFF51AFD7ED558CCD)


def shingles(text: str) -> Shingles:
    """The hashed sequences of five words in the normalised text, sorted, each once; of a shorter text, the whole as one."""
    return shingles_of(normalised(text).split())


def shingles_of(words: list[str]) -> Shingles:
    """As `shingles`, of words that are normalised already."""
    if not words:
        return np.empty(0, np.uint64)
    hashes = np.array([_hash(word) for word in words], np.uint64)
    length = min(_LENGTH, len(words))
    rolled = np.zeros(len(words) - length + 1, np.uint64)
    for place in range(length):
        rolled = rolled * _MULTIPLIER + hashes[place : place + len(rolled)] + np.uint64(1)
    rolled ^= rolled >> np.uint64(33)
    rolled *= _MIX
    rolled ^= rolled >> np.uint64(29)
    return np.unique(rolled)


@lru_cache(maxsize=1 << 16)
def _hash(word: str) -> int:
    return zlib.crc32(word.encode())


def jaccard(one: Shingles, other: Shingles) -> float:
    """Shared share of two sets, 0 to 1: |A ∩ B| / |A ∪ B|. Two empty sets are the same."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    union = len(one) + len(other) - shared
    return shared / union if union else 1.0


def signature(of: Shingles) -> Signature:
    """MinHash values of a set of shingles, shape (PERMUTATIONS,): the share of equal ones estimates the Jaccard likeness.

    Broder, 1997, On the resemblance and containment of documents. Of each value 16 bits are kept, as in b-bit minwise hashing
    (Li and König, 2010): two different ones agree by chance once in 65,536 times.
    """
    sketch = _empty().copy()
    sketch.update_batch((of & np.uint64(0xFFFFFFFF)).tolist())
    return np.asarray(sketch.hashvalues & 0xFFFF, np.uint16)


@cache
def _empty() -> Any:
    from datasketch import MinHash

    return MinHash(num_perm=PERMUTATIONS, seed=1, scheme="affine32", hashfunc=int)
