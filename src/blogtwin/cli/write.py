"""`blogtwin write`: a topic → a post in the author's voice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer

from blogtwin.cli import console, options

Form = Literal["md", "html", "docx"]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(write)


def write(
    topic: Annotated[str, typer.Argument(help="What the post is about.")],
    model: options.Twin = None,
    length: Annotated[int | None, typer.Option("--length", help="About how many words.")] = None,
    drafts: Annotated[int, typer.Option("--options", help="How many drafts to choose from.")] = 1,
    form: Annotated[Form | None, typer.Option("--format", help="md, html or docx.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Save the post here; its ending decides the format.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="The same seed writes the same post again.")] = None,
    runtime: options.Runtime = None,
    url: options.EndpointUrl = None,
    ollama_base_url: options.OllamaUrl = None,
    config: options.Config = None,
) -> None:
    """Write a post about a topic, in the author's voice; streamed to the terminal, and saved where --output says."""
    from blogtwin import drafting
    from blogtwin.config import load_settings

    deployment = options.served(model, runtime, url, ollama_base_url)
    settings = load_settings(config, {"deployment": deployment})
    chosen = format_of(form, output)
    if remark := drafting.remark(settings):
        console.remark(remark)
    found = drafting.drafts(settings, topic, length, drafts, seed)
    show_drafts(found, drafts, "draft", chosen, output, topic)


def format_of(form: Form | None, output: Path | None) -> Form:
    """As it was asked for, or as the file's ending says. Raises UsageError for a Word file on the screen."""
    from blogtwin.errors import UsageError

    chosen = form or _ending(output) or "md"
    if chosen == "docx" and output is None:
        raise UsageError("a Word file cannot be printed", "say where to save it: --output post.docx")
    return chosen


def show_drafts(
    drafts: Iterator[Iterator[str]], many: int, what: str, form: Form, output: Path | None, title: str
) -> None:
    """Each as it is written, and in a file of its own where there is an output. title: for one without a heading."""
    for number, pieces in enumerate(drafts, start=1):
        if many > 1:
            console.remark(f"── {what} {number} of {many} ──")
        # Markdown is its own preview; other formats are shown as it too, unless they are what was asked to be printed.
        text = _collected(pieces, shown=form == "md" or output is not None)
        if output is not None:
            _save(text, output if many == 1 else output.with_stem(f"{output.stem}-{number}"), form, title)
        elif form == "html":
            from blogtwin.writing.page import html

            console.stream(html(text, title) + "\n")


def _ending(output: Path | None) -> Form | None:
    endings: dict[str, Form] = {".md": "md", ".html": "html", ".docx": "docx"}
    return endings.get(output.suffix.lower()) if output else None


def _collected(pieces: Iterator[str], shown: bool) -> str:
    """The whole draft; on the screen as it comes."""
    text = ""
    for piece in pieces:
        text += piece
        if shown:
            console.stream(piece)
    if shown:
        console.stream("\n")
    return text


def _save(text: str, path: Path, form: Form, title: str) -> None:
    from blogtwin.writing.documents import save

    save(text, path, form, title)
    console.remark(f"saved: {path}")
