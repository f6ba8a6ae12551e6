"""Boilerplate: what recurs in the same words is cut from every post, and what is written again in earnest stays."""

from __future__ import annotations

import numpy as np
import pytest

from blogtwin.dataset.boilerplate import passages, recurring, without
from test_prepare import words

FOOTER = "If you liked this, the letter with all new posts is sent on the first Sunday of the month."


def cut(posts: list[str]) -> list[str]:
    """The posts without what recurs in them."""
    found = [(place, one.hash, one.words) for place, text in enumerate(posts) for one in passages(text)]
    places, hashes, lengths = zip(*found, strict=True)
    boilerplate = recurring(np.array(places), np.array(hashes, np.uint64), np.array(lengths, np.uint16), len(posts))
    return [without(text, boilerplate)[0] for text in posts]


def test_a_footer_is_cut_whatever_its_numbers_and_its_heading_goes_with_it() -> None:
    own = [f"{words(seed)}\n\n## The middle\n\n{words(100 + seed)}" for seed in range(6)]
    posts = [
        f"This is part {number} of a series about clocks that were mended.\n\n{text}\n\n## Before you go\n\n{FOOTER}"
        for number, text in enumerate(own)
    ]
    assert cut(posts) == own


def test_a_line_under_the_last_paragraph_is_cut_alone() -> None:
    own = [words(seed) for seed in range(4)]
    assert cut([f"{text}\n{FOOTER}" for text in own]) == own


@pytest.mark.parametrize(
    "again",
    [
        "## Conclusion",
        "## What we learned from all of this in the end",
        "```\nimport numpy as np\nimport pandas as pd\nfrom pathlib import Path\nprint(np.zeros(3))\n```",
        "    import numpy as np\n    import pandas as pd\n    from pathlib import Path",
        "Let's see.",
        "***",
    ],
    ids=["heading", "long heading", "fence", "indented", "few words", "rule"],
)
def test_what_many_posts_have_in_earnest_stays(again: str) -> None:
    posts = [f"{words(seed)}\n\n{again}\n\n{words(100 + seed)}" for seed in range(20)]
    assert cut(posts) == posts


def test_a_sentence_of_few_words_is_cut_only_where_most_posts_end_with_it() -> None:
    often = [f"{words(seed)}\n\nDiscuss this on the forum." for seed in range(20)]
    assert cut(often) == [words(seed) for seed in range(20)]
    seldom = [words(seed) + "\n\nLet us look at it." * (seed < 4) for seed in range(20)]
    assert cut(seldom) == seldom


def test_copies_of_a_post_do_not_make_boilerplate_of_it() -> None:
    copy = "\n\n".join(words(seed, 50) for seed in range(5))
    posts = [copy, copy, copy + "\n\n" + words(50), *(words(seed) for seed in range(10, 16))]
    assert cut(posts) == posts


def test_a_short_post_loses_the_footer_that_long_posts_show_to_be_one() -> None:
    posts = [f"{words(seed)}\n\n{FOOTER}" for seed in range(6)] + [f"A note on glue.\n\n{FOOTER}"]
    assert cut(posts)[-1] == "A note on glue."


def test_a_japanese_footer_is_cut_too() -> None:
    names = ("祖父", "隣の人", "先生", "駅長")
    own = [f"{name}の時計を直すのに三日かかりました。{words(seed)}" for seed, name in enumerate(names)]
    assert cut([f"{text}\n\nこの記事が役に立ったら、友だちにも教えてください。" for text in own]) == own
