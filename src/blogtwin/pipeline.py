"""The pipeline: the stages in order, skipping what has not changed and going on where a killed run stopped.

Whether a stage has to run is its own Plan's answer (see manifest.py); how it resumes is the stage's own affair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from blogtwin import processes
from blogtwin.config import Settings
from blogtwin.errors import UsageError
from blogtwin.manifest import NEVER_RUN, Plan
from blogtwin.progress import Progress
from blogtwin.stages import deploy, evaluate, finetune, ingest, prepare
from blogtwin.stages.result import StageResult
from blogtwin.workspace import Workspace


class Stage(Protocol):
    """What every module in stages/ offers."""

    def plan(self, settings: Settings, workspace: Workspace) -> Plan:
        """What it would read, with which settings, and what it would write."""

    def run(self, settings: Settings, workspace: Workspace, progress: Progress) -> StageResult:
        """Do it; the manifest is written last."""


STAGES: dict[str, Stage] = {
    "ingest": ingest,
    "prepare": prepare,
    "finetune": finetune,
    "deploy": deploy,
    "evaluate": evaluate,
}


@dataclass(frozen=True)
class Outcome:
    """What became of one stage. result: None when it was skipped. counts: of this run, or of the run that made what is there."""

    stage: str
    why: str
    result: StageResult | None
    counts: dict[str, float]


def stages(settings: Settings, until: str | None = None) -> dict[str, Stage]:
    """The stages to go through, in order. Raises UsageError for a stage there is not."""
    if until is not None and until not in STAGES:
        raise UsageError(f"there is no stage {until!r}", f"the stages are: {', '.join(STAGES)}")
    chosen: dict[str, Stage] = {}
    for name, stage in STAGES.items():
        if name != "evaluate" or settings.evaluation.run_after_training or until == "evaluate":
            chosen[name] = stage
        if name == until:
            break
    return chosen


def dry_run(settings: Settings, workspace: Workspace, until: str | None = None, force: bool = False) -> dict[str, str]:
    """Each stage and what would become of it. What comes after a stage that runs depends on what that one makes."""
    told: dict[str, str] = {}
    behind = ""
    for name, stage in stages(settings, until).items():
        stale = "it is forced" if force else stage.plan(settings, workspace).stale()
        if behind:
            told[name] = f"runs if {behind} changes its input" if stale is None else f"runs: {stale}"
        elif stale is None:
            told[name] = "is skipped: nothing has changed"
        else:
            told[name], behind = f"runs: {stale}", name
    return told


def run(
    settings: Settings, workspace: Workspace, progress: Progress, until: str | None = None, force: bool = False
) -> Iterator[Outcome]:
    """Go through the stages; yields each one's outcome as it ends."""
    processes.check_alone("the pipeline")
    chosen = stages(settings, until)
    for number, (name, stage) in enumerate(chosen.items(), start=1):
        plan = stage.plan(settings, workspace)
        stale = "it is forced" if force else plan.stale()
        step = f"{number}/{len(chosen)} {name}"
        if stale is None:
            last = plan.read()
            progress.note(f"{step}: skipped, nothing has changed")
            yield Outcome(name, "nothing has changed", None, last.counts if last else {})
            continue
        progress.note(step if stale == NEVER_RUN else f"{step}: {stale}")
        if force:
            plan.forget()  # stages keep what has not changed by the manifest too
        result = stage.run(settings, workspace, progress)
        yield Outcome(name, stale, result, result.counts)
