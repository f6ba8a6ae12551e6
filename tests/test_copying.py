"""Copying: passages from training posts are found with their sources, and an author who repeats himself is the measure."""

from __future__ import annotations

import random
import time

import pytest

from blogtwin.evaluation.copying import Source, copying
from blogtwin.evaluation.words import words
from conftest import EXAMPLES
from evaluation_texts import prompt

WORDS = "alder birch cedar dogwood elm fir gorse hazel ivy juniper kelp larch maple nettle oak pine quince rowan sedge thyme"


def babble(count: int, seed: int) -> list[str]:
    """Words in an order that nobody wrote before, of which few follow each other twice."""
    chance = random.Random(seed)
    vocabulary = [
        one + other for one in WORDS.split() for other in ("", "s", "y", "wood", "leaf", "bark", "root", "bud")
    ]
    return chance.choices(vocabulary, k=count)


def posts(count: int = 30, length: int = 600) -> list[Source]:
    return [Source(f"post-{number}", f"Title {number}", " ".join(babble(length, number))) for number in range(count)]


def test_a_passage_is_found_with_its_post_its_heading_and_its_place() -> None:
    training = posts()
    body = training[17].text.split()
    text = " ".join(body[:200]) + "\n\n## Under the trees\n\n" + " ".join(body[200:])
    training[17] = training[17]._replace(text=text)
    answer = " ".join([*babble(100, 900), *body[250:310], *babble(100, 901)])
    found = copying([""], [answer], training)
    assert found.longest == (60,)
    passage = found.passages[0]
    assert (passage.post_id, passage.title, passage.under) == ("post-17", "Title 17", "Under the trees")
    assert passage.text.split() == body[250:310] == passage.source.split()
    assert passage.word == 250 + 3 + 1  # the heading has three words
    assert passage.verbatim
    assert passage.exact
    assert found.flagged
    assert found.copied == (0,)
    assert "60 words in a row word for word from “Title 17”, under “Under the trees”" in " ".join(found.reasons)


def test_answers_stitched_from_training_passages_are_flagged() -> None:
    training = posts()
    chance = random.Random(4)
    answers = []
    for _ in range(8):
        places = [(chance.choice(training), chance.randrange(500)) for _ in range(6)]
        answers.append(" ".join(word for one, at in places for word in one.text.split()[at : at + 40]))
    found = copying([""] * 8, answers, training)
    assert found.flagged
    assert found.copied == tuple(range(8))
    assert found.answers.ngrams > 0.8
    assert found.author is not None
    assert found.author.ngrams < 0.01
    assert len(found.passages) == 20


def test_new_text_in_the_authors_vocabulary_is_not_flagged() -> None:
    found = copying([""] * 8, [" ".join(babble(300, 700 + number)) for number in range(8)], posts())
    assert not found.flagged
    assert not found.copied
    assert not found.reasons
    assert found.answers.ngrams == 0


def test_a_word_changed_every_so_often_hides_nothing() -> None:
    training = posts()
    body = training[3].text.split()[100:160]
    changed = [("changed" if place % 6 == 5 else word) for place, word in enumerate(body)]
    found = copying([""], [" ".join([*babble(50, 900), *changed, *babble(50, 901)])], training)
    passage = found.passages[0]
    assert passage.post_id == "post-3"
    assert not passage.verbatim
    assert passage.matched == 50
    assert passage.words >= 59
    assert found.copied == (0,)


def test_words_left_out_and_put_in_hide_nothing() -> None:
    body = posts()[3].text.split()[100:160]
    shifted = [*body[:20], *body[22:40], "more", "of", "them", *body[40:]]
    passage = copying([""], [" ".join(shifted)], posts()).passages[0]
    assert passage.matched == 58
    assert passage.words == 61


