"""Answers that nobody wants: each is named for what it is, scores low, and breaks no measure, with two prompts or two hundred."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest

from blogtwin.evaluation.copying import Copying, Source, copying
from blogtwin.evaluation.diversity import Diversity, diversity
from blogtwin.evaluation.faults import Fault, faults
from blogtwin.evaluation.judge import scoring
from blogtwin.evaluation.language import Languages, expected_languages, wrong_language
from blogtwin.evaluation.length import Length, length_match
from blogtwin.evaluation.overlap import Overlap, overlap
from blogtwin.evaluation.privacy import Leaks, leaks
from blogtwin.evaluation.relevance import Relevance, relevance
from blogtwin.evaluation.structure import StructureMatch, structure_match
from blogtwin.evaluation.style_diff import StyleDiff, style_diff
from blogtwin.evaluation.unlike import Unlike, unlike
from blogtwin.sources.language import detect
from evaluation_texts import assistant, post, prompt

TRAINING = [
    Source(f"{number}-{seed}", f"Post {number}-{seed}", post(number, seed)) for number in range(12) for seed in (1, 2)
]
GERMAN = (
    "Am Morgen habe ich wieder lange an der Sache gesessen, und niemand im Haus hat sich daran gestört. "
    "Danach bin ich spazieren gegangen, weil das Wetter so schön war, und habe nicht mehr daran gedacht."
)


class Found(NamedTuple):
    """Everything that is measured of answers, beside the voice and the perplexity."""

    overlap: Overlap
    length: Length
    diversity: Diversity
    structure: StructureMatch
    relevance: Relevance
    languages: Languages
    copying: Copying
    style: StyleDiff
    unlike: list[Unlike]
    privacy: Leaks
    faults: tuple[Fault, ...]


def measured(answers: Sequence[str]) -> Found:
    many = range(len(answers))
    prompts, held_out = [prompt(number) for number in many], [post(number, seed=4 + number // 12) for number in many]
    training = [one.text for one in TRAINING]
    repetition = diversity({"twin": answers, "author": held_out})["twin"]
    languages = wrong_language(answers, expected_languages(prompts, held_out, training[:5], detect), detect)
    copied = copying(prompts, answers, TRAINING)
    relevant = relevance(prompts, answers, held_out, training, seed=7)
    base = [assistant(number, seed=2) for number in many]
    assert all(scoring(*one)[1].content for one in zip(prompts, answers, held_out, strict=True))
    return Found(
        overlap(answers, held_out),
        length_match(answers, held_out),
        repetition,
        structure_match(answers, training),
        relevant,
        languages,
        copied,
        style_diff(answers, [*training, *held_out], held_out, prompts),
        unlike(prompts, answers, base, training),
        leaks(answers, {}),
        faults(answers, repetition, languages, copied, relevant),
    )


def stitched(number: int) -> str:
    """Passages of training posts, one after the other."""
    chance = random.Random(number)
    parts = (chance.choice(TRAINING).text.split() for _ in range(5))
    return " ".join(word for part in parts for word in part[40:90])


def shuffled(number: int) -> str:
    words = post(number, seed=9).split()
    random.Random(number).shuffle(words)
    return " ".join(words)


# name → an answer to prompt number n, and the fault that each of them has
DEGENERATE: dict[str, tuple[Callable[[int], str], str]] = {
    "empty": (lambda number: "", "empty"),
    "white space": (lambda number: " \n\n\t\n", "empty"),
    "marks alone": (lambda number: "…?! — ***\n\n---\n\n> \n", "empty"),
    "code alone": (lambda number: "```python\nprint('hello')\n```", "empty"),
    "one word": (lambda number: "Yes.", "too short"),
    "a looping word": (lambda number: "the " * 400, "looping"),
    "a looping sentence": (lambda number: post(number, 9, 3) + " And so it goes on for ever." * 60, "looping"),
    "a looping paragraph": (lambda number: (post(number, 9, 6) + "\n\n") * 12, "looping"),
    "German": (lambda number: GERMAN * 3, "wrong language"),
    "training passages": (stitched, "copied"),
    "a training post": (lambda number: TRAINING[number % 12 * 2].text, "copied"),
    "one answer to all": (lambda number: "What a day it was. " + assistant(40, 1), "off topic"),
}
STRANGE: dict[str, Callable[[int], str]] = {
    "shuffled words": shuffled,
    "one long word": lambda number: "a" * 100_000,
    "control characters": lambda number: "The\x00 clock\x1b[31m \ufeffstopped\u202e \ud800.",
    "Chinese": lambda number: "时钟停了，没有人注意到。" * 20,
    "Thai": lambda number: "นาฬิกาหยุดเดิน" * 20,
    "emoji": lambda number: "⏰🔧🙂 " * 100,
    "unclosed Markdown": lambda number: "```\n" + "[a](" * 300 + "**" * 300 + "<div>" * 300,
    "deep quotes": lambda number: "\n".join(">" * depth + " The clock." for depth in range(1, 200)),
    "another prompt's post": lambda number: post(number + 1, seed=9),
}


@pytest.mark.parametrize("many", [2, 6])
@pytest.mark.parametrize("name", DEGENERATE)
def test_every_degenerate_answer_has_its_fault_named(name: str, many: int) -> None:
    write, fault = DEGENERATE[name]
    found = measured([write(number) for number in range(many)])
    named = {one.answer for one in found.faults if one.kind == fault}
    assert len(named) >= (many if fault != "off topic" else many - 1)
    assert all(one.reason for one in found.faults)
    if fault not in ("copied", "looping"):
        assert found.overlap.bleu < 5
        assert found.overlap.rouge_2 < 0.1


@pytest.mark.parametrize("name", ["empty", "one word", "a looping word", "German", "one answer to all"])
def test_a_model_that_does_not_listen_is_flagged_by_relevance(name: str) -> None:
    found = measured([DEGENERATE[name][0](number) for number in range(8)])
    assert found.relevance.flagged is True
    assert "dealt to the prompts at random" in found.relevance.reasons[0]


def test_answers_dealt_to_other_prompts_are_flagged_by_relevance_alone() -> None:
    found = measured([STRANGE["another prompt's post"](number) for number in range(8)])
    assert found.relevance.flagged is True
    assert not found.copying.flagged
    assert found.diversity.looping == 0


@pytest.mark.parametrize("name", ["training passages", "a training post"])
@pytest.mark.parametrize("many", [2, 12])
def test_a_parrot_is_flagged_by_copying(name: str, many: int) -> None:
    found = measured([DEGENERATE[name][0](number) for number in range(many)])
    assert found.copying.flagged
    assert found.copying.answers.ngrams > 0.8
    assert any("in a row" in reason for reason in found.copying.reasons)
    sources = {one.id: one for one in TRAINING}
    assert all(one.text.split()[5] in sources[one.post_id].text for one in found.copying.passages)


def test_a_good_twin_has_no_fault() -> None:
    found = measured([post(number, seed=50) for number in range(8)])
    assert found.faults == ()
    assert found.relevance.flagged is False
    assert not found.copying.flagged
    assert not found.languages.wrong
    assert not found.length.remarks
    assert not found.structure.differences


@pytest.mark.parametrize("name", STRANGE)
def test_strange_answers_break_nothing(name: str) -> None:
    found = measured([STRANGE[name](number) for number in range(3)])
    assert found.overlap.answers == 3
    assert 0 <= found.diversity.looping <= 1
    assert found.copying.answers.texts == 3


def test_no_answers_break_nothing() -> None:
    found = measured([])
    assert found.faults == ()
    assert found.relevance.flagged is None


def test_a_mixture_is_told_answer_by_answer() -> None:
    good = [post(number, seed=50) for number in range(12)]
    good[3], good[5], good[7], good[9] = "", "Yes.", GERMAN, TRAINING[18].text
    found = measured(good)
    assert [(one.answer, one.kind) for one in found.faults if one.kind != "off topic"] == [
        (3, "empty"),
        (5, "too short"),
        (7, "wrong language"),
        (9, "copied"),
    ]
    assert found.relevance.flagged is False


def test_two_hundred_answers_take_seconds() -> None:
    begin = time.process_time()
    found = measured([post(number, seed=50 + number) for number in range(200)])
    assert time.process_time() - begin < 30
    assert not found.copying.flagged
    assert found.relevance.flagged is False
