"""eval_report.html: a Report → one page that needs nothing else, for somebody who writes and does not program.

No script, no address: whatever a model said stays text (everything is escaped, and the page forbids itself scripts and
requests). The words are in report_page/, the order of the page in page.html.j2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from blogtwin.evaluation.charts import Side, shape
from blogtwin.evaluation.diversity import Diversity
from blogtwin.evaluation.judge import CRITERIA
from blogtwin.evaluation.report import Report
from blogtwin.evaluation.report_page import advice, figures, summary, wording

# What no page may hold: control characters, halves of characters.
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_OPEN = 2  # samples that are unfolded
_MARKED = 12  # words of a repeated passage that is marked in a sample; a shorter one is anybody's turn of phrase


class Answer(NamedTuple):
    """One side of a sample. text: with repeated passages marked. faults: in words."""

    side: Side
    name: str
    text: Markup
    faults: list[str]


@dataclass(frozen=True)
class Comparison:
    """One prompt, and what each side made of it. number: counted from 1."""

    number: int
    prompt: str
    title: bool
    shown: tuple[str, ...]
    answers: list[Answer]
    unfolded: bool


class Strange(NamedTuple):
    """Why a sentence is unlike the author, and the answers that have it, by number, the least like first."""

    reason: str
    answers: list[int]


class Line(NamedTuple):
    """A row of a table with a column a side."""

    label: str
    cells: dict[Side, str]


def report_html(report: Report) -> str:
    """The whole page."""
    page = _template().render(
        report=report,
        verdict=report.verdict,
        names=figures.sides(report),
        advice=advice.advice(report),
        summary=summary.summary(report),
        figures=figures,
        words=wording,
        kinds=_kinds(report),
        repetition=_repetition(report),
        overlaps=_overlaps(report),
        judged=_judged(report),
        unlike=unlike(report),
        faults=list(wording.faults(report.twin).items()),
        comparisons=comparisons(report),
        shape=shape,
    )
    return _UNREADABLE.sub("�", page)


@cache
def _template() -> Template:
    folder = resources.files("blogtwin.evaluation") / "report_page"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "sentence": wording.sentence,
        "percent": wording.percent,
        "many": wording.many,
        "counted": wording.counted,
    }
    environment.globals["css"] = Markup((folder / "page.css").read_text(encoding="utf-8"))
    return environment.from_string((folder / "page.html.j2").read_text(encoding="utf-8"))


def comparisons(report: Report) -> list[Comparison]:
    """The samples, each with its sides in the page's order."""
    names = figures.sides(report)
    found = figures.measures(report)
    out = []
    for place, sample in enumerate(report.sample_comparisons):
        said: dict[Side, str | None] = {
            "base": sample.base,
            "few-shot": sample.few_shot,
            "twin": sample.twin,
            "author": sample.author,
        }
        answers = []
        for side, text in said.items():
            if text is None or side not in names:
                continue
            measured = found.get(side)
            passages = (
                [one.text for one in measured.copying.passages if one.answer == place and one.words >= _MARKED]
                if measured
                else []
            )
            faults = [f"{one.kind}: {one.reason}" for one in measured.faults if one.answer == place] if measured else []
            answers.append(Answer(side, names[side], marked(text, passages), faults))
        out.append(
            Comparison(
                number=place + 1,
                prompt=sample.prompt,
                title=sample.origin == "held-out title",
                shown=sample.shown if sample.few_shot is not None else (),
                answers=answers,
                unfolded=place < _OPEN,
            )
        )
    return out


def marked(text: str, passages: Sequence[str]) -> Markup:
    """A text, escaped, with those of the passages in <mark> that stand in it letter by letter; none within another."""
    spans: list[tuple[int, int]] = []
    for passage in sorted(passages, key=len, reverse=True):
        start = text.find(passage) if passage else -1
        if start >= 0 and all(start + len(passage) <= low or high <= start for low, high in spans):
            spans.append((start, start + len(passage)))
    out, done = Markup(""), 0
    for low, high in sorted(spans):
        out += escape(text[done:low]) + Markup("<mark>{}</mark>").format(text[low:high])
        done = high
    return out + escape(text[done:])


def unlike(report: Report) -> list[Strange]:
    """The sentences least like the author; one that stands in several answers once."""
    found: dict[str, list[int]] = {}
    for one in report.unlike:
        answers = found.setdefault(one.reason, [])
        if one.answer not in answers:
            answers.append(one.answer)
    return [Strange(reason, answers) for reason, answers in found.items()]


def _kinds(report: Report) -> list[Line]:
    """Perplexity a word by kind of example; nothing where there is one kind only."""
    if len(report.perplexity_by_kind) < 2:
        return []
    out = []
    for kind, one in report.perplexity_by_kind.items():
        cells: dict[Side, float | None] = {
            "base": one.base_per_word,
            "few-shot": one.few_shot_per_word,
            "twin": one.twin_per_word,
        }
        label = f"{wording.KINDS.get(kind, kind)} ({wording.counted(one.examples, 'example')})"
        out.append(
            Line(label, _cells({side: None if value is None else wording.many(value) for side, value in cells.items()}))
        )
    return out


def _repetition(report: Report) -> list[Line]:
    found: dict[Side, Diversity | None] = {side: one.diversity for side, one in figures.measures(report).items()}
    found["author"] = report.author_diversity
    known = {side: one for side, one in found.items() if one is not None}
    opens = {side: f"{one.opens} of {one.texts}" for side, one in known.items() if one.opens > 1}
    lines = [
        Line(
            "Sentences that stood in the same text before",
            {side: wording.percent(one.repeated_sentences) for side, one in known.items()},
        ),
        Line(
            "Sentences that stand in another of its texts too",
            {side: wording.percent(one.shared_sentences) for side, one in known.items()},
        ),
        Line("Words spent going round in circles", {side: wording.percent(one.looping) for side, one in known.items()}),
        Line("Texts that begin with the same words", _cells({side: opens.get(side, "none") for side in known})),
    ]
    lines = [line for line in lines if set(line.cells.values()) - {"0%", "none"}]
    distinct = {side: one.distinct_2 for side, one in known.items() if one.distinct_2 is not None}
    if distinct:
        lines.insert(
            0,
            Line(
                "Different pairs of words, of all pairs",
                {side: wording.percent(share) for side, share in distinct.items()},
            ),
        )
    return lines


def _overlaps(report: Report) -> list[Line]:
    found = {side: one.overlap for side, one in figures.measures(report).items() if one.overlap is not None}
    if not found:
        return []
    return [
        Line("BLEU (0 to 100)", {side: f"{one.bleu:.1f}" for side, one in found.items()}),
        *(
            Line(f"{name} (0 to 1)", {side: f"{getattr(one, field):.2f}" for side, one in found.items()})
            for name, field in (("ROUGE-1", "rouge_1"), ("ROUGE-2", "rouge_2"), ("ROUGE-L", "rouge_l"))
        ),
    ]


def _judged(report: Report) -> list[Line]:
    if report.judge is None:
        return []
    scores = report.judge.scores
    criteria = dict.fromkeys(name for one in scores.values() for name in one.means)
    return [
        Line(
            f"{name.capitalize()}: {CRITERIA[name]}" if name in CRITERIA else name.capitalize(),
            {side: f"{one.means[name]:.1f}" for side, one in scores.items() if name in one.means},
        )
        for name in criteria
    ]


def _cells(values: Mapping[Side, str | None]) -> dict[Side, str]:
    return {side: value for side, value in values.items() if value is not None}
