"""The authorship test: the author's unseen texts are told from others', by what the others are, in any script."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest

from blogtwin.config import DataSettings, Settings
from blogtwin.evaluation.authorship import _Ridge, authorship, similarities
from blogtwin.evaluation.words import cut, prose, tokens, words
from blogtwin.progress import Silent
from blogtwin.stages.imposters import others
from conftest import EXAMPLES
from test_voice import model_texts


@pytest.fixture(scope="module")
def posts() -> list[str]:
    texts = [path.read_text("utf-8") for path in sorted(EXAMPLES.rglob("*.m*d*"))]
    texts = [re.sub(r"\A(---|\+\+\+)\n.*?\n\1\n", "", text, flags=re.DOTALL) for text in texts]
    texts = [text for text in texts if len(words(prose(text))) >= 200]
    random.Random(3).shuffle(texts)
    return texts


def test_the_authors_unseen_posts_are_told_from_the_base_models_answers(posts: list[str]) -> None:
    unseen, strange = posts[12:], model_texts(8, seed=2)
    found = authorship(posts[:12], {"base": model_texts(12, seed=1)}, [*unseen, *strange])
    own, others = found[: len(unseen)], found[len(unseen) :]
    assert min(one.probability for one in own) > 0.5 > max(one.probability for one in others)
    assert min(one.score for one in own) > max(one.score for one in others)


def test_half_of_each_is_less_certain_than_either(posts: list[str]) -> None:
    own, strange = cut(posts[12], 200), cut(model_texts(1, seed=2)[0], 200)
    mixed = cut(own, 100) + "\n\n" + cut(strange, 100)
    one, both, other = authorship(posts[:12], {"base": model_texts(12, seed=1)}, [own, mixed, strange])
    assert one.score > both.score > other.score
    assert one.probability > both.probability > other.probability


@pytest.mark.parametrize(
    "text",
    [
        "",
        "```\ncode alone\n```",
        "Yes.",
        "the the the " * 200,
        "Der Hund lief über die Straße und bellte. " * 30,
        "雨。" * 100,
    ],
    ids=["empty", "code", "one word", "a loop", "another language", "another script"],
)
def test_what_is_no_answer_is_not_taken_for_the_author(posts: list[str], text: str) -> None:
    own, odd = authorship(posts[:12], {"base": model_texts(12, seed=1)}, [posts[12], text])
    assert odd.probability < 0.5 < own.probability
    assert odd.score < own.score


def test_several_writers_serve_as_imposters_by_the_writer(posts: list[str]) -> None:
    shouting = [text.upper() for text in model_texts(6, seed=3)]
    found = authorship(posts[:12], {"one": model_texts(6, seed=1), "two": shouting}, [posts[12], shouting[0].lower()])
    assert found[0].probability > 0.5 > found[1].probability


def test_drafts_of_other_writers_are_taken_only_where_the_authors_own_are(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    text = "The tide went out at six, and I followed it to the end of the pier. " * 10
    (tmp_path / "ann" / "posted.md").write_text(f"---\ntitle: Posted\n---\n\n{text}\n", encoding="utf-8")
    (tmp_path / "ann" / "filler.md").write_text(f"---\ntitle: Filler\ndraft: true\n---\n\n{text}\n", encoding="utf-8")
    for drafts, many in ((False, 1), (True, 2)):
        settings = Settings(data=DataSettings(drafts=drafts))
        assert len(others(tmp_path, settings, Silent())["ann"]) == many


def test_each_kind_of_signs_has_a_say_in_the_score(posts: list[str]) -> None:
    strange = model_texts(12, seed=1)
    own, respelt, other = posts[12], posts[12].upper(), strange[0]
    # In capitals no sequence of letters is the author's, and every pair of words still is.
    found = authorship(posts[:12], {"base": strange[1:]}, [own, respelt, other])
    assert found[0].score > found[1].score > found[2].score


def test_the_same_texts_give_the_same_answer(posts: list[str]) -> None:
    asked = (posts[:6], {"base": model_texts(6, seed=1)}, posts[6:8])
    assert authorship(*asked) == authorship(*asked)


def test_too_few_posts_are_refused(posts: list[str]) -> None:
    with pytest.raises(ValueError, match="two posts"):
        authorship(posts[:1], {"base": []}, posts[2:3])


def test_japanese_writers_are_told_apart_by_characters() -> None:
    plain = [
        "今日は雨が降っていた。",
        "僕は傘を持たずに家を出た。",
        "それでも困らなかった。",
        "駅は近いし、電車はすぐに来た。",
        "夜には晴れるだろう。",
    ]
    polite = [
        "本日は雨でございます！",
        "皆様、傘はお持ちでしょうか？",
        "駅までお気をつけてお越しくださいませ。",
        "電車はすぐに参ります！",
        "夜には晴れますでしょう。",
    ]

    def post(lines: list[str], seed: int) -> str:
        chance = random.Random(seed)
        return "".join(chance.choice(lines) for _ in range(20))

    unseen = [post(plain, 9), post(polite, 9)]
    own, other = authorship([post(plain, n) for n in range(4)], {"base": [post(polite, n) for n in range(4)]}, unseen)
    assert own.probability > 0.5 > other.probability


def test_a_sign_that_nobody_known_has_makes_a_text_less_like_all_of_them() -> None:
    known = ["The tide went out at six, and I followed.", "At six the tide went out, as it does."]
    for alike, strange in similarities(known, [known[0], known[0] + " Quixotic zebras jazzed by."]):
        assert alike[0] == pytest.approx(1)
        assert strange[0] < 0.95
        assert strange[1] < alike[1]


def test_a_post_left_out_scores_as_if_it_had_never_been_there() -> None:
    chance = np.random.default_rng(7)
    points = chance.normal(size=(12, 5))
    between, writer, group = points @ points.T, np.array([0] * 6 + [1] * 6), np.repeat(np.arange(6), 2)
    told = _Ridge(between, writer).unseen(group)
    rest = np.flatnonzero(group != 2)
    # Fitted again without group 2, each remaining piece keeping the weight that it had.
    share = np.full(12, 0.5 / 6)
    kernel = between[np.ix_(rest, rest)] + 1 + np.diag(0.1 / (share[rest] * 12))
    wanted = np.where(writer[rest] == 0, 1.0, -1.0)
    again = (between[np.ix_(group == 2, rest)] + 1) @ np.linalg.solve(kernel, wanted)
    assert told[group == 2] == pytest.approx(again)


def test_tokens_are_words_marks_and_ends_of_paragraphs() -> None:
    assert tokens("It’s “so”.\nYes\n\nNo: 雨が") == ["it's", '"', "so", '"', ".", "yes", "\n", "no", ":", "雨", "が"]
