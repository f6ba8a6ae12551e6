"""`blogtwin feedback`: what readers said of a twin's texts; counted, told, taken out, brought in, deleted."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from blogtwin.cli import console, feedback_report, options

if TYPE_CHECKING:
    from datetime import datetime

    from blogtwin.feedback.stats import Tally
    from blogtwin.feedback.store import Store

_NAMES_SHOWN = 10  # subjects and versions; --json has more
_TOGETHER = 1000  # rows that are brought in between two drawings of the bar

EveryTwin = Annotated[bool, typer.Option("--all", help="All twins, not one alone.")]
Days = Annotated[int | None, typer.Option("--days", min=1, help="Only what was said in the last so many days.")]
Form = Literal["json", "jsonl", "openai", "gemini", "alpaca", "preference"]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    feedback = options.group("What readers said of a twin's texts.")
    feedback.command("import")(import_)
    for command in (stats, feedback_report.report, export, forget):
        feedback.command()(command)
    app.add_typer(feedback, name="feedback")


def stats(
    model: options.Twin = None,
    every: EveryTwin = False,
    days: Days = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """How many texts were judged, and the like rate with its 95% interval, by subject, version and day."""
    with _store(config, model) as (store, twin):
        found = store.stats(None if every else twin, days)
        others = 0 if every or found.total else store.stats().total
    if as_json:
        console.show_json(found.model_dump())
        return
    figures: dict[str, int | str] = {
        "judged": found.total,
        "liked": found.likes,
        "disliked": found.dislikes,
        "like rate": _rate(found),
        "edited": found.edited,
        "approved": found.approved,
        "not exported yet": found.unexported,
        "not learned yet": found.unlearned,
        "can still be judged": found.contexts,
    }
    console.pairs({name: f"{value:,}" if isinstance(value, int) else value for name, value in figures.items()})
    for name, tallies in (
        ("subject", found.by_subject[:_NAMES_SHOWN]),
        ("version", found.by_version[:_NAMES_SHOWN]),
        ("day", found.by_day[-_NAMES_SHOWN:]),
    ):
        if tallies:
            console.table([name, "judged", "like rate"], [[one.name, f"{one.total:,}", _rate(one)] for one in tallies])
    if others:
        console.remark(
            f"nothing was said of {twin}; of other twins {others:,} texts were judged: --all or --model NAME"
        )


def export(
    output: Annotated[
        Path | None, typer.Option("--output", help="The file to write.", show_default="standard output")
    ] = None,
    form: Annotated[
        Form,
        typer.Option(
            "--format",
            help="json, jsonl: all that is known; preference: pairs for dpo; the others: texts that were liked.",
        ),
    ] = "jsonl",
    model: options.Twin = None,
    every: EveryTwin = False,
    days: Days = None,
    subject: Annotated[str | None, typer.Option("--subject", help="Only texts on this subject.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="The oldest so many.")] = None,
    unexported: Annotated[
        bool, typer.Option("--unexported", help="Only what was not exported before, or was judged again since.")
    ] = False,
    config: options.Config = None,
) -> None:
    """Write feedback to a file; when it stands there whole, what is in it counts as exported."""
    from datetime import UTC, datetime, timedelta

    from blogtwin.feedback.export import written

    with _store(config, model) as (store, twin):
        since = None if days is None else datetime.now(UTC) - timedelta(days=min(days, 36_500))
        begun = store.begin_export(
            limit, twin=None if every else twin, since=since, subject=subject, unexported=unexported
        )
        lines = _saved(written(begun, form), output) if output else _printed(written(begun, form))
        begun.finish()
    lines -= form == "json"  # its last piece closes the list
    what = "pairs" if form == "preference" else "texts"
    console.remark(f"{lines:,} {what} out of {begun.taken:,} judgements" + (f": {output}" if output else ""))


def import_(
    # A text, not a Path: for one that must be given typer loads pydantic, even to show the help.
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="What `feedback export` wrote, or lines of {prompt, chosen, rejected}."),
    ],
    model: options.Twin = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Bring feedback in. What is there, and no older, stays as it is, so the same file can be imported twice."""
    from itertools import islice

    from blogtwin.feedback.imported import read

    with _store(config, model) as (store, twin), console.progress("Importing feedback") as progress:
        total = sum(
            1 for _ in read(Path(file), twin, model is not None)
        )  # a broken line is found before anything is stored
        rows, new = read(Path(file), twin, model is not None), 0
        with progress.task("Importing feedback", total, "judgements") as task:
            while some := list(islice(rows, _TOGETHER)):
                new += store.add(some)
                task.advance(len(some))
    if as_json:
        console.show_json({"rows": total, "new": new})
    else:
        console.say(f"{total:,} judgements, {new:,} of them new or newer: {file}")


