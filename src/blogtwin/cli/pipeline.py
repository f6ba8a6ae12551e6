"""`blogtwin pipeline`: everything, from a folder of posts to a twin that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from blogtwin.cli import console, options

if TYPE_CHECKING:
    from blogtwin.config import Settings
    from blogtwin.pipeline import Outcome
    from blogtwin.workspace import Workspace


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(pipeline)


def pipeline(
    blog_dir: options.InputDir = None,
    author: options.Author = None,
    language: options.Language = None,
    drop: options.Drop = None,
    model_name: options.ModelName = None,
    base_model: options.BaseModel = None,
    epochs: options.Epochs = None,
    lr: options.LearningRate = None,
    quantize: options.Quantize = None,
    runtime: options.Runtime = None,
    ollama_base_url: options.OllamaUrl = None,
    threads: options.Threads = None,
    offline: options.Offline = None,
    backend: options.Backend = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and why, and end.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Run every stage, changed or not.")] = False,
    until: Annotated[
        str | None, typer.Option("--until", help="End after this stage: ingest, prepare, finetune, deploy or evaluate.")
    ] = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Turn a folder of posts, or an export, into a twin: ingest, prepare, finetune, deploy, evaluate.

    Stages whose input and settings have not changed are skipped; a run that was cut off goes on where it stopped.
    """
    from blogtwin import pipeline as stages
    from blogtwin.config import load_settings
    from blogtwin.workspace import Workspace

    settings = load_settings(
        config,
        {
            "data": {"input_dir": blog_dir, "author": author, "language": language, "drop": options.listed(drop)},
            "training": {"base_model": base_model, "epochs": epochs, "learning_rate": lr},
            "deployment": {
                "model_name": model_name,
                "quantize": quantize,
                "runtime": runtime,
                "ollama_base_url": ollama_base_url,
            },
            "machine": {"threads": threads, "offline": offline, "backend": backend},
        },
    )
    workspace = Workspace.here(settings)
    if dry_run:
        console.pairs(stages.dry_run(settings, workspace, until, force))
        return
    with console.progress("") as progress:
        outcomes = list(stages.run(settings, workspace, progress, until, force))
    if as_json:
        console.show_json({outcome.stage: {"why": outcome.why, **outcome.counts} for outcome in outcomes})
        return
    _summary(outcomes, settings, workspace)


def _summary(outcomes: list[Outcome], settings: Settings, workspace: Workspace) -> None:
    """The short table at the end: what there is now, where it is, and how to talk to it."""
    for outcome in outcomes:
        if outcome.result and outcome.result.problems:
            console.problems(outcome.result)
    counts = {outcome.stage: outcome.counts for outcome in outcomes}
    rows = {name: told for name, stage, form in _ROWS if (told := _filled(form, counts.get(stage, {})))}
    rows["files"] = f"{workspace.model}, {workspace.report}" if "evaluate" in counts else str(workspace.posts.parent)
    console.pairs(rows)
    notes = dict.fromkeys(note for outcome in outcomes if outcome.result for note in outcome.result.notes)
    for note in notes:
        console.say(f"· {note}")
    if "deploy" in counts:
        name = settings.deployment.model_name.removesuffix(":latest")
        console.say(f'\nTalk to it: blogtwin write "a topic of yours" --model {name}')


def _filled(form: str, counts: dict[str, float]) -> str:
    """`form` with the figures in it; "" where one was not measured (the notes say why)."""
    try:
        return form.format_map({key: console.figure(value) for key, value in counts.items()})
    except KeyError:
        return ""


# name, stage, what is told of its figures
_ROWS = (
    ("posts", "ingest", "{posts} with {words} words"),
    ("examples", "prepare", "{training examples} to learn from, {validation examples} held out"),
    ("loss", "finetune", "{validation_loss} nats a token on held-out answers, after {best_step} steps"),
    ("perplexity", "evaluate", "{perplexity_base} (base) → {perplexity} (twin) on held-out answers"),
    ("voice", "evaluate", "{voice} ({voice_low} to {voice_high}); 0 is the base, 1 is you"),
)
