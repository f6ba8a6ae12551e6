"""`blogtwin rewrite`: a text → the same text in the author's voice."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blogtwin.cli import console, options, write


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(rewrite)


def rewrite(
    source: Annotated[str, typer.Argument(metavar="FILE", help="The text: a file of any format that is read, or -.")],
    model: options.Twin = None,
    instruction: Annotated[
        str | None,
        typer.Option(
            "--instruction",
            help="What the twin is told to do.",
            show_default="what it was trained with, or rewrite in prompts/instructions.yaml",
        ),
    ] = None,
    drafts: Annotated[int, typer.Option("--options", help="How many rewritings to choose from.")] = 1,
    form: Annotated[write.Form | None, typer.Option("--format", help="md, html or docx.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Save the text here; its ending decides the format.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="The same seed writes the same text again.")] = None,
    runtime: options.Runtime = None,
    url: options.EndpointUrl = None,
    ollama_base_url: options.OllamaUrl = None,
    config: options.Config = None,
) -> None:
    """Rewrite a text in the author's voice; streamed to the terminal, and saved where --output says.

    A long text is rewritten passage by passage. Code, tables and front matter stay as they are.
    """
    from blogtwin import drafting
    from blogtwin.config import load_settings

    deployment = options.served(model, runtime, url, ollama_base_url)
    settings = load_settings(config, {"deployment": deployment})
    chosen = write.format_of(form, output)
    text = _text(source)
    if remark := drafting.remark(settings):
        console.remark(remark)
    rewritings = drafting.rewrites(settings, text, drafts, seed, instruction)
    write.show_drafts(rewritings, drafts, "rewriting", chosen, output, "")


def _text(source: str) -> str:
    """The words of a file, or of the standard input. Raises InputError, and UnreadableFile for what is no text."""
    import sys

    from blogtwin.errors import InputError
    from blogtwin.stages.reading import document_of

    if source == "-":
        given = sys.stdin.buffer.read()
        try:
            return given.decode("utf-8-sig")
        except UnicodeDecodeError as fault:
            raise InputError(f"the standard input is not UTF-8: {fault.reason}", "save the text as UTF-8") from fault
    path = Path(source)
    if not path.is_file():
        raise InputError(f"{path} is not there", "name a file, or - for the standard input")
    if path.suffix.lower() in {".md", ".markdown", ".txt", ""}:  # as it stands, front matter and all
        try:
            return path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as fault:
            raise InputError(f"{path} is not UTF-8: {fault.reason}", "save it as UTF-8") from fault
    try:
        return document_of(path).text
    except KeyError:
        raise InputError(f"{path} is of no format that is read", "see: blogtwin ingest --help") from None
