"""`blogtwin doctor`: what this machine has, what it lacks, and the command that mends it."""

from __future__ import annotations

import typer

from blogtwin.cli import console, options


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(doctor)


def doctor(
    ollama_base_url: options.OllamaUrl = None, config: options.Config = None, as_json: options.Json = False
) -> None:
    """Show platform, memory, training backends, runtimes, database and server, each with why it is or is not usable."""
    from blogtwin import diagnosis
    from blogtwin.config import load_settings

    settings = load_settings(config, {"deployment": {"ollama_base_url": ollama_base_url}})
    findings = diagnosis.diagnose(settings)
    if as_json:
        console.show_json([vars(finding) for finding in findings])
        return
    console.table(
        ["", "", ""],
        [[finding.subject, {True: "yes", False: "no", None: ""}[finding.usable], finding.fact] for finding in findings],
    )
