"""What a method learns from: a training file and its validation file become two sides with nothing in common.

In: paths of JSONL files. Out: Examples for sft, Pairs for dpo, Ratings for kto, and remarks for people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blogtwin import jsonl
from blogtwin.config import Method
from blogtwin.errors import InputError, NothingUsable
from blogtwin.training import examples, preferences
from blogtwin.training.shapes import LEARNS, shape_of

_READ: dict[Method, Callable[[Path], list[Any]]] = {
    "sft": examples.read,
    "dpo": preferences.read_pairs,
    "kto": preferences.read_ratings,
}
_NAME: dict[Method, str] = {"sft": "example", "dpo": "pair", "kto": "rating"}
_MAKE: dict[Method, str] = {
    "sft": "give at least two posts, and make the examples with: blogtwin prepare-dataset",
    "dpo": 'give {"prompt", "chosen", "rejected"} lines, for at least two prompts',
    "kto": 'give {"prompt", "completion", "label"} lines, for at least two prompts',
}


@dataclass(frozen=True)
class Material:
    """train, validation: records of one kind. remarks: how the second side came about."""

    train: Sequence[Any]
    validation: Sequence[Any]
    remarks: tuple[str, ...]


def validation_file(method: Method, training: Path, validation: Path) -> Path:
    """Where what is held out stands: `validation` when it holds what the method learns from.

    Examples and preferences may lie in one folder, so for preferences there is also a file named after theirs, which goes
    first: preferences_validation.jsonl beside preferences.jsonl.
    """
    own = training.with_name(f"{training.stem}_validation.jsonl")
    return validation if method == "sft" or (not own.is_file() and _fits(method, validation)) else own


def _fits(method: Method, path: Path) -> bool:
    try:
        _, first = next(jsonl.lines(path))
    except (StopIteration, InputError):
        return False
    return method in LEARNS[shape_of(first)]


def read(method: Method, training: Path, validation: Path) -> Material:
    """Both sides; without a validation file, a tenth of the training file's posts or prompts is held out.

    Raises InputError, BrokenRecord for a line of another shape, NothingUsable when one side is empty.
    """
    train = _READ[method](training)
    remarks: list[str] = []
    if validation.is_file():
        held = _READ[method](validation)
        kept = train if method == "sft" else preferences.apart(train, held)
        if len(kept) < len(train):
            remarks.append(f"{len(train) - len(kept)} records are not learned from: {validation} has their prompts")
        train = kept
    else:
        train, held = (examples if method == "sft" else preferences).hold_out(train)
        remarks.append(f"{validation} is not there, so {len(held)} of the {_NAME[method]}s were held out")
    for side, path in ((train, training), (held, validation)):
        if not side:
            what = "learn from" if side is train else "check the twin with"
            raise NothingUsable(f"{path} has no {_NAME[method]} to {what}", _MAKE[method])
    return Material(train, held, tuple(remarks))
