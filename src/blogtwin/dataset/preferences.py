"""What readers said → what can be learned from it: pairs for dpo, ratings for kto, approved texts for sft.

In: rows of feedback, each with the place it came from. Out: a Learned, settled and on two sides.
- A choice is a pair with each of the drafts that were not chosen; an edit is a pair for each place that was changed (edits.py).
- Two answers to one question of which one was liked and the other not are a pair; each is in one such pair at most.
- A rating that no pair says already stands by itself.
- Of two judgements that contradict each other, the later one holds; without dates, the one that came later.
- Questions that say nearly the same stand on one side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from blogtwin.dataset.edits import changes
from blogtwin.dataset.judgements import LONGEST, Row, replaced, said_by
from blogtwin.dataset.sides import held_out
from blogtwin.records import Example, Message, Preference, RatedAnswer, content_id
from blogtwin.service_records import Feedback
from blogtwin.words import normalised

_FOR_TRAINING = 0.9  # of the questions: each correction is dear, and a tenth tells when to stop
_ALIKE = 0.8  # of the word sequences: questions in the same wording about other things share half of them

Asked = tuple[tuple[Message, ...], str]  # a conversation up to its last question
Moment = tuple[datetime, int]  # when it was said; and the number of its row, for those of one time or of none
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Side:
    """What one side of the split holds."""

    preferences: list[Preference]
    ratings: list[RatedAnswer]
    approved: list[Example]


@dataclass
class Learned:
    """problems: place and reason. overruled: judgements that a later one contradicts. rows: that were read."""

    train: Side
    validation: Side
    problems: list[tuple[str, str]]
    rows: int
    overruled: int
    trivial: int
    asked: int  # different questions

    def pairs(self) -> Counter[str]:
        """How many pairs there are, by their origin."""
        return Counter(one.origin for side in (self.train, self.validation) for one in side.preferences)


@dataclass
class _Gathered:
    """Everything said, by question; the later of two that say something of the same texts."""

    preferences: dict[tuple[Asked, frozenset[str]], tuple[Moment, Preference]] = field(default_factory=dict)
    ratings: dict[tuple[Asked, str], tuple[Moment, RatedAnswer]] = field(default_factory=dict)
    approved: dict[tuple[Asked, str], tuple[Moment, Example]] = field(default_factory=dict)
    overruled: int = 0


def learned(rows: Iterable[tuple[str, Row]], twin: str | None, replace: Callable[[str], str], seed: int) -> Learned:
    """What rows (each behind its place: a file and line, an id) say of `twin`'s answers; None: of whichever twin's.

    replace: takes what is private out of a text. seed: fixes the split. Without a second question nothing is held out.
    """
    gathered = _Gathered()
    problems: list[tuple[str, str]] = []
    latest: dict[str, tuple[str, Feedback]] = {}
    count = 0
    others: list[tuple[str, Row]] = []
    for place, row in rows:
        count += 1
        row = replaced(row, lambda text: text if len(text) > LONGEST else replace(text))
        if not isinstance(row, Feedback):
            others.append((place, row))
        elif row.id not in latest or row.judged_at >= latest[row.id][1].judged_at:
            latest[row.id] = (place, row)
    every = [*others, *sorted(latest.values(), key=lambda one: (one[1].judged_at, one[1].id))]
    for number, (place, row) in enumerate(every):
        said = said_by(row, twin)
        problems += [(place, problem) for problem in said.problems]
        moment = ((row.judged_at if isinstance(row, Feedback) else row.created_at) or _LONG_AGO, number)
        for preference in said.preferences:
            _prefer(gathered, preference, moment)
        for rating in said.ratings:
            _rate(gathered, rating, moment)
        if said.approved:
            gathered.approved[_asked(said.approved), _plain(said.approved.output)] = (moment, said.approved)
    return _settled(gathered, problems, count, seed)


def _prefer(gathered: _Gathered, preference: Preference, moment: Moment) -> None:
    key = (_asked(preference), frozenset((_plain(preference.chosen), _plain(preference.rejected))))
    before = gathered.preferences.get(key)
    if before and before[0] > moment:
        gathered.overruled += before[1].chosen != preference.chosen
        return
    gathered.overruled += before is not None and before[1].chosen != preference.chosen
    gathered.preferences[key] = (moment, preference)


def _rate(gathered: _Gathered, rating: RatedAnswer, moment: Moment) -> None:
    key = (_asked(rating), _plain(rating.completion))
    before = gathered.ratings.get(key)
    gathered.overruled += before is not None and before[1].label != rating.label
    if not before or before[0] <= moment:
        gathered.ratings[key] = (moment, rating)


def _settled(gathered: _Gathered, problems: list[tuple[str, str]], rows: int, seed: int) -> Learned:
    _pair_ratings(gathered)
    preferences: list[Preference] = []
    trivial = 0
    for key, (_, preference) in list(gathered.preferences.items()):
        made = _changed(preference)
        preferences += made
        if not made:
            trivial += 1
            del gathered.preferences[key]  # it says nothing, so what is said of its texts stands by itself
    ratings = _unsaid(gathered)
    approved = _still_approved(gathered)
    questions, held = _split([map(_asked, preferences), map(_asked, ratings), map(_asked, approved)], seed)
    sides = [
        Side(
            [one for one in preferences if (_plain_question(_asked(one)) in held) is wanted],
            [one for one in ratings if (_plain_question(_asked(one)) in held) is wanted],
            [one for one in approved if (_plain_question(_asked(one)) in held) is wanted],
        )
        for wanted in (False, True)
    ]
    return Learned(sides[0], sides[1], problems, rows, gathered.overruled, trivial, questions)


def _split(kinds: Sequence[Iterable[Asked]], seed: int) -> tuple[int, set[str]]:
    """How many different questions there are, and those that are held out, as they are compared.

    Some of those with pairs, some of those with ratings alone, some of those with approved texts alone: each method needs some
    on both sides.
    """
    seen: set[str] = set()
    held: set[str] = set()
    for kind in kinds:
        of: dict[str, str] = {}
        for asked in kind:
            of.setdefault(_plain_question(asked), _conversation(asked))
        new = [question for question in of if question not in seen]
        seen.update(new)
        held |= {new[place] for place in held_out([of[one] for one in new], _FOR_TRAINING, _ALIKE, seed)}
    return len(seen), held


def _pair_ratings(gathered: _Gathered) -> None:
    """A pair for each liked answer with a disliked one to the same question, the latest first; what is left over makes none.

    One that was liked beside ten that were not was liked once: ten pairs would teach its words by heart.
    """
    by_question: dict[Asked, tuple[list[tuple[Moment, RatedAnswer]], list[tuple[Moment, RatedAnswer]]]] = {}
    for (asked, _), one in gathered.ratings.items():
        by_question.setdefault(asked, ([], []))[not one[1].label].append(one)
    for asked, sides in by_question.items():
        latest = (sorted(side, key=lambda one: one[0], reverse=True) for side in sides)
        for good, bad in zip(*latest, strict=False):
            texts = frozenset((_plain(good[1].completion), _plain(bad[1].completion)))
            if (asked, texts) not in gathered.preferences:
                later = max(good, bad, key=lambda one: one[0])
                gathered.preferences[asked, texts] = (later[0], _pair(good[1], bad[1], later[1]))


def _pair(good: RatedAnswer, bad: RatedAnswer, later: RatedAnswer) -> Preference:
    said = " / ".join(dict.fromkeys(filter(None, (good.comment, bad.comment))))
    return Preference(
        id="",
        prompt=good.prompt,
        chosen=good.completion,
        rejected=bad.completion,
        origin="rating",
        before=good.before,
        goes_on=good.goes_on or bad.goes_on,
        comment=said,
        model_version=bad.model_version,
        created_at=later.created_at,
    )


def _changed(preference: Preference) -> list[Preference]:
    """An edit as its changes, none where it is trivial; anything else as it is."""
    if preference.origin != "edit":
        return [_named(preference)]
    made = [
        {"chosen": one.better, "rejected": one.worse, "goes_on": one.goes_on or preference.goes_on}
        for one in changes(preference.rejected, preference.chosen)
    ]
    return [_named(preference.model_copy(update=update)) for update in made]


def _named(preference: Preference) -> Preference:
    texts = (preference.prompt, preference.chosen, preference.rejected)
    told = content_id("preference", *texts, *(turn.content for turn in preference.before))
    return preference.model_copy(update={"id": told})


def _unsaid(gathered: _Gathered) -> list[RatedAnswer]:
    """The ratings that no pair says: of answers in no pair, or with a label that a pair contradicts."""
    places: dict[tuple[Asked, str], set[bool]] = {}
    for _, preference in gathered.preferences.values():
        for text, better in ((preference.chosen, True), (preference.rejected, False)):
            places.setdefault((_asked(preference), _plain(text)), set()).add(better)
    out = []
    for key, (_, rating) in gathered.ratings.items():
        if places.get(key) != {rating.label}:
            turns = (turn.content for turn in rating.before)
            told = content_id("rating", rating.prompt, rating.completion, str(rating.label), *turns)
            out.append(rating.model_copy(update={"id": told}))
    return out


def _still_approved(gathered: _Gathered) -> list[Example]:
    """Texts that nobody disliked since they were approved."""
    out = []
    for key, (moment, example) in gathered.approved.items():
        rated = gathered.ratings.get(key)
        if rated and not rated[1].label and rated[0] >= moment:
            gathered.overruled += 1
        else:
            out.append(example)
    return out


def _asked(one: Preference | RatedAnswer | Example) -> Asked:
    return one.before, one.instruction if isinstance(one, Example) else one.prompt


def _conversation(asked: Asked) -> str:
    return "\n".join([*(turn.content for turn in asked[0]), asked[1]])


def _plain_question(asked: Asked) -> str:
    return normalised(_conversation(asked)) or _conversation(asked)


def _plain(text: str) -> str:
    return " ".join(text.split())
