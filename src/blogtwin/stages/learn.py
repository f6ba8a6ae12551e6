"""One turn of the loop: what readers said since the last turn, and new posts, become a version that challenges the champion.

In: the feedback in the database, the blog folder, the champion. Out: a challenger with its first share of the requests, and the
feedback marked as learned by it, in one transaction. Every step is kept in a file as it ends (turn.py): a run that was killed
goes on with what it had taken, and what a step made is found or made again, never doubled. What falls below the floor serves
nobody: the same is trained for half as long, and for a quarter; then its feedback waits for more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from heapq import nsmallest
from pathlib import Path
from typing import Literal

from blogtwin.adapter_folder import read_card
from blogtwin.config import Method, Settings, model_name
from blogtwin.errors import InputError, NothingUsable, ProofFailed
from blogtwin.feedback.store import Store
from blogtwin.feedback.versions import Versions
from blogtwin.progress import Progress, Silent
from blogtwin.records import content_id
from blogtwin.service_records import Feedback, Version
from blogtwin.stages import deploy, evaluate, finetune, leftovers, lineage, preferences, promotion, rollout
from blogtwin.stages.news import News, champion_of, counted, news, posts_changed, read_posts
from blogtwin.stages.turn import Lesson, Place, Refusal, Turn, alone
from blogtwin.stages.versions import family
from blogtwin.training import parent
from blogtwin.workspace import Workspace

_HALVINGS = 2
_PARTS = {1: "half", 2: "a quarter"}
Outcome = Literal["not enough", "challenger", "refused"]
_WANTED: dict[str, tuple[Lesson, ...]] = {
    "auto": ("dpo", "kto", "approved"),
    "sft": ("approved",),
    "dpo": ("dpo",),
    "kto": ("kto",),
}


@dataclass(frozen=True)
class Learned:
    """How a turn ended, in a word and in a sentence. version: what came of it. figures: of its evaluation.

    below: versions that the floor refused before.
    """

    outcome: Outcome
    sentence: str
    version: str | None = None
    figures: dict[str, float] | None = None
    notes: tuple[str, ...] = ()
    below: tuple[str, ...] = ()


def run(
    settings: Settings, workspace: Workspace, progress: Progress, wait: bool = False, anew: bool = False
) -> Learned:
    """Do one turn for the twin of the settings, or finish the one that was cut off.

    wait: for another `learn` of this twin, instead of raising Busy. anew: give up a turn that was cut off.
    Raises InputError for a twin that was never deployed, and what the stages raise; the next run goes on there.
    """
    twin = family(settings.deployment.model_name)
    with alone(twin, wait), lineage.register(settings) as register:
        notes = [*promotion.mend(settings, register, twin), *_looked(settings, register, twin)]
        for told in notes:
            progress.note(told)
        at_work = _AtWork(settings, workspace, progress, register, twin)
        if anew:
            at_work.give_up()
        turn = at_work.place.open_turn()
        if turn is None:
            champion_of(register, twin)
            read_posts(settings, workspace, progress)
            found = at_work.news()
            if found.count < settings.learning.minimum:
                return Learned("not enough", found.too_few(settings.learning.minimum), notes=tuple(notes))
            turn = at_work.begin(found)
        else:
            progress.note(f"going on with a turn that was cut off; it was {turn.done}")
        learned = at_work.finish(turn)
        for told in at_work.cleared(learned.below):
            progress.note(told)
            notes.append(told)
        return replace(learned, notes=tuple(notes))


def _looked(settings: Settings, register: Versions, twin: str) -> Iterator[str]:
    """What readers have decided of the challengers since the last look, and what was done about it."""
    for step in rollout.run(settings, register, twin):
        yield f"{step.version} {step.sentence}"
        yield from step.notes


def dry_run(settings: Settings, workspace: Workspace) -> list[str]:
    """What a turn would do now, without doing it; posts that have changed count once they are read."""
    twin = family(settings.deployment.model_name)
    with lineage.register(settings) as register:
        at_work = _AtWork(settings, workspace, Silent(), register, twin)
        if turn := at_work.place.open_turn():
            return [f"would go on with a turn that was cut off; it was {turn.done}", _taken(turn)]
        found = at_work.news()
    changed = posts_changed(settings, workspace)
    lines = [f"would read the blog folder again first: {changed}"] if changed else []
    if found.count < settings.learning.minimum:
        return [*lines, found.too_few(settings.learning.minimum)]
    there = counted(len(found.rows), found.posts)
    return [*lines, f"would learn from {there}, and deploy what comes of it as a challenger"]


def _taken(turn: Turn) -> str:
    return f"it learns from {counted(len(turn.new), turn.posts)}, from {turn.parent} on"


class _AtWork:
    """The steps of a turn, each of which may be done again."""

    def __init__(
        self, settings: Settings, workspace: Workspace, progress: Progress, register: Versions, twin: str
    ) -> None:
        self.settings = settings
        self.workspace = workspace
        self.register = register
        self.twin = twin
        self.place = Place(twin, workspace.model.parent)
        self.store = Store(register.database, timedelta(minutes=settings.feedback.context_minutes))
        self.progress = progress

    def news(self) -> News:
        """What is new to learn from."""
        return news(self.workspace, self.register, self.store, self.twin, self.place.refused())

    def give_up(self) -> None:
        """End a turn that was cut off; what it made goes."""
        try:
            turn = self.place.open_turn()
        except InputError:  # somebody has spoiled it
            turn = None
        version = self.register.find(turn.version) if turn and turn.version else None
        if version and version.state == "candidate":
            self.register.retire(version.name, "its turn was given up before it served")
        self.place.give_up()
        for told in self.cleared([version.name] if version else ()):
            self.progress.note(told)

    def cleared(self, given_up: Collection[str] = ()) -> list[str]:
        """Remove what no version needs any more; tells what that was."""
        return list(leftovers.clear(self.settings, self.register, self.twin, self.place, given_up))

    def begin(self, found: News) -> Turn:
        """Take what is new, for good, with some of what was said before."""
        champion = champion_of(self.register, self.twin)
        told = [champion.name, *(f"{row.id} {row.judged_at.isoformat()}" for row in found.rows)]
        if found.behind:
            told.append(self.workspace.training_data.read_text("utf-8"))
        turn = Turn(
            id=content_id(*told)[:12],
            twin=self.twin,
            parent=champion.name,
            from_adapter=champion.adapter,
            new=tuple(row.id for row in found.rows),
            read_at=found.read_at,
            posts=found.behind,
        )
        self.place.begin(turn, [*found.rows, *self._said_before(turn, {row.prompt for row in found.rows})])
        self.progress.note(_taken(turn))
        return turn

    def _said_before(self, turn: Turn, asked: set[str]) -> list[Feedback]:
        """Feedback that was learned once already, at most as much as is new: all of it again each night would wear out the voice.

        Of the same questions first, because two ratings of one question may make a pair; else whichever the turn's id draws.
        """
        new = set(turn.new)
        before = (row for row in self.store.rows(twin=self.twin) if row.judged_at <= turn.read_at and row.id not in new)
        return nsmallest(len(turn.new), before, lambda row: (row.prompt not in asked, content_id(turn.id, row.id)))

    def finish(self, turn: Turn) -> Learned:
        """Go through the steps that are not behind it yet."""
        try:
            if not turn.has("trained"):
                turn = self._gathered(turn)
                if not turn.lessons:
                    raise NothingUsable(f"of {counted(len(turn.new), 0)} too little can be learned from")
                turn = self._trained(turn)
            if not turn.has("deployed"):
                turn = self._deployed(turn)
        except (NothingUsable, ProofFailed) as fault:  # the same again would come to the same
            self.place.end(Refusal.of(turn, "", fault.message))
            outcome: Outcome = "refused" if isinstance(fault, ProofFailed) else "not enough"
            return Learned(outcome, f"{fault.message}; it is tried again when more was said")
        return self._judged(turn)

    def _gathered(self, turn: Turn) -> Turn:
        """Pairs, ratings and examples of the feedback, and what to do with them. Done again, it gives the same bytes."""
        self.progress.note("learning 1/4: gather what readers preferred")
        counts: dict[str, float] = {}
        if turn.new:
            try:
                counts = preferences.run(self.settings, self.workspace, self.progress, self.place.rows()).counts
            except NothingUsable as none:
                self.progress.note(none.message)
        return self._kept(turn.model_copy(update={"lessons": self._lessons(turn, counts), "done": "gathered"}))

    def _lessons(self, turn: Turn, counts: dict[str, float]) -> tuple[Lesson, ...]:
        """New posts first; then what readers said: pairs where there are enough, else ratings, else what they approved."""
        least = self.settings.learning.least
        pairs, ratings, approved = (counts.get(kind, 0) for kind in ("pairs", "ratings", "approved"))
        enough: dict[Lesson, bool] = {
            "dpo": pairs >= least,
            "kto": ratings + (pairs if self.settings.learning.method == "kto" else 0) >= least,
            "approved": approved >= least,
        }
        wanted = _WANTED[self.settings.learning.method]
        said = next((lesson for lesson in wanted if enough[lesson] and turn.new), None)
        return (*(("posts",) if turn.posts else ()), *((said,) if said else ()))

    def _trained(self, turn: Turn) -> Turn:
        """An adapter for each lesson, the next one going on from it; a training that was cut off goes on from its checkpoint."""
        self._set_aside(turn)
        before = Path(turn.from_adapter)
        data = self.workspace.training_data
        said = preferences.file_beside(data)
        files = {"posts": data, "approved": preferences.approved_beside(said), "dpo": said, "kto": said}
        for number, lesson in enumerate(turn.lessons):
            method: Method = "sft" if lesson == "posts" or lesson == "approved" else lesson
            self.progress.note(f"learning 2/4: train with {method}, from {files[lesson].name}")
            reference = self._reference(turn) if method != "sft" else None
            training = replace(self.settings.training, method=method, from_adapter=before, reference=reference)
            if turn.epochs and number == len(turn.lessons) - 1:
                training = replace(training, epochs=turn.epochs)
            if self.settings.learning.replay and (training.sft_weight or method != "dpo"):
                again = tuple(path for path in _replayed(lesson, data, said) if path.is_file())
                training = replace(training, replay=again)
            settings = replace(self.settings, training=training)
            workspace = replace(self.workspace, model=self.place.make(turn, number), training_data=files[lesson])
            if finetune.plan(settings, workspace).stale() is not None:
                finetune.run(settings, workspace, self.progress)
            before = workspace.model
        return self._kept(turn.model_copy(update={"done": "trained"}))

    def _reference(self, turn: Turn) -> Path | None:
        """The adapter of the last version that learned from texts alone: what preferences may add to it is bounded once for all.

        Measured against the champion, each turn could move as far again, and a wish that is long fulfilled would be learned on
        and on (docs/experiments.md). None: it is here no more, or of another shape.
        """
        first = self._first(turn)
        found = Path(first.adapter) if first else None
        return found if found and parent.stands_beside(found, Path(turn.from_adapter)) else None

    def _first(self, turn: Turn) -> Version | None:
        """The last version that learned from texts alone: the one that the turn goes on from, or one before it."""
        version = self.register.find(turn.parent)
        while version and version.method != "sft":
            version = self.register.find(version.parent) if version.parent else None
        return version

    def _deployed(self, turn: Turn) -> Turn:
        """Proved and kept under its dated name; the twin's own name does not move."""
        self.progress.note("learning 3/4: deploy as a challenger, and prove it")
        adapter = self.place.adapter(turn, len(turn.lessons) - 1)
        named = replace(self.settings.deployment, model_name=model_name(self.twin))
        settings = replace(self.settings, deployment=named)
        deploy.run(settings, replace(self.workspace, model=adapter), self.progress, challenger=True)
        version = lineage.deployed_from(adapter, self.twin)
        assert version is not None  # the deploy has ended well
        return self._kept(turn.model_copy(update={"done": "deployed", "version": version.name}))

    def _judged(self, turn: Turn) -> Learned:
        """Measured beside the champion; above the floor it gets its first share."""
        assert turn.version is not None
        version = self.register.find(turn.version)
        if version is None or version.state == "retired":
            return self._refused(turn, "it was retired before it was measured")
        if version.name == turn.parent:
            return self._refused(turn, "training made nothing better, and it is the champion as it was")
        if version.state != "candidate":  # the run was killed after its last transaction
            self.place.end()
            return _challenges(version, {}, turn)
        self.progress.note("learning 4/4: evaluate it beside the champion")
        champion = champion_of(self.register, self.twin)
        figures, beside = self._measured(turn.version), self._measured(champion.name)
        self.register.measured(turn.version, figures)
        self.register.measured(champion.name, beside)
        if reasons := self._below_floor(turn, turn.version, champion.name):
            why = "; ".join(reasons)
            if gentler := self._gentler(turn, turn.version, why):
                self.progress.note(f"{turn.version} is not let serve: {why}; once more, trained for half as long")
                return self.finish(self._kept(gentler))
            self.register.retire(turn.version, f"below the floor: {why}")
            return self._refused(turn, why, figures)
        rollout.make_room(self.register, self.twin)
        return self._let_serve(turn, turn.version, figures)

    def _below_floor(self, turn: Turn, version: str, champion: str) -> list[str]:
        """Why it may not serve: what it is worse in than the champion; else than the first, or small losses would add up."""
        if reasons := rollout.below_floor(self.place.report(version), self.place.report(champion)):
            return reasons
        first = self._first(turn)
        if first is None or first.name == champion or not self.place.report(first.name).is_file():
            return []
        reasons = rollout.below_floor(self.place.report(version), self.place.report(first.name))
        return [f"{reason}, beside {first.name}, before readers were asked" for reason in reasons]

    def _gentler(self, turn: Turn, version: str, why: str) -> Turn | None:
        """The turn, back before its training, to train half as much of what readers said; None: that was tried, or there is none.

        Of a training that went too far a shorter one on the same way may not have: what readers prefer is learned before
        what it costs shows (docs/experiments.md).
        """
        if turn.lessons[-1] not in ("dpo", "kto") or len(turn.below) == _HALVINGS:
            return None
        trained_for = read_card(self.place.adapter(turn, len(turn.lessons) - 1)).settings["epochs"]
        below = {**turn.below, version: why}
        return turn.model_copy(update={"done": "gathered", "version": None, "below": below, "epochs": trained_for / 2})

    def _set_aside(self, turn: Turn) -> None:
        """What the floor refused in this turn; here and not when it did, so that a turn that is killed between has the reason."""
        for name, why in turn.below.items():
            found = self.register.find(name)
            if found and found.state == "candidate":
                self.register.retire(name, f"below the floor: {why}")

    def _let_serve(self, turn: Turn, version: str, figures: dict[str, float]) -> Learned:
        """Its first share; with it, in one transaction, the feedback counts as learned, but what was judged again meanwhile."""
        learned = turn.new if turn.lessons[-1] != "posts" else ()
        self.register.traffic(
            self.twin,
            {version: self.settings.learning.shares[0]},
            f"learned from {counted(len(learned), turn.posts)}",
            also=lambda connection: self.store.learned(connection, learned, version, turn.read_at),
        )
        self.place.end()
        found = self.register.find(version)
        assert found is not None
        return _challenges(found, figures, turn)

    def _refused(self, turn: Turn, why: str, figures: dict[str, float] | None = None) -> Learned:
        """It serves nobody; its feedback stays unlearned, and is tried again together with more."""
        self.place.end(Refusal.of(turn, turn.version or "", why))
        gentler = f", and half as much training, {len(turn.below)} times, was no help" if turn.below else ""
        sentence = f"{turn.version} is not let serve: {why}{gentler}"
        return Learned("refused", sentence, turn.version, figures, below=tuple(turn.below))

    def _measured(self, version: str) -> dict[str, float]:
        """The figures of an evaluation, which is not done again while nothing of it has changed."""
        settings = replace(self.settings, deployment=replace(self.settings.deployment, model_name=version))
        workspace = replace(self.workspace, report=self.place.report(version))
        plan = evaluate.plan(settings, workspace)
        last = plan.read() if plan.stale() is None else None
        return dict(last.counts) if last else dict(evaluate.run(settings, workspace, self.progress).counts)

    def _kept(self, turn: Turn) -> Turn:
        self.place.keep(turn)
        return turn


def _replayed(lesson: Lesson, posts: Path, said: Path) -> tuple[Path, ...]:
    """The examples that a lesson is mixed with."""
    if lesson == "posts":
        return ()
    return (posts,) if lesson == "approved" else (posts, preferences.approved_beside(said))


def _challenges(version: Version, figures: dict[str, float], turn: Turn) -> Learned:
    sentence = f"{version.name} serves as a {version.state}, with {version.share}% of the requests"
    if turn.below:
        sentence += (
            f"; it was trained for {_PARTS[len(turn.below)]} as long as the first of this turn, which was refused"
        )
    return Learned("challenger", sentence, version.name, figures, below=tuple(turn.below))
