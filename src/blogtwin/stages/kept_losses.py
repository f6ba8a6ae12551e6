"""Losses that were computed before: minutes of a processor for what depends on nothing but weights and tokens.

In: what names the weights of twin and base, answers, and a way to compute. Out: the Losses. Kept in the user's home, each side by
itself: the next version of a twin has the same base. What cannot be read is computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from blogtwin import atomic
from blogtwin.evaluation.perplexity import HeldOut, Losses, sides
from blogtwin.evaluation.verdict import Side
from blogtwin.records import Record, content_id
from blogtwin.workspace import home

_FILES = 120  # as few kilobytes each as examples


class _Kept(Record):
    nats: tuple[float, ...]


def kept(
    twin: str,
    base: str,
    answers: Sequence[HeldOut],
    compute: Callable[[Mapping[Side, list[float]]], Losses],
) -> Losses:
    """The losses of `answers` by the models whose weights `twin` and `base` name.

    compute: given the sides that are known, finds the others.
    """
    places = {side: _place(twin if side == "twin" else base, rows) for side, rows in sides(answers).items()}
    known = {side: nats for side, path in places.items() if len(nats := _read(path)) == len(answers)}
    losses = compute(known)
    found: dict[Side, list[float]] = {"twin": losses.twin, "base": losses.base, "few-shot": losses.few_shot or []}
    for side in places.keys() - known.keys():
        atomic.write_text(places[side], _Kept(nats=tuple(found[side])).model_dump_json())
    folder = home() / "losses"
    for old in sorted(folder.glob("*.json"), key=lambda one: one.stat().st_mtime)[:-_FILES]:
        old.unlink(missing_ok=True)
    return losses


def _place(weights: str, rows: Sequence[HeldOut]) -> Path:
    told = "\n".join(f"{row.prompt} {row.tokens}" for row in rows)
    return home() / "losses" / f"{content_id(weights, told)}.json"


def _read(path: Path) -> list[float]:
    """Nothing for what is not there, or is no longer what was written."""
    try:
        return list(_Kept.model_validate_json(path.read_bytes()).nats)
    except (OSError, ValidationError):
        return []
