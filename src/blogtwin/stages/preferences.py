"""Preferences: what readers said → what the next version learns from.

In: rows of feedback, from the store or from a file. Out: preferences.jsonl (pairs and ratings: dpo and kto take from it what
they can use) and approved.jsonl (examples for sft, and for replay), each with a file of what is held out beside it, then their
manifest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from blogtwin import jsonl
from blogtwin.config import Settings
from blogtwin.dataset import prompts
from blogtwin.dataset.judgements import Row
from blogtwin.dataset.preference_lines import SHAPES, Unusable, rows_of
from blogtwin.dataset.preferences import Learned, Side, learned
from blogtwin.dataset.privacy import Privacy
from blogtwin.errors import BrokenRecord, InputError, NothingUsable
from blogtwin.manifest import FileStamp, Plan
from blogtwin.progress import Progress
from blogtwin.records import Record
from blogtwin.service_records import Feedback
from blogtwin.stages.result import Problem, StageResult
from blogtwin.workspace import Workspace, manifest_beside

Placed = Iterable[tuple[str, Row | BrokenRecord]]


def file_beside(training_data: Path) -> Path:
    """Where the pairs and ratings go."""
    return training_data.with_name("preferences.jsonl")


def approved_beside(preferences: Path) -> Path:
    """Where the approved texts go."""
    return preferences.with_name("approved.jsonl")


def held_out_beside(path: Path) -> Path:
    """Where what is held out of such a file goes."""
    return path.with_name(f"{path.stem}_validation.jsonl")


def run(
    settings: Settings, workspace: Workspace, progress: Progress, rows: Iterable[Feedback], output: Path | None = None
) -> StageResult:
    """Make preferences of feedback on the twin that `deployment.model_name` names, below its folder's data.

    output: where the pairs and ratings go, else preferences.jsonl beside the training data. Counts: `pairs`, `ratings` and
    `approved` are what dpo, kto (beside the pairs) and sft can learn from, both sides together.
    Raises NothingUsable when nothing can be learned, or all is about one question; OutputError.
    """
    twin = settings.deployment.model_name.partition(":")[0]
    placed = ((f"feedback {row.id}", row) for row in rows)
    return _run(settings, output or file_beside(workspace.training_data), progress, placed, twin)


def run_file(
    settings: Settings,
    workspace: Workspace,
    progress: Progress,
    path: Path,
    output: Path | None = None,
    instruction: str | None = None,
) -> StageResult:
    """As `run`, of a file. instruction: above each {"source"}; None: as prompts/instructions.yaml has it.

    Raises InputError when there is no such file, and with data.strict for the first line that says nothing.
    """
    told = instruction or prompts.load(prompts.file(settings.data)).by_task["rewrite"][0]
    twin = settings.deployment.model_name.partition(":")[0]
    placed = _lines(path, told, twin)
    return _run(settings, output or file_beside(workspace.training_data), progress, placed, twin, path)


def _lines(path: Path, instruction: str, twin: str) -> Iterator[tuple[str, Row | BrokenRecord]]:
    for number, value in jsonl.each(path):
        place = f"{path}, line {number}"
        if isinstance(value, BrokenRecord):
            yield place, value
            continue
        try:
            rows = rows_of(value, instruction)
            if (named := value.get("twin") or twin) != twin and not any(isinstance(row, Feedback) for row in rows):
                raise Unusable(f"is of another twin, {named}; this is {twin} (--model-name chooses)")
            for row in rows:
                yield place, row
        except Unusable as fault:
            yield place, BrokenRecord(path, number, str(fault), SHAPES)


def _run(
    settings: Settings, output: Path, progress: Progress, placed: Placed, twin: str, path: Path | None = None
) -> StageResult:
    """path: the file that the rows are from; None: from the store, which is never strict."""
    strict = path is not None and settings.data.strict
    privacy = Privacy(settings.privacy.replace, settings.privacy.names)
    broken: list[Problem] = []
    digest = hashlib.sha256()
    with progress.task("Reading what readers said", None, "judgements") as task:

        def usable() -> Iterator[tuple[str, Row]]:
            for place, row in placed:
                task.advance()
                if isinstance(row, BrokenRecord):
                    if strict:
                        raise row
                    broken.append(Problem(place, row.message.removeprefix(f"{place}: ")))
                else:
                    digest.update(row.model_dump_json(exclude={"exported_at", "learned_by"}).encode())
                    yield place, row

        found = learned(usable(), twin, lambda text: privacy.replaced(text, None)[0], settings.data.seed)
    if strict and found.problems:
        place, reason = found.problems[0]
        raise InputError(f"{place}: {reason}", "mend or remove it, or leave --strict out")
    problems = (*broken, *(Problem(place, reason) for place, reason in found.problems))
    _require_some(found, problems, twin, path)
    plan = _plan(settings, output, FileStamp(sha256=digest.hexdigest(), size=found.rows, mtime_ns=0))
    _write(output, found)
    counts = _counts(found, len(problems))
    plan.finish(counts)
    written = tuple(path for path in plan.outputs if path.is_file())
    return StageResult("preferences", counts, written, tuple(_notes(found)), problems)


def _plan(settings: Settings, output: Path, rows: FileStamp) -> Plan:
    return Plan(
        stage="preferences",
        settings={
            "seed": settings.data.seed,
            "replace": sorted(settings.privacy.replace),
            "names": sorted(settings.privacy.names),
            "twin": settings.deployment.model_name.partition(":")[0],
        },
        inputs=(),
        outputs=tuple(path for base in (output, approved_beside(output)) for path in (base, held_out_beside(base))),
        manifest=manifest_beside(output),
        listings={"feedback": rows},
    )


def _require_some(found: Learned, problems: Sequence[Problem], twin: str, path: Path | None) -> None:
    """path: as of `_run`; of a file, the first reason is told, because nobody else does."""
    sides = (found.train, found.validation)
    some = any((*side.preferences, *side.ratings, *side.approved) for side in sides)
    said = f"{path}: " if path else ""
    first = f"; {problems[0].path}: {problems[0].reason}" if path and problems else ""
    hint = SHAPES if path else "judge more: blogtwin serve"
    if not some and not found.rows:
        nobody = "nothing can be read of it" if path else f"nobody has judged a text of {twin} yet"
        raise NothingUsable(f"{said}{nobody}{first}", hint)
    if not some:
        why = f"{len(problems)} are left out, {found.trivial} are edits of a typo or of white space"
        raise NothingUsable(f"{said}none of {found.rows} judgements says what is better ({why}){first}", hint)
    if found.asked < 2 and (found.train.preferences or found.train.ratings):
        raise NothingUsable(
            f"{said}all {found.rows} judgements are about one question: "
            "another is needed, to measure on what was not learned",
            "add lines with another prompt" if path else "judge texts about another topic: blogtwin serve",
        )


def _write(output: Path, found: Learned) -> None:
    """Each file whole or not at all; a side that is empty has no file, so that another one can take its place."""
    for path, side in ((output, found.train), (held_out_beside(output), found.validation)):
        _replace(path, [*side.preferences, *side.ratings])
    approved = approved_beside(output)
    for path, side in ((approved, found.train), (held_out_beside(approved), found.validation)):
        _replace(path, side.approved)


def _replace(path: Path, records: Sequence[Record]) -> None:
    if records:
        jsonl.write(path, records)
    else:
        path.unlink(missing_ok=True)


def _counts(found: Learned, problems: int) -> dict[str, float]:
    sides: tuple[Side, Side] = (found.train, found.validation)
    pairs = found.pairs()
    return {
        "judgements": found.rows,
        "questions": found.asked,
        "pairs": pairs.total(),
        **{f"pairs, {name}": pairs[origin] for origin, name in _ORIGINS.items() if pairs[origin]},
        "ratings": sum(len(side.ratings) for side in sides),
        "approved": sum(len(side.approved) for side in sides),
        "validation pairs": len(found.validation.preferences),
        "validation ratings": len(found.validation.ratings),
        "validation approved": len(found.validation.approved),
        "trivial edits": found.trivial,
        "overruled": found.overruled,
        "left out": problems,
    }


_ORIGINS = {"edit": "of edits", "choice": "of choices", "rating": "of two ratings"}


def _notes(found: Learned) -> Iterator[str]:
    if found.overruled:
        yield f"judgements that later ones contradict, which hold: {found.overruled}"
    if found.trivial:
        yield f"edits of a typo or of white space alone, which are no pairs: {found.trivial}"
