"""Training files for learning from what a reader preferred: pairs for dpo, ratings for kto.

In: a JSONL file of blogtwin's own Preferences and RatedAnswers, of {prompt, chosen, rejected} or of {prompt, completion,
label}, where a text may also be a list with one message and a prompt one with the whole conversation. Pairs and ratings may
stand in one file: dpo takes the pairs, kto takes both. Out: Pairs or Ratings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from blogtwin import jsonl
from blogtwin.config import Method
from blogtwin.errors import BrokenRecord
from blogtwin.records import Message, Preference, RatedAnswer, content_id
from blogtwin.training.examples import HELD_OUT
from blogtwin.training.shapes import MEND, broken, check_method, question_of, shape_of, text_of

_GIVEN = 20  # characters; two answers that have fewer in common begin alike by chance


@dataclass(frozen=True)
class Pair:
    """For `prompt`, below the turns of `before`, `chosen` is better than `rejected`. goes_on: their end is not learned.

    draft: the better answer, too, is a model's, so that it is preferred, and no example of how to write.
    """

    prompt: str
    chosen: str
    rejected: str
    before: tuple[Message, ...] = ()
    goes_on: bool = False
    draft: bool = False


@dataclass(frozen=True)
class Rating:
    """For `prompt`, below the turns of `before`, `completion` is good (label) or not.

    given: its first characters, which a worse or better answer has too, and which are not learned. goes_on: as of a Pair.
    """

    prompt: str
    completion: str
    label: bool
    before: tuple[Message, ...] = ()
    given: int = 0
    goes_on: bool = False


P = TypeVar("P", Pair, Rating)


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of `path` of which something can be learned: no text is blank, and the two answers differ.

    Raises InputError, and BrokenRecord for a line of another shape, or for the first rating where there are ratings alone.
    """
    pairs: list[Pair] = []
    ratings: list[tuple[int, dict[str, object]]] = []
    for number, value in jsonl.lines(path):
        if shape_of(value) == "a rating":
            ratings.append((number, value))
        else:
            pairs.append(_pair(path, number, value, "dpo"))
    if ratings and not pairs:
        check_method(path, *ratings[0], "dpo")
    return list(filter(_says_something, pairs))


def read_ratings(path: Path) -> list[Rating]:
    """The ratings of `path`; of a pair, the better answer is a good one and the worse one a bad one. Raises as read_pairs.

    What a reader said of an answer by itself goes before what a pair says of it; an answer that is the better one in one pair and
    the worse one in another is neither good nor bad.
    """
    rated: dict[Rating, bool] = {}
    compared: dict[Rating, set[bool]] = {}
    for number, value in jsonl.lines(path):
        if check_method(path, number, value, "kto") == "a rating":
            one = _rating(path, number, value)
            rated[replace(one, label=True)] = one.label
            continue
        pair = _pair(path, number, value, "kto")
        if _says_something(pair):
            for one in _both(pair):
                compared.setdefault(replace(one, label=True), set()).add(one.label)
    said = {one: labels.pop() for one, labels in compared.items() if len(labels) == 1} | rated
    ratings = [replace(one, label=label) for one, label in said.items()]
    return [one for one in ratings if one.prompt.strip() and one.completion.strip()]


def _both(pair: Pair) -> tuple[Rating, Rating]:
    shared = same_beginning(pair.chosen, pair.rejected)
    given = shared if shared >= _GIVEN else 0
    good = Rating(pair.prompt, pair.chosen, True, pair.before, given, pair.goes_on)
    return good, replace(good, completion=pair.rejected, label=False)


def same_beginning(one: Sequence[object], other: Sequence[object]) -> int:
    """How many letters or tokens two answers have in common before they part."""
    both = zip(one, other, strict=False)
    return next((place for place, (mine, its) in enumerate(both) if mine != its), min(len(one), len(other)))


def hold_out(records: Sequence[P]) -> tuple[list[P], list[P]]:
    """Training and validation records: every tenth prompt, by its hash, is held out, at least one."""
    prompts = sorted({_asked(record) for record in records}, key=lambda asked: content_id(*asked))
    held = set(prompts[: max(1, round(len(prompts) / HELD_OUT))])
    return (
        [record for record in records if _asked(record) not in held],
        [record for record in records if _asked(record) in held],
    )


def apart(train: Sequence[P], validation: Sequence[P]) -> list[P]:
    """The training records whose prompt is not also among the validation records."""
    held = {_asked(record) for record in validation}
    return [record for record in train if _asked(record) not in held]


def _asked(record: Pair | Rating) -> tuple[str, ...]:
    """The question with what was said before it."""
    return (record.prompt.strip(), *(turn.content for turn in record.before))


def _pair(path: Path, number: int, value: dict[str, object], method: Method) -> Pair:
    check_method(path, number, value, method)
    if "origin" in value or "model_version" in value:
        try:
            own = Preference.model_validate(value)
        except ValidationError as fault:
            raise broken(path, number, fault, "Preference") from fault
        return Pair(own.prompt, own.chosen, own.rejected, own.before, own.goes_on, draft=own.origin != "edit")
    before, prompt = question_of(path, number, value)
    chosen, rejected = (text_of(path, number, value, field) for field in ("chosen", "rejected"))
    return Pair(prompt, chosen, rejected, before)


def _rating(path: Path, number: int, value: dict[str, object]) -> Rating:
    if "origin" in value:
        try:
            own = RatedAnswer.model_validate(value)
        except ValidationError as fault:
            raise broken(path, number, fault, "RatedAnswer") from fault
        return Rating(own.prompt, own.completion, own.label, own.before, goes_on=own.goes_on)
    label = value.get("label")
    if not isinstance(label, bool):
        raise BrokenRecord(path, number, f"label is {label!r}, not true or false", MEND)
    before, prompt = question_of(path, number, value)
    return Rating(prompt, text_of(path, number, value, "completion"), label, before)


def _says_something(pair: Pair) -> bool:
    return bool(pair.prompt.strip() and pair.chosen.strip() and pair.rejected.strip()) and pair.chosen != pair.rejected
