"""The loop, closed: a reader with a taste of their own chooses, edits and rates, and the twin learns it, round by round.

    uv run python bench/loop.py POSTS BASE [--rounds 4] [--requests 40] [--ratings 800]
        [--reader short] [--limit 14] [--folder KEPT]

POSTS is a folder of posts, BASE a Hugging Face folder. The simulated reader (simulated_reader.py) has a taste and tells
nobody. All else is real: the pipeline, a server that is asked over HTTP, `blogtwin learn`, the
new version's share of the traffic, and the rule that promotes it or rolls it back.

Of each version: the share of drafts on held-out topics that satisfy the reader, the voice with its interval, its difference from
the first version's on the same prompts, the perplexity. At the end a version that was taught the opposite is put into service
as a challenger, and must be rolled back by itself. Prints a table, and writes loop.svg beside the work.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from simulated_reader import Plain, Reader, Short

TWIN = "bench"
READERS: dict[str, Callable[[float], Reader]] = {"short": Short, "plain": Plain}
TOKENS = 120
TESTED = 400  # drafts on held-out topics that each version is measured by
LOOK = 25  # ratings between two looks at what readers said
ANSWERS = 48  # that the voice is measured on


@dataclass(frozen=True)
class Work:
    """folder: of the project. environment: for every command."""

    folder: Path
    environment: dict[str, str]
    reader: Reader

    def blogtwin(self, *arguments: str) -> str:
        """Standard output of a command. Raises CalledProcessError."""
        done = subprocess.run(
            [sys.executable, "-m", "blogtwin", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    @contextlib.contextmanager
    def server(self) -> Iterator[httpx.Client]:
        """A client of `blogtwin serve`, which is ended by an interrupt."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "blogtwin", "serve", "--port", str(port), "--model", TWIN]
        serving = subprocess.Popen(command, cwd=self.folder, env=self.environment)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300) as client:
                _wait_for(client, serving)
                yield client
        finally:
            serving.send_signal(signal.SIGINT)
            serving.wait(60)

    def titles(self, file: str) -> list[str]:
        """The titles of the posts whose examples stand in a file of data/."""
        lines = (self.folder / "data" / file).read_text("utf-8").splitlines()
        wanted = {json.loads(line)["post_id"] for line in lines}
        posts = map(json.loads, (self.folder / "data" / "raw_blogs.jsonl").read_text("utf-8").splitlines())
        return [post["title"] for post in posts if post["id"] in wanted]

    def versions(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in json.loads(self.blogtwin("models", "list", "--json"))}


