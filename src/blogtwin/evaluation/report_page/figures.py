"""The report's charts: a Report → SVG, or None where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from blogtwin.evaluation.charts import Row, Side, Tick, bars, marks, nice
from blogtwin.evaluation.quiz import QuizSummary
from blogtwin.evaluation.report import Attributed, Measures, Report
from blogtwin.evaluation.report_page.wording import HABITS, many, percent, ranged

_NAMES: Mapping[Side, str] = {"base": "Base model", "twin": "Your twin", "author": "You"}
_VOICE = (-1.0, 2.0)  # what the voice charts show at most: beyond it a figure says nothing but "far"


def sides(report: Report) -> dict[Side, str]:
    """The sides that were measured, by the names that the page has for them, in its order."""
    shown = report.few_shot_prompt.posts if report.few_shot_prompt else 3
    names: list[tuple[Side, str]] = list(_NAMES.items())
    return dict([names[0], ("few-shot", f"Base, shown {shown} posts"), *names[1:]] if report.few_shot else names)


def measures(report: Report) -> dict[Side, Measures]:
    """Each model's measures."""
    found: dict[Side, Measures | None] = {"base": report.base, "few-shot": report.few_shot, "twin": report.twin}
    return {side: one for side, one in found.items() if one is not None}


def voice(report: Report) -> Markup | None:
    """The voice scores on one scale from the base model to the author."""
    if report.voice.score is None:
        return None
    names = sides(report)
    rows = [Row(names["base"], "base", 0.0, "0, by definition")]
    few = report.voice_few_shot
    if few is not None and few.score is not None and "few-shot" in names:
        rows.append(
            Row(names["few-shot"], "few-shot", few.score, ranged(few.score, few.low, few.high), few.low, few.high)
        )
    own = report.voice
    rows.append(Row(names["twin"], "twin", own.score, ranged(report.voice.score, own.low, own.high), own.low, own.high))
    rows.append(Row(names["author"], "author", 1.0, "1, by definition"))
    title = "Voice score of each side, from 0, the base model, to 1, you"
    return marks("voice", title, rows, _ends(), *_VOICE)


def voice_parts(report: Report) -> Markup | None:
    """The twin's score in each habit that tells base and author apart, and the names of those that do not."""
    rows = [
        Row(
            HABITS.get(one.habit, (one.habit.capitalize(), ""))[0],
            "twin",
            one.score,
            "you and the base are alike here" if one.score is None else ranged(one.score, one.low, one.high),
            one.low,
            one.high,
        )
        for one in report.voice.habits
    ]
    if not rows:
        return None
    return marks(
        "voice-parts", "The twin’s voice score in each habit, from 0, the base model, to 1, you", rows, _ends(), *_VOICE
    )


def _ends() -> tuple[Tick, Tick]:
    return Tick(0.0, "0: base model"), Tick(1.0, "1: you")


def authorship(report: Report) -> Markup | None:
    """How likely the author's each side's texts are."""
    if report.authorship is None:
        return None
    test = report.authorship
    found: Mapping[Side, Attributed | None] = {
        "base": test.base,
        "few-shot": test.few_shot,
        "twin": test.twin,
        "author": test.author,
    }
    names = sides(report)
    rows = [
        Row(names[side], side, one.probability, _shares(one.probability, one.low, one.high), one.low, one.high)
        for side, one in found.items()
        if one is not None and side in names
    ]
    ticks = Tick(0.0, "surely not yours"), Tick(1.0, "surely yours")
    return marks("authorship", "How likely yours the test takes the texts of each side to be", rows, ticks, 0.0, 1.0)


def _shares(value: float, low: float | None, high: float | None) -> str:
    return percent(value) if low is None or high is None else f"{percent(value)} ({percent(low)} to {percent(high)})"


def surprise(report: Report) -> Markup | None:
    """Perplexity a word of each model."""
    found: Mapping[Side, float | None] = {
        "base": report.perplexity_per_word_base,
        "few-shot": report.perplexity_per_word_few_shot,
        "twin": report.perplexity_per_word,
    }
    names = sides(report)
    rows = [
        Row(names[side], side, value, f"{many(value)} words")
        for side, value in found.items()
        if value is not None and side in names
    ]
    return bars("surprise", "Among how many words each model chooses the next one of yours", rows) if rows else None


def copying(report: Report) -> Markup | None:
    """The share of each side's sequences of eight words that stand in a post, and what is usual from text to text."""
    names = sides(report)
    found = {side: one.copying.answers for side, one in measures(report).items()}
    if report.twin.copying.author is not None:
        found["author"] = report.twin.copying.author
    if not any(one.high or one.ngrams for one in found.values()):
        return None
    rows = [Row(names[side], side, one.ngrams, percent(one.ngrams), one.low, one.high) for side, one in found.items()]
    most = nice(max(0.01, *(max(one.high, one.ngrams) for one in found.values())))
    title = "Share of each side’s runs of eight words that stand in one of your posts"
    return marks("copying", title, rows, (Tick(0.0, "nothing"), Tick(most, percent(most))), 0.0, 1.0)


def lengths(report: Report) -> Markup | None:
    """Words of each side's answers to the held-out titles: the median, and the middle half."""
    names = sides(report)
    found = {side: one.length.twin_quartiles for side, one in measures(report).items() if one.length is not None}
    if report.twin.length is None:
        return None
    found["author"] = report.twin.length.author_quartiles
    rows = [
        Row(names[side], side, middle, f"{many(round(middle))} words", low, high)
        for side, (low, middle, high) in found.items()
    ]
    most = nice(max(high for _, _, high in found.values()))
    ticks = Tick(0.0, "0"), Tick(most, f"{many(most)} words")
    return marks(
        "lengths", "Words of a text: the one in the middle, and the middle half of all", rows, ticks, 0.0, most
    )


def quiz(found: QuizSummary) -> list[tuple[str, Markup]]:
    """How often each was taken for the author: a chart with its title for rounds of two passages, and one for those of three."""
    out = []
    for shape, title in (("pair", "Of two passages"), ("triple", "Of three passages")):
        some = [one for one in found.taken if one.shape == shape]
        if not some:
            continue
        rows = [
            Row(_NAMES[one.writer], one.writer, one.share, _shares(one.share, one.low, one.high), one.low, one.high)
            for one in some
        ]
        ticks = Tick(0.0, "never"), Tick(some[0].chance, "by guessing"), Tick(1.0, "always")
        chart = marks(f"quiz-{shape}", f"How often each was taken for you, in {shape}s", rows, ticks, 0.0, 1.0)
        out.append((title, chart))
    return out
