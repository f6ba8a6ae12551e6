"""What an evaluation found, as a short table: the verdict first, then each figure with what it has to be compared with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from blogtwin.cli import console

if TYPE_CHECKING:
    from blogtwin.evaluation.comparison import Comparison
    from blogtwin.evaluation.report import Attributed, Measures, Report
    from blogtwin.evaluation.voice import Voice

_REASONS = 6


def show(report: Report, written: Sequence[Path]) -> None:
    """The report of one twin."""
    console.say(report.verdict.sentence)
    console.say("")
    columns = ["", "twin", *(["base + posts"] if report.few_shot else []), "base", "you"]
    console.table(columns, [row if report.few_shot else [*row[:2], *row[3:]] for row in _rows(report)])
    for reason in (reason for reasons in report.verdict.against.values() for reason in reasons):
        console.say(f"! {reason}")
    for remark in report.remarks[:_REASONS]:
        console.say(f"· {remark}")
    console.say("")
    for path in written:
        console.say(f"written: {path}")


def _rows(report: Report) -> list[list[str]]:
    """Name, twin, few-shot base, base, author."""
    sides = (report.twin, report.few_shot, report.base)
    author = report.twin.copying.author
    test = report.authorship
    chances = (test.twin, test.few_shot, test.base) if test else (None, None, None)
    return [
        ["voice: 0 is the base, 1 is you", _voice(report.voice), _voice(report.voice_few_shot), "0", "1"],
        ["yours, by the authorship test", *map(_chance, chances), _chance(test.author if test else None)],
        ["perplexity a token", *_figures(report.perplexity, report.perplexity_few_shot, report.perplexity_base), ""],
        [
            "perplexity a word",
            *_figures(report.perplexity_per_word, report.perplexity_per_word_few_shot, report.perplexity_per_word_base),
            "",
        ],
        ["repeats your posts", *map(_copied, sides), f"{author.ngrams:.1%}" if author else ""],
        ["nearest to its own prompt", *map(_kept_to, sides), ""],
        ["answers with a fault", *map(_faulty, sides), ""],
    ]


def _voice(voice: Voice | None) -> str:
    if voice is None or voice.score is None:
        return ""
    between = "" if voice.low is None or voice.high is None else f" ({voice.low:.2f} to {voice.high:.2f})"
    return f"{voice.score:.2f}{between}"


def _chance(found: Attributed | None) -> str:
    if found is None:
        return ""
    between = "" if found.low is None or found.high is None else f" ({found.low:.0%} to {found.high:.0%})"
    return f"{found.probability:.0%}{between}"


def _figures(*values: float | None) -> list[str]:
    return ["" if value is None else console.figure(value) for value in values]


def _copied(side: Measures | None) -> str:
    return f"{side.copying.answers.ngrams:.1%}" if side else ""


def _kept_to(side: Measures | None) -> str:
    return f"{side.relevance.prompts.first:.0%}" if side and side.relevance.prompts else ""


def _faulty(side: Measures | None) -> str:
    return f"{len({fault.answer for fault in side.faults})} of {side.answers}" if side else ""


def show_comparison(found: Comparison, written: Path) -> None:
    """Several versions, and every two of them."""
    console.say(found.sentence)
    console.say("")
    rows = [
        [
            one.name,
            _voice(one.voice),
            *_figures(one.perplexity_per_word),
            f"{one.copied_answers} of {one.answers}",
            "; ".join(one.objections),
        ]
        for one in found.versions
    ]
    console.table(["version", "voice", "perplexity a word", "copied answers", "against it"], rows)
    for pair in found.pairs:
        sure = "" if pair.p is None else f", p {pair.p:.3f}"
        sign = "+" if pair.measure == "voice" else ""
        between = (
            "" if pair.low is None or pair.high is None else f" ({pair.low:{sign}.2f} to {pair.high:{sign}.2f}{sure})"
        )
        how = "minus" if pair.measure == "voice" else "over"
        console.say(f"· {pair.measure}: {pair.first} {how} {pair.second} is {pair.difference:{sign}.2f}{between}")
    for change in found.changes:
        for told, what in ((change.more, "more"), (change.less, "less")):
            for line in told:
                console.say(f"· from {change.first} to {change.second}, {what}: {line}")
    for remark in found.remarks:
        console.say(f"· {remark}")
    console.say(f"\nwritten: {written}")
