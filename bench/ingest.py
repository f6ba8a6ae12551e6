"""Reading a blog, timed beside what else people use, on the same files in one run.

    uv run --with markitdown --with python-frontmatter python bench/ingest.py --corpus FOLDER [--posts 100000]

Sides: `blogtwin ingest` (reading and cleaning, one worker and all of them), pandoc (one process a file, to Markdown), markitdown
(one process for all files), and a bare loop of python-frontmatter and markdown-it-py. Then the same on generated posts: the slow
sides on the first of them. Then peak memory at a tenth and at all of them, and a second run over an unchanged folder.
Wanted: 20 times pandoc, 10 times markitdown, faster than the bare loop on one core; flat memory; a second run in a tenth.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import generated_blog

_MANY, _FEW = 10_000, 1000  # files of a large folder that the other sides read: their rate does not depend on how many

BARE = """
import sys, frontmatter, markdown_it
parser = markdown_it.MarkdownIt()
for path in sys.stdin.read().split("\\n"):
    parser.parse(frontmatter.loads(open(path, encoding="utf-8").read()).content)
"""
MARKITDOWN = """
import sys, warnings
from markitdown import MarkItDown
convert = MarkItDown().convert
for path in sys.stdin.read().split("\\n"):
    convert(path)
"""
PANDOC = """
import subprocess, sys
for path in sys.stdin.read().split("\\n"):
    kind = "html" if path.endswith("html") else "markdown"
    subprocess.run(["pandoc", "-f", kind, "-t", "markdown", "-o", sys.argv[1], path], check=True, stderr=subprocess.DEVNULL)
"""


@dataclass(frozen=True)
class Run:
    """One command: elapsed and processor seconds (children included), and its whole tree's peak memory in MB."""

    wall: float
    processor: float
    memory: float


def timed(command: list[str], cwd: Path, stdin: str = "") -> Run:
    """Run `command`; its process tree's memory is looked at every 50 ms."""
    before, began = os.times(), time.monotonic()
    process = subprocess.Popen(
        command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(process, peak))
    watcher.start()
    _, fault = process.communicate(stdin)
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}: {fault[-2000:]}")
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(time.monotonic() - began, spent, peak[0])


def _watch(process: subprocess.Popen[str], peak: list[float]) -> None:
    while process.poll() is None:
        peak[0] = max(peak[0], _tree_memory(process.pid))
        time.sleep(0.05)


def _tree_memory(pid: int) -> float:
    """Proportional memory of a process and all below it, in MB; pages that they share are counted once."""
    total = 0.0
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(rollup.split("Pss:")[1].split()[0]) / 1024
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, IndexError):
        return total
    return total + sum(_tree_memory(int(child)) for child in children)


def ingest(folder: Path, output: Path, *more: str) -> Run:
    """`blogtwin ingest` as a user runs it; without earlier output unless it is left there."""
    program = str(Path(sys.executable).with_name("blogtwin"))
    return timed([program, "ingest", "--input-dir", str(folder), "--output", str(output), *more], output.parent)


def fresh(folder: Path, room: Path, *more: str) -> Run:
    """`ingest` into an empty folder."""
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir(parents=True)
    return ingest(folder, room / "posts.jsonl", *more)


def compare(name: str, folder: Path, runs: int, room: Path) -> Run:
    """Print every side's posts a second over the files of `folder`, and ours beside each; returns our run on all cores."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".md", ".markdown", ".html"))
    first, sample = files[:_MANY], files[:_FEW]
    one: list[Run] = []
    all_cores: list[Run] = []
    bare: list[Run] = []
    for _ in range(runs):  # in turn, so that a machine that grows slower does so for all
        bare.append(timed([sys.executable, "-c", BARE], room, "\n".join(map(str, first))))
        one.append(fresh(folder, room / "one", "--threads", "1"))
        all_cores.append(fresh(folder, room / "all"))
    others = {"bare loop": (bare, len(first))}
    markitdown = [timed([sys.executable, "-W", "ignore", "-c", MARKITDOWN], room, "\n".join(map(str, sample)))]
    others["markitdown"] = (markitdown, len(sample))
    if shutil.which("pandoc"):
        pandoc = [timed([sys.executable, "-c", PANDOC, str(room / "out.md")], room, "\n".join(map(str, sample)))]
        others["pandoc"] = (pandoc, len(sample))
    ours_wall = len(files) / statistics.median(run.wall for run in one)
    ours_cpu = len(files) / statistics.median(run.processor for run in one)
    ours_all = len(files) / statistics.median(run.wall for run in all_cores)
    print(
        f"\n{name}: {len(files):,} files (bare loop: {len(first):,}, markitdown and pandoc: {len(sample):,}); posts a second"
    )
    print(f"  blogtwin, one worker     {ours_wall:8.0f} elapsed   {ours_cpu:8.0f} of processor time")
    print(f"  blogtwin, all cores      {ours_all:8.0f} elapsed")
    for other, (times, count) in others.items():
        wall = count / statistics.median(run.wall for run in times)
        cpu = count / statistics.median(run.processor for run in times)
        print(
            f"  {other:24} {wall:8.0f} elapsed   {cpu:8.0f} of processor time   "
            f"ours on one core: {ours_wall / wall:.1f} times elapsed, {ours_cpu / cpu:.1f} times processor time"
        )
    return all_cores[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, help="a folder of real posts")
    parser.add_argument("--posts", type=int, default=100_000, help="how many to generate")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        if options.corpus:
            compare(options.corpus.name, options.corpus.resolve(), options.runs, room)
        small, large = room / "tenth", room / "whole"
        generated_blog.write(small, options.posts // 10)
        generated_blog.write(large, options.posts)
        many = compare("generated", large, 1, room)
        few = fresh(small, room / "few")
        print(f"\npeak memory of all processes: {few.memory:.0f} MB for {options.posts // 10:,} posts, ", end="")
        print(f"{many.memory:.0f} MB for {options.posts:,}: {many.memory / few.memory:.2f} times")
        again = statistics.median(ingest(small, room / "few" / "posts.jsonl").wall for _ in range(5))
        print(
            f"{options.posts // 10:,} posts: first run {few.wall:.2f} s, unchanged {again:.2f} s: {again / few.wall:.3f} of it"
        )
        next(small.rglob("*.md")).write_text("# One more\n\nA changed post of a few words.\n", "utf-8")
        changed = ingest(small, room / "few" / "posts.jsonl").wall
        print(f"one post changed: {changed:.2f} s")


if __name__ == "__main__":
    main()
