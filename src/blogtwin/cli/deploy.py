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
    runtime: options.Runtime = None,
    ollama_base_url: options.OllamaUrl = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Merge, write GGUF and Modelfile, import, and prove that the model sees the prompt it was trained on."""
    from blogtwin.config import load_settings
    from blogtwin.stages import deploy as stage
    from blogtwin.workspace import Workspace

    settings = load_settings(
        config,
        {
            "deployment": {
                "model_name": model_name,
                "quantize": quantize,
                "runtime": runtime,
                "ollama_base_url": ollama_base_url,
            }
        },
    )
    workspace = replace(Workspace.here(settings), model=model_path or Path("models/blogging_twin"))
    with console.progress("Deploying") as progress:
        result = stage.run(settings, workspace, progress)
    console.show(result, as_json)
