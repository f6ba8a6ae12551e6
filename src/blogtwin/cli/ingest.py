"""`blogtwin ingest`: a folder of posts → one JSON line a post."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from blogtwin.cli import console, options


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(ingest)


def ingest(
    input_dir: options.InputDir = None,
    output: Annotated[
        Path | None, typer.Option(help="Where the posts go.", show_default="data/raw_blogs.jsonl")
    ] = None,
    formats: options.Formats = None,
    strict: options.Strict = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Read a folder of posts (.md .markdown .txt .docx) into one JSON line a post."""
    from blogtwin.config import load_settings
    from blogtwin.stages import ingest as stage
    from blogtwin.workspace import Workspace

    wanted = formats.replace(" ", "").split(",") if formats else None
    settings = load_settings(config, {"data": {"input_dir": input_dir, "formats": wanted, "strict": strict}})
    workspace = Workspace.here(settings)
    workspace = replace(workspace, posts=output or workspace.posts)
    with console.progress("Reading posts") as progress:
        result = stage.run(settings, workspace, progress)
    console.show(result, as_json)
