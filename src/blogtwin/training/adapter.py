"""The adapter folder: what every backend leaves, and everything that later stages need to know of it.

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

from blogtwin import atomic
from blogtwin.errors import ModelError
from blogtwin.records import AdapterCard
from blogtwin.training.safetensors_file import check_safetensors

CARD = "twin.json"
WEIGHTS = "adapter_model.safetensors"
FILES = (
    "README.md",
    "adapter_config.json",
    WEIGHTS,
    "chat_template.jinja",
    "loss.png",
    "tokenizer.json",
    "tokenizer_config.json",
    "training_log.jsonl",
    CARD,
)
OWN_BASE = "base"


@dataclass(frozen=True)
class Adapter:
    """A finished adapter folder."""

    path: Path
    card: AdapterCard

    @property
    def base(self) -> Path | str:
        """The base's folder, or the repository it came from."""
        folder = self.path / self.card.base_path  # an absolute path stays as it is
        return folder if folder.is_dir() else self.card.base_path


def load(path: Path) -> Adapter:
    """The adapter in `path`. Raises ModelError when it is none, or not whole."""
    again = f"make it with: blogtwin finetune --output {path}"
    for name in (CARD, "adapter_config.json", WEIGHTS):
        if not (path / name).is_file():
            raise ModelError(f"{path} is no finished adapter: it has no {name}", again)
    check_safetensors(path / WEIGHTS, again)
    try:
        card = AdapterCard.model_validate_json((path / CARD).read_text("utf-8"))
    except (ValidationError, UnicodeDecodeError) as fault:
        raise ModelError(f"{path / CARD} does not say what the adapter was made from", again) from fault
    return Adapter(path, card)


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
