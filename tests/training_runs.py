"""What the tests of training share: a place to work in, what a run left there, and someone who presses Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blogtwin import jsonl
from blogtwin.progress import Silent, Task
from blogtwin.records import Example
from blogtwin.training import autopilot
from blogtwin.workspace import Workspace

# So that the autopilot leaves every setting of a test as it stands there; a parent decides the adapter's shape itself.
DECIDED = frozenset(("training", name) for name in autopilot.NAMES)
SHAPE = {("training", "lora_r"), ("training", "lora_alpha")}
SENTENCES = (
    "The clock in the hall stopped on Tuesday.",
    "My neighbour's bees were in the lime tree by noon.",
    "I have oiled the pivots, and I will charge for the oil.",
    "The tide came up over the steps and took the ledger.",
)


def said(progress: Silent) -> list[str]:
    """The remarks of a run but those that every run here begins with: how little there is to learn from, what it will take."""
    return [note for note in progress.notes if not note.startswith("about ") and "little to learn a voice" not in note]


def place(root: str | Path, training_data: str = "training_data.jsonl") -> Workspace:
    data = Path(root) / "data"
    return Workspace(
        posts=data / "raw_blogs.jsonl",
        training_data=data / training_data,
        validation=data / "validation.jsonl",
        model=Path(root) / "models" / "twin",
        report=Path(root) / "report.json",
    )


def example(post: int) -> Example:
    text = " ".join(SENTENCES[(post + n) % 4] for n in range(6))
    given = {"instruction": f"Write about day {post}.", "input": "", "output": text}
    return Example.model_validate({"id": f"e{post}", "post_id": f"p{post}", "kind": "topic", **given})


def filled(root: Path) -> Workspace:
    """A place to work in with 24 examples to learn from and four held out."""
    made = place(root)
    jsonl.write(made.training_data, map(example, range(24)))
    jsonl.write(made.validation, map(example, range(24, 28)))
    return made


def files(folder: Path) -> dict[str, bytes]:
    """Everything a run leaves but its manifest, which holds the seconds it took."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


class Interrupting(Silent):
    """Someone presses Ctrl-C after so many steps of training."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    @contextmanager
    def task(self, label: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        with super().task(label, total, unit) as task:
            yield _Interrupting(self, task) if label.startswith("Training") else task


class _Interrupting:
    def __init__(self, progress: Interrupting, task: Task) -> None:
        self.progress = progress
        self.task = task

    def advance(self, amount: float = 1, **figures: str) -> None:
        self.progress.steps -= 1
        if not self.progress.steps:
            raise KeyboardInterrupt
