"""`blogtwin evaluate`: a deployed twin and held-out posts → a report and its page; versions compared; base and twin tried."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blogtwin.cli import console, options

if TYPE_CHECKING:
    from blogtwin.config import Settings
    from blogtwin.workspace import Workspace


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(evaluate)


def evaluate(
    versions: Annotated[
        list[str] | None, typer.Argument(help="With --compare: the deployed names, such as my-twin:2026-11-21-ab12cd.")
    ] = None,
    model: options.Twin = None,
    test_set: Annotated[
        Path | None,
        typer.Option(
            help="The held-out examples; training_data.jsonl is read beside them.", show_default="data/validation.jsonl"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Where the report goes; the page is beside it.", show_default="results/eval_report.json"),
    ] = None,
    samples: options.Samples = None,
    concurrency: options.Concurrency = None,
    others: options.Others = None,
    judge: options.Judge = None,
    compare: Annotated[bool, typer.Option("--compare", help="Compare the versions named.")] = False,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Type prompts, and see base and twin answer; nothing is kept.")
    ] = False,
    runtime: options.Runtime = None,
    url: options.EndpointUrl = None,
    ollama_base_url: options.OllamaUrl = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Measure the twin beside its base, and beside the base shown your posts: voice, copying, perplexity, and a verdict."""
    from blogtwin.config import load_settings
    from blogtwin.workspace import Workspace

    _fitting(versions, compare, interactive)
    settings = load_settings(
        config,
        {
            "deployment": options.served(model, runtime, url, ollama_base_url),
            "evaluation": {"samples": samples, "concurrency": concurrency, "others": others, "judge": judge},
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
    if interactive:
        _interactive(settings)
    elif compare:
        _compare(versions or [], settings, workspace, as_json)
    else:
        _evaluate(settings, workspace, as_json)


def _fitting(versions: list[str] | None, compare: bool, interactive: bool) -> None:
    from blogtwin.errors import UsageError

    if compare and interactive:
        raise UsageError("--compare and --interactive are two things", "choose one of them")
    if compare and len(versions or ()) < 2:
        raise UsageError("--compare needs two names at least", "blogtwin evaluate --compare NAME OTHER-NAME")
    if versions and not compare:
        raise UsageError(
            f"what is to be done with {' '.join(versions)}?",
            f"evaluate one: --model {versions[0]}; compare several: --compare {' '.join(versions)} OTHER",
        )


def _evaluate(settings: Settings, workspace: Workspace, as_json: bool) -> None:
    from blogtwin.stages import evaluate as stage

    with console.progress("Evaluating") as progress:
        result = stage.run(settings, workspace, progress)
    if as_json:
        console.show(result, as_json)
        return
    from blogtwin.cli import findings
    from blogtwin.evaluation.report import read_report

    findings.show(read_report(workspace.report), result.outputs)


def _compare(versions: list[str], settings: Settings, workspace: Workspace, as_json: bool) -> None:
    from blogtwin.stages import compare as stage

    with console.progress("Comparing") as progress:
        found = stage.run(versions, settings, workspace, progress)
    if as_json:
        console.show_json(found.model_dump(mode="json"))
        return
    from blogtwin.cli import findings

    findings.show_comparison(found, stage.file(workspace))


def _interactive(settings: Settings) -> None:
    from blogtwin.cli.beside import converse
    from blogtwin.stages.beside import base_and_twin

    with console.progress("Loading base and twin") as progress, base_and_twin(settings, progress) as ask:
        converse(ask)
