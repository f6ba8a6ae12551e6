"""`blogtwin feedback report`: how well a twin was liked, beside its target; for people, for machines and for a watched file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from blogtwin.cli import console, options

_WEEK = 7  # days

Form = Literal["md", "html", "json"]


def report(
    weekly: Annotated[bool, typer.Option("--weekly", help="The last seven days, beside the seven before.")] = False,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=36_500, help="The last so many days.", show_default="all")
    ] = None,
    model: options.Twin = None,
    form: Annotated[Form, typer.Option("--format", help="Markdown, one HTML page, or JSON.")] = "md",
    output: Annotated[
        Path | None, typer.Option("--output", help="The file to write.", show_default="standard output")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="End with exit code 1 when the like rate is under target.")
    ] = False,
    alert: Annotated[
        Path | None,
        typer.Option("--alert", help="A file that is there as long as the like rate is under its target."),
    ] = None,
    config: options.Config = None,
) -> None:
    """The like rate beside its target, by subject and version, what was disliked, and what training changed."""
    from datetime import UTC, datetime, timedelta

    from blogtwin import atomic
    from blogtwin.config import load_settings
    from blogtwin.feedback import report_pages
    from blogtwin.feedback.report import report as gathered
    from blogtwin.feedback.store import Store
    from blogtwin.stages import lineage

    settings = load_settings(config, {"deployment": {"model_name": model}})
    twin = settings.deployment.model_name.partition(":")[0]
    span = _WEEK if weekly and days is None else days
    with lineage.register(settings) as register:
        store = Store(register.database, timedelta(minutes=settings.feedback.context_minutes))
        found = gathered(store, register, twin, settings.feedback.like_target, datetime.now(UTC), span)
    if form == "json":
        written = found.model_dump_json(indent=2) + "\n"
    else:
        written = report_pages.html(found) if form == "html" else report_pages.markdown(found)
    if output:
        atomic.write_text(output, written)
        console.remark(f"{report_pages.verdict(found)}: {output}")
    else:
        console.stream(written)
    if alert and found.under:
        atomic.write_text(alert, report_pages.alert(found))
    elif alert and found.whole.rate is not None:
        with atomic.writing_to(alert):
            alert.unlink(missing_ok=True)
    if check and found.under:
        raise typer.Exit(1)
