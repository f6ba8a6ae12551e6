"""`blogtwin evaluate`: a deployed twin and held-out posts → eval_report.json."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from blogtwin.cli import console, options


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(evaluate)


def evaluate(
    model: options.Twin = None,
    test_set: Annotated[
        Path | None,
        typer.Option(
            help="The held-out examples; training_data.jsonl is read beside them.", show_default="data/validation.jsonl"
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Where the report goes.", show_default="results/eval_report.json")
    ] = None,
    samples: options.Samples = None,
    ollama_base_url: options.OllamaUrl = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Measure the twin beside its base: perplexity, voice, overlap, and answers side by side."""
    from blogtwin.config import load_settings
    from blogtwin.stages import evaluate as stage
    from blogtwin.workspace import Workspace

    settings = load_settings(
        config,
        {
            "deployment": {"model_name": model, "ollama_base_url": ollama_base_url},
            "evaluation": {"samples": samples},
        },
    )
    workspace = Workspace.here(settings)
    validation = test_set or workspace.validation
    workspace = replace(
        workspace,
        validation=validation,
        training_data=validation.with_name("training_data.jsonl"),
        report=output or workspace.report,
    )
    with console.progress("Evaluating") as progress:
        result = stage.run(settings, workspace, progress)
    console.show(result, as_json)
