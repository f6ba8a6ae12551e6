"""Telling authors apart: one unseen text against a profile of 20 other posts, over five English blogs. AUC with intervals.

    uv run python bench/authors.py CORPORA [--draws 3]

CORPORA holds skeeto/, raphlinus/, others/chriskrycho/, others/endler/ and others/willkg/. Each is read by `blogtwin ingest`, its
cleaned posts taken without drafts, as `prepare-dataset` does (one is pseudo-random filler that tries a page's design, and nobody
wrote it); code and links are taken out by `evaluation.words.prose` (what a link is called stays, its address goes).

The protocol. In each draw every author's posts of 200 words and more are shuffled; 20 are the profile, and of up to 60 others
one window of 200, 500 and 1,000 words each is a text in question. For every ordered pair (A, B) of authors, texts by A and
texts by B are scored against A's profile and give one AUC. Whatever is fitted (rarity of signs, the weights of the
regression) sees A's profile and the profiles of imposters, and nothing else.

- strangers (the headline): imposters are the three authors who are neither A nor B. A text by B comes from nobody the method
  has seen, so both tested authors are left out of whatever is fitted.
- known: imposters are all four others, so B's other posts are among them: easier.
- obvious: the baseline. Its means and spreads are taken over all five profiles.

An author's figure is the mean over the four Bs and all draws; the whole is the mean over authors. Intervals: 95% bootstrap over
the posts in question within each cell. Marks of Markdown are in; a second table takes them out too, so that no editor's or
converter's habit counts.
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from blogtwin import jsonl
from blogtwin.cli.app import main as blogtwin
from blogtwin.evaluation.authorship import authorship
from blogtwin.evaluation.words import cut, level, prose, tokens, words
from blogtwin.records import Post

AUTHORS = ("skeeto", "raphlinus", "others/chriskrycho", "others/endler", "others/willkg")
LENGTHS = {200: 0.93, 500: 0.975, 1000: 0.99}  # words: what is promised
PROFILE, ASKED, RESAMPLES = 20, 60, 200
Profiles = Mapping[str, Sequence[str]]
Method = Callable[[str, str, Profiles, Sequence[str]], Sequence[float] | np.ndarray]
FUNCTION_WORDS = frozenset(
    words(
        "the of and to a in that is it for as with on be at by this not are but from or have an they which you were "
        "her all she there would their we him been has when who will no more if out so up said what its about than "
        "into them can only other time new some could these two may first then do any like my now over such our man "
        "me even most made after also did many off before must well back through much where your way down should "
        "because long each just those how too good very make still see work here between both being under never"
    )
)


@lru_cache(maxsize=8192)
def counted(text: str) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Sequences of three characters, function words, punctuation: the obvious."""
    line, found = " ".join(level(text).split()), tokens(text)
    return (
        Counter(line[start : start + 3] for start in range(len(line) - 2)),
        Counter(one for one in found if one in FUNCTION_WORDS),
        Counter(one for one in found if not one[0].isalnum()),
    )


def obvious(author: str, _: str, profiles: Profiles, texts: Sequence[str]) -> np.ndarray:
    """Twenty lines of the obvious: z-scores of rates over all profiles, cosines with the author's mean, three kinds added up."""
    posts = [post for own in profiles.values() for post in own]
    mine = np.array([name == author for name, own in profiles.items() for _ in own])
    total = np.zeros(len(texts))
    for kind in range(3):
        signs = [sign for sign, _ in sum((counted(post)[kind] for post in posts), Counter[str]()).most_common(2000)]
        rates = np.array([[counted(text)[kind][sign] for sign in signs] for text in [*posts, *texts]], dtype=float)
        rates /= np.maximum(rates.sum(1, keepdims=True), 1)
        rates = (rates - rates[: len(posts)].mean(0)) / (rates[: len(posts)].std(0) + 1e-9)
        own = rates[: len(posts)][mine].mean(0)
        total += rates[len(posts) :] @ own / np.linalg.norm(rates[len(posts) :], axis=1) / np.linalg.norm(own)
    return total


def strangers(author: str, other: str, profiles: Profiles, texts: Sequence[str]) -> list[float]:
    imposters = {name: posts for name, posts in profiles.items() if name not in (author, other)}
    return [one.score for one in authorship(profiles[author], imposters, texts)]


def known(author: str, other: str, profiles: Profiles, texts: Sequence[str]) -> list[float]:
    imposters = {name: posts for name, posts in profiles.items() if name != author}
    return [one.score for one in authorship(profiles[author], imposters, texts)]


METHODS: dict[str, Method] = {"strangers": strangers, "known": known, "obvious": obvious}


