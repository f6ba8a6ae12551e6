"""The command line's front door: arguments in, exit code out.

Known failures become `error:` and `hint:` here, in one place. Anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from blogtwin import __version__, processes
from blogtwin.cli import (
    console,
    deploy,
    doctor,
    evaluate,
    feedback,
    finetune,
    ingest,
    init,
    learn,
    models,
    options,
    pipeline,
    prepare,
    progress_file,
    quiz,
    rewrite,
    serve,
    write,
)
from blogtwin.errors import BlogtwinError

INTERRUPTED = 130

app = typer.Typer(
    name="blogtwin",
    no_args_is_help=True,
    add_completion=False,  # its options, like typer's own --help below, would load pydantic before any help is shown
    rich_markup_mode=None,  # the drawn help costs more than the 0.3 s that help may take
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    init,
    pipeline,
    ingest,
    prepare,
    finetune,
    deploy,
    evaluate,
    quiz,
    write,
    rewrite,
    serve,
    learn,
    models,
    feedback,
    doctor,
):
    command.add_to(app)


@app.callback()
def blogtwin(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
    help: options.Help = False,
) -> None:
    """Turn your own posts into a local language model that writes like you, with proof that it does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 used wrongly, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        console.say(f"blogtwin {__version__}")
        return 0
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        with processes.hushed():
            app(arguments, prog_name="blogtwin")
    except BlogtwinError as failure:
        if debug:
            raise
        if processes.tells_of_failure():
            console.error(failure.message, failure.hint)
        return failure.exit_code
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        if code == INTERRUPTED and processes.is_main():
            import shlex

            again = shlex.join(["blogtwin", *arguments])
            console.error("stopped; what was finished is kept, and so is the last checkpoint", f"go on with: {again}")
        return code
    return 0


def run() -> None:
    """The `blogtwin` script."""
    code = main()
    progress_file.tell(exit=code)
    sys.exit(code)
