"""The shapes in which people have training data, told apart by the fields of a line.

In: one JSON object of a JSONL file. Out: which shape it is, and the question and the answer out of a chat of either make.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from blogtwin.config import Method
from blogtwin.errors import BrokenRecord
from blogtwin.records import Message

Shape = Literal["an example", "a preference", "a rating"]
LEARNS: dict[Shape, tuple[Method, ...]] = {"an example": ("sft",), "a preference": ("dpo", "kto"), "a rating": ("kto",)}
MEND = (
    'a line is {"instruction", "input", "output"}, {"messages": [turns, the last one the answer]} or {"contents": [the same]}; '
    'for dpo {"prompt", "chosen", "rejected"}; for kto that, or {"prompt", "completion", "label": true or false}'
)


def shape_of(value: dict[str, object]) -> Shape:
    """What a line holds, by its fields; one that could be anything counts as an example."""
    if "chosen" in value or "rejected" in value:
        return "a preference"
    if "label" in value or ("completion" in value and "prompt" in value):
        return "a rating"
    return "an example"


def check_method(path: Path, number: int, value: dict[str, object], method: Method) -> Shape:
    """The line's shape. Raises BrokenRecord, naming the method that fits, when `method` cannot learn from it."""
    shape = shape_of(value)
    if method not in LEARNS[shape]:
        fits = " or ".join(f"--method {one}" for one in LEARNS[shape])
        raise BrokenRecord(path, number, f"is {shape}, which {method} does not learn from", f"take {fits}; or: {MEND}")
    return shape


def turns_and_answer(path: Path, number: int, value: dict[str, object]) -> tuple[tuple[Message, ...], str, str]:
    """Out of OpenAI messages or Gemini contents: the turns above the last question, that question, and its answer.

    Answers further up are context, as `feedback export` means them. Raises BrokenRecord that names the field.
    """
    field = "messages" if "messages" in value else "contents"
    read = _openai if field == "messages" else _gemini
    turns = [turn for turn in read(path, number, value[field]) if turn.role != "system"]  # blogtwin has its own
    if [turn.role for turn in turns[-2:]] != ["user", "assistant"]:
        raise BrokenRecord(path, number, f"{field} does not end with a question and its answer", MEND)
    return tuple(turns[:-2]), turns[-2].content, turns[-1].content


def question_of(path: Path, number: int, value: dict[str, object]) -> tuple[tuple[Message, ...], str]:
    """The turns above the last question, and that question: `prompt` is a text, or a list of messages that ends with it.

    Raises BrokenRecord.
    """
    given = value.get("prompt")
    if isinstance(given, str):
        return (), given
    turns = [turn for turn in _openai(path, number, given, "prompt") if turn.role != "system"]
    if not turns or turns[-1].role != "user":
        raise BrokenRecord(path, number, "prompt is no text and no list of messages that ends with a question", MEND)
    return tuple(turns[:-1]), turns[-1].content


def text_of(path: Path, number: int, value: dict[str, object], field: str) -> str:
    """A field that is a text, or a list with one message. Raises BrokenRecord that names the field."""
    given = value.get(field)
    if isinstance(given, str):
        return given
    turns = [turn for turn in _openai(path, number, given, field) if turn.role != "system"]
    if [turn.role for turn in turns] != ["assistant"]:
        raise BrokenRecord(path, number, f"{field} is no text and no single message", MEND)
    return turns[0].content


def _openai(path: Path, number: int, value: Any, field: str = "messages") -> list[Message]:
    try:
        return [Message.model_validate(turn) for turn in value] if isinstance(value, list) else []
    except ValidationError as fault:
        raise broken(path, number, fault, field) from fault


def _gemini(path: Path, number: int, value: Any) -> list[Message]:
    turns = []
    for turn in value if isinstance(value, list) else []:
        try:
            role = {"model": "assistant"}.get(turn["role"], turn["role"])
            turns.append(Message(role=role, content="".join(part["text"] for part in turn["parts"])))
        except (TypeError, KeyError, AttributeError, ValidationError) as fault:
            raise BrokenRecord(path, number, "contents: a turn is no {role, parts: [{text}]}", MEND) from fault
    return turns


def broken(path: Path, number: int, fault: ValidationError, what: str) -> BrokenRecord:
    """The first thing that pydantic found, with the field's name."""
    first = fault.errors(include_url=False)[0]
    return BrokenRecord(path, number, f"is no {what}: {'.'.join(map(str, first['loc']))}: {first['msg']}", MEND)
