"""A judgement joins what was said before. In: a generation or feedback, and a judgement. Out: feedback. No database."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from blogtwin.errors import InputError
from blogtwin.records import Record
from blogtwin.service_records import Feedback, Generation, Judgement

R = TypeVar("R", bound=Record)


def plain(record: R) -> R:
    """`record` without NUL characters, which PostgreSQL takes in no text."""
    if "\\u0000" not in record.model_dump_json():
        return record
    return type(record).model_validate(_without_nul(record.model_dump()))


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {key: _without_nul(one) for key, one in value.items()}
    return [_without_nul(one) for one in value] if isinstance(value, list | tuple) else value


def check(judgement: Judgement) -> None:
    """Raises InputError for a judgement that says nothing."""
    if judgement == Judgement():
        raise InputError(
            "this judgement says nothing", "give at least one of: rating, comment, edited_text, chosen, approved"
        )


def first(generation: Generation, judgement: Judgement, now: datetime) -> Feedback:
    """The feedback that a first judgement makes of a generation. Raises InputError for a draft that there is not."""
    blank = Feedback(
        id=generation.id,
        twin=generation.twin,
        kind=generation.kind,
        subject=generation.subject,
        prompt=generation.prompt,
        before=generation.before,
        place=sum(turn.role == "user" for turn in generation.before),
        drafts=generation.drafts,
        response=generation.drafts[0].text,
        version=generation.drafts[0].version,
        created_at=generation.created_at,
        judged_at=now,
    )
    return merged(blank, judgement, now)


def merged(before: Feedback, judgement: Judgement, now: datetime) -> Feedback:
    """`before` with what `judgement` adds; the very same feedback when it adds nothing.

    Another choice takes back the edit and the approval of the draft that was chosen before: they were not about this one.
    An edit that is empty, or no different from the draft, takes an earlier edit back.
    """
    said = judgement.model_dump(exclude_none=True)
    place = said.get("chosen", before.chosen) or 0
    if place >= len(before.drafts):
        raise InputError(
            f"draft {place} was chosen, and there are {len(before.drafts)}, counted from 0",
            f"chosen is between 0 and {len(before.drafts) - 1}",
        )
    if place != (before.chosen or 0):
        said = {"edited_text": None, "approved": False} | said
    draft = before.drafts[place]
    if said.get("edited_text") in ("", draft.text):
        said["edited_text"] = None
    after = before.model_copy(update={**said, "response": draft.text, "version": draft.version})
    if after == before:
        return before
    # Two judgements in the same microsecond, or a clock that was set back, must not look as if nothing had been said since.
    return after.model_copy(update={"judged_at": max(now, before.judged_at), "exported_at": None, "learned_by": None})
