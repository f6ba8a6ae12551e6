"""The difference in style, in words: an assistant's phrases are named, its subjects are not, and the author is like himself."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from blogtwin.evaluation.contrast import Counted, contrast
from blogtwin.evaluation.style_diff import StyleDiff, style_diff
from blogtwin.evaluation.unlike import unlike
from evaluation_texts import assistant, post, prompt, subject

MANY = 10
POSTS = [post(number, seed) for seed in (1, 2, 3) for number in range(12)]
HELD_OUT = [post(number, seed=4) for number in range(MANY)]
PROMPTS = [prompt(number) for number in range(MANY)]


def told(answers: list[str], prompts: list[str] = PROMPTS) -> StyleDiff:
    return style_diff(answers, [*POSTS, *HELD_OUT], HELD_OUT, prompts)


@pytest.fixture(scope="module")
def assistants() -> StyleDiff:
    return told([assistant(number, seed=1) for number in range(MANY)])


def test_the_assistants_phrases_openings_and_marks_are_named(assistants: StyleDiff) -> None:
    phrases = [one.what for one in assistants.over if one.kind == "phrase"]
    assert any("vital" in one for one in phrases)
    assert {one.what for one in assistants.over if one.kind == "sentence opening"} >= {"furthermore", "it's important"}
    assert {one.what for one in assistants.over if one.kind == "mark"} == {"!", "—"}
    assert {one.what for one in assistants.under if one.kind == "mark"} >= {"(", ";"}
    sentence = next(
        one.sentence for one in assistants.over if one.what == "furthermore" and one.kind == "paragraph opening"
    )
    assert sentence.startswith("the twin opens ")
    assert "paragraphs with “furthermore”, you none" in sentence


def test_rates_are_what_they_say(assistants: StyleDiff) -> None:
    dashes = next(one for one in assistants.over if one.what == "—")
    texts = [assistant(number, seed=1) for number in range(MANY)]
    assert dashes.twin == pytest.approx(1000 * sum(text.count("—") for text in texts) / assistants.twin_words)
    assert dashes.author == 0
    assert dashes.z > 2.6


def test_what_the_subject_demands_is_not_style(assistants: StyleDiff) -> None:
    subjects = {word for number in range(MANY) for word in subject(number)}
    assert not subjects & {one.what for one in (*assistants.over, *assistants.under)}


def test_a_phrase_is_told_once_not_in_all_its_parts(assistants: StyleDiff) -> None:
    phrases = [one.what for one in assistants.over if one.kind == "phrase"]
    for one in phrases:
        assert not any(f" {one} " in f" {other} " for other in phrases if other != one)


def test_the_author_is_hardly_told_from_himself() -> None:
    found = told([post(number, seed=5) for number in range(MANY)])
    assert len(found.over) + len(found.under) <= 2


def test_one_answer_that_goes_on_about_a_word_does_not_make_a_habit() -> None:
    answers = [post(number, seed=5) for number in range(MANY)]
    answers[0] += " Marmalade!" * 60
    assert "marmalade" not in {one.what for one in told(answers).over if one.kind == "phrase"}


def test_short_sentences_are_heard() -> None:
    found = told(
        [" ".join(f"The {word} is there. It is old." for word in subject(number) * 6) for number in range(MANY)]
    )
    said = [one.sentence for one in found.under if one.kind == "length"]
    assert any(one.startswith("the twin's sentences have 4 words on average, yours ") for one in said)
    assert any("of the twin's sentences are of at most 6 words" in one.sentence for one in found.over)


def test_japanese_phrases_are_sequences_of_characters() -> None:
    posts = [
        f"今日は{word}を直していた。それだけの話である。{word}は古い。" * 6
        for word in ("時計", "自転車", "望遠鏡", "写真機", "庭", "鍵")
    ]
    answers = [f"{word}は非常に重要です！ぜひ活用しましょう！" * 8 for word in ("時計", "自転車", "望遠鏡", "写真機")]
    found = style_diff(answers, posts, [], [])
    assert any("重要" in one.what for one in found.over if one.kind == "phrase")
    assert "！" in {one.what for one in found.over if one.kind == "mark"}
    assert " " not in "".join(one.what for one in found.over if one.kind == "phrase")


@pytest.mark.parametrize("answers", [[], [""], ["One word.", ""], ["word"] * 200])
def test_hardly_any_text_breaks_nothing(answers: list[str]) -> None:
    for posts in ([], [""], POSTS[:2]):
        found = style_diff(answers, posts, posts, [""])
        assert found.twin_words <= 200
        assert unlike([""] * len(answers), answers, [], posts) == []


def test_the_sentences_least_like_the_author_come_first_with_the_reason() -> None:
    mixed = [
        post(number, seed=5, sentences=6) + "\n\n" + assistant(number, seed=1, sentences=2) for number in range(MANY)
    ]
    base = [assistant(number, seed=2) for number in range(MANY)]
    found = unlike(PROMPTS, mixed, base, POSTS, most=200)
    strange = {one for number in range(MANY) for one in assistant(number, seed=1, sentences=2).split("\n\n")}
    first = found[: len(strange)]
    assert sum(one.sentence in strange for one in first) >= 0.9 * len(strange)
    assert all(one.z >= other.z for one, other in pairwise(found))
    assert any("you have never written “" in one.reason for one in first)
    assert all(mixed[one.answer].count(one.sentence) for one in found)


def test_sentences_are_judged_without_a_base_model_too() -> None:
    answers = [post(0, seed=5, sentences=6) + "\n\nZxqj vwkq zzzt qqxv jjjk wwwq."]
    found = unlike([""], answers, [], POSTS)
    assert found[0].sentence.startswith("Zxqj")
    assert found[0].z > 4
    assert found[0].likeness == 0


def test_the_prompts_own_words_are_not_held_against_an_answer() -> None:
    answers = ["I spent the morning with the zxqjvw, and the oil would not have it."]
    blamed, allowed = (unlike([asked], answers, [], POSTS)[0].surprise for asked in ("", "Write about the zxqjvw."))
    assert allowed < blamed - 0.3


def test_a_text_is_the_unit_of_chance() -> None:
    even = contrast(Counted([10] * 20, [100] * 20), Counted([5] * 20, [100] * 20))
    one = contrast(Counted([200] + [0] * 19, [100] * 20), Counted([5] * 20, [100] * 20))
    assert even.twin == one.twin == pytest.approx(0.1)
    assert even.z > 5
    assert abs(one.z) < 2.6
    assert contrast(Counted([], []), Counted([1], [10])).z == 0


def test_it_takes_few_seconds() -> None:
    begin = time.process_time()
    told([assistant(number, seed=1) for number in range(MANY)])
    unlike(PROMPTS, HELD_OUT, [assistant(number, seed=2) for number in range(MANY)], POSTS * 3)
    assert time.process_time() - begin < 15
