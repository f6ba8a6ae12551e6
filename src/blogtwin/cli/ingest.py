"""`blogtwin ingest`: a folder of posts, or an export → one JSON line a post."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from blogtwin.cli import console, options, reports


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(ingest)


def ingest(
    input_dir: options.InputDir = None,
    output: Annotated[
        Path | None, typer.Option(help="Where the posts go.", show_default="data/raw_blogs.jsonl")
    ] = None,
    formats: options.Formats = None,
    author: options.Author = None,
    language: options.Language = None,
    drop: options.Drop = None,
    strict: options.Strict = None,
    show: Annotated[
        Path | None, typer.Option(help="Print one post before and after, side by side, and write nothing.")
    ] = None,
    files: Annotated[bool, typer.Option("--files", help="Print what became of every single file.")] = False,
    threads: options.Threads = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Read a folder of posts, or an export of a blog, into one JSON line a post, with the author's words alone.

    Reads .md .markdown .mdx .Rmd .txt .docx .html .rst .org .adoc .dj .ipynb; and, as --input-dir FILE, exports of WordPress
    (XML), Ghost (JSON), Substack and Medium (zip), Blogger (Atom), and RSS or Atom feeds.
    """
    from blogtwin.config import load_settings
    from blogtwin.stages import ingest as stage
    from blogtwin.workspace import Workspace

    told = {
        "input_dir": input_dir,
        "formats": options.listed(formats),
        "author": author,
        "language": language,
        "drop": options.listed(drop),
        "strict": strict,
    }
    settings = load_settings(config, {"data": told, "machine": {"threads": threads}})
    if show is not None:
        from blogtwin.stages.preview import preview

        seen = preview(settings, show)
        reports.show_preview(seen, as_json)
        return
    workspace = Workspace.here(settings)
    workspace = replace(workspace, posts=output or workspace.posts)
    with console.progress("Reading posts") as progress:
        result = stage.run(settings, workspace, progress)
    if files and not as_json:
        reports.show_files(stage.report_beside(workspace.posts))
    console.show(result, as_json)
