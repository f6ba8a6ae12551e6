"""quiz: held-out posts, the twin's and the base's answers → rounds to read; choices → results/quiz.jsonl.

The file only grows: each choice is a line of its own, written at once. A line that a kill cut off does no harm.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from blogtwin import jsonl
from blogtwin.errors import BrokenRecord
from blogtwin.evaluation.quiz import Choice, QuizSummary, summed
from blogtwin.workspace import Workspace


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
    """What readers said of one version of a twin (see `versions.content`); without one, of the version asked about last.

    None where nobody was asked. Raises BrokenRecord.
    """
    found = choices(path)
    if version is None and found:
        version = found[-1].version
    return summed([choice for choice in found if choice.version == version])
