"""BLEU and ROUGE as they are known from elsewhere, and what is ours: cut posts, and words of any script."""

from __future__ import annotations

import random

import pytest

from blogtwin.evaluation.overlap import average_bleu, overlap, rouge_l, rouge_n

POST = "The clock stopped again on Tuesday, and nobody minded but the harbour pilot, who likes a regular habit."


def test_the_post_itself_scores_full_marks() -> None:
    found = overlap([POST], [POST])
    assert found.bleu == pytest.approx(100)
    assert (found.rouge_1, found.rouge_2, found.rouge_l) == pytest.approx((1, 1, 1))
    assert "not voice" in found.caveat


def test_nothing_in_common_scores_nothing() -> None:
    other = "Leverage synergies; unlock potential!"
    assert average_bleu([other], [POST]) < 5
    assert overlap([other], [POST]).rouge_l == 0


def test_the_figures_are_those_that_a_pencil_gives() -> None:
    answer, post = "the cat sat on the mat", "the cat is on the mat"
    found = overlap([answer], [post])
    # Matches of one to four words: 5 of 6, 3 of 5, 1 of 4, 0 of 3; the last counts as half a match (1 of 6).
    assert found.bleu == pytest.approx(100 * (5 / 6 * 3 / 5 * 1 / 4 * 1 / 6) ** 0.25)
    assert found.rouge_1 == pytest.approx(5 / 6)
    assert found.rouge_2 == pytest.approx(3 / 5)
    assert found.rouge_l == pytest.approx(5 / 6)  # the cat … on the mat


def test_rouge_is_rouge_scores_own() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    chance = random.Random(1)
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
    for _ in range(100):
        one, other = (chance.choices("abcdefgh", k=chance.randint(1, 90)) for _ in range(2))
        theirs = scorer.score(" ".join(other), " ".join(one))
        ours = (rouge_n(one, other, 1), rouge_n(one, other, 2), rouge_l(one, other))
        assert ours == pytest.approx(tuple(theirs[name].fmeasure for name in ("rouge1", "rouge2", "rougeL")))


def test_bleu_is_sacrebleus_own() -> None:
    import sacrebleu

    answer = "The clock stopped on Tuesday, and nobody minded it but the harbour pilot, who likes a habit."
    reference = " ".join(POST.split()[:17])
    assert average_bleu([answer], [POST]) == pytest.approx(sacrebleu.sentence_bleu(answer, [reference]).score, abs=3)


def test_an_answer_is_compared_with_as_many_words_of_the_post() -> None:
    beginning = " ".join(POST.split()[:9])
    assert average_bleu([beginning], [POST + " And more of it." * 50]) > 90
    assert overlap([beginning], [POST + " And more of it." * 50]).rouge_l == pytest.approx(1)


def test_the_average_is_over_answers() -> None:
    assert overlap([POST, "Leverage synergies!"], [POST, POST]).rouge_l == pytest.approx(0.5)


def test_other_scripts_count_as_words() -> None:
    russian, japanese = "Часы снова остановились во вторник.", "時計は火曜日にまた止まった。"
    assert overlap([russian, japanese], [russian, japanese]).rouge_l == pytest.approx(1)
    assert average_bleu([japanese], [japanese]) == pytest.approx(100)
    assert average_bleu(["時計は水曜日にまた止まった。"], [japanese]) > 30


def test_an_empty_answer_and_no_answer_at_all_score_nothing() -> None:
    assert average_bleu([""], [POST]) == 0
    assert overlap([""], [POST]).rouge_l == 0
    assert average_bleu([], []) == 0
    assert overlap([], []).rouge_2 == 0
