"""Losses that were computed before: minutes of a processor for what depends on nothing but weights and tokens.

In: a key, and a way to compute. Out: the Losses. Kept in the user's home; what cannot be read is computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import ValidationError

from blogtwin import atomic
from blogtwin.evaluation.perplexity import HeldOut, Losses
from blogtwin.records import Record, content_id
from blogtwin.workspace import home

_FILES = 40  # as few kilobytes each as examples


class _Kept(Record):
    base: tuple[float, ...]
    twin: tuple[float, ...]
    few_shot: tuple[float, ...] | None


def kept(weights: str, answers: Sequence[HeldOut], compute: Callable[[], Losses]) -> Losses:
    """The losses of `answers` by the models that `weights` names, computed only when they never were."""
    rows = "\n".join(f"{answer.prompt} {answer.tokens} {answer.shown}" for answer in answers)
    path = home() / "losses" / f"{content_id(weights, rows)}.json"
    try:
        found = _Kept.model_validate_json(path.read_bytes())
        if len(found.base) == len(found.twin) == len(answers):
            few_shot = None if found.few_shot is None else list(found.few_shot)
            return Losses(answers, list(found.base), list(found.twin), few_shot)
    except (OSError, ValidationError):
        pass
    losses = compute()
    few = None if losses.few_shot is None else tuple(losses.few_shot)
    told = _Kept(base=tuple(losses.base), twin=tuple(losses.twin), few_shot=few)
    atomic.write_text(path, told.model_dump_json())
    for old in sorted(path.parent.glob("*.json"), key=lambda one: one.stat().st_mtime)[:-_FILES]:
        old.unlink(missing_ok=True)
    return losses
