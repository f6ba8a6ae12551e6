"""The adapter folder: what every training backend leaves, and the one place that reads it again.

adapter_config.json, adapter_model.safetensors      PEFT's own
tokenizer.json, tokenizer_config.json               of the base
chat_template.jinja                                 the conversations it was trained with
twin.json                                           an AdapterCard; written last, it vouches for the rest
training_log.jsonl, loss.png, README.md             for people
base/                                               the base itself, when it was made in the run (`starter`)
.training/                                          unfinished work, gone when the run is complete
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from blogtwin import atomic, hub
from blogtwin.base_hash import base_hash
from blogtwin.errors import ModelError
from blogtwin.progress import Progress
from blogtwin.records import AdapterCard
from blogtwin.safetensors_file import check_safetensors

CARD = "twin.json"
SHAPE = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
OWN_BASE = "base"
FILES = (
    "README.md",
    SHAPE,
    WEIGHTS,
    "chat_template.jinja",
    "loss.png",
    "tokenizer.json",
    "tokenizer_config.json",
    "training_log.jsonl",
    CARD,
)


@dataclass(frozen=True)
class Adapter:
    """A finished adapter folder."""

    path: Path
    card: AdapterCard


def read_card(path: Path) -> AdapterCard:
    """What the adapter folder `path` says of itself. Raises ModelError that names what is missing or wrong in it."""
    card = path / CARD
    try:
        return AdapterCard.model_validate_json(card.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError) as fault:
        raise ModelError(f"{path} is no finished adapter: it has no {CARD}", _again(path)) from fault
    except UnicodeDecodeError as fault:
        raise ModelError(f"{card} is no text", _again(path)) from fault
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "all of it"
        raise ModelError(
            f"{card} does not say what the adapter was made from: {place}: {first['msg']}", _again(path)
        ) from fault


def load(path: Path) -> Adapter:
    """The adapter in `path`. Raises ModelError when it is none, or not whole."""
    card = read_card(path)
    for name in (SHAPE, WEIGHTS):
        if not (path / name).is_file():
            raise ModelError(f"{path} is no finished adapter: it has no {name}", _again(path))
    check_safetensors(path / WEIGHTS, _again(path))
    return Adapter(path, card)


def find_base(path: Path, card: AdapterCard, offline: bool = False, progress: Progress | None = None) -> Path:
    """The folder of the base that the adapter in `path` changes: below it, at a path of its own, or from the hub.

    From the hub comes the very revision that was trained on; from the cache where it is there, else by a download, which
    `offline` forbids. Raises ModelError when it cannot be had.
    """
    for place in (path / card.base_path, Path(card.base_path)):
        if card.base_revision is None and (place / "config.json").is_file():
            return place
    if not hub.is_repository(card.base_path):
        raise ModelError(
            f"the base model is no longer at {path / card.base_path}",  # an absolute path stays as it is
            f"put it back where it was when the adapter was trained, or train again: blogtwin finetune --output {path}",
        )
    return hub.fetch(card.base_path, card.base_revision, offline, progress).folder


def check_base(path: Path, card: AdapterCard, base: Path) -> None:
    """Raises ModelError when `base` is not, byte for byte, what the adapter in `path` was trained on."""
    found = base_hash(base)
    if found != card.base_hash:
        raise ModelError(
            f"{path} was trained on {card.base_model} with the hash {card.base_hash}, and {base} has {found}: "
            f"an adapter fits no other weights than its own base's",
            f"put the base back as it was, or train again: blogtwin finetune --output {path}",
        )


def work_folder(path: Path) -> Path:
    """Where unfinished work for the adapter at `path` is kept."""
    return path / ".training"


def promote(staged: Path, path: Path, card: AdapterCard) -> None:
    """Move a complete set of files from `staged` into the adapter folder `path`; the card goes first out and last in.

    What else lies in the folder (a deployed GGUF, say) stays. Raises OutputError.
    """
    with atomic.writing_to(path):
        (path / CARD).unlink(missing_ok=True)
        shutil.rmtree(path / OWN_BASE, ignore_errors=True)
        for entry in sorted(staged.iterdir()):
            entry.replace(path / entry.name)
        atomic.write_text(path / CARD, card.model_dump_json(indent=2) + "\n")


def _again(path: Path) -> str:
    return f"make it with: blogtwin finetune --output {path}"
