"""`blogtwin write`: a topic → a post in the author's voice."""

from __future__ import annotations

import typer


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(write)


def write() -> None:
    """Write a post about a topic, in the author's voice."""