def read(corpora: Path) -> dict[str, list[str]]:
    """Author → prose of the posts, as blogtwin reads them and without drafts, which it does not learn from either."""
    out = {}
    with tempfile.TemporaryDirectory() as folder:
        for author in AUTHORS:
            posts = Path(folder) / author.replace("/", "-") / "raw_blogs.jsonl"
            if code := blogtwin(["ingest", "--input-dir", str(corpora / author), "--output", str(posts), "--json"]):
                raise SystemExit(code)
            out[author] = [prose(post.text) for post in jsonl.read(posts, Post) if not post.draft]
    return out


def unmarked(text: str) -> str:
    """Without Markdown's marks: of headings, items, quotations, footnotes and emphasis; dashes in one spelling."""
    text = re.sub(r"^[ \t]*(?:\[\^[^\]]*\]:|(?:#{1,6}|>|[-*+]|\d+[.)])(?=[ \t]))[ \t]*", "", text, flags=re.MULTILINE)
    text = re.sub(r"\[\^[^\]]*\]|[*_^|`~\\{}]", "", text)
    return re.sub(r"[ \t]*(?:-{2,}|–|—)[ \t]*", "—", text)


def window(text: str, length: int, chance: random.Random) -> str:
    """`length` words of `text`, from a random one on."""
    begin = chance.randrange(len(words(text)) - length + 1)
    return cut(text, begin + length)[len(cut(text, begin)) if begin else 0 :]


def draw(posts: Mapping[str, Sequence[str]], seed: int) -> tuple[Profiles, dict[int, dict[str, list[str]]]]:
    """Profiles, and length → author → texts in question."""
    chance = random.Random(seed)
    profiles: dict[str, Sequence[str]] = {}
    asked: dict[int, dict[str, list[str]]] = {length: {} for length in LENGTHS}
    for author, texts in posts.items():
        usable = [text for text in texts if len(words(text)) >= min(LENGTHS)]
        chance.shuffle(usable)
        profiles[author] = usable[:PROFILE]
        for length in LENGTHS:
            long = [text for text in usable[PROFILE : PROFILE + ASKED] if len(words(text)) >= length]
            asked[length][author] = [window(text, length, chance) for text in long]
    return profiles, asked


def auc(own: np.ndarray, others: np.ndarray) -> float:
    """How often a text of the author's scores above another's; ties count half."""
    return float((own[:, None] > others).mean() + (own[:, None] == others).mean() / 2)


def measured(
    method: Method, drawn: Sequence[tuple[Profiles, dict[int, dict[str, list[str]]]]], length: int
) -> np.ndarray:
    """AUC by author, shape (1 + RESAMPLES, authors): the sample as it is, then bootstrap samples of the texts."""
    generator = np.random.default_rng(7)
    out = np.zeros((1 + RESAMPLES, len(AUTHORS)))
    for (profiles, asked), (author, other) in itertools.product(drawn, itertools.permutations(AUTHORS, 2)):
        mine, theirs = asked[length][author], asked[length][other]
        scores = np.array(method(author, other, profiles, [*mine, *theirs]))
        sides = scores[: len(mine)], scores[len(mine) :]
        sampled = [auc(*(generator.choice(side, len(side)) for side in sides)) for _ in range(RESAMPLES)]
        out[:, AUTHORS.index(author)] += [auc(*sides), *sampled]
    return out / len(drawn) / (len(AUTHORS) - 1)


def table(drawn: Sequence[tuple[Profiles, dict[int, dict[str, list[str]]]]]) -> None:
    for name, method in METHODS.items():
        for length, promised in LENGTHS.items():
            began = time.process_time()
            found = measured(method, drawn, length)
            low, high = np.percentile(found[1:].mean(1), [2.5, 97.5])
            each = " ".join(f"{author.split('/')[-1]} {one:.3f}" for author, one in zip(AUTHORS, found[0], strict=True))
            whole = f"{name:9} {length:5} words: {found[0].mean():.3f} ({low:.3f} to {high:.3f})"
            print(f"{whole}, promised {promised:.3f} | {each} | {time.process_time() - began:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the seed of the first draw")
    wanted = parser.parse_args()
    posts = read(wanted.corpora)
    for view, texts in (
        ("code and links taken out", posts),
        ("Markdown's marks taken out too", {author: list(map(unmarked, own)) for author, own in posts.items()}),
    ):
        drawn = [draw(texts, wanted.first + number) for number in range(wanted.draws)]
        many = ", ".join(
            f"{sum(len(own) for _, asked in drawn for own in asked[length].values())} of {length}" for length in LENGTHS
        )
        print(f"\n{view}: {wanted.draws} draws, texts in question in all: {many} words", flush=True)
        table(drawn)


if __name__ == "__main__":
    main()
