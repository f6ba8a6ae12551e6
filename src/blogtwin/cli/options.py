"""The options that commands share. Descriptions and defaults come from config.py, where they are written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from blogtwin.cli import console
from blogtwin.config import SECTIONS


def setting(section: str, key: str, *flags: str) -> Any:
    """An option for one setting; not given, the environment, the file or the default decides."""
    info = SECTIONS[section][key]
    text: str = info.metadata["description"]
    default = info.default if info.default not in (None, False, ()) else ""
    if info.metadata["chosen"]:
        default = "by the size of corpus and base"
    return typer.Option(*flags, help=f"{text[:1].upper()}{text[1:]}.", show_default=str(default) or False)


def _help(context: typer.Context, wanted: bool) -> None:
    if wanted:
        console.stream(context.get_help() + "\n")
        raise typer.Exit


# Typer's own help option of a group has no default, so typer would load pydantic to check it, whatever command follows.
Help = Annotated[bool, typer.Option("--help", "-h", help="Show this message and end.", is_eager=True, callback=_help)]


def group(text: str) -> typer.Typer:
    """A command that other commands stand below; text: its help."""
    made = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=text)

    @made.callback()
    def asked(help: Help = False) -> None: ...

    return made


def listed(commas: str | None) -> list[str] | None:
    """What was given as `a, b`."""
    return [item.strip() for item in commas.split(",")] if commas else None


def served(model: str | None, runtime: str | None, url: str | None, ollama_base_url: str | None) -> dict[str, object]:
    """What was said of where a twin is served, as settings; an endpoint's address says which runtime, too."""
    return {
        "model_name": model,
        "runtime": runtime or ("openai" if url else None),
        "openai_base_url": url,
        "ollama_base_url": ollama_base_url,
    }


Config = Annotated[
    Path | None,
    typer.Option("--config", help="The settings file.", show_default="pipeline_config.yaml where there is one"),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

InputDir = Annotated[Path | None, setting("data", "input_dir", "--input-dir", "--blog-dir")]
Formats = Annotated[str | None, typer.Option("--formats", help="File name endings to read, separated by commas.")]
Author = Annotated[str | None, setting("data", "author", "--author")]
Language = Annotated[str | None, setting("data", "language", "--language")]
Drop = Annotated[
    str | None, typer.Option("--drop", help="Parts to leave out, separated by commas: code, math, tables, footnotes.")
]
Drafts = Annotated[bool | None, setting("data", "drafts", "--drafts/--no-drafts")]
Strict = Annotated[bool | None, setting("data", "strict", "--strict")]
Split = Annotated[float | None, setting("data", "split", "--split")]

BaseModel = Annotated[str | None, setting("training", "base_model", "--base-model")]
Method = Annotated[str | None, setting("training", "method", "--method")]
FromAdapter = Annotated[Path | None, setting("training", "from_adapter", "--from-adapter")]
Beta = Annotated[float | None, setting("training", "beta", "--beta")]
Reference = Annotated[Path | None, setting("training", "reference", "--reference")]
SftWeight = Annotated[float | None, setting("training", "sft_weight", "--sft-weight")]
Replay = Annotated[list[Path] | None, setting("training", "replay", "--replay")]
Epochs = Annotated[float | None, setting("training", "epochs", "--epochs")]
LearningRate = Annotated[float | None, setting("training", "learning_rate", "--lr")]
BatchSize = Annotated[int | None, setting("training", "batch_size", "--batch-size")]
LoraR = Annotated[int | None, setting("training", "lora_r", "--lora-r")]
LoraAlpha = Annotated[int | None, setting("training", "lora_alpha", "--lora-alpha")]
WarmUp = Annotated[float | None, setting("training", "warm_up", "--warm-up")]
Patience = Annotated[int | None, setting("training", "patience", "--patience")]
MaxLength = Annotated[int | None, setting("training", "max_length", "--max-length")]
Threads = Annotated[int | None, setting("machine", "threads", "--threads")]
Backend = Annotated[str | None, setting("machine", "backend", "--backend")]
Offline = Annotated[bool | None, setting("machine", "offline", "--offline")]

ModelName = Annotated[str | None, setting("deployment", "model_name", "--model-name")]
Twin = Annotated[
    str | None, typer.Option("--model", help="The twin's deployed name.", show_default="deployment.model_name")
]
Quantize = Annotated[str | None, setting("deployment", "quantize", "--quantize")]
Mode = Annotated[str | None, setting("deployment", "mode", "--mode")]
Runtime = Annotated[str | None, setting("deployment", "runtime", "--runtime")]
EndpointUrl = Annotated[str | None, setting("deployment", "openai_base_url", "--url")]
Keep = Annotated[int | None, setting("deployment", "keep", "--keep")]
OllamaUrl = Annotated[str | None, setting("deployment", "ollama_base_url", "--ollama-base-url")]

Samples = Annotated[int | None, setting("evaluation", "samples", "--samples")]
Concurrency = Annotated[int | None, setting("evaluation", "concurrency", "--concurrency")]
Others = Annotated[Path | None, setting("evaluation", "others", "--others")]
Judge = Annotated[str | None, setting("evaluation", "judge", "--judge")]
