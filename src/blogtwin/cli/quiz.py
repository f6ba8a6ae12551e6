"""`blogtwin quiz`: the blind “which one is me?”, by the keyboard alone; each choice is kept as it is made."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blogtwin.cli import console, options
from blogtwin.errors import UsageError

if TYPE_CHECKING:
    from blogtwin.stages.quiz import Sitting

_SLIP = 1.0  # seconds: nobody has read two passages by then, so it was a key held too long

Keys = Iterator[str]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(quiz)


def quiz(
    model: options.Twin = None,
    rounds: Annotated[int, typer.Option(min=1, help="How many choices, those made earlier counted in.")] = 20,
    triples: Annotated[
        bool, typer.Option("--triples", help="Show author, twin and base at once, not two of them.")
    ] = False,
    reader: Annotated[
        str, typer.Option(help="Who reads. Somebody who knows your voice and not these posts is the fairest judge.")
    ] = "you",
    reveal: Annotated[bool, typer.Option("--reveal", help="Tell after each choice who wrote what.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Ask once more what this reader has answered.")] = False,
    test_set: Annotated[
        Path | None, typer.Option(help="The held-out examples.", show_default="data/validation.jsonl")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="The evaluation's report; the choices are kept beside it.", show_default="results/eval_report.json"
        ),
    ] = None,
    samples: options.Samples = None,
    ollama_base_url: options.OllamaUrl = None,
    config: options.Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Ask nothing; print what was chosen as JSON.")] = False,
) -> None:
    """Find your own text beside the twin's and the base model's, not knowing which is which; 1, 2 and 3 choose."""
    from blogtwin.config import load_settings
    from blogtwin.stages import quiz as stage
    from blogtwin.workspace import Workspace, deployment

    settings = load_settings(
        config,
        {
            "deployment": {"model_name": model, "ollama_base_url": ollama_base_url},
            "evaluation": {"samples": samples},
        },
    )
    workspace = Workspace.here(settings)
    workspace = replace(workspace, validation=test_set or workspace.validation, report=output or workspace.report)
    path = stage.choices_file(workspace)
    version = stage.version_of(deployment(settings.deployment.model_name))
    if as_json:
        found, others = stage.summary(path, version), stage.others(path, version)
        console.show_json(
            {
                "file": str(path),
                "version": version,
                "summary": found and found.model_dump(mode="json"),
                "others": [one.model_dump(mode="json") for one in others],
            }
        )
        return
    keys = _keys()
    with console.progress("Preparing the quiz") as progress:
        sitting = stage.prepare(
            settings, workspace, "triple" if triples else "pair", rounds, reader.strip() or "you", again, progress
        )
    asked = _ask(sitting, keys, reveal)
    from blogtwin.cli import quiz_screen

    remarks = chain([f"kept in {path}"], _what_next(sitting, asked))
    quiz_screen.show_result(stage.summary(path, version), stage.others(path, version), remarks)


def _keys() -> Keys:
    """What is pressed; without a terminal the lines of stdin. Raises UsageError where neither can come."""
    if sys.stdin.isatty():
        return _pressed()
    first = sys.stdin.readline()
    if not first:
        raise UsageError(
            "the quiz is answered by keys, and there is no terminal to press them in",
            "run it in a terminal, give the choices on stdin, one a line, or see what was chosen: blogtwin quiz --json",
        )
    return (line.strip().lower() for line in chain([first], sys.stdin))


def _pressed() -> Keys:
    """Keys as they are pressed; Ctrl-C and Ctrl-D end them. What was pressed before a text was shown is not for it."""
    while True:
        shown = time.monotonic()
        _forget_typed_ahead()
        try:
            key = typer.getchar().lower()
        except (KeyboardInterrupt, EOFError):
            return
        if time.monotonic() - shown > _SLIP or not key.isdigit():
            yield key


def _forget_typed_ahead() -> None:
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            msvcrt.getwch()
    else:
        import termios

        termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _ask(sitting: Sitting, keys: Keys, reveal: bool) -> int:
    """Ask until the rounds or the keys end; returns how many were answered."""
    from blogtwin.cli import quiz_screen

    total = sitting.answered + len(sitting.left)
    for asked, one in enumerate(sitting.left):
        shown = one.order(sitting.seed)
        quiz_screen.show_round(sitting, one, shown, sitting.answered + asked + 1, total)
        began = time.monotonic()
        key = _next(keys, sitting, len(shown))
        if key == "q":
            return asked
        chosen = None if key == "s" else shown[int(key) - 1]
        sitting.keep(one, shown, chosen, time.monotonic() - began, reveal)
        if reveal:
            quiz_screen.show_solution(shown, chosen, sitting.reader)
            if sys.stdin.isatty() and asked + 1 < len(sitting.left):
                console.say("any key goes on")
                if next(keys, "q") == "q":
                    return asked + 1
    return len(sitting.left)


def _next(keys: Keys, sitting: Sitting, many: int) -> str:
    """The next key that means something here: a number, s or q; q when no more come."""
    from blogtwin.cli import quiz_screen

    for key in keys:
        if key in ("s", "q", *map(str, range(1, many + 1))):
            return key
        if key == "?":
            quiz_screen.show_help(sitting, many)
    return "q"


def _what_next(sitting: Sitting, asked: int) -> Iterator[str]:
    """How the reader can go on."""
    left = len(sitting.left) - asked
    if left:
        yield f"{left} left: the same command goes on there"
    elif sitting.answered + len(sitting.left) < sitting.wanted:
        yield (
            f"{sitting.posts} held-out posts give no more passages that were not read; once more: --again; "
            "more posts: --samples, or blogtwin prepare-dataset --split 0.8"
        )
    else:
        yield f"all are answered; more: --rounds {sitting.wanted + 20}, once more: --again"
    if sitting.posts < sitting.titles:
        yield f"{sitting.titles - sitting.posts} of {sitting.titles} titles are left out: the post or an answer is too short"
