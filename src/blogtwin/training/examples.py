"""Training files as people have them: blogtwin's own examples, bare Alpaca lines, or OpenAI messages, told apart by fields.

In: a JSONL file. Out: Examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from blogtwin import jsonl
from blogtwin.errors import BrokenRecord
from blogtwin.records import Example, Message, content_id

_MEND = 'a line is {"instruction", "input", "output"} or {"messages": [one question, one answer]}'
_HELD_OUT = 10  # one post in so many is held out where the file comes without a validation file


def read(path: Path) -> list[Example]:
    """The examples of `path` that have an answer. Raises InputError, and BrokenRecord for a line of another shape."""
    found = (_example(path, number, value) for number, value in jsonl.lines(path))
    return [example for example in found if example.output.strip()]


def hold_out(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Training and validation examples: every tenth post, by the hash of its id, is held out, at least one."""
    posts = sorted({example.post_id for example in examples}, key=content_id)
    held = set(posts[: max(1, round(len(posts) / _HELD_OUT))])
    return (
        [example for example in examples if example.post_id not in held],
        [example for example in examples if example.post_id in held],
    )


def _example(path: Path, number: int, value: dict[str, object]) -> Example:
    try:
        if "messages" in value:
            return _from_messages(path, number, value["messages"])
        if "id" in value or "post_id" in value:
            return Example.model_validate(value)
        return _bare(value.get("instruction"), value.get("input", ""), value.get("output"))
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise BrokenRecord(path, number, f"is no example: {field}: {first['msg']}", _MEND) from fault


def _from_messages(path: Path, number: int, value: object) -> Example:
    turns = [Message.model_validate(turn) for turn in value] if isinstance(value, list) else []
    asked = [turn for turn in turns if turn.role != "system"]  # blogtwin's own system prompt stands in its place
    if [turn.role for turn in asked] != ["user", "assistant"]:
        raise BrokenRecord(path, number, "does not hold one question and one answer", _MEND)
    return _bare(asked[0].content, "", asked[1].content)


def _bare(instruction: object, given: object, output: object) -> Example:
    """An example that stands for a post of its own."""
    number = content_id(str(instruction), str(given), str(output))
    fields = {"instruction": instruction, "input": given, "output": output}
    return Example.model_validate({"id": number, "post_id": number, "kind": "topic", **fields})
