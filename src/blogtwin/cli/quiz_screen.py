"""What a reader of the quiz sees: a round, the solution, the result. In: records of the quiz. Out: lines on stdout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from blogtwin.evaluation.quiz import YOU

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from blogtwin.evaluation.quiz import QuizSummary, Taken, Writer
    from blogtwin.evaluation.rounds import Round
    from blogtwin.stages.quiz import Sitting

_WIDEST = 90  # columns: longer lines are hard to follow
_SCALE = 41  # columns from 0% to 100%
_WRITERS = {"author": "the author", "twin": "the twin", "base": "the base model"}


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    console.width = min(console.width, _WIDEST)
    return console


def question(reader: str) -> str:
    """What the reader has to answer."""
    return "Which one is you?" if reader == YOU else "Which one did the author write?"


def show_round(sitting: Sitting, one: Round, shown: Sequence[Writer], number: int, total: int) -> None:
    """One round, on a screen of its own where there is a terminal."""
    from rich.padding import Padding
    from rich.rule import Rule
    from rich.text import Text

    out = _console()
    out.clear()
    counter = f"{number} of {total}"
    asked = question(sitting.reader)
    title = Text(asked, style="bold")
    title.append(" " * max(2, out.width - len(asked) - len(counter)))
    title.append(counter, style="dim")
    out.print(title)
    out.print(Text(one.prompt, style="italic dim"))
    for place, writer in enumerate(shown, start=1):
        out.print(Rule(Text(f" {place} ", style="bold cyan"), style="dim", align="left"))
        out.print(Padding(Text(one.texts[writer]), (0, 2)))
    out.print(Rule(style="dim"))
    out.print(_keys(len(shown)))


def _keys(many: int) -> Text:
    from rich.text import Text

    line = Text()
    for key, does in ((" ".join(map(str, range(1, many + 1))), "choose"), *_OTHER_KEYS):
        line.append(key, style="bold cyan").append(f" {does}    ", style="dim")
    return line


_OTHER_KEYS = (("s", "skip"), ("q", "stop and keep"), ("?", "help"))


def show_help(sitting: Sitting, many: int) -> None:
    """What the keys do, and what is compared."""
    who = "you" if sitting.reader == YOU else "the author"
    also = "the twin's and its base model's" if many == 3 else "the twin's or, now and then, its base model's"
    _console().print(
        f"\nOne of the {many} passages is from a post that {who} wrote and that the twin has never seen; the rest is {also}, "
        f"under the same title.\nPress the number of the one that {who} wrote. s leaves this one out, q ends the quiz: each "
        "choice is kept at once, and the same command goes on where you stopped.\nHeadings, lists and code are taken out, "
        "quotation marks and dashes made the same, and all are cut to about one length, so that only the writing tells.",
        markup=False,
    )


def show_solution(shown: Sequence[Writer], chosen: Writer | None, reader: str) -> None:
    """Who wrote what; only after the choice."""
    from rich.text import Text

    names: Mapping[str, str] = _WRITERS | ({"author": "you"} if reader == YOU else {})
    line = Text()
    if chosen:
        right = chosen == "author"
        line.append("Right. " if right else "No. ", style="bold green" if right else "bold yellow")
    line.append(", ".join(f"{place} is {names[writer]}" for place, writer in enumerate(shown, start=1)))
    _console().print(line)


def show_result(summary: QuizSummary | None, others: Sequence[QuizSummary], remarks: Iterable[str]) -> None:
    """The intervals of one version of the twin; below, what was chosen for others, and remarks."""
    from rich.text import Text

    out = _console()
    if summary is None:
        out.print("\nNothing has been chosen yet.")
    else:
        out.print(Text(f"\n{summary.version_name or summary.model}", style="bold"))
        for taken, sentence in zip(summary.taken, summary.sentences, strict=True):
            out.print()
            out.print(_interval(taken))
            _print_under(out, Text(sentence))
        if summary.skipped:
            out.print(f"\n  {summary.skipped} skipped.")
        if len(summary.readers) > 1:
            out.print()
            for one in summary.readers:
                out.print(Text(f"  {one.reader}: right in {one.right} of {one.rounds}", style="dim"))
    for other in others:
        out.print(Text(f"\n{other.version_name or other.model}", style="bold"))
        for sentence in other.sentences:
            _print_under(out, Text(sentence, style="dim"))
    out.print()
    for remark in remarks:
        out.print(Text(f"· {remark}", style="dim"), soft_wrap=not out.is_terminal)


def _print_under(out: Console, text: Text) -> None:
    """Indented, as a block; in a log as one line."""
    from rich.padding import Padding

    if out.is_terminal:
        out.print(Padding(text, (0, 2)))
    else:
        out.print("  ", text, sep="", soft_wrap=True)


def _interval(taken: Taken) -> Text:
    """The share as a point, its interval as a bar, and chance as a mark, on a scale from 0% to 100%."""
    from rich.text import Text

    at = [round(value * (_SCALE - 1)) for value in (taken.low, taken.share, taken.high, taken.chance)]
    line = Text(f"  {taken.writer:<5}{taken.shape + 's':<9}", style="bold")
    line.append("0% ", style="not bold dim")
    for column in range(_SCALE):
        if column == at[1]:
            line.append("●", style="cyan")
        elif column == at[3]:
            line.append("┃" if at[0] <= column <= at[2] else "│", style="not bold yellow")
        else:
            line.append(
                "━" if at[0] <= column <= at[2] else "·", style="cyan" if at[0] <= column <= at[2] else "not bold dim"
            )
    line.append(" 100%", style="not bold dim")
    line.append(f"   {taken.times} of {taken.rounds}", style="bold")
    return line
