"""One look at what readers said: every challenger waits, gets its next share, is promoted or is rolled back.

In: the register and the feedback of one twin. Out: a Step for each challenger, carried out. Looking again changes nothing until
readers have said more. What an evaluation found is held against the floor here as well, before a version gets its first share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from blogtwin.config import Settings
from blogtwin.errors import InputError, RuntimeUnavailable
from blogtwin.evaluation.report import Report, read_report
from blogtwin.feedback.floor import Check, Loss, Measured, floor
from blogtwin.feedback.rollout import Action, Block, Decision, Rating, blocks, decide
from blogtwin.feedback.store import Store
from blogtwin.feedback.versions import Versions
from blogtwin.service_records import Feedback, Version
from blogtwin.stages import leftovers, promotion
from blogtwin.stages.turn import alone

MOST = 3  # challengers at once; with more, each would wait too long for its judgements


@dataclass(frozen=True)
class Step:
    """What was done with a challenger. sentence: it, and what for. notes: what else happened.

    evidence: see feedback/rollout.py.
    """

    version: str
    action: Action
    sentence: str
    share: int
    evidence: Decision
    notes: tuple[str, ...] = ()

    @property
    def hindered(self) -> bool:
        """Whether readers have decided for it, and it could not be promoted yet."""
        return self.evidence.action == "promote" != self.action


def run(settings: Settings, register: Versions, twin: str, wait: bool = True) -> list[Step]:
    """Look at every challenger of `twin` and carry out what the readers' judgements are enough for.

    A promotion ends the look: what is left challenges another champion from then on. wait: for a look that another process has
    begun, instead of raising Busy; a turn of learning may go on meanwhile. Raises StoreError, and as promotion does.
    """
    if not _challengers(register, twin):
        return []
    with alone(f"{twin}@look", wait):
        return _looked(settings, register, twin)


def _looked(settings: Settings, register: Versions, twin: str) -> list[Step]:
    store = Store(register.database, timedelta(minutes=settings.feedback.context_minutes))
    steps: list[Step] = []
    for challenger in sorted(_challengers(register, twin), key=lambda one: (one.state_since, one.name)):
        champion = register.champion(twin)
        if champion is None:
            break
        step = _step(settings, store, challenger, champion, _room(register.serving(twin), challenger))
        steps.append(step)
        if step.action == "promote":
            try:
                _, notes = promotion.promote(settings, register, challenger.name, step.sentence)
                steps[-1] = replace(step, notes=tuple(notes))
            except (InputError, RuntimeUnavailable) as fault:  # the next look tries again
                steps[-1] = replace(step, action="wait", sentence=f"would be promoted, but {fault.message}")
                continue
            break
        if step.action == "roll back":
            register.retire(challenger.name, step.sentence)
            steps[-1] = replace(step, notes=tuple(leftovers.clear(settings, register, twin)))
        elif step.share != challenger.share:
            register.traffic(twin, {challenger.name: step.share}, step.sentence)
    return steps


def make_room(register: Versions, twin: str) -> str | None:
    """Retire the challenger that has waited longest where there are as many as can be; its name.

    Called before a new one begins: what so many judgements could not tell from the champion is no great loss.
    """
    waiting = sorted(_challengers(register, twin), key=lambda one: (one.state_since, one.name))
    if len(waiting) < MOST:
        return None
    register.retire(waiting[0].name, "no difference from the champion was found, and a newer version takes its place")
    return waiting[0].name


def below_floor(report: Path, champion: Path) -> list[str]:
    """Why the version with this evaluation may not serve beside the champion with the other; nothing: it may.

    Raises InputError for what is no report.
    """
    return [f"{check.name}: {check.told}" for check in checks(report, champion) if check.passed is False]


def checks(report: Path, champion: Path) -> tuple[Check, ...]:
    """Everything that the floor looks at. Raises InputError for what is no report."""
    return floor(measured(read_report(report)), measured(read_report(champion)))


def measured(report: Report) -> Measured:
    """What the floor looks at, of a report."""
    copying = report.twin.copying
    return Measured(
        voice=report.voice.score,
        voice_low=report.voice.low,
        voice_high=report.voice.high,
        answers=report.twin.answers,
        copied=len(copying.copied),
        flagged=copying.flagged,
        losses={one.post_id: Loss(one.twin, one.tokens) for one in report.losses},
        base={one.post_id: Loss(one.base, one.tokens) for one in report.losses},
    )


def said(rows: Iterable[Feedback], challenger: str, champion: str) -> Iterator[Rating | Block]:
    """What the rows say of these two versions: a choice among drafts of both, else the like or dislike of a draft of one."""
    for row in rows:
        drafts = [draft.version for draft in row.drafts]
        theirs, others = drafts.count(challenger), drafts.count(champion)
        if theirs and others:
            if row.chosen is not None and drafts[row.chosen] in (challenger, champion):
                yield Block(theirs, others, 1, int(drafts[row.chosen] == challenger))
        elif row.liked is not None and row.version in (challenger, champion):
            yield Rating(row.version == challenger, row.liked)


def _step(settings: Settings, store: Store, challenger: Version, champion: Version, room: int) -> Step:
    learning = settings.learning
    since = max(challenger.state_since, champion.state_since)
    rows = [row for row in store.rows(twin=champion.twin, since=since) if row.created_at >= since]
    told = list(said(rows, challenger.name, champion.name))
    found = decide(blocks(told), challenger.share, learning.shares, learning.error_rate)
    share = found.share if found.action in ("promote", "roll back") else max(challenger.share, min(found.share, room))
    action: Action = "wait" if found.action == "share" and share == challenger.share else found.action
    sentence = _sentence(action, share, champion, told, found)
    return Step(challenger.name, action, sentence, share, found)


def _room(serving: Sequence[Version], challenger: Version) -> int:
    """The largest share that leaves the champion as much: with less, the comparison would take longer again."""
    others = sum(one.share for one in serving if one.state == "challenger" and one.name != challenger.name)
    return (100 - others) // 2


def _challengers(register: Versions, twin: str) -> list[Version]:
    return [one for one in register.serving(twin) if one.state == "challenger"]


def _sentence(action: Action, share: int, champion: Version, told: Sequence[Rating | Block], found: Decision) -> str:
    does = {
        "wait": "waits for more judgements",
        "share": f"gets {share}% of the requests: it is not much worse",
        "promote": "is promoted: readers prefer it",
        "roll back": "is rolled back: readers like it less",
    }
    strength = {"wait": found.better, "share": found.worth, "promote": found.better, "roll back": found.worse}
    weighed = f"evidence {strength[action]:.3g}, {found.needed:.3g} is enough"
    return f"{does[action]} beside {champion.name}; {_counts(told)}; {weighed}"


def _counts(told: Sequence[Rating | Block]) -> str:
    """`17 of 20 liked, of the champion's 90 of 180; chosen 5 of 8 times`."""
    ratings = [one for one in told if isinstance(one, Rating)]
    choices = [one for one in told if isinstance(one, Block)]
    sides = [[one.liked for one in ratings if one.challenger is side] for side in (True, False)]
    words = f"{sum(sides[0])} of {len(sides[0])} liked, of the champion's {sum(sides[1])} of {len(sides[1])}"
    chosen = sum(one.theirs for one in choices)
    return f"{words}; chosen {chosen} of {len(choices)} times" if choices else words
