"""Feedback as files for people and other tools. In: feedback. Out: pieces of text, one a row, so that any number can be written.

json, jsonl            everything that is known, as `feedback import` reads it again
openai, gemini         a conversation that ends with the text that the reader wanted
alpaca                 the same as {instruction, input, output}
preference             {prompt, chosen, rejected}, out of edits and choices
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from blogtwin.service_records import Feedback

Form = Literal["json", "jsonl", "openai", "gemini", "alpaca", "preference"]


def written(rows: Iterable[Feedback], form: Form) -> Iterator[str]:
    """The file's text, in pieces. A row that says nothing in this form (a dislike is no example) is left out.

    Alpaca has one prompt a line, so texts from within a conversation are left out of it.
    """
    if form == "jsonl":
        for row in rows:
            yield _whole(row) + "\n"
    elif form == "json":
        before = "[\n"
        for row in rows:
            yield before + _whole(row)
            before = ",\n"
        yield "\n]\n" if before != "[\n" else "[]\n"
    else:
        for row in rows:
            for value in _SHAPES[form](row):
                yield json.dumps(value, ensure_ascii=False) + "\n"


def wanted_text(row: Feedback) -> str | None:
    """What the reader wanted to read: the edit, or the draft that was liked, chosen or approved; None: that is not known."""
    if row.edited_text is not None:
        return row.edited_text
    if row.liked is False:
        return None
    return row.response if row.liked or row.approved or row.chosen is not None else None


def _whole(row: Feedback) -> str:
    # When it was exported is of interest here alone; without it the same feedback gives the same bytes.
    return row.model_dump_json(exclude={"exported_at"})


def _openai(row: Feedback) -> Iterator[dict[str, Any]]:
    if (text := wanted_text(row)) is not None:
        turns = [*((turn.role, turn.content) for turn in row.before), ("user", row.prompt), ("assistant", text)]
        yield {"messages": [{"role": role, "content": content} for role, content in turns]}


def _gemini(row: Feedback) -> Iterator[dict[str, Any]]:
    for conversation in _openai(row):
        turns = conversation["messages"]
        told = [turn for turn in turns if turn["role"] == "system"]
        value: dict[str, Any] = {"systemInstruction": {"parts": [{"text": told[0]["content"]}]}} if told else {}
        value["contents"] = [
            {"role": "model" if turn["role"] == "assistant" else "user", "parts": [{"text": turn["content"]}]}
            for turn in turns
            if turn["role"] != "system"
        ]
        yield value


def _alpaca(row: Feedback) -> Iterator[dict[str, Any]]:
    if not row.before and (text := wanted_text(row)) is not None:
        yield {"instruction": row.prompt, "input": "", "output": text}


def _preference(row: Feedback) -> Iterator[dict[str, Any]]:
    """An edit is better than its draft; a chosen draft, or the edit of it, than each of those that were not."""
    better = row.edited_text if row.edited_text is not None else row.response
    worse = [row.response] if row.edited_text is not None else []
    if row.chosen is not None:
        worse += [draft.text for place, draft in enumerate(row.drafts) if place != row.chosen]
    for text in dict.fromkeys(worse):
        if text.strip() and better.strip() and text != better:
            yield _pair(row, better, text)


def _pair(row: Feedback, chosen: str, rejected: str) -> dict[str, Any]:
    """Texts; in a conversation lists of messages, as trl has them."""
    if not row.before:
        return {"prompt": row.prompt, "chosen": chosen, "rejected": rejected}
    turns = [*((turn.role, turn.content) for turn in row.before), ("user", row.prompt)]
    prompt = [{"role": role, "content": content} for role, content in turns]
    answers = [[{"role": "assistant", "content": text}] for text in (chosen, rejected)]
    return {"prompt": prompt, "chosen": answers[0], "rejected": answers[1]}


_SHAPES: dict[str, Callable[[Feedback], Iterator[dict[str, Any]]]] = {
    "openai": _openai,
    "gemini": _gemini,
    "alpaca": _alpaca,
    "preference": _preference,
}
