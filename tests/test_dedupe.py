"""Duplicates and translations: found by their true likeness, quickly, in any script, and each on one side of the split."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from blogtwin.dataset.cards import Card
from blogtwin.dataset.dedupe import Pair, duplicates, exact_copies, likenesses
from blogtwin.dataset.sketches import PERMUTATIONS, jaccard, shingles, signature
from blogtwin.dataset.split import held_out
from test_prepare import card, post, run, words


def found(texts: list[str], at_least: float) -> tuple[dict[Pair, float], int]:
    """The likenesses, and how many pairs were compared."""
    sets = [shingles(text) for text in texts]
    compared: list[Pair] = []

    def compare(pairs: Iterable[Pair]) -> Iterable[float]:
        compared.extend(pairs)
        return [jaccard(sets[one], sets[other]) for one, other in compared]

    return likenesses(np.stack([signature(one) for one in sets]), at_least, compare), len(compared)


def test_near_duplicates_are_found_by_their_true_likeness_in_japanese_too() -> None:
    clock = "時計を直すのに三日かかりました。小さな髪の毛ほどの曲がりが、すべての原因だったのです。" * 2
    texts = [words(1, 200), words(1, 200).replace("b", "p", 3), words(2, 200), clock, clock + "おわり。"]
    pairs, _ = found(texts, 0.5)
    assert sorted(pairs) == [(0, 1), (3, 4)]
    assert all(0.5 <= likeness < 1 for likeness in pairs.values())
    assert len(duplicates([card(f"{n}.md") for n in range(5)], pairs, 0.5)) == 2


def test_case_punctuation_and_typography_make_no_difference() -> None:
    assert jaccard(shingles("The SAME, “words” as before — it’s!"), shingles("the same words as before it's")) == 1.0
    assert jaccard(shingles(""), shingles("")) == 1.0


def test_half_of_a_text_again_is_alike_and_a_tenth_is_not() -> None:
    texts = [part for n in range(30) for part in (words(n, 400), words(n, 200) + words(100 + n, 200))]
    texts += [words(n, 40) + words(500 + n, 360) for n in range(30)]
    pairs, _ = found(texts, 0.3)
    assert sorted(pairs) == [(2 * n, 2 * n + 1) for n in range(30)]


def test_a_thousand_versions_of_one_text_are_tied_together_by_few_comparisons() -> None:
    texts = [words(1, 300) + f" {n} " + words(2 + n, 10) for n in range(1000)]
    began = time.process_time()
    pairs, compared = found(texts, 0.8)
    assert time.process_time() - began < 10
    assert compared < 60_000
    kept = 1000 - len(duplicates([card(f"{999 - n:04}.md") for n in range(1000)], pairs, 0.8))
    assert kept == 1


def test_the_newer_stays_else_the_longer_and_a_copy_is_known_by_its_words() -> None:
    cards = [card("old.md", "2019-01-01", text=1), card("new.md", "2020-01-01", text=1), card("other.md", text=2)]
    assert [(one.place, one.of, one.why) for one in exact_copies(cards)] == [(0, 1, "the newer one is kept")]
    assert [one.place for one in duplicates(cards, {(0, 2): 0.9, (1, 2): 0.1}, 0.8)] == [2]


def test_a_text_has_the_same_signature_in_every_process() -> None:
    said = (
        "from blogtwin.dataset.sketches import shingles, signature\n"
        "print(signature(shingles('a b c d e f g')).tobytes().hex())"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", said],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert len(told[0].strip()) == PERMUTATIONS * 4


def side(cards: list[Card], chosen: set[str], paths: tuple[str, ...]) -> set[bool]:
    return {one.id in chosen for one in cards if one.path in paths}


@pytest.mark.parametrize(
    "pair",
    [
        ("cups.md", "cups.ja.md"),
        ("en/cups.md", "ja/cups.md"),
        ("content/posts/cups/index.md", "content/de/posts/cups/index.md"),
        ("_posts/pt-BR/2020-01-01-cups.md", "_posts/2020-01-01-cups.md"),
        ("zh_Hant/cups.md", "cups.md"),
    ],
    ids=lambda pair: pair[1],
)
def test_a_post_and_its_translation_by_name_or_folder_stand_on_one_side(pair: tuple[str, str]) -> None:
    cards = [card(path) for path in (*pair, *(f"{n}.md" for n in range(12)))]
    assert all(len(side(cards, held_out(cards, [], 0.6, seed), pair)) == 1 for seed in range(20))


def test_posts_of_one_day_with_the_same_code_stand_on_one_side_and_other_posts_are_free() -> None:
    code = (11, 12, 13, 14)
    cards = [card("tee.md", "2020-01-01", code=code), card("tea.md", "2020-01-01", code=(12, 13, 14, 15))]
    cards += [card(f"{n}.md", "2020-01-01", code=(n, 100 + n, 200 + n)) for n in range(20, 32)]
    chosen = [held_out(cards, [], 0.6, seed) for seed in range(20)]
    assert all(len(side(cards, one, ("tee.md", "tea.md"))) == 1 for one in chosen)
    assert any(len(side(cards, one, ("20.md", "21.md"))) == 2 for one in chosen)


def test_a_translation_is_kept_and_stands_with_its_original(tmp_path: Path) -> None:
    code = "```python\nfor cup in shelf_of_cups:\n    print(cup.owner, cup.colour)\nshelf_of_cups.close_door()\n```"
    posts = [
        post(f"{n:02}.md", words(n), created_at="2021-01-01T00:00:00Z", created_from="file name") for n in range(9)
    ]
    day = {"created_at": "2020-05-05T00:00:00Z", "created_from": "front matter"}
    posts += [post("cups.md", f"{words(50)}\n\n{code}", **day), post("tassen.md", f"{words(60)}\n\n{code}", **day)]
    for seed in range(4):
        result, train, _ = run(tmp_path, posts, seed=seed)
        assert result.counts["kept"] == 11
        sides = {one.path in ("cups.md", "tassen.md") and one.id in {e.post_id for e in train} for one in posts[-2:]}
        assert len(sides) == 1
