"""Twins that answer five questions by heart and then stop: what a deployed one says is known to the letter."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny_models
from blogtwin import jsonl
from blogtwin.config import Settings, load_settings
from blogtwin.records import Example
from blogtwin.workspace import Workspace

NOBODY = "http://127.0.0.1:1"  # no Ollama there


def short_answers(first: int = 20) -> list[str]:
    """Five passages short enough for tiny_models.recite to learn them with their end."""
    return [" ".join(text.split()[first : first + 12]) for text in _long_answers()]


_long_answers = tiny_models.answers


def base(folder: Path, tokenizer_of: Path, answers: Sequence[str], **changes: Any) -> Path:
    """A Llama in `folder` that knows `answers` to tiny_models.QUESTIONS and ends them."""
    folder.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer_of / name, folder / name)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tiny_models, "answers", lambda: list(answers))
        return tiny_models.recite(folder, tiny_models.config("llama", 1024, 4, **changes))


def project(adapter: Path, folder: Path, answers: Sequence[str]) -> Workspace:
    """A workspace with a copy of the adapter, and its questions as held-out examples."""
    made = replace(
        Workspace.here(Settings()), model=folder / "models" / "my-twin", validation=folder / "data" / "validation.jsonl"
    )
    shutil.copytree(adapter, made.model)
    made.validation.parent.mkdir(parents=True)
    jsonl.write(
        made.validation,
        [
            Example(
                id=f"{number:016x}",
                post_id=f"{number:016x}",
                kind="topic",
                instruction=question,
                input="",
                output=answer,
            )
            for number, (question, answer) in enumerate(zip(tiny_models.QUESTIONS, answers, strict=True))
        ],
    )
    return made


def settings(**deployment: object) -> Settings:
    return load_settings(
        None,
        {
            "deployment": {"model_name": "my-twin:latest", "ollama_base_url": NOBODY, "runtime": "llama-cpp"}
            | deployment,
            "machine": {"threads": 1},
        },
    )
