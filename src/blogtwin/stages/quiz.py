"""quiz: held-out posts, the twin's and the base's answers → rounds to read; choices → results/quiz.jsonl.

The answers are those of the last evaluation where it kept them, and are asked for where it did not. The file of choices only
grows: each is a line of its own, written at once. A line that a kill cut off does no harm.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from blogtwin import atomic, jsonl
from blogtwin.config import Settings
from blogtwin.errors import BrokenRecord, NothingUsable
from blogtwin.evaluation.quiz import Choice, QuizSummary, Shape, Writer, summed
from blogtwin.evaluation.rounds import Round, Source, rounds
from blogtwin.progress import Progress
from blogtwin.records import Deployment
from blogtwin.stages import held_out, served_twin, versions
from blogtwin.stages.side_by_side import side_by_side
from blogtwin.training import examples as training_examples
from blogtwin.workspace import Workspace, deployment


@dataclass(frozen=True)
class Sitting:
    """What one reader is asked now. left: rounds, in their order. answered: earlier, of the `wanted` ones.

    posts: held-out titles with passages long enough, of `titles` that were answered. seed: of the order on the screen.
    """

    path: Path
    reader: str
    twin: Deployment
    base: str
    left: list[Round]
    answered: int
    wanted: int
    posts: int
    titles: int
    seed: int

    def keep(
        self, one: Round, shown: tuple[Writer, ...], chosen: Writer | None, seconds: float, revealed: bool
    ) -> None:
        """Write a choice down, at once. Raises OutputError."""
        choice = Choice(
            round=one.id,
            prompt=one.prompt,
            post_id=one.post_id,
            passage=one.passage,
            shown=shown,
            texts=one.texts,
            whole=one.whole,
            chosen=chosen,
            reader=self.reader,
            model=self.twin.name,
            version=version_of(self.twin),
            version_name=self.twin.version,
            base=self.base,
            seed=self.seed,
            seconds=round(seconds, 1),
            revealed=revealed,
            at=datetime.now(UTC),
        )
        with atomic.writing_to(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(choice.model_dump_json() + "\n")


def prepare(
    settings: Settings,
    workspace: Workspace,
    shape: Shape,
    wanted: int,
    reader: str,
    again: bool,
    progress: Progress,
) -> Sitting:
    """The rounds for `reader`: up to `wanted` of this shape for this version of the twin, those answered earlier counted in.

    A passage is read once, in whatever shape, unless `again` is given: then `wanted` more are asked, those least often read
    first, but none whose writers the reader was told. Raises InputError, NothingUsable, BrokenRecord, ModelError,
    RuntimeUnavailable and OutputError.
    """
    twin = deployment(settings.deployment.model_name)
    path = choices_file(workspace)
    mine = [choice for choice in choices(path) if choice.reader == reader]
    asked = _titles(settings, workspace)
    served = served_twin.find(settings)
    said = side_by_side(settings, served, asked, (), progress)
    sources = [
        Source(
            question.prompt, question.post_id or "", {"author": question.post or "", "twin": by_twin, "base": by_base}
        )
        for question, by_twin, by_base in zip(asked, said.twin, said.base, strict=True)
    ]
    found = rounds(sources, shape)
    if not found:
        raise NothingUsable(
            f"none of the {len(asked)} held-out titles has a post and answers that are long enough to be compared",
            "let the twin write longer: evaluation.max_tokens, or hold out more posts: blogtwin prepare-dataset --split 0.8",
        )
    of_this = [choice for choice in mine if choice.version == version_of(twin)]
    answered = 0 if again else len({choice.round for choice in of_this if choice.shape == shape})
    _mend(path)
    return Sitting(
        path=path,
        reader=reader,
        twin=twin,
        base=served.card.base_hash,
        left=_left(found, mine, of_this, again)[: max(0, wanted - answered)],
        answered=answered,
        wanted=wanted,
        posts=len({one.post_id for one in found}),
        titles=len(asked),
        seed=settings.evaluation.seed
        + (max(Counter(choice.round for choice in of_this).values(), default=0) if again else 0),
    )


def _titles(settings: Settings, workspace: Workspace) -> list[held_out.Question]:
    """The held-out titles that an evaluation asks. Raises NothingUsable when there is none."""
    questions = held_out.questions(training_examples.read(workspace.validation), settings.evaluation)
    titles = held_out.titles(questions)
    if not titles:
        raise NothingUsable(
            f"{workspace.validation} holds no post with its title: there is nothing of the author's to lay beside answers",
            "hold out more posts: blogtwin prepare-dataset --split 0.8, or name another file with --test-set",
        )
    return titles


def _left(found: list[Round], mine: list[Choice], of_this: list[Choice], again: bool) -> list[Round]:
    """What is still to be asked; passages that the reader has not met beside another version come first."""
    told = {(choice.post_id, choice.passage) for choice in of_this if choice.revealed or not again}
    met = Counter((choice.post_id, choice.passage) for choice in mine)
    left = [one for one in found if (one.post_id, one.passage) not in told]
    return sorted(left, key=lambda one: met[one.post_id, one.passage])


def version_of(twin: Deployment) -> str:
    """What choices are kept under: a hash of everything that changes what the twin says."""
    return versions.content(twin.artifact)


def choices_file(workspace: Workspace) -> Path:
    """Where the choices are kept: beside the report."""
    return workspace.report.with_name("quiz.jsonl")


def choices(path: Path) -> list[Choice]:
    """What has been chosen so far, by all readers, for all versions; a last line that was cut off is passed over.

    Raises BrokenRecord for any other line that is no Choice.
    """
    if not path.is_file():
        return []
    *ended, rest = path.read_bytes().split(b"\n")
    found = [jsonl.parse(path, number, raw, Choice) for number, raw in enumerate(ended, start=1) if raw.strip()]
    with contextlib.suppress(BrokenRecord):
        found.append(jsonl.parse(path, len(ended) + 1, rest, Choice))
    return found


def summary(path: Path, version: str | None = None) -> QuizSummary | None:
    """What readers said of one version of a twin (see `version_of`); without one, of the version asked about last.

    None where nobody was asked. Raises BrokenRecord.
    """
    found = choices(path)
    if version is None and found:
        version = found[-1].version
    return summed([choice for choice in found if choice.version == version])


def others(path: Path, version: str) -> list[QuizSummary]:
    """What readers said of every other version, and of other twins, the latest first."""
    found = {choice.version for choice in choices(path)} - {version}
    told = [one for one in (summary(path, other) for other in found) if one is not None]
    return sorted(told, key=lambda one: one.last, reverse=True)


def _mend(path: Path) -> None:
    """What is appended must begin on a line of its own: a last line without its end gets it, or goes when it is half."""
    if not path.is_file():
        return
    content = path.read_bytes()
    before, end, rest = content.rpartition(b"\n")
    if not rest:
        return
    try:
        jsonl.parse(path, 0, rest, Choice)
        atomic.write_bytes(path, content + b"\n")
    except BrokenRecord:
        atomic.write_bytes(path, before + end)
