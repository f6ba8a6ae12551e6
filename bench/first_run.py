"""The newcomer's run, timed: the whole pipeline with the starter on the example blog, then the same line again.

    uv run python bench/first_run.py [--runtime llama-cpp]

Prints seconds for both and their ratio, and the processor time of every `--help`. Wanted: under 240 s on two cores, under
5 s for the second, under 0.3 s of processor time for help.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples" / "blog"
COMMANDS = ("", "init", "pipeline", "ingest", "prepare-dataset", "finetune", "deploy", "evaluate", "write", "doctor")


def blogtwin(*arguments: str, cwd: str, quiet: bool = False) -> float:
    """Run one command; returns its seconds."""
    began = time.monotonic()
    out = subprocess.DEVNULL if quiet else None
    environment = {**os.environ, "BLOGTWIN_HOME": str(Path(cwd) / "home")}
    program = Path(sys.executable).with_name("blogtwin")  # the script, as a user runs it
    subprocess.run([program, *arguments], cwd=cwd, env=environment, stdout=out, check=True)
    return time.monotonic() - began


def help_seconds(command: str, cwd: str) -> float:
    """The median processor time of five `--help`s."""
    spent = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        blogtwin(*command.split(), "--help", cwd=cwd, quiet=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runtime", default="llama-cpp")
    runtime = parser.parse_args().runtime
    with tempfile.TemporaryDirectory() as cwd:
        line = ("pipeline", "--blog-dir", str(EXAMPLES), "--base-model", "starter", "--model-name", "my-twin")
        first = blogtwin(*line, "--runtime", runtime, cwd=cwd)
        again = statistics.median(blogtwin(*line, "--runtime", runtime, cwd=cwd, quiet=True) for _ in range(3))
        print(f"\nfirst run {first:.1f} s, again {again:.1f} s (median of 3), ratio {first / again:.0f}")
        for command in COMMANDS:
            print(f"blogtwin {command} --help: {help_seconds(command, cwd):.2f} s of processor time (median of 5)")


if __name__ == "__main__":
    main()