def test_case_and_punctuation_hide_nothing_and_are_told() -> None:
    body = posts()[3].text.split()[100:160]
    shouted = ", ".join(word.upper() for word in body) + "!"
    passage = copying([""], [shouted], posts()).passages[0]
    assert passage.matched == 60
    assert passage.verbatim
    assert not passage.exact


def test_what_the_prompt_quotes_does_not_count() -> None:
    training = posts()
    quoted = " ".join(training[3].text.split()[100:160])
    answer = quoted + " " + " ".join(babble(100, 900))
    assert copying([""], [answer], training).flagged
    asked = copying([f"Go on from here: {quoted}"], [answer], training)
    assert not asked.flagged
    assert not asked.passages
    assert asked.answers.ngrams == 0


def test_an_author_who_repeats_himself_raises_what_is_normal() -> None:
    creed = " ".join(babble(30, 555))
    training = [one._replace(text=creed + " " + one.text) for one in posts()]
    answer = creed + " " + " ".join(babble(200, 900))
    found = copying([""], [answer], training)
    assert found.author is not None
    assert found.author.usual_longest in (30, 31)  # two posts may go on with the same word
    assert found.longest == (30,)
    assert not found.flagged
    assert copying([""], [answer], [*posts()[:-1], training[-1]]).copied == (0,)


def test_a_post_is_not_compared_with_itself() -> None:
    found = copying([""], ["nothing of theirs"], posts())
    assert found.author is not None
    assert found.author.longest < 8


def test_one_post_is_enough_to_copy_from() -> None:
    only = posts(1)
    found = copying([""], [only[0].text], only)
    assert found.author is None
    assert found.flagged
    assert found.answers.ngrams == 1


def test_japanese_is_compared_by_characters() -> None:
    chance = random.Random(2)
    signs = [chr(0x4E00 + number) for number in range(800)]
    training = [Source(str(number), "題", "".join(chance.choices(signs, k=900))) for number in range(12)]
    copied = training[5].text[100:220]
    fresh = "".join(chance.choices(signs, k=300))
    found = copying(["", ""], [fresh + copied, fresh], training)
    assert found.copied == (0,)
    assert found.passages[0].text == copied
    assert "120 characters in a row" in " ".join(found.reasons)


def test_code_and_addresses_are_no_copying() -> None:
    code = "```\n" + "\n".join(f"assert thing_{number} == other_{number}" for number in range(40)) + "\n```\n"
    training = [one._replace(text=one.text + "\n\n" + code) for one in posts()[:3]]
    assert not copying([""], ["Here it is:\n\n" + code], training).passages


def test_a_looping_answer_is_counted_once() -> None:
    sentence = " ".join(posts()[3].text.split()[100:130])
    once, often = (copying([""], [" ".join([sentence] * times)], posts()) for times in (1, 200))
    assert often.copied == once.copied == (0,)
    assert often.longest[0] >= once.longest[0] == 30


@pytest.mark.parametrize("answers", [[], ["", ""], ["One."], ["a b c d e f g h"]])
def test_nothing_to_find_is_nothing_found(answers: list[str]) -> None:
    for training in ([], posts(2), [Source("empty", "", "")]):
        found = copying([""] * len(answers), answers, training)
        assert not found.flagged
        assert not found.passages
        assert found.answers.texts == len(answers)


def test_the_sample_authors_own_posts_are_normal() -> None:
    texts = [path.read_text("utf-8") for path in sorted(EXAMPLES.rglob("*.md"))]
    training = [Source(str(number), str(number), text) for number, text in enumerate(texts[6:])]
    found = copying([prompt(number) for number in range(6)], texts[:6], training)
    assert not found.flagged


def test_a_thousand_posts_take_seconds() -> None:
    training = posts(1000)
    answers = [" ".join(babble(300, 5000 + number)) for number in range(100)]
    begin = time.process_time()
    found = copying([""] * 100, answers, training)
    assert time.process_time() - begin < 8
    assert found.author is not None
    assert found.author.texts == 200
    assert sum(len(words(one.text)) for one in training) == 600_000
