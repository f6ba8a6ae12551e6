"""`blogtwin prepare-dataset`: posts, pairs of texts or what readers said → what a twin is trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blogtwin.cli import console, options

if TYPE_CHECKING:
    from blogtwin.config import Settings
    from blogtwin.progress import Progress
    from blogtwin.stages.result import StageResult
    from blogtwin.workspace import Workspace


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("prepare-dataset")(prepare_dataset)


def prepare_dataset(
    source: Annotated[
        str | None,
        typer.Argument(help="With --preferences: a file, or `store`, which is the default.", show_default=False),
    ] = None,
    posts: Annotated[
        Path | None, typer.Option("--input", help="The posts.", show_default="data/raw_blogs.jsonl")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Where the training examples go, or the preferences; what is held out goes beside them.",
            show_default="data/training_data.jsonl, preferences.jsonl or rewriting_data.jsonl",
        ),
    ] = None,
    preferences: Annotated[
        bool,
        typer.Option("--preferences", help="Make preferences of what readers said, in the store or in a JSONL file."),
    ] = False,
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", help="Make examples of rewriting: TSV with source and target, or JSONL."),
    ] = None,
    cannot_rewrite: Annotated[
        Path | None,
        typer.Option("--cannot-rewrite", help="With --pairs: texts that are to be left as they are."),
    ] = None,
    instruction: Annotated[
        str | None,
        typer.Option(
            "--instruction",
            help="What a twin that rewrites is told to do.",
            show_default="rewrite in prompts/instructions.yaml",
        ),
    ] = None,
    model_name: options.ModelName = None,
    strict: options.Strict = None,
    split: options.Split = None,
    author: options.Author = None,
    drafts: options.Drafts = None,
    max_length: options.MaxLength = None,
    threads: options.Threads = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Take out what recurs, what is private and what is there twice; make examples of the rest, and split them by post.

    prepare_report.json, beside the output, says of every post what became of it. With --pairs, examples of rewriting are made
    of a file of texts and what became of them; with --preferences, pairs and ratings of what readers said.
    """
    from blogtwin.config import load_settings
    from blogtwin.workspace import Workspace

    settings = load_settings(
        config,
        {
            "data": {"split": split, "author": author, "drafts": drafts, "strict": strict},
            "training": {"max_length": max_length},
            "deployment": {"model_name": model_name},
            "machine": {"threads": threads},
        },
    )
    _check(source, preferences, pairs, cannot_rewrite, posts)
    workspace = Workspace.here(settings)
    if pairs:
        from blogtwin.stages import parallel

        with console.progress("Preparing pairs") as progress:
            result = parallel.run(settings, workspace, progress, pairs, instruction, cannot_rewrite, output)
    elif preferences:
        with console.progress("Preparing preferences") as progress:
            result = _preferences(settings, workspace, progress, source, output, instruction)
    else:
        from blogtwin.stages import prepare as stage

        training_data = output or workspace.training_data
        workspace = replace(
            workspace,
            posts=posts or workspace.posts,
            training_data=training_data,
            validation=training_data.with_name("validation.jsonl"),
        )
        with console.progress("Preparing examples") as progress:
            result = stage.run(settings, workspace, progress)
    console.show(result, as_json)


def _check(
    source: str | None, preferences: bool, pairs: Path | None, cannot_rewrite: Path | None, posts: Path | None
) -> None:
    """Raises UsageError for flags that do not go together."""
    from blogtwin.errors import UsageError

    if source is not None and not preferences:
        raise UsageError(
            f"{source} stands alone: it could be posts, pairs or preferences",
            f"say which: --input {source}, --pairs {source} or --preferences {source}",
        )
    if preferences and pairs:
        raise UsageError("--preferences and --pairs make different files", "run prepare-dataset once with each")
    if posts and (preferences or pairs):
        raise UsageError("--input names posts, and no posts are read here", "leave --input out")
    if cannot_rewrite and not pairs:
        raise UsageError("--cannot-rewrite goes with --pairs", f"add: --pairs FILE.tsv, or --pairs {cannot_rewrite}")


def _preferences(
    settings: Settings,
    workspace: Workspace,
    progress: Progress,
    source: str | None,
    output: Path | None,
    instruction: str | None,
) -> StageResult:
    """Of a file, or of the store."""
    from blogtwin.stages import preferences as stage

    if source not in (None, "store"):
        return stage.run_file(settings, workspace, progress, Path(source), output, instruction)
    from datetime import timedelta

    from blogtwin.feedback.database import Database
    from blogtwin.feedback.store import Store

    database = Database.open(settings.feedback.database_url)
    try:
        store = Store(database, timedelta(minutes=settings.feedback.context_minutes))
        rows = store.rows(twin=settings.deployment.model_name.partition(":")[0])
        return stage.run(settings, workspace, progress, rows, output)
    finally:
        database.close()