def _wait_for(client: httpx.Client, serving: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and serving.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if client.get("/health").is_success:
                return
        time.sleep(0.2)
    raise SystemExit("the server did not start")


def draft(client: httpx.Client, topic: str, model: str, options: int = 1, session: str = "") -> dict[str, Any]:
    """What /api/generate answers."""
    asked = {"prompt": topic, "model": model, "options": options, "max_tokens": TOKENS, "session": session or None}
    answer = client.post("/api/generate", json=asked)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def judge(client: httpx.Client, request_id: str, **said: object) -> None:
    client.post(f"/api/feedback/{request_id}", json=said).raise_for_status()


def correct(reader: Reader, client: httpx.Client, topics: list[str], requests: int) -> None:
    """The reader asks for three drafts each time, takes one, and edits it until it satisfies; or approves it as it is."""
    for number in range(requests):
        answer = draft(client, topics[number % len(topics)], "finetuned", options=3, session=f"reader-{number}")
        texts = answer["texts"]
        best = reader.choice(texts)
        better = texts[best] if reader.satisfied(texts[best]) else reader.edited(texts[best])
        said = {"edited_text": better} if better != texts[best] else {"approved": True}
        judge(client, answer["request_id"], chosen=best, **said)


def try_out(work: Work, client: httpx.Client, name: str, topics: list[str], most: int) -> tuple[str, int]:
    """Readers rate what they get until the challenger is promoted or rolled back: its state then, and how many ratings."""
    for number in range(1, most + 1):
        answer = draft(client, topics[number % len(topics)], "finetuned", session=f"{name}-{number}")
        judge(client, answer["request_id"], rating=1 if work.reader.satisfied(answer["text"]) else -1)
        if number % LOOK == 0:
            work.blogtwin(
                "learn", "--model-name", TWIN, "--minimum", "1000000"
            )  # looks at what readers said, and no more
            state = str(work.versions()[name]["state"])
            if state != "challenger":
                return state, number
    return "challenger", most


def satisfying(reader: Reader, client: httpx.Client, topics: list[str], version: str) -> float:
    """The share of drafts on held-out topics that satisfy the reader."""
    texts = [draft(client, topics[number % len(topics)], version)["text"] for number in range(TESTED)]
    return sum(map(reader.satisfied, texts)) / len(texts)


Interval = tuple[float, float, float]
NONE = (float("nan"),) * 3


@dataclass(frozen=True)
class Row:
    """One version, measured. became: champion, retired (rolled back) or challenger (not decided).

    voice, gained: with the ends of the 95% interval; gained: beyond the first version's voice, on the same prompts.
    """

    round: str
    version: str
    share: float
    voice: Interval
    gained: Interval
    perplexity: float
    became: str
    ratings: int


def measured(
    work: Work, client: httpx.Client, version: str, first: str, topics: list[str]
) -> tuple[float, Interval, Interval, float]:
    """The share of drafts that satisfy, the voice, what it gained beyond the first version's, the perplexity."""
    report = work.folder / "results" / f"{version.replace(':', '@')}.json"
    if not report.is_file():
        work.blogtwin("evaluate", "--model", version, "--output", str(report))
    found = json.loads(report.read_text("utf-8"))
    voice = interval(found["voice"], "score")
    gained = NONE
    if version != first:
        together = json.loads(work.blogtwin("evaluate", "--compare", version, first, "--json"))
        (pair,) = [one for one in together["pairs"] if one["measure"] == "voice"]
        assert (pair["first"], pair["second"]) == (version, first)
        gained = interval(pair, "difference")
    return satisfying(work.reader, client, topics, version), voice, gained, found["perplexity"]


def interval(found: dict[str, float], figure: str) -> Interval:
    return found[figure], found["low"], found["high"]


def one_round(work: Work, client: httpx.Client, number: int, first: str, requests: int, most: int) -> Row:
    """Corrections, a turn of learning, and the new version's trial."""
    topics, held = work.titles("training_data.jsonl"), work.titles("validation.jsonl")
    correct(work.reader, client, topics, requests)
    learned = json.loads(work.blogtwin("learn", "--model-name", TWIN, "--json"))
    print(f"round {number}: {learned['sentence']}", flush=True)
    version = learned["version"]
    if learned["outcome"] != "challenger":
        return Row(str(number), version, float("nan"), NONE, NONE, float("nan"), learned["outcome"], 0)
    state, ratings = try_out(work, client, version, topics, most)
    return Row(str(number), version, *measured(work, client, version, first, held), state, ratings)


def made_worse(work: Work, client: httpx.Client, first: str, most: int) -> Row:
    """A version taught the opposite of what the reader likes, put into service by hand without asking any floor."""
    folder = work.folder
    lines = (folder / "data" / "preferences.jsonl").read_text("utf-8").splitlines()
    pairs = [one for one in map(json.loads, lines) if "rejected" in one]
    turned = [{"prompt": one["prompt"], "chosen": one["rejected"], "rejected": one["chosen"]} for one in pairs]
    (folder / "data" / "opposite.jsonl").write_text("".join(json.dumps(one) + "\n" for one in turned), "utf-8")
    champion = next(one for one in work.versions().values() if one["state"] == "champion")
    told = (
        "--data",
        "data/opposite.jsonl",
        "--method",
        "dpo",
        "--from-adapter",
        champion["adapter"],
        "--sft-weight",
        "0",
    )
    before = set(work.versions())
    work.blogtwin("finetune", *told, "--output", "models/worse", "--lr", "2e-3", "--epochs", "3")
    work.blogtwin("deploy", "--model-path", "models/worse", "--model-name", TWIN, "--challenger")
    (name,) = set(work.versions()) - before
    for other in [one["name"] for one in work.versions().values() if one["state"] == "challenger"]:
        work.blogtwin("models", "retire", other)  # it has its trial alone
    work.blogtwin("models", "traffic", f"{name}=50")
    figures = measured(
        work, client, name, first, work.titles("validation.jsonl")
    )  # once it is rolled back, nobody may ask it
    state, ratings = try_out(work, client, name, work.titles("training_data.jsonl"), most)
    return Row("worse", name, *figures, state, ratings)


def show(rows: list[Row]) -> None:
    print(
        f"{'round':6} {'satisfied':>9}  {'voice':>22}  {'beyond the first':>22} {'perplexity':>10}  "
        f"{'became':10} {'ratings':>7}"
    )
    for row in rows:
        voice, gained = (f"{score:.2f} ({low:.2f} to {high:.2f})" for score, low, high in (row.voice, row.gained))
        print(
            f"{row.round:6} {row.share:9.0%}  {voice:>22}  {gained:>22} {row.perplexity:10.1f}  "
            f"{row.became:10} {row.ratings:7}"
        )


def plot(rows: list[Row], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, (upper, lower) = pyplot.subplots(2, 1, sharex=True, figsize=(6, 5), layout="constrained")
    kept = [row for row in rows if row.round != "worse"]
    places = [int(row.round) for row in kept]
    upper.plot(places, [row.share for row in kept], marker="o")
    worse = [row for row in rows if row.round == "worse"]
    upper.plot([places[-1] for _ in worse], [row.share for row in worse], marker="x", linestyle="", color="tab:red")
    for row in worse:
        upper.annotate(
            "made worse: rolled back", (places[-1], row.share), xytext=(-8, 0), textcoords="offset points", ha="right"
        )
    upper.set(ylabel="drafts that satisfy the reader", ylim=(0, 1))
    scores = [row.voice[0] for row in kept]
    below, above = ([abs(row.voice[0] - row.voice[side]) for row in kept] for side in (1, 2))
    lower.errorbar(places, scores, yerr=[below, above], marker="o", capsize=3)
    lower.set(xlabel="round of corrections", ylabel="voice: 0 base, 1 author", xticks=places)
    figure.savefig(path)
    print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("posts", type=Path)
    parser.add_argument("base", type=Path)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--requests", type=int, default=40, help="texts that the reader corrects in each round")
    parser.add_argument("--ratings", type=int, default=800, help="in one trial of a challenger, at most")
    parser.add_argument("--reader", choices=READERS, default="short", help="what the reader likes: simulated_reader.py")
    parser.add_argument("--limit", type=float, default=14, help="of what that reader counts")
    parser.add_argument("--folder", type=Path, help="where to work; what an earlier run left is taken up")
    wanted = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = wanted.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        posts, base = wanted.posts.resolve(), wanted.base.resolve()
        settings = {
            "data": {"input_dir": str(posts)},
            "training": {"base_model": str(base)},
            "deployment": {"model_name": f"{TWIN}:latest", "runtime": "llama-cpp", "temperature": 1.0, "keep": 20},
            "server": {"per_minute": 100_000},
            "evaluation": {"samples": ANSWERS, "max_tokens": 300, "perplexity_examples": 60, "few_shot_posts": 0},
            "learning": {"minimum": 5},
        }
        (folder / "pipeline_config.yaml").write_text(json.dumps(settings), "utf-8")  # JSON is YAML
        environment = {**os.environ, "BLOGTWIN_HOME": str(folder.resolve() / "home")}
        work = Work(folder, environment, READERS[wanted.reader](wanted.limit))
        work.blogtwin("pipeline")
        client = stack.enter_context(work.server())
        (first,) = [name for name, one in work.versions().items() if one["state"] == "champion"]
        figures = measured(work, client, first, first, work.titles("validation.jsonl"))
        rows = [Row("0", first, *figures, "champion", 0)]
        for number in range(1, wanted.rounds + 1):
            rows.append(one_round(work, client, number, first, wanted.requests, wanted.ratings))
            show(rows)
        rows.append(made_worse(work, client, first, wanted.ratings))
        show(rows)
        plot(rows, folder / "loop.svg")


if __name__ == "__main__":
    main()
