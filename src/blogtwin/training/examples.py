"""Training files for learning from examples: blogtwin's own, bare Alpaca lines, OpenAI messages or Gemini contents.

In: a JSONL file, its lines told apart by their fields (see shapes.py). Out: Examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from blogtwin import jsonl
from blogtwin.records import Example, content_id
from blogtwin.training.shapes import broken, check_method, turns_and_answer

HELD_OUT = 10  # one in so many is held out where the file comes without a validation file


def read(path: Path) -> list[Example]:
    """The examples of `path` that have an answer. Raises InputError, and BrokenRecord for a line of another shape."""
    found = (_example(path, number, value) for number, value in jsonl.lines(path))
    return [example for example in found if example.output.strip()]


def hold_out(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Training and validation examples: every tenth post, by the hash of its id, is held out, at least one."""
    posts = sorted({example.post_id for example in examples}, key=content_id)
    held = set(posts[: max(1, round(len(posts) / HELD_OUT))])
    return (
        [example for example in examples if example.post_id not in held],
        [example for example in examples if example.post_id in held],
    )


def _example(path: Path, number: int, value: dict[str, object]) -> Example:
    check_method(path, number, value, "sft")
    if "messages" in value or "contents" in value:
        before, question, answer = turns_and_answer(path, number, value)
        example = _bare(question, "", answer)
        if not before:
            return example
        # Later turns of a conversation quote its earlier ones: all of it stands on the side of its first answer.
        first = _bare(before[0].content, "", before[1].content if before[1:] else "")
        asked = content_id(example.id, *(turn.content for turn in before))
        return example.model_copy(update={"id": asked, "post_id": first.post_id, "before": before})
    try:
        if "id" in value or "post_id" in value:
            return Example.model_validate(value)
        return _bare(value.get("instruction"), value.get("input", ""), value.get("output"))
    except ValidationError as fault:
        raise broken(path, number, fault, "example") from fault


def _bare(instruction: object, given: object, output: object) -> Example:
    """An example that stands for a post of its own."""
    number = content_id(str(instruction), str(given), str(output))
    fields = {"instruction": instruction, "input": given, "output": output}
    return Example.model_validate({"id": number, "post_id": number, "kind": "topic", **fields})
