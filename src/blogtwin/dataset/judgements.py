"""One row of feedback → what it says: which answer was preferred, which was liked or not, which text may be learned as it is.

In: a Feedback, or a bare Preference or RatedAnswer. Out: a Said, in which nothing is settled yet between rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from blogtwin.dataset.edits import changes
from blogtwin.records import Example, ExampleKind, Message, Preference, RatedAnswer, content_id
from blogtwin.service_records import Feedback, Kind

Row = Feedback | Preference | RatedAnswer
LONGEST = 100_000  # characters of a text, or of a conversation: a long post has thirty thousand
_KIND: dict[Kind, ExampleKind] = {"write": "topic", "rewrite": "rewrite", "continue": "continuation", "chat": "topic"}


@dataclass(frozen=True)
class Said:
    """problems: what of the row says nothing, in words that go behind its place."""

    preferences: tuple[Preference, ...] = ()
    ratings: tuple[RatedAnswer, ...] = ()
    approved: Example | None = None
    problems: tuple[str, ...] = field(default=())


def said_by(row: Row, twin: str | None) -> Said:
    """What a row says of `twin`'s answers (None: whichever twin's); of what cannot be used, the reason alone."""
    if isinstance(row, Feedback):
        return _feedback(row, twin)
    if reason := unusable(row.prompt, row.before) or _without_answer(row):
        return Said(problems=(reason,))
    return Said(preferences=(row,)) if isinstance(row, Preference) else Said(ratings=(row,))


def unusable(prompt: str, before: tuple[Message, ...] = ()) -> str | None:
    """Why nothing can be learned below such a question."""
    if not prompt.strip():
        return "the prompt is empty"
    size = len(prompt) + sum(len(turn.content) for turn in before)
    return f"the prompt has {size:,} characters; at most {LONGEST:,} are learned from" if size > LONGEST else None


def _without_answer(row: Preference | RatedAnswer) -> str | None:
    if isinstance(row, RatedAnswer):
        return _bad("the answer", row.completion)
    reason = _bad("the better answer", row.chosen) or _bad("the worse answer", row.rejected)
    return reason or ("the better and the worse answer are the same" if _same(row.chosen, row.rejected) else None)


def _bad(what: str, text: str) -> str | None:
    if not text.strip():
        return f"{what} is empty"
    if len(text) > LONGEST:
        return f"{what} has {len(text):,} characters; at most {LONGEST:,} are learned from"
    return None


def _same(one: str, other: str) -> bool:
    return one.split() == other.split()


def _feedback(row: Feedback, twin: str | None) -> Said:
    if twin is not None and row.twin != twin:
        return Said(problems=(f"is of another twin, {row.twin}; this is {twin} (--model-name chooses)",))
    if reason := unusable(row.prompt, row.before) or _bad("the answer", row.response):
        return Said(problems=(reason,))
    preferences: list[Preference] = []
    problems: list[str] = []
    _choices(row, preferences, problems)
    edited, cut = row.edited_text, any(one.cut for one in row.drafts[row.chosen or 0 :][:1])
    if edited is not None and (reason := _bad("the edited text", edited)):
        problems.append(reason)
        edited = None
    if edited is not None and not _same(edited, row.response):
        preferences.append(_preference(row, "edit", edited, row.response, cut))
    ratings = [_rating(row, row.response, row.rating > 0, "rating", cut)] if row.rating else []
    approved = None
    if row.approved:
        text = row.response if edited is None else edited
        as_it_was = edited is None or not changes(row.response, edited)
        if as_it_was and row.rating == -1:
            problems.append("is approved and disliked, and was not edited: it is not learned as an example")
        elif as_it_was and cut:
            problems.append("is approved, but was cut off before its end: it is not learned as an example")
        else:
            approved = _example(row, text)
        if as_it_was and not row.rating:
            ratings.append(_rating(row, text, True, "approval", cut))
    return Said(tuple(preferences), tuple(ratings), approved, tuple(problems))


def _choices(row: Feedback, preferences: list[Preference], problems: list[str]) -> None:
    """The chosen draft before each of the others."""
    if row.chosen is None:
        return
    if row.chosen >= len(row.drafts):
        problems.append(f"draft {row.chosen + 1} was chosen, of {len(row.drafts)}")
        return
    chosen, cut = row.drafts[row.chosen].text, row.drafts[row.chosen].cut
    if reason := _bad("the chosen draft", chosen):
        problems.append(reason)
        return
    for place, draft in enumerate(row.drafts):
        if place == row.chosen:
            continue
        if reason := _bad(f"draft {place + 1}", draft.text):
            problems.append(reason)
        elif _same(chosen, draft.text):
            problems.append(f"draft {place + 1} is the same as the chosen one")
        else:
            preferences.append(_preference(row, "choice", chosen, draft.text, cut or draft.cut))


def _preference(row: Feedback, origin: str, chosen: str, rejected: str, cut: bool) -> Preference:
    texts = {"chosen": chosen.strip(), "rejected": rejected.strip()}
    made = {"prompt": row.prompt, **texts, "origin": origin, "goes_on": cut}
    return Preference.model_validate({**made, **_where(row), "id": ""})


def _rating(row: Feedback, text: str, label: bool, origin: str, cut: bool) -> RatedAnswer:
    """One answer of the row by itself. cut: it was cut off before its end."""
    made = {"prompt": row.prompt, "completion": text.strip(), "label": label, "origin": origin, "goes_on": cut}
    return RatedAnswer.model_validate({**made, **_where(row), "id": ""})


def _where(row: Feedback) -> dict[str, object]:
    return {
        "before": row.before,
        "comment": row.comment,
        "model_version": row.version,
        "created_at": row.judged_at,
    }


def _example(row: Feedback, text: str) -> Example:
    asked = content_id("asked", row.prompt, *(turn.content for turn in row.before))
    return Example(
        id=content_id("approved", asked, text),
        post_id=asked,
        kind=_KIND[row.kind],
        instruction=row.prompt,
        input="",
        output=text.strip(),
        before=row.before,
    )


def replaced(row: Row, replace: Callable[[str], str]) -> Row:
    """The row with `replace` done to every text of it that could be learned."""
    changes: dict[str, object] = {
        "prompt": replace(row.prompt),
        "before": tuple(turn.model_copy(update={"content": replace(turn.content)}) for turn in row.before),
    }
    if isinstance(row, Feedback):
        changes["response"] = replace(row.response)
        changes["drafts"] = tuple(one.model_copy(update={"text": replace(one.text)}) for one in row.drafts)
        if row.edited_text is not None:
            changes["edited_text"] = replace(row.edited_text)
    elif isinstance(row, Preference):
        changes |= {"chosen": replace(row.chosen), "rejected": replace(row.rejected)}
    else:
        changes["completion"] = replace(row.completion)
    return row.model_copy(update=changes)
