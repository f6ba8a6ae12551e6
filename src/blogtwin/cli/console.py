"""Where everything a person sees is printed: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from blogtwin.cli import progress_file

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID
    from rich.text import Text

    from blogtwin.progress import Progress, Task
    from blogtwin.stages.result import StageResult, Tally

_PROBLEMS_SHOWN = 20
_BETWEEN_DRAWINGS = 0.1  # seconds; to draw every one of a thousand files a second costs a tenth of their time


def _stdout() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def _stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """One line of result."""
    _stdout().print(text, markup=False, soft_wrap=True)


def stream(piece: str) -> None:
    """A piece of a result that is still being made."""
    sys.stdout.write(piece)
    sys.stdout.flush()


def remark(text: str) -> None:
    """One line beside the result, on stderr."""
    _stderr().print(text, markup=False, soft_wrap=True)


def error(message: str, hint: str = "") -> None:
    """What went wrong and what to do, in one write: other processes may print to the same place."""
    from rich.text import Text

    progress_file.tell(error=message, hint=hint)
    said = Text.assemble(("error:", "bold red"), f" {message}")
    if hint:
        said.append_text(Text.assemble("\n", ("hint:", "bold"), f"  {hint}"))
    _stderr().print(said, soft_wrap=True)


def show_json(value: object) -> None:
    """A result for machines."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """A small table; without a terminal it keeps its full width, so that nothing is cut off in a log."""
    from rich.table import Table
    from rich.text import Text

    out = _stdout()
    if not out.is_terminal:
        out.width = 200
    drawn = Table(
        *columns, title=title or None, title_justify="left", box=None, pad_edge=False, show_header=any(columns)
    )
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    out.print(drawn)


def two_columns(left: str, right: str, rows: Iterable[tuple[Text, Text]]) -> None:
    """Texts beside each other, each in half of the width."""
    from rich.table import Table

    out = _stdout()
    if not out.is_terminal:
        out.width = 200
    drawn = Table(left, right, box=None, pad_edge=False, padding=(0, 2), expand=True)
    for column in drawn.columns:
        column.ratio, column.overflow = 1, "fold"
    for row in rows:
        drawn.add_row(*row)
    out.print(drawn)


@contextmanager
def live_columns(names: Sequence[str]) -> Iterator[Callable[[Sequence[str]], None]]:
    """Texts that grow beside each other; the last of them stays on the screen. Yields what shows them."""
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    def drawn(texts: Sequence[str]) -> Table:
        columns = Table(*names, box=None, pad_edge=False, padding=(0, 2), expand=True)
        for column in columns.columns:
            column.ratio, column.overflow = 1, "fold"
        columns.add_row(*map(Text, texts))
        return columns

    with Live(console=_stdout(), refresh_per_second=8, vertical_overflow="visible") as live:
        yield lambda texts: live.update(drawn(texts))


def learned(prompt: str, answer: str, against: str = "") -> None:
    """What is given, dim, and what is learned, bold (without a terminal in ⟦ ⟧). against: an answer to keep away from."""
    from rich.text import Text

    out = _stdout()
    marks = ("", "") if out.is_terminal else ("⟦", "⟧")
    text = Text(prompt, style="dim")
    if answer:
        text.append(f"{marks[0]}{answer}{marks[1]}", style="not dim bold")
    if against:
        text.append("\nand to keep away from: ", style="not dim")
        text.append(against, style="not dim italic strike")
    out.print(text, soft_wrap=not out.is_terminal)


def figure(value: float) -> str:
    """A count or a measure as people read it: 12,345 or 0.12 or 95.1."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3f}"


def show(result: StageResult, as_json: bool = False) -> None:
    """What a stage did: its figures, the inputs to look at, its remarks and its files."""
    if as_json:
        show_json(
            {
                "stage": result.stage,
                "counts": result.counts,
                "outputs": [str(path) for path in result.outputs],
                "notes": list(result.notes),
                "tallies": [asdict(one) for one in result.tallies],
                "problems": [{"path": one.path, "reason": one.reason, "lost": one.lost} for one in result.problems],
            }
        )
        return
    rows = [[name.replace("_", " "), figure(value)] for name, value in result.counts.items()]
    table(["", ""], [*rows, *(["written", str(path)] for path in result.outputs)], title=result.stage)
    tallies(result.tallies)
    for note in result.notes:
        say(f"· {note}")
    problems(result)


def tallies(found: Sequence[Tally]) -> None:
    """What was left out, by kind: of how many files, and how many words."""
    if found:
        rows = [[one.verdict, one.what, f"{one.files:,}", f"{one.words:,}" if one.words else ""] for one in found]
        table(["left out", "", "files", "words"], rows)


def problems(result: StageResult) -> None:
    """The inputs that were left out or read with a remark, on stderr."""
    if not result.problems:
        return
    lost = sum(problem.lost for problem in result.problems)
    out = _stderr()
    out.print(f"{result.stage}: {lost} left out, {len(result.problems) - lost} read with a remark", style="yellow")
    for problem in result.problems[:_PROBLEMS_SHOWN]:
        mark = "left out" if problem.lost else "remark"
        out.print(f"  {mark}: {problem.path}: {problem.reason}", markup=False, soft_wrap=True)
    if len(result.problems) > _PROBLEMS_SHOWN:
        out.print(f"  and {len(result.problems) - _PROBLEMS_SHOWN} more: --json shows them all")


@contextmanager
def progress(label: str) -> Iterator[Progress]:
    """Bars on stderr while the block runs; where stderr is no terminal, remarks alone are printed, one a line.

    With BLOGTWIN_PROGRESS=FILE machines are told too (progress_file.py).
    """
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    out = _stderr()
    with Bars(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(compact=True),
        console=out,
        transient=True,
        disable=not out.is_terminal,
    ) as bars:
        if label and not out.is_terminal:
            out.print(label, markup=False, soft_wrap=True)
        yield progress_file.also_told(_Drawn(bars))


class _Drawn:
    """Progress as rich draws it."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars

    @contextmanager
    def task(self, label: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        number = self._bars.add_task(label, total=total, figures=unit)
        try:
            yield _DrawnTask(self._bars, number, unit)
        finally:
            self._bars.remove_task(number)

    def note(self, message: str) -> None:
        self._bars.console.print(message, markup=False, soft_wrap=True)


class _DrawnTask:
    """One bar; beside it the unit, the rate and the figures the work reports."""

    def __init__(self, bars: Bars, number: TaskID, unit: str) -> None:
        self._bars = bars
        self._number = number
        self._unit = unit
        self._pending = 0.0
        self._drawn = 0.0

    def advance(self, amount: float = 1, **figures: str) -> None:
        self._pending += amount
        now = time.monotonic()
        if now - self._drawn < _BETWEEN_DRAWINGS:
            return
        amount, self._pending, self._drawn = self._pending, 0.0, now
        task = self._bars.tasks[self._bars.task_ids.index(self._number)]
        rate = f"{task.speed:,.1f} {self._unit}/s" if task.speed and "rate" not in figures else ""
        told = " · ".join(f"{name} {value}" if name != "rate" else value for name, value in figures.items())
        self._bars.update(self._number, advance=amount, figures=" · ".join(filter(None, (rate, told))))


def pairs(values: Mapping[str, str]) -> None:
    """Names and values, one a line."""
    table(["", ""], [[name, value] for name, value in values.items()])
