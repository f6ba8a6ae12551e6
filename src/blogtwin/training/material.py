"""What a method learns from: a training file and its validation file become two sides with nothing in common.

In: paths of JSONL files. Out: Examples for sft, Pairs for dpo, Ratings for kto, and remarks for people. Examples from other
files may be mixed in (replay): with dpo each is learned as an example beside the pairs, with kto it is a good answer. So what
was learned before is seen again, and voice and skill do not fade (Rolnick et al., 2019, arXiv:1811.11682).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blogtwin import jsonl
from blogtwin.config import Method
from blogtwin.errors import InputError, NothingUsable
from blogtwin.records import Example, content_id
from blogtwin.training import examples, preferences
from blogtwin.training.shapes import LEARNS, shape_of

_READ: dict[Method, Callable[[Path], list[Any]]] = {
    "sft": examples.read,
    "dpo": preferences.read_pairs,
    "kto": preferences.read_ratings,
}
LEAST = 3  # pairs or ratings
_FEW = 20  # below it a warning
_NAME: dict[Method, str] = {"sft": "example", "dpo": "pair", "kto": "rating"}
_MAKE: dict[Method, str] = {
    "sft": "give at least two posts, and make the examples with: blogtwin prepare-dataset",
    "dpo": 'give {"prompt", "chosen", "rejected"} lines, for at least two prompts',
    "kto": 'give {"prompt", "completion", "label"} lines, for at least two prompts',
}


@dataclass(frozen=True)
class Replay:
    """files: of examples, each of which gives an even part. share: examples for each record, 0 to 1. seed: chooses them."""

    files: tuple[Path, ...] = ()
    share: float = 0.5
    seed: int = 7


@dataclass(frozen=True)
class Material:
    """train, validation: records of one kind; in train, behind them, `replayed` examples. remarks: for people."""

    train: Sequence[Any]
    validation: Sequence[Any]
    remarks: tuple[str, ...]
    replayed: int = 0


def validation_file(method: Method, training: Path, validation: Path) -> Path:
    """Where what is held out stands: `validation` when it holds what the method learns from.

    Examples and preferences may lie in one folder, so there may be a file named after the training file, which goes first:
    preferences_validation.jsonl beside preferences.jsonl.
    """
    own = training.with_name(f"{training.stem}_validation.jsonl")
    if own.is_file():
        return own
    return validation if method == "sft" or _fits(method, validation) else own


def _fits(method: Method, path: Path) -> bool:
    try:
        _, first = next(jsonl.lines(path))
    except (StopIteration, InputError):
        return False
    return method in LEARNS[shape_of(first)]


def read(
    method: Method, training: Path, validation: Path, replay: Replay | None = None, least: int = LEAST
) -> Material:
    """Both sides; without a validation file, a tenth of the training file's posts or prompts is held out.

    least: how many pairs or ratings there must be, both sides together.
    Raises InputError, BrokenRecord for a line of another shape, NothingUsable when one side is empty or there are too few.
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
    if method != "sft" and (train or held):
        remarks += _few(method, training, len(train) + len(held), least)
    for side, path in ((train, training), (held, validation)):
        if not side:
            what = "learn from" if side is train else "check the twin with"
            raise NothingUsable(f"{path} has no {_NAME[method]} to {what}", _MAKE[method])
    questions = {one.post_id if method == "sft" else one.prompt.strip() for one in held}
    again = _replayed(replay, len(train), questions) if replay else []
    return Material([*train, *again], held, tuple(remarks), len(again))


def _few(method: Method, training: Path, count: int, least: int) -> list[str]:
    """A warning for few records. Raises NothingUsable for too few."""
    said = f"{training} has {count} {_NAME[method]}{'s' * (count != 1)}"
    if count < least:
        raise NothingUsable(
            f"{said}, and {method} learns from {least} on (learning.least)",
            f"judge more texts: blogtwin serve; or {_MAKE[method]}",
        )
    if count >= _FEW:
        return []
    return [f"{said}: from {_FEW} on they show what is preferred, and from fewer what happened to be said"]


def _replayed(replay: Replay, records: int, held: set[str]) -> list[Example]:
    """Examples for so many records, none of them to a question that is held out; raises as `examples.read`."""
    wanted = round(replay.share * records)
    chosen: list[Example] = []
    sides = [
        sorted(
            (one for one in examples.read(path) if one.post_id not in held and one.instruction.strip() not in held),
            key=lambda one: content_id(str(replay.seed), one.id),
        )
        for path in replay.files
    ]
    for left, side in zip(range(len(sides), 0, -1), sorted(sides, key=len), strict=True):
        chosen += side[: round((wanted - len(chosen)) / left)]
    return chosen
