"""The report on a while of service: how well a twin was liked, where it was not, and what training has changed since.

In: one twin's feedback and versions. Out: a Report, to be written as Markdown or a page (report_pages.py), or as JSON.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select

from blogtwin.feedback.changes import Change, changes
from blogtwin.feedback.stats import wilson
from blogtwin.feedback.store import Store
from blogtwin.feedback.tables import feedback
from blogtwin.feedback.versions import Event, Versions
from blogtwin.records import Record
from blogtwin.service_records import Feedback

_SAMPLES = 10  # dislikes that are shown, the newest
_WORST = 3  # subjects, where there are more of them
_LEAST = 3  # judgements of a subject that may be among the worst
_LONGEST = 1200  # characters of a sample's text


class Rate(Record):
    """Likes among likes and dislikes, from `low` to `high` with 95% confidence (Wilson); None where nobody said either."""

    name: str
    likes: int
    dislikes: int
    rate: float | None = None
    low: float | None = None
    high: float | None = None


class Disliked(Record):
    """A text that a reader disliked, cut where it is long. edited: what the reader made of it, or ""."""

    at: datetime
    subject: str
    version: str
    prompt: str
    response: str
    comment: str
    edited: str


class Trained(Record):
    """What became of a version in this while. learned: judgements it was trained with.

    changes: against the champion before it, where it took over.
    """

    event: Event
    learned: int
    changes: tuple[Change, ...]


class Report(Record):
    """since, until: when the judgements were given; since is None for all of them. before: the while of the same length before.

    under: whether the like rate is below its target; beyond_chance: whether its whole interval is. worst: of `subjects`, those
    with the lowest like rate, of three judgements or more; none where there are few subjects anyway.
    """

    twin: str
    since: datetime | None
    until: datetime
    target: float
    whole: Rate
    before: Rate | None
    under: bool
    beyond_chance: bool
    subjects: tuple[Rate, ...]
    versions: tuple[Rate, ...]
    worst: tuple[Rate, ...]
    disliked: tuple[Disliked, ...]
    trained: tuple[Trained, ...]


class _Counted:
    """Likes and dislikes, by subject and version; the newest dislikes."""

    def __init__(self) -> None:
        self.likes: Counter[tuple[str, str]] = Counter()
        self.dislikes: Counter[tuple[str, str]] = Counter()
        self.samples: deque[Feedback] = deque(maxlen=_SAMPLES)

    def add(self, row: Feedback) -> None:
        if row.liked is None:
            return
        for key in (("", ""), ("subject", row.subject or "no subject"), ("version", row.version)):
            (self.likes if row.liked else self.dislikes)[key] += 1
        if not row.liked:
            self.samples.append(row)

    def whole(self) -> Rate:
        return self._rate(("", ""))

    def rates(self, kind: str) -> tuple[Rate, ...]:
        """By subject or version: the most judged first."""
        keys = {key for key in (*self.likes, *self.dislikes) if key[0] == kind}
        found = [self._rate(key) for key in keys]
        return tuple(sorted(found, key=lambda one: (-one.likes - one.dislikes, one.name)))

    def _rate(self, key: tuple[str, str]) -> Rate:
        likes, dislikes = self.likes[key], self.dislikes[key]
        total = likes + dislikes
        low, high = wilson(likes, total) if total else (None, None)
        rate = likes / total if total else None
        return Rate(name=key[1], likes=likes, dislikes=dislikes, rate=rate, low=low, high=high)


def report(
    store: Store, register: Versions, twin: str, target: float, until: datetime, days: int | None = None
) -> Report:
    """What was said of `twin` in the `days` before `until`; None: in all the time. target: the like rate that is asked for."""
    span = None if days is None else timedelta(days=days)
    since = None if span is None else until - span
    now, earlier = _Counted(), _Counted()
    for row in store.rows(twin=twin, since=None if since is None or span is None else since - span):
        if row.judged_at <= until:
            (now if since is None or row.judged_at >= since else earlier).add(row)
    whole, subjects = now.whole(), now.rates("subject")
    known = [one for one in subjects if one.likes + one.dislikes >= _LEAST and one.dislikes and len(subjects) > _WORST]
    return Report(
        twin=twin,
        since=since,
        until=until,
        target=target,
        whole=whole,
        before=None if since is None else earlier.whole(),
        under=whole.rate is not None and whole.rate < target,
        beyond_chance=whole.high is not None and whole.high < target,
        subjects=subjects,
        versions=now.rates("version"),
        worst=tuple(sorted(known, key=lambda one: (one.rate, -one.dislikes, one.name))[:_WORST]),
        disliked=tuple(map(_sample, reversed(now.samples))),
        trained=tuple(_trained(register, twin, since, until)),
    )


def _trained(register: Versions, twin: str, since: datetime | None, until: datetime) -> Iterator[Trained]:
    events = [one for one in register.events(twin) if (since is None or one.at >= since) and one.at <= until]
    learned = _learned(register, twin) if events else {}
    for event in events:
        found: Sequence[Change] = ()
        took_over = (
            event.before if event.event == "promoted" else None
        )  # back again, the same differs the other way round
        if took_over and (new := register.find(event.version)) and (old := register.find(took_over)):
            found = [one for one in changes(old, new, register.saw(old.name), register.saw(new.name)) if _readable(one)]
        made = learned.get(event.version, 0) if event.event in ("recorded", "promoted") else 0
        yield Trained(event=event, learned=made, changes=tuple(found))


def _readable(change: Change) -> bool:
    """Whether it tells a reader something: a hash does not, nor a figure that one version lacks."""
    figure = (change.one or change.other).replace(".", "").replace("-", "").isdecimal()
    return not change.what.endswith("hash") and not (figure and "" in (change.one, change.other))


def _learned(register: Versions, twin: str) -> dict[str, int]:
    """How many judgements each version was the first to learn from."""
    query = select(feedback.c.learned_by, func.count()).where(
        feedback.c.twin == twin, feedback.c.learned_by.is_not(None)
    )
    with register.database.reading() as connection:
        return {row[0]: row[1] for row in connection.execute(query.group_by(feedback.c.learned_by))}


def _sample(row: Feedback) -> Disliked:
    return Disliked(
        at=row.judged_at,
        subject=row.subject,
        version=row.version,
        prompt=_cut(row.prompt),
        response=_cut(row.response),
        comment=_cut(row.comment),
        edited=_cut(row.edited_text or ""),
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST].rstrip()} …"
