"""The report in a few lines, one a section that the page has: a Report → questions and findings."""

from __future__ import annotations

from typing import NamedTuple

from blogtwin.evaluation.report import Report
from blogtwin.evaluation.report_page.wording import counted, faults, many, percent, score


class Finding(NamedTuple):
    """section: the page's own name of it."""

    section: str
    question: str
    finding: str


def summary(report: Report) -> list[Finding]:
    """What each section finds, in its order; a section that the page does not have is left out."""
    found = [
        Finding("voice", "Voice", _voice(report)),
        Finding("surprise", "Surprise", _surprise(report)),
        Finding("copying", "Copying", _copying(report)),
        Finding("answers", "Its answers", _answers(report)),
        Finding("differences", "Differences", _differences(report)),
        Finding("people", "Readers", _readers(report)),
        Finding("samples", "Side by side", counted(len(report.sample_comparisons), "request")),
    ]
    return [one for one in found if one.finding and (one.section != "samples" or report.sample_comparisons)]


def _voice(report: Report) -> str:
    if report.voice.score is None:
        return "no score"
    few = report.voice_few_shot
    beside = "" if few is None or few.score is None else f"; the base shown your posts, {score(few.score)}"
    but = ", but it copies" if report.twin.copying.flagged else ""
    return f"{score(report.voice.score)}, where 0 is the base model and 1 is you{but}{beside}"


def _surprise(report: Report) -> str:
    twin, base = report.perplexity_per_word, report.perplexity_per_word_base
    if twin is None or base is None:
        return ""
    return f"it wavers among {many(twin)} words before each of yours, the base among {many(base)}"


def _copying(report: Report) -> str:
    copying = report.twin.copying
    own = "" if copying.author is None else f"; your posts share {percent(copying.author.ngrams)} with each other"
    return f"{percent(copying.answers.ngrams)} of its runs of eight words stand in your posts{own}"


def _answers(report: Report) -> str:
    bad = len(faults(report.twin))
    return f"{bad or 'none'} of {report.twin.answers} {'has' if bad == 1 else 'have'} something wrong"


def _differences(report: Report) -> str:
    told = report.style_diff.over + report.style_diff.under
    more = len(told) + len(report.twin.structure.differences)
    return (
        f"{counted(more, 'habit')} that {'is' if more == 1 else 'are'} not yours"
        if more
        else ("its least likely sentences" if report.unlike else "")
    )


def _readers(report: Report) -> str:
    if report.quiz:
        twin = [one for one in report.quiz.taken if one.writer == "twin"]
        return "; ".join(f"taken for you in {one.times} of {one.rounds} {one.shape}s" for one in twin)
    return f"{report.judge.model} gave points" if report.judge else ""
