"""What there is to learn from that no version of a twin has learned from yet.

In: the feedback in the database, the blog folder, the register of versions. Out: News. The blog folder is read again where it has
changed; nothing else is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from blogtwin import jsonl
from blogtwin.config import Settings
from blogtwin.errors import InputError
from blogtwin.feedback.store import Store
from blogtwin.feedback.versions import Versions
from blogtwin.manifest import Plan
from blogtwin.progress import Progress
from blogtwin.service_records import Feedback, Version
from blogtwin.stages import ingest, prepare
from blogtwin.stages.turn import Refusal
from blogtwin.workspace import Workspace


@dataclass(frozen=True)
class News:
    """What no version has learned from: judgements, read at a time, and posts. tried: those of a version that was refused.

    behind: posts that the champion has not seen, whoever else has.
    """

    twin: str
    rows: Sequence[Feedback]
    read_at: datetime
    posts: int
    behind: int
    tried: frozenset[str]

    @property
    def count(self) -> int:
        """Judgements and posts, without those that were tried before."""
        return sum(row.id not in self.tried for row in self.rows) + self.posts

    def too_few(self, minimum: int) -> str:
        """The sentence for fewer than are wanted."""
        tried = len(self.rows) + self.posts - self.count
        before = f" ({tried} more were tried, and the version was refused)" if tried else ""
        there = counted(len(self.rows) - tried, self.posts, "new ")
        return f"{self.twin} has {there} to learn from{before}; {minimum} are wanted (learning.minimum)"


def counted(judgements: int, posts: int, kind: str = "") -> str:
    """`3 judgements and 1 post`; kind: what kind of, before each."""
    both = ((judgements, "judgement"), (posts, "post"))
    words = [f"{many} {kind}{what}{'s' * (many != 1)}" for many, what in both if many]
    return " and ".join(words) or f"nothing {kind}".strip()


def champion_of(register: Versions, twin: str) -> Version:
    """The version to go on from. Raises InputError where there is none."""
    champion = register.champion(twin)
    if champion is None:
        raise InputError(
            f"no twin named {twin} has been deployed",
            f"make one first: blogtwin pipeline --blog-dir ./blogs --model-name {twin}",
        )
    return champion


def news(workspace: Workspace, register: Versions, store: Store, twin: str, refused: Refusal | None) -> News:
    """What is new, with the examples as they are now. Raises InputError for a twin that was never deployed."""
    seen = _seen(register, champion_of(register, twin))
    behind = (
        _examples(workspace.training_data) - seen if seen else set[str]()
    )  # where it is not known what it saw, none
    new = behind.difference(*(_seen(register, version) for version in register.list(twin)))
    read_at = datetime.now(UTC)
    rows = [row for row in store.rows(twin=twin, unlearned=True) if row.judged_at <= read_at]
    return News(twin, rows, read_at, len(new), len(behind), frozenset(refused.new if refused else ()))


def read_posts(settings: Settings, workspace: Workspace, progress: Progress) -> None:
    """Read the blog folder again, and make the examples again, where `posts_changed` says why."""
    settings = _as_read(settings, workspace)
    if changed := posts_changed(settings, workspace):
        progress.note(f"reading the blog folder again: {changed}")
        ingest.run(settings, workspace, progress)
        prepare.run(settings, workspace, progress)
    elif any(plan.read() and not _same_way(plan) for plan in _plans(settings, workspace)):
        progress.note(
            "new posts are not looked for: posts and examples were made with settings that are not those of "
            "pipeline_config.yaml; write them there"
        )


def posts_changed(settings: Settings, workspace: Workspace) -> str | None:
    """Why posts and examples have to be made again; None: they are as they were, or were made with other settings.

    With other settings they are not to be touched: the twin would be trained on what nobody chose.
    """
    settings = _as_read(settings, workspace)
    plans = _plans(settings, workspace)
    if not all(map(_same_way, plans)) or not settings.data.input_dir.exists():
        return None
    return next(filter(None, (plan.stale() for plan in plans)), None)


def _as_read(settings: Settings, workspace: Workspace) -> Settings:
    """With the folder that the posts are from, which `pipeline --blog-dir` told, where the settings name no other."""
    last = ingest.plan(settings, workspace).read()
    if ("data", "input_dir") in settings.given or last is None or len(last.inputs) != 1:
        return settings
    return replace(settings, data=replace(settings.data, input_dir=Path(next(iter(last.inputs)))))


def _plans(settings: Settings, workspace: Workspace) -> tuple[Plan, Plan]:
    return ingest.plan(settings, workspace), prepare.plan(settings, workspace)


def _same_way(plan: Plan) -> bool:
    """Whether the last run of a stage had these settings and read from the same place."""
    last = plan.read()
    return last is not None and last.settings == plan.settings_hash and set(plan.listings) <= set(last.inputs)


def _seen(register: Versions, version: Version) -> set[str]:
    return {post.post_id for post in register.saw(version.name)}


def _examples(training_data: Path) -> set[str]:
    """The posts that there are to train on."""
    return {str(line["post_id"]) for _, line in jsonl.lines(training_data)} if training_data.is_file() else set()
