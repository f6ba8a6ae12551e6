"""A line of a file of preferences → rows. In: one JSON object. Out: Feedback, Preferences or RatedAnswers.

The shapes: what `blogtwin feedback export` writes, Preferences and RatedAnswers as prepare-dataset writes them, bare {prompt,
chosen, rejected} and {prompt, completion, label}, and {source, chosen, rejected} for rewriting. `rejected` may be a list of
answers, and a text a list of messages, as trl has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ValidationError

from blogtwin.dataset.judgements import LONGEST, Row
from blogtwin.dataset.sketches import jaccard, shingles
from blogtwin.records import Message, Preference, RatedAnswer
from blogtwin.service_records import Feedback

SHAPES = (
    'a line is what `blogtwin feedback export` writes, {"prompt", "chosen", "rejected"}, {"prompt", "completion", "label"} or '
    '{"source", "chosen", "rejected"}; "rejected" may be a list'
)
_EDITED = 0.3  # of the sequences of five words; two answers to one question share hardly any


class Unusable(ValueError):
    """Why a line says nothing."""


def rows_of(value: Mapping[str, object], instruction: str) -> list[Row]:
    """What a line says. instruction: above each `source`. Raises Unusable."""
    try:
        if "drafts" in value:
            return [Feedback.model_validate(value)]
        if "origin" in value:
            return [(RatedAnswer if "label" in value else Preference).model_validate(value)]
        return _bare(value, instruction)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        raise Unusable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from fault


def _bare(value: Mapping[str, object], instruction: str) -> list[Row]:
    if "source" in value:
        before: tuple[Message, ...] = ()
        prompt = f"{instruction}\n\n{_text(value, 'source').strip()}" if _text(value, "source").strip() else ""
    else:
        before, prompt = _question(value)
    asked: dict[str, Any] = {"id": "", "prompt": prompt, "before": before}
    if "label" in value:
        answer = _text(value, "completion")
        return [
            RatedAnswer.model_validate({**asked, "completion": answer, "label": value["label"], "origin": "rating"})
        ]
    chosen = _text(value, "chosen")
    rejected = value.get("rejected")
    if isinstance(rejected, list) and (not rejected or not _is_message(rejected[0])):
        worse = [_text({"rejected": one}, "rejected") for one in rejected]
    else:
        worse = [_text(value, "rejected")]
    if not worse:
        raise Unusable("rejected is an empty list")
    return [Preference(**asked, chosen=chosen, rejected=one, origin=_origin(chosen, one)) for one in worse]


def _origin(chosen: str, rejected: str) -> Literal["edit", "choice"]:
    """An edit, where the two texts share much of their word sequences; else a choice."""
    if max(len(chosen), len(rejected)) > LONGEST:
        return "choice"
    return "edit" if jaccard(shingles(chosen), shingles(rejected)) >= _EDITED else "choice"


def _question(value: Mapping[str, object]) -> tuple[tuple[Message, ...], str]:
    """The turns above the last question, and the question."""
    given = value.get("prompt")
    if isinstance(given, str):
        above = value.get("before") or ()
        turns = [Message.model_validate(turn) for turn in above] if isinstance(above, list) else []
        return tuple(turns), given
    turns = _messages(given, "prompt")
    if not turns or turns[-1].role != "user":
        raise Unusable("prompt is no text and no list of messages that ends with a question")
    return tuple(turns[:-1]), turns[-1].content


def _text(value: Mapping[str, object], field: str) -> str:
    given = value.get(field)
    if isinstance(given, str):
        return given
    turns = _messages(given, field)
    if [turn.role for turn in turns] != ["assistant"]:
        raise Unusable(f"{field} is no text and no single message")
    return turns[0].content


def _messages(given: object, field: str) -> list[Message]:
    if not isinstance(given, list):
        raise Unusable(f"{field} is {'missing' if given is None else 'no text'}")
    return [turn for turn in (Message.model_validate(one) for one in given) if turn.role != "system"]


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and "role" in value
