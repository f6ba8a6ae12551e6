"""Files of feedback, read again.

In: what `feedback export` wrote as json, jsonl or preference, or bare {prompt, chosen, rejected}. Out: feedback, in that order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from blogtwin import jsonl
from blogtwin.config import model_name
from blogtwin.errors import BrokenRecord, UsageError
from blogtwin.records import Message, content_id
from blogtwin.service_records import Draft, Feedback

ELSEWHERE = "imported"  # the version of a text of which nobody says who wrote it
LONGEST = 1_000_000  # characters of a text
_MEND = (
    "`feedback import` takes what `feedback export --format jsonl`, json or preference wrote, "
    'and lines of {"prompt", "chosen", "rejected"}'
)


def read(path: Path, twin: str, only: bool = False) -> Iterator[Feedback]:
    """The feedback in `path`. twin: whom bare pairs are about; only: rows of another twin are an error.

    Raises InputError when there is no such file, BrokenRecord for the first row that is none.
    """
    now = datetime.now(UTC)
    for number, value in _values(path):
        bare = "chosen" in value and "rejected" in value
        row = _pair(path, number, value, twin, now) if bare else _whole(path, number, value)
        if (reason := _wrong(row)) is not None:
            raise BrokenRecord(path, number, reason, _MEND)
        if only and row.twin != twin:
            mend = "leave --model out: each row knows whom it is about"
            raise BrokenRecord(path, number, f"is about {row.twin}, not about {twin}", mend)
        yield row


def _values(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """The rows with their lines' numbers; of one JSON list, their places in it."""
    if not _is_list(path):
        yield from jsonl.lines(path)
        return
    try:
        values = json.loads(path.read_text("utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as fault:
        raise BrokenRecord(path, getattr(fault, "lineno", 1), "is not JSON", _MEND) from fault
    for number, value in enumerate(values, start=1):
        if not isinstance(value, dict):
            raise BrokenRecord(path, number, f"is a JSON {type(value).__name__}, not an object", _MEND)
        yield number, value


def _is_list(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")


def _wrong(row: Feedback) -> str | None:
    """What contradicts itself in a row, or could not be stored."""
    place = row.chosen or 0
    if place >= len(row.drafts) or place < 0:
        return f"draft {place} was chosen, and there are {len(row.drafts)}, counted from 0"
    if (row.response, row.version) != (row.drafts[place].text, row.drafts[place].version):
        return "response and version are not those of the draft that was chosen"
    texts = [row.prompt, row.subject, row.comment, row.edited_text or "", *(draft.text for draft in row.drafts)]
    if (longest := max(map(len, texts))) > LONGEST:
        return f"a text of {longest:,} characters: at most {LONGEST:,} are kept"
    if not all(1970 <= moment.year < 9999 for moment in (row.created_at, row.judged_at)):
        return "created_at or judged_at is out of this world"
    try:
        named = model_name(row.twin) == f"{row.twin}:latest"
    except UsageError:
        named = False
    return None if named else f"{row.twin[:80]!r} is no twin's name (it has no tag)"


def _whole(path: Path, number: int, value: dict[str, object]) -> Feedback:
    try:
        return Feedback.model_validate(value)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BrokenRecord(path, number, f"is no feedback: {field}: {first['msg']}", _MEND) from fault


def _pair(path: Path, number: int, value: dict[str, Any], twin: str, now: datetime) -> Feedback:
    """A pair as a choice of two drafts; one that came of an edit as that edit."""
    before, prompt = _prompt(path, number, value.get("prompt"))
    chosen, rejected = (_answer(path, number, value[name], name) for name in ("chosen", "rejected"))
    for name, text in (("prompt", prompt), ("chosen", chosen), ("rejected", rejected)):
        if not text.strip():
            raise BrokenRecord(path, number, f"{name} is empty", "remove that line: nothing can be learned from it")
    if chosen.split() == rejected.split():
        raise BrokenRecord(path, number, "chosen and rejected are the same", "remove that line: it prefers nothing")
    version = value.get("model_version") or ELSEWHERE
    twin = str(value.get("twin") or twin)
    edited = value.get("origin") == "edit"
    try:
        worse, better = (Draft(version=version, text=text) for text in (rejected, chosen))
        return Feedback(
            id=content_id("imported", twin, prompt, chosen, rejected, *(turn.content for turn in before)),
            twin=twin,
            kind="chat" if before else "write",
            subject=ELSEWHERE,
            prompt=prompt,
            before=before,
            place=sum(turn.role == "user" for turn in before),
            drafts=(worse,) if edited else (worse, better),
            response=rejected if edited else chosen,
            version=version,
            comment=value.get("comment") or "",
            edited_text=chosen if edited else None,
            chosen=None if edited else 1,
            created_at=value.get("created_at") or now,
            judged_at=value.get("created_at") or now,
        )
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        raise BrokenRecord(path, number, f"{first['loc'][0]}: {first['msg']}", _MEND) from fault


def _prompt(path: Path, number: int, given: object) -> tuple[tuple[Message, ...], str]:
    """The turns above the question, and the question: a text, or a list of messages that ends with it."""
    if isinstance(given, str):
        return (), given
    turns = _messages(given)
    if not turns or turns[-1].role != "user":
        raise BrokenRecord(path, number, "prompt is no text and no list of messages that ends with a question", _MEND)
    return tuple(turns[:-1]), turns[-1].content


def _answer(path: Path, number: int, given: object, name: str) -> str:
    if isinstance(given, str):
        return given
    turns = _messages(given)
    if [turn.role for turn in turns] != ["assistant"]:
        raise BrokenRecord(path, number, f"{name} is no text and no list with one answer", _MEND)
    return turns[0].content


def _messages(given: object) -> list[Message]:
    try:
        return [Message.model_validate(turn) for turn in given] if isinstance(given, list) else []
    except ValidationError:
        return []
