"""How many words and word sequences an answer shares with the author's real post: BLEU and ROUGE-L.

These measure content, not voice. Two good posts under one title share few sequences, and a text in another voice with the
same facts shares many; they are reported because people know them, and they are low for every model. What to look
at is the difference between twin and base, and the voice.
"""

from __future__ import annotations

from collections.abc import Sequence

from blogtwin.evaluation.words import cut, unspaced, words


def average_bleu(answers: Sequence[str], posts: Sequence[str]) -> float:
    """The mean of the answers' sentence BLEU against their posts, from 0 to 100.

    A post counts up to the length of its answer: an answer that ends at its token limit is not brief by choice, and BLEU's
    brevity penalty would bring it to nothing. Papineni et al., 2002, ACL; signature of sacrebleu (Post, 2018): effective
    order, exponential smoothing, characters where a script has no spaces, else 13a.
    """
    from sacrebleu.metrics.bleu import BLEU

    metrics = {
        spaceless: BLEU(effective_order=True, tokenize=name) for spaceless, name in ((True, "char"), (False, "13a"))
    }
    scores = [
        metrics[unspaced(post)].sentence_score(answer, [cut(post, len(words(answer)))]).score
        for answer, post in _pairs(answers, posts)
    ]
    return _mean(scores)


def average_rouge_l(answers: Sequence[str], posts: Sequence[str]) -> float:
    """The mean F-measure of the longest common subsequence of words, from 0 to 1; posts cut as for BLEU.

    Lin, 2004, ROUGE: A Package for Automatic Evaluation of Summaries.
    """
    from rouge_score import rouge_scorer, tokenizers

    class Words(tokenizers.Tokenizer):  # type: ignore[misc]  # the package's own drops every letter but a to z
        def tokenize(self, text: str) -> list[str]:
            return words(text)

    scorer = rouge_scorer.RougeScorer(["rougeL"], tokenizer=Words())
    return _mean(
        [
            scorer.score(cut(post, len(words(answer))), answer)["rougeL"].fmeasure
            for answer, post in _pairs(answers, posts)
        ]
    )


def _pairs(answers: Sequence[str], posts: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(answers, posts, strict=True))


def _mean(values: Sequence[float]) -> float:
    return float(sum(values) / len(values)) if values else 0.0
