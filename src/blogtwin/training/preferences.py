"""Training files for learning from what a reader preferred: pairs for dpo, ratings for kto.

In: a JSONL file of blogtwin's own Preferences, of {prompt, chosen, rejected} or of {prompt, completion, label}, where a
text may also be a list with one message. Out: Pairs or Ratings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from blogtwin import jsonl
from blogtwin.config import Method
from blogtwin.errors import BrokenRecord
from blogtwin.records import Preference, content_id
from blogtwin.training.examples import HELD_OUT
from blogtwin.training.shapes import MEND, broken, check_method, text_of


@dataclass(frozen=True)
class Pair:
    """For `prompt`, `chosen` is better than `rejected`."""

    prompt: str
    chosen: str
    rejected: str


@dataclass(frozen=True)
class Rating:
    """For `prompt`, `completion` is good (label) or not."""

    prompt: str
    completion: str
    label: bool


P = TypeVar("P", Pair, Rating)


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of `path` of which something can be learned: no text is blank, and the two answers differ.

    Raises InputError, and BrokenRecord for a line of another shape.
    """
    return [pair for number, value in jsonl.lines(path) if _says_something(pair := _pair(path, number, value, "dpo"))]


def read_ratings(path: Path) -> list[Rating]:
    """The ratings of `path`; of a pair, the better answer is a good one and the worse one a bad one. Raises as read_pairs."""
    ratings: list[Rating] = []
    for number, value in jsonl.lines(path):
        if check_method(path, number, value, "kto") == "a preference":
            pair = _pair(path, number, value, "kto")
            if _says_something(pair):
                ratings += [Rating(pair.prompt, pair.chosen, True), Rating(pair.prompt, pair.rejected, False)]
        else:
            ratings.append(_rating(path, number, value))
    return [one for one in ratings if one.prompt.strip() and one.completion.strip()]


def hold_out(records: Sequence[P]) -> tuple[list[P], list[P]]:
    """Training and validation records: every tenth prompt, by its hash, is held out, at least one."""
    prompts = sorted({record.prompt for record in records}, key=content_id)
    held = set(prompts[: max(1, round(len(prompts) / HELD_OUT))])
    return (
        [record for record in records if record.prompt not in held],
        [record for record in records if record.prompt in held],
    )


def apart(train: Sequence[P], validation: Sequence[P]) -> list[P]:
    """The training records whose prompt is not also among the validation records."""
    held = {record.prompt.strip() for record in validation}
    return [record for record in train if record.prompt.strip() not in held]


def _pair(path: Path, number: int, value: dict[str, object], method: Method) -> Pair:
    check_method(path, number, value, method)
    if "origin" in value or "model_version" in value:
        try:
            own = Preference.model_validate(value)
        except ValidationError as fault:
            raise broken(path, number, fault, "Preference") from fault
        return Pair(own.prompt, own.chosen, own.rejected)
    return Pair(*(text_of(path, number, value, field) for field in ("prompt", "chosen", "rejected")))


def _rating(path: Path, number: int, value: dict[str, object]) -> Rating:
    label = value.get("label")
    if not isinstance(label, bool):
        raise BrokenRecord(path, number, f"label is {label!r}, not true or false", MEND)
    return Rating(text_of(path, number, value, "prompt"), text_of(path, number, value, "completion"), label)


def _says_something(pair: Pair) -> bool:
    return bool(pair.prompt.strip() and pair.chosen.strip() and pair.rejected.strip()) and pair.chosen != pair.rejected
