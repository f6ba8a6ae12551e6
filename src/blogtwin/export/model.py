"""A model to be written: what it computes with, and the words and the template that go with it.

In: a Hugging Face folder (here), or a base and an adapter (merge.py). Out: what gguf.py writes, and how it describes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blogtwin.export.checkpoint import Checkpoint, Weights, read_json


@dataclass(frozen=True)
class Model:
    """folder: of the model or its base, for messages. config: its config.json. tokenizer: the folder of tokenizer.json.

    jinja: the chat template that training used.
    """

    folder: Path
    config: dict[str, Any]
    weights: Weights
    tokenizer: Path
    jinja: str


@dataclass(frozen=True)
class Provenance:
    """What a model file says of where it comes from, under the keys of GGUF's `general`; None leaves a key out.

    base_model: as the user named it. base_repository: organization/name on the model hub, when it came from there.
    data_hash: of the training data, as the adapter's card has it.
    """

    name: str
    author: str | None = None
    base_model: str | None = None
    base_repository: str | None = None
    licence: str | None = None
    data_hash: str | None = None
    description: str | None = None


def read_model(folder: Path) -> Model:
    """The model in a Hugging Face folder. Raises InputError (a file is missing) and ModelError (no whole safetensors)."""
    config = read_json(folder / "config.json", "the model's shape")
    template = folder / "chat_template.jinja"
    return Model(folder, config, Checkpoint(folder), folder, template.read_text(encoding="utf-8"))
