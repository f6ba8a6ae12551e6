"""`blogtwin deploy`: an adapter folder → a proved model in Ollama or the embedded llama.cpp."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from blogtwin.cli import console, options


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(deploy)


def deploy(
    model_path: Annotated[
        Path | None, typer.Option(help="The adapter folder.", show_default="models/blogging_twin")
    ] = None,
    model_name: options.ModelName = None,
    quantize: options.Quantize = None,
    mode: options.Mode = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Also write all that is needed to run the twin elsewhere into this folder.")
    ] = None,
    runtime: options.Runtime = None,
    ollama_base_url: options.OllamaUrl = None,
    keep: options.Keep = None,
    challenger: Annotated[
        bool,
        typer.Option("--challenger", help="Prove and keep it under its dated name alone; the name stays where it is."),
    ] = False,
    verify_only: Annotated[
        str | None,
        typer.Option("--verify-only", metavar="NAME", help="Deploy nothing: prove again what NAME, in service, is."),
    ] = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Merge, write GGUF and Modelfile, import, and prove that what answers is what was trained: prompt, tokens, end and words."""
    from blogtwin.config import load_settings
    from blogtwin.errors import UsageError
    from blogtwin.stages import bundle as bundling
    from blogtwin.stages import deploy as stage
    from blogtwin.stages import verify
    from blogtwin.workspace import Workspace

    settings = load_settings(
        config,
        {
            "deployment": {
                "model_name": model_name,
                "quantize": quantize,
                "mode": mode,
                "runtime": runtime,
                "ollama_base_url": ollama_base_url,
                "keep": keep,
            }
        },
    )
    workspace = replace(Workspace.here(settings), model=model_path or Path("models/blogging_twin"))
    if challenger and (bundle or verify_only):
        raise UsageError(
            f"--challenger with {'--bundle' if bundle else '--verify-only'}: a challenger has a dated name alone",
            "deploy it first; then: blogtwin deploy --verify-only DATED-NAME --bundle FOLDER",
        )
    if bundle:
        bundling.check_place(bundle)
    with console.progress("Proving" if verify_only else "Deploying") as progress:
        if verify_only:
            result = verify.run(verify_only, settings, workspace, progress)
        else:
            result = stage.run(settings, workspace, progress, challenger)
        if bundle:
            bundled = bundling.run(settings, workspace, bundle, progress, verify_only)
            notes = (*result.notes, *bundled.notes)
            result = replace(result, outputs=(*result.outputs, *bundled.outputs), notes=notes)
    console.show(result, as_json)
