"""`blogtwin learn`: one turn of the loop, from new feedback and posts to a version that challenges the champion."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from blogtwin.cli import console, options


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(learn)


def learn(
    model_name: options.ModelName = None,
    method: Annotated[str | None, options.setting("learning", "method", "--method")] = None,
    minimum: Annotated[int | None, options.setting("learning", "minimum", "--minimum")] = None,
    epochs: options.Epochs = None,
    lr: options.LearningRate = None,
    threads: options.Threads = None,
    backend: options.Backend = None,
    runtime: options.Runtime = None,
    ollama_base_url: options.OllamaUrl = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for another `learn` of this twin, instead of leaving.")
    ] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Give up a turn that was cut off, and begin one with all that is new.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, and end.")] = False,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Learn from new feedback and new posts: train on from the champion, prove it, and let it challenge the champion.

    Where there is not enough yet, it says so and ends well: it is made for a timer. A run that was cut off goes on.
    """
    from blogtwin.config import load_settings
    from blogtwin.stages import learn as stage
    from blogtwin.workspace import Workspace

    settings = load_settings(
        config,
        {
            "deployment": {"model_name": model_name, "runtime": runtime, "ollama_base_url": ollama_base_url},
            "learning": {"method": method, "minimum": minimum},
            "training": {"epochs": epochs, "learning_rate": lr},
            "machine": {"threads": threads, "backend": backend},
        },
    )
    workspace = Workspace.here(settings)
    if dry_run:
        for line in stage.dry_run(settings, workspace):
            console.say(line)
        return
    with console.progress("Learning") as progress:
        learned = stage.run(settings, workspace, progress, wait, anew)
    if as_json:
        console.show_json(asdict(learned))
        return
    console.say(learned.sentence)
    if learned.figures:
        console.pairs({name.replace("_", " "): console.figure(value) for name, value in learned.figures.items()})
