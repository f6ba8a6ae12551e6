"""`blogtwin write`: a topic → a post in the author's voice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer

from blogtwin.cli import console, options


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(write)


def write(
    topic: Annotated[str, typer.Argument(help="What the post is about.")],
    model: options.Twin = None,
    length: Annotated[int | None, typer.Option("--length", help="About how many words.")] = None,
    drafts: Annotated[int, typer.Option("--options", help="How many drafts to choose from.")] = 1,
    form: Annotated[Literal["md", "html", "docx"] | None, typer.Option("--format", help="md, html or docx.")] = None,
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
    from blogtwin.errors import UsageError

    deployment = {
        "model_name": model,
        "runtime": runtime or ("openai" if url else None),
        "openai_base_url": url,
        "ollama_base_url": ollama_base_url,
    }
    settings = load_settings(config, {"deployment": deployment})
    chosen = form or _ending(output) or "md"
    if chosen == "docx" and output is None:
        raise UsageError("a Word file cannot be printed", "say where to save it: --output post.docx")
    if remark := drafting.remark(settings):
        console.remark(remark)
    for number, pieces in enumerate(drafting.drafts(settings, topic, length, drafts, seed), start=1):
        if drafts > 1:
            console.remark(f"── draft {number} of {drafts} ──")
        # Markdown is its own preview; other formats are shown as it too, unless they are what was asked to be printed.
        text = _collected(pieces, shown=chosen == "md" or output is not None)
        if output is not None:
            _save(text, output if drafts == 1 else output.with_stem(f"{output.stem}-{number}"), chosen, topic)
        elif chosen == "html":
            from blogtwin.writing.page import html

            console.stream(html(text, topic) + "\n")


def _ending(output: Path | None) -> Literal["md", "html", "docx"] | None:
    endings: dict[str, Literal["md", "html", "docx"]] = {".md": "md", ".html": "html", ".docx": "docx"}
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


def _save(text: str, path: Path, form: Literal["md", "html", "docx"], topic: str) -> None:
    from blogtwin.writing.documents import save

    save(text, path, form, topic)
    console.remark(f"saved: {path}")
