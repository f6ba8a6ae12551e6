"""The report for people. In: a Report. Out: Markdown, or one HTML page that needs nothing else and runs no script.

What readers and models wrote stays text in both: it is quoted, and every character that means something is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template

from blogtwin.feedback.report import Rate, Report

# What no page may hold: control characters, halves of characters.
_UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_MEANS_SOMETHING = re.compile(r"([\\`*_{}\[\]<>#|~&]|^\s*[-+=])")


def markdown(report: Report) -> str:
    """The report as Markdown."""
    return _UNREADABLE.sub("�", "\n".join(_lines(report)) + "\n")


def html(report: Report) -> str:
    """The report as one page: no script, no address."""
    return _UNREADABLE.sub("�", _template().render(report=report, verdict=verdict(report)))


def alert(report: Report) -> str:
    """A few lines for whoever watches a file."""
    return f"{report.twin}: {verdict(report)}\n" + "".join(
        f"worst: {one.name}, {percent(one)}\n" for one in report.worst
    )


def verdict(report: Report) -> str:
    """How the like rate stands to its target, in one sentence."""
    if report.whole.rate is None:
        return f"nobody liked or disliked anything; the target is {report.target:.0%}"
    stands = "under" if report.under else "at or above"
    told = f"the like rate is {percent(report.whole)}, {stands} its target of {report.target:.0%}"
    if report.under and not report.beyond_chance:
        told += "; with so few judgements this may be chance"
    return told


def percent(rate: Rate) -> str:
    """`60% (6 of 10; 31% to 83%)`, or that nobody said anything."""
    if rate.rate is None or rate.low is None or rate.high is None:
        return "no judgements"
    total = rate.likes + rate.dislikes
    return f"{rate.rate:.0%} ({rate.likes:,} of {total:,}; {rate.low:.0%} to {rate.high:.0%})"


def _lines(report: Report) -> Iterator[str]:
    began = f"{report.since:%Y-%m-%d} to " if report.since else "until "
    yield f"# {_text(report.twin)}: how it was liked, {began}{report.until:%Y-%m-%d}"
    told = _text(verdict(report))
    yield f"\n**{told[:1].upper()}{told[1:]}.** Intervals are Wilson's, at 95%."
    if report.before:
        yield f"\nBefore that, over as many days: {percent(report.before)}."
    yield from _table("By version", report.versions)
    yield from _table("By subject", report.subjects)
    yield from _table("Worst subjects", report.worst)
    if report.trained:
        yield "\n## What training changed\n"
    for one in report.trained:
        event = one.event
        learned = f"; learned from {one.learned:,} judgements" if one.learned else ""
        yield f"- {event.at:%Y-%m-%d %H:%M} **{event.event}** {_text(event.version)}: {_text(event.why)}{learned}"
        for what, before, after in one.changes:
            yield f"    - {_text(what)}: {_text(before) or 'none'} → {_text(after) or 'none'}"
    if report.disliked:
        yield "\n## Disliked\n"
    for sample in report.disliked:
        yield f"### {sample.at:%Y-%m-%d}, {_text(sample.subject or 'no subject')}, {_text(sample.version)}\n"
        for name, text in (("Asked", sample.prompt), ("Written", sample.response)):
            yield f"{name}:\n\n{_quoted(text)}\n"
        for name, text in (("The reader", sample.comment), ("Edited to", sample.edited)):
            if text:
                yield f"{name}:\n\n{_quoted(text)}\n"


def _table(title: str, rates: Sequence[Rate]) -> Iterator[str]:
    if rates:
        yield f"\n## {title}\n\n| | likes | dislikes | like rate |\n|---|---:|---:|---|"
        for one in rates:
            yield f"| {_text(one.name)} | {one.likes:,} | {one.dislikes:,} | {percent(one)} |"


def _text(text: str) -> str:
    """One line that Markdown leaves as it is."""
    return _escaped(" ".join(text.split()))


def _quoted(text: str) -> str:
    return "\n".join(f"> {_escaped(line)}".rstrip() for line in text.splitlines() or [""])


def _escaped(text: str) -> str:
    return _MEANS_SOMETHING.sub(lambda found: f"{found[1][:-1]}\\{found[1][-1]}", text)


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": percent}
    source = resources.files("blogtwin.feedback") / "report.html.j2"
    return environment.from_string(source.read_text(encoding="utf-8"))
