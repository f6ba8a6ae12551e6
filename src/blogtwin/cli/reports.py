"""What became of posts, as a person reads it. In: reports and previews. Out: tables on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from blogtwin.cli import console

if TYPE_CHECKING:
    from blogtwin.records import FileReport
    from blogtwin.stages.preview import Preview


def show_files(report: Path) -> None:
    """One line for every file of a report."""
    from blogtwin import file_reports

    rows = (
        [one.path, one.verdict, f"{one.words_before:,}", f"{one.words_after:,}", _why(one)]
        for one in file_reports.read(report)
    )
    console.table(["file", "", "words before", "after", "why"], list(rows))


def show_preview(seen: Preview, as_json: bool) -> None:
    """A post before and after, side by side, under what is known of it."""
    from blogtwin.cli.side_by_side import rows

    if as_json:
        after = seen.post.model_dump(mode="json") if seen.post else None
        console.show_json({"before": seen.before, "post": after, "report": seen.report.model_dump(mode="json")})
        return
    report, post = seen.report, seen.post
    words = f"{report.words_before:,} words before, {report.words_after:,} after"
    about = {"file": report.path, "verdict": f"{report.verdict}, {words}", "why": _why(report)}
    if post:
        date = f"{post.created_at:%Y-%m-%d} ({post.created_from})" if post.created_at else ""
        about |= {"title": post.title, "date": date, "author": post.author or "", "language": post.language or ""}
        about |= {"tags": ", ".join(post.tags), "draft": "yes" if post.draft else ""}
    console.pairs({name: value for name, value in about.items() if value})
    console.two_columns("before", "after", rows(seen.before, post.text if post else ""))


def _why(report: FileReport) -> str:
    cuts = ", ".join(f"{words:,} words of {what}" for what, words in report.cuts.items())
    return "; ".join([*report.reasons, *([f"cut: {cuts}"] if cuts else [])])
