"""BLEU and ROUGE-L as they are known from elsewhere, and what is ours: cut posts, and words of any script."""

from __future__ import annotations

import pytest

from blogtwin.evaluation.overlap import average_bleu, average_rouge_l

POST = "The clock stopped again on Tuesday, and nobody minded but the harbour pilot, who likes a regular habit."


def test_the_post_itself_scores_full_marks() -> None:
    assert average_bleu([POST], [POST]) == pytest.approx(100)
    assert average_rouge_l([POST], [POST]) == pytest.approx(1)


def test_nothing_in_common_scores_nothing() -> None:
    other = "Leverage synergies; unlock potential!"
    assert average_bleu([other], [POST]) < 5
    assert average_rouge_l([other], [POST]) == 0


def test_bleu_is_sacrebleus_own() -> None:
    import sacrebleu

    answer = "The clock stopped on Tuesday, and nobody minded it but the harbour pilot, who likes a habit."
    reference = " ".join(POST.split()[:17])
    assert average_bleu([answer], [POST]) == pytest.approx(sacrebleu.sentence_bleu(answer, [reference]).score, abs=3)


def test_an_answer_is_compared_with_as_many_words_of_the_post() -> None:
    beginning = " ".join(POST.split()[:9])
    assert average_bleu([beginning], [POST + " And more of it." * 50]) > 90
    assert average_rouge_l([beginning], [POST + " And more of it." * 50]) == pytest.approx(1)


def test_the_average_is_over_answers() -> None:
    assert average_rouge_l([POST, "Leverage synergies!"], [POST, POST]) == pytest.approx(0.5)


def test_other_scripts_count_as_words() -> None:
    russian, japanese = "Часы снова остановились во вторник.", "時計は火曜日にまた止まった。"
    assert average_rouge_l([russian, japanese], [russian, japanese]) == pytest.approx(1)
    assert average_bleu([japanese], [japanese]) == pytest.approx(100)
    assert average_bleu(["時計は水曜日にまた止まった。"], [japanese]) > 30


def test_an_empty_answer_and_no_answer_at_all_score_nothing() -> None:
    assert average_bleu([""], [POST]) == 0
    assert average_rouge_l([""], [POST]) == 0
    assert average_bleu([], []) == 0
