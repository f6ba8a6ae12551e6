"""`blogtwin finetune`: examples → an adapter folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from blogtwin.cli import console, options


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(finetune)


def finetune(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Examples, or for dpo and kto preferences; validation.jsonl is read beside them.",
            show_default="data/training_data.jsonl",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The adapter folder.", show_default="models/blogging_twin")
    ] = None,
    base_model: options.BaseModel = None,
    method: options.Method = None,
    from_adapter: options.FromAdapter = None,
    beta: options.Beta = None,
    reference: options.Reference = None,
    sft_weight: options.SftWeight = None,
    replay: options.Replay = None,
    epochs: options.Epochs = None,
    lr: options.LearningRate = None,
    batch_size: options.BatchSize = None,
    lora_r: options.LoraR = None,
    lora_alpha: options.LoraAlpha = None,
    warm_up: options.WarmUp = None,
    patience: options.Patience = None,
    max_length: options.MaxLength = None,
    threads: options.Threads = None,
    offline: options.Offline = None,
    backend: options.Backend = None,
    config: options.Config = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Say what it would take, which settings were chosen and what is learned, and end."
        ),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Train a LoRA adapter on the examples; a run that was cut off goes on from its last checkpoint.

    Settings that are not given are chosen by the size of the corpus and of the base, and it says why.

    Base models: llama3.2:1b, llama3.2:3b, smollm2:135m, smollm2:360m, qwen3:0.6b, a Hugging Face folder or
    repository, or `starter`, a toy made from your own posts for trying the machinery without a download.
    """
    from blogtwin.config import load_settings
    from blogtwin.stages import finetune as stage
    from blogtwin.workspace import Workspace

    settings = load_settings(
        config,
        {
            "training": {
                "base_model": base_model,
                "method": method,
                "from_adapter": from_adapter,
                "beta": beta,
                "reference": reference,
                "sft_weight": sft_weight,
                "replay": replay or None,
                "epochs": epochs,
                "learning_rate": lr,
                "batch_size": batch_size,
                "lora_r": lora_r,
                "lora_alpha": lora_alpha,
                "warm_up": warm_up,
                "patience": patience,
                "max_length": max_length,
            },
            "machine": {"threads": threads, "offline": offline, "backend": backend},
        },
    )
    workspace = Workspace.here(settings)
    training_data = data or workspace.training_data
    workspace = replace(
        workspace,
        training_data=training_data,
        validation=training_data.with_name("validation.jsonl"),
        model=output or Path("models/blogging_twin"),
    )
    if dry_run:
        from blogtwin.cli import rehearsal as drawing
        from blogtwin.stages import rehearsal

        with console.progress("Rehearsing") as progress:
            seen = rehearsal.run(settings, workspace, progress)
        drawing.show(seen, as_json)
        return
    with console.progress("Training") as progress:
        result = stage.run(settings, workspace, progress)
    console.show(result, as_json)
