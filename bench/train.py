"""Training, timed beside what else people use: the same rows, base, batch, rank and number of steps, in one run.

    uv run python bench/train.py --base FOLDER [--corpus FOLDER] [--shape] [--without-bf16] [--check]

Sides, each a process in an environment of its own: ours; plain trl with its defaults (train_trl.py); LLaMA-Factory
(train_llamafactory.py), installed from the package index into a cache folder at the first run; and a loop in plain torch
without any framework, the limit (train_loop.py). --base: a small Llama with a chat template, given to each side as a copy in
float32. --shape adds one of Llama-3.2-1B's shape with random weights in bfloat16 and rows of 1,024 tokens, a few steps.
--without-bf16: as on a processor that does not multiply bfloat16 (LLaMA-Factory takes the base as it is, so it is left out).
--memory: gigabytes that ours is to reckon with, as on a smaller machine. --check: the loop's logits beside transformers', first.
Counted: tokens without padding per elapsed and per processor second, after two steps (one for the large shape) that warm up, and
the peak of resident memory as the kernel has it. Wanted: 0.9 of the loop, 1.0 of the best other; the large shape under 4.5 GB and
twice as fast as trl, without bfloat16 under 6.5 GB and no slower.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples" / "blog"
# Its own bounds let torchaudio, which it imports, meet a torch that was built against another CUDA: held to one that fits.
LLAMAFACTORY = ("llamafactory==0.9.5", "torch==2.11.*", "torchaudio==2.11.*")
RATE = 1e-3


@dataclass(frozen=True)
class Run:
    """Tokens per elapsed second, per processor second; the peak of memory in GB; the loss of the last step, where it is told."""

    wall: float
    processor: float
    memory: float
    loss: float


@dataclass(frozen=True)
class Race:
    """What all sides are given. warm_up: steps that do not count. threads: None for what each takes by itself."""

    name: str
    base: Path
    rows: Path
    steps: int
    warm_up: int
    batch: int
    threads: int | None
    bf16: bool
    runs: int
    memory: float | None


def environments(cache: Path, wanted: list[str]) -> dict[str, Path]:
    """side → its Python. trl at our versions is what this project installs; LLaMA-Factory has an environment of its own."""
    found = {side: Path(sys.executable) for side in wanted}
    if "llamafactory" in wanted:
        home = cache / "llamafactory"
        if not (home / "ready").is_file():
            subprocess.run(["uv", "venv", "-q", "--clear", "--python", "3.11", str(home)], check=True)
            subprocess.run(
                ["uv", "pip", "install", "-q", "--no-config", "--python", str(home / "bin" / "python"), *LLAMAFACTORY],
                check=True,
                cwd=cache,
            )
            (home / "ready").touch()
        found["llamafactory"] = home / "bin" / "python"
    return found


def run(side: str, python: Path, race: Race, room: Path) -> Run:
    """One side, once."""
    shutil.rmtree(room / "work", ignore_errors=True)
    names = {name: str(race.rows / name) for name in ("tokens", "rows", "alpaca", "examples")}
    job = {
        **{name: f"{path}.{'json' if name == 'alpaca' else 'jsonl'}" for name, path in names.items()},
        **{"base": str(race.base), "steps": race.steps, "batch": race.batch, "threads": race.threads},
        **{"bf16": race.bf16, "max_length": 1024, "rate": RATE, "room": str(room / "work")},
        "memory": race.memory,
    }
    (room / "job.json").write_text(json.dumps(job), "utf-8")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "CUDA_VISIBLE_DEVICES": ""}
    if race.threads:
        environment["OMP_NUM_THREADS"] = str(race.threads)
    command = [str(python), str(HERE / f"train_{side}.py"), str(room / "job.json")]
    log = room / "log.txt"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=room, env=environment, stdout=out, stderr=subprocess.STDOUT)
        _, code, usage = os.wait4(process.pid, 0)
        process.returncode = code  # it has been waited for
    told = [line for line in log.read_text("utf-8", errors="replace").splitlines() if line.startswith("RESULT ")]
    if code or not told:
        raise SystemExit(f"{side} ended with {code}: {log.read_text('utf-8', errors='replace')[-3000:]}")
    result: dict[str, Any] = json.loads(told[-1].removeprefix("RESULT "))
    first, last = result["steps"][race.warm_up - 1], result["steps"][-1]
    tokens = last[2] - first[2]
    return Run(
        tokens / (last[0] - first[0]), tokens / (last[1] - first[1]), usage.ru_maxrss / 1e6, result["losses"][-1]
    )


def compare(race: Race, pythons: dict[str, Path], room: Path) -> None:
    """Run every side in turn, so that a machine that grows slower does so for all; print medians, and ours beside each."""
    found: dict[str, list[Run]] = {side: [] for side in pythons}
    for _ in range(race.runs):
        for side, python in pythons.items():
            found[side].append(run(side, python, race, room))
            one = found[side][-1]
            print(f"    {side} {one.wall:.1f} {one.processor:.1f} {one.memory:.2f}", file=sys.stderr, flush=True)
    load = os.getloadavg()[1]
    threads = f"{race.threads} thread" if race.threads else "threads as each takes them"
    print(
        f"\n{race.name}, {threads}, {race.steps - race.warm_up} steps of {race.batch}, median of {race.runs}; load {load:.1f}"
    )
    middle = {side: _median(runs) for side, runs in found.items()}
    for side, one in middle.items():
        line = f"  {side:13} {one.wall:8.1f} tokens/s {one.processor:8.1f} per processor second  {one.memory:5.2f} GB"
        if side != "ours" and "ours" in middle:
            ours = middle["ours"]
            line += f"   ours: {ours.wall / one.wall:.2f} elapsed, {ours.processor / one.processor:.2f} processor"
        print(line, flush=True)


def _median(runs: list[Run]) -> Run:
    return Run(
        statistics.median(one.wall for one in runs),
        statistics.median(one.processor for one in runs),
        statistics.median(one.memory for one in runs),
        runs[-1].loss,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, required=True, help="a small Llama with a tokenizer and a chat template")
    parser.add_argument("--corpus", type=Path, default=EXAMPLES, help="a folder of posts")
    parser.add_argument("--sides", nargs="+", default=["ours", "trl", "llamafactory", "loop"])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--shape", action="store_true", help="Llama-3.2-1B's shape too")
    parser.add_argument("--only-shape", action="store_true")
    parser.add_argument("--shape-steps", type=int, default=3)
    parser.add_argument("--shape-batch", type=int, default=1)
    parser.add_argument("--without-bf16", action="store_true")
    parser.add_argument("--memory", type=float, help="gigabytes that ours reckons with")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "blogtwin-bench")
    options = parser.parse_args()
    sides = [side for side in options.sides if side != "llamafactory" or not options.without_bf16]
    options.cache.mkdir(parents=True, exist_ok=True)
    pythons = environments(options.cache.resolve(), sides)
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        prepare = [sys.executable, str(HERE / "train_material.py")]
        subprocess.run(
            [*prepare, "rows", str(options.base.resolve()), str(options.corpus.resolve()), str(room)], check=True
        )
        if options.check:
            subprocess.run([*prepare, "check", str(room / "small"), str(room / "short")], check=True)
        if not options.only_shape:
            for threads in (os.cpu_count(), 1):
                name = f"{options.base.name} on {options.corpus.name}"
                race = Race(
                    name,
                    room / "small",
                    room / "short",
                    options.steps,
                    2,
                    4,
                    threads,
                    not options.without_bf16,
                    options.runs,
                    options.memory,
                )
                compare(race, pythons, room)
        if options.shape or options.only_shape:
            subprocess.run([*prepare, "shape", str(options.base.resolve()), str(room / "large")], check=True)
            name = f"Llama-3.2-1B's shape {'without' if options.without_bf16 else 'with'} bfloat16"
            steps, batch = options.shape_steps, options.shape_batch
            bf16 = not options.without_bf16
            race = Race(name, room / "large", room / "long", steps, 1, batch, None, bf16, 1, options.memory)
            compare(race, pythons, room)


if __name__ == "__main__":
    main()
