"""Relevance: answers to their prompts are told from answers dealt at random, in any script; and languages from each other."""

from __future__ import annotations

import random

import pytest

from blogtwin.evaluation.language import expected_languages, wrong_language
from blogtwin.evaluation.relevance import FEWEST, Relevance, relevance
from blogtwin.sources.language import detect
from evaluation_texts import post, prompt

BACKGROUND = [post(number, seed=9) for number in range(12)]


def asked(answers: list[str], posts: list[str | None] | None = None) -> Relevance:
    prompts = [prompt(number) for number in range(len(answers))]
    return relevance(prompts, answers, posts or [None] * len(answers), BACKGROUND, seed=7)


@pytest.mark.parametrize("many", [FEWEST, 8, 12])
def test_answers_to_their_prompts_are_told_from_shuffled_ones(many: int) -> None:
    answers = [post(number, seed=1) for number in range(many)]
    right = asked(answers)
    assert right.flagged is False
    assert right.prompts is not None
    assert right.prompts.first == 1
    assert right.prompts.reciprocal_rank == 1
    passed = 0
    for seed in range(20):
        dealt = [post(number, seed=1) for number in range(12)]
        random.Random(seed).shuffle(dealt)
        passed += asked(dealt[:many]).flagged is not True
    assert passed <= 3


def test_the_authors_posts_help_where_a_prompt_says_little() -> None:
    prompts = [f"Write post number {number}." for number in range(8)]
    posts: list[str | None] = [post(number, seed=2) for number in range(8)]
    found = relevance(prompts, [post(number, seed=1) for number in range(8)], posts, BACKGROUND, seed=7)
    assert found.prompts is not None
    assert found.prompts.p > 0.05
    assert found.posts is not None
    assert found.posts.first == 1
    assert found.flagged is False


def test_a_model_that_always_says_the_same_gets_what_chance_gets() -> None:
    found = asked([post(3, seed=1)] * 8)
    assert found.prompts is not None
    assert found.prompts.reciprocal_rank == pytest.approx(found.prompts.chance)
    assert found.prompts.first == pytest.approx(1 / 8)
    assert found.flagged
    assert "could be dealt to the prompts at random" in found.reasons[0]
    assert 3 not in found.off_topic
    assert len(found.off_topic) == 7


def test_prompts_that_do_not_tell_the_authors_own_posts_apart_give_no_verdict() -> None:
    prompts = [f"Write post number {number}." for number in range(8)]
    posts: list[str | None] = [post(number, seed=2) for number in range(8)]
    found = relevance(prompts, ["What a day it was."] * 8, posts, BACKGROUND, seed=7)
    assert found.flagged is None
    assert "cannot be told to belong" in found.reasons[0]


@pytest.mark.parametrize("many", [0, 1, 2, 4])
def test_too_few_prompts_give_no_verdict_and_say_so(many: int) -> None:
    found = asked([post(5, seed=1)] * many)
    assert found.flagged is None
    assert found.reasons


def test_the_same_answers_and_seed_give_the_same_result() -> None:
    answers = [post(number, seed=1) for number in range(6)]
    assert asked(answers) == asked(answers)


def test_chinese_is_compared_by_pairs_of_characters() -> None:
    subjects = ["时钟钟摆", "海港潮汐", "面包酵母", "花园番茄", "自行车链", "望远镜星"]
    prompts = [f"写一篇关于{one}的文章" for one in subjects]
    answers = [f"我今天想谈谈{one[:2]}。它很有意思，{one[2:]}也是。" * 5 for one in subjects]
    right = relevance(prompts, answers, [None] * 6, answers, seed=7)
    wrong = relevance(prompts, [*answers[1:], answers[0]], [None] * 6, answers, seed=7)
    assert right.flagged is False
    assert wrong.flagged is True


ENGLISH = "The clock in the hall has stopped again, and nobody in the house has minded but the cat, who likes its regular habits."
GERMAN = "Die Uhr im Flur ist wieder stehen geblieben, und niemand im Haus hat sich daran gestört außer der Katze, die es mag."


def test_an_answer_in_another_language_is_named() -> None:
    expected = expected_languages(
        [f"Write about this: {ENGLISH}", "Clocks", "Katzen"], [None, ENGLISH, GERMAN], [], detect
    )
    assert expected == [{"en"}, {"en"}, {"de"}]
    found = wrong_language([GERMAN, ENGLISH, GERMAN], expected, detect)
    assert found.wrong == {0: "de"}
    assert found.counts == {"de": 2, "en": 1}
    assert "1 of 3 answers" in found.reasons[0]


def test_the_authors_language_is_right_whatever_the_prompt_is_in() -> None:
    expected = expected_languages([f"Write about this: {ENGLISH}"], [None], [GERMAN], detect)
    assert not wrong_language([GERMAN], expected, detect).wrong
    assert not wrong_language([ENGLISH], expected, detect).wrong


def test_too_little_to_tell_is_no_wrong_language() -> None:
    expected = expected_languages(["Hello"], [None], [ENGLISH], detect)
    found = wrong_language(["", "Ja."], [*expected, {"en"}], detect)
    assert not found.wrong
    assert found.counts == {"?": 2}
