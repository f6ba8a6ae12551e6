"""`blogtwin finetune --dry-run`: how a rehearsal looks. In: a Rehearsal. Out: what it takes, what was chosen, what is learned."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from blogtwin.cli import console

if TYPE_CHECKING:
    from blogtwin.stages.rehearsal import Rehearsal
    from blogtwin.training.estimate import Estimate

_HEAD, _TAIL = 700, 250  # characters that are shown of a long text


def show(found: Rehearsal, as_json: bool = False) -> None:
    """On stdout."""
    if as_json:
        console.show_json({**asdict(found), "line": found.estimate.line})
        return
    console.pairs(_figures(found.estimate))
    if found.choices:
        console.say("\nchosen, because nothing else was asked for (flag, environment and file go first):")
        console.table(["", "", ""], [[one.name, f"{one.value:g}", one.reason] for one in found.choices])
    for number, example in enumerate(found.examples, start=1):
        console.say(f"\nexample {number}; the twin learns to write what stands out:")
        console.learned(_short(example.prompt), _short(example.answer), _short(example.against))
    if found.notes:
        console.say("")
    for note in found.notes:
        console.say(f"· {note}")


def _figures(expected: Estimate) -> dict[str, str]:
    from blogtwin.training.estimate import duration, size

    disk = expected.disk
    early = f", or {duration(expected.least)} if it stops as early as it can" if expected.stops_early else ""
    parts = {"the base's download": disk.download, "checkpoints": disk.training, "deploying": disk.export}
    told = ", ".join(f"{size(count)} for {what}" for what, count in parts.items() if count)
    return {
        "time": f"{duration(expected.seconds)}{early}",
        "memory": size(expected.memory),
        "disk": f"{size(disk.total)}: {told}",
        "": expected.basis,
    }


def _short(text: str) -> str:
    """A long text without its middle."""
    if len(text) < _HEAD + 2 * _TAIL:
        return text
    head, tail = text[:_HEAD].rpartition(" ")[0] or text[:_HEAD], text[-_TAIL:].partition(" ")[2] or text[-_TAIL:]
    return f"{head} [… {len(text) - len(head) - len(tail):,} characters …] {tail}"
