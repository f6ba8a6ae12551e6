"""`blogtwin init`: a commented pipeline_config.yaml and prompts/ in this folder, to be edited."""

from __future__ import annotations

from typing import Annotated

import typer

from blogtwin.cli import console


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(init)


def init(
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Write a commented pipeline_config.yaml and prompts/ into this folder."""
    from blogtwin import atomic
    from blogtwin.defaults import files

    for path, text in files():
        if path.exists() and not force:
            console.say(f"kept     {path} (replace it with --force)")
            continue
        atomic.write_text(path, text)
        console.say(f"written  {path}")