def forget(
    id: Annotated[list[str] | None, typer.Option("--id", help="This text; may be given several times.")] = None,
    before: Annotated[
        str | None, typer.Option("--before", help="What was written before this day, or more than so many days ago.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="What was said of this twin.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Everything.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Delete feedback for good, and texts that wait to be judged; of several options, all must hold.

    What a version has learned from it stays in that version: `blogtwin models retire` takes one out of service.
    """
    from blogtwin.errors import UsageError

    if not (id or before or model or every):
        raise UsageError("nothing says what to forget", "give --id, --before, --model, or --all for everything")
    if every and (id or before or model):
        raise UsageError("--all is everything: it goes with no other choice", "leave --all out, or the others")
    moment = _moment(before) if before else None
    if not yes:
        what = "all feedback" if every else "what these options name"
        if not sys.stdin.isatty():
            raise UsageError(f"{what} would be deleted, and nobody is here to be asked", "add --yes")
        typer.confirm(f"Delete {what} for good?", abort=True, err=True)
    with _store(config, model) as (store, twin):
        gone = store.forget(id, twin if model else None, moment)
    if as_json:
        console.show_json({"forgotten": gone})
    else:
        console.say(f"{gone:,} judgements forgotten")


@contextmanager
def _store(config: Path | None, model: str | None) -> Iterator[tuple[Store, str]]:
    """The store, and the twin's name without its tag."""
    from contextlib import closing
    from datetime import timedelta

    from blogtwin.config import load_settings, model_name
    from blogtwin.feedback.database import Database
    from blogtwin.feedback.store import Store

    settings = load_settings(config, {"deployment": {"model_name": model}})
    twin = model_name(settings.deployment.model_name).partition(":")[0]
    kept = settings.feedback.retention_days
    with closing(Database.open(settings.feedback.database_url)) as database:
        life = timedelta(minutes=settings.feedback.context_minutes)
        yield Store(database, life, timedelta(days=kept) if kept else None), twin


def _saved(pieces: Iterable[str], output: Path) -> int:
    from blogtwin import atomic

    with atomic.open_text(output) as file:
        return sum(file.write(piece) > 0 for piece in pieces)


def _printed(pieces: Iterable[str]) -> int:
    """Raises OutputError when the reader goes away, so that nothing counts as exported."""
    from blogtwin.errors import OutputError

    count = 0
    try:
        for piece in pieces:
            sys.stdout.write(piece)
            count += 1
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer goes nowhere
        raise OutputError("who read the export has gone away", "nothing of it counts as exported") from None
    return count


def _moment(given: str) -> datetime:
    from datetime import UTC, date, datetime, time, timedelta

    from blogtwin.errors import UsageError

    try:
        if given.isdecimal():
            return datetime.now(UTC) - timedelta(days=int(given))
        return datetime.combine(date.fromisoformat(given), time(), UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"--before {given}: is no day and no number of days", "--before 2026-10-01, --before 90"
        ) from None


def _rate(tally: Tally) -> str:
    if tally.like_rate is None or tally.low is None or tally.high is None:
        return "–"
    return f"{tally.like_rate:.0%} ({tally.low:.0%} to {tally.high:.0%})"
