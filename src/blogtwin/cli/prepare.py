"""`blogtwin prepare-dataset`: posts → training and validation examples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from blogtwin.cli import console, options


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("prepare-dataset")(prepare_dataset)


def prepare_dataset(
    posts: Annotated[
        Path | None, typer.Option("--input", help="The posts.", show_default="data/raw_blogs.jsonl")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Where the training examples go; validation.jsonl goes beside them.",
            show_default="data/training_data.jsonl",
        ),
    ] = None,
    split: options.Split = None,
    author: options.Author = None,
    drafts: options.Drafts = None,
    max_length: options.MaxLength = None,
    threads: options.Threads = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Take out what recurs, what is private and what is there twice; make examples of the rest, and split them by post.

    prepare_report.json, beside the output, says of every post what became of it.
    """
    from blogtwin.config import load_settings
    from blogtwin.stages import prepare as stage
    from blogtwin.workspace import Workspace

    settings = load_settings(
        config,
        {
            "data": {"split": split, "author": author, "drafts": drafts},
            "training": {"max_length": max_length},
            "machine": {"threads": threads},
        },
    )
    workspace = Workspace.here(settings)
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
