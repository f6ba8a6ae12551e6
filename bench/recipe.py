"""Our recipe beside the plain one, at equal tokens seen: perplexity of held-out posts, one base model, median of three seeds.

    uv run python bench/recipe.py POSTS BASE FOLDER [--tokens 100000] [--try rate=5e-3 kinds=topic,section …]

POSTS is a folder of posts, BASE a Hugging Face folder; FOLDER takes the examples and results.jsonl, one line a run. A run that
stands there is not made again, so a bench that was killed goes on. Without --try: the plain recipe at five rates with one seed,
its best rate with two seeds more, and ours with three. With --try: ours once more with something changed (see `changed`).

- plain: a training post is one row, `Write a blog post about TITLE` → the post, cut at 1,024 tokens; trl's SFTTrainer with LoRA
  r 16, alpha 32 on all linear layers, batches of 4, the rate falling in a straight line.
- ours: the examples of `prepare-dataset`, trained by `finetune`; --epochs makes it see as many tokens, no other flag is set
  unless --rate is given.
- Tokens seen are those of prompt and answer, padding left out. Both sides learn from the same training posts, and the same posts
  are held out.

Three measures of the adapter, each over the same tokens for both sides, spread evenly over the held-out posts:
- bare: the posts' text in windows of 512 tokens behind a BOS, without question or template. The headline, decided before the
  first run: neither side was trained on this form, and it covers posts from their beginning to their end.
- plain: the plain recipe's own question → the post, cut at 1,024 tokens: its own ground, the beginnings of posts alone. A gain
  that does not show here too is not to be believed.
- ours: the validation examples as `finetune` renders them: our own ground, and shown for that reason alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

from blogtwin import jsonl
from blogtwin.cli.app import main as blogtwin
from blogtwin.config import TrainingSettings
from blogtwin.records import Example, Post
from blogtwin.training import examples, models, rows
from blogtwin.training.tokenizer import load

RATES = (5e-3, 2e-3, 1e-3, 5e-4, 2e-4)
SEEDS = (7, 8, 9)
CONTEXT, WINDOW = 1024, 512  # tokens
MEASURED = 20_000  # tokens, about, of each measure
VALIDATED_ON = 24  # examples, for ours to look at while it trains
MEASURES = ("bare", "plain", "ours")


@dataclass(frozen=True)
class Run:
    """One training run. rate None, rank 0, batch 0: what `finetune` chooses; 16 and 4 for plain. tokens: seen, about.

    epochs: ours by epochs, whatever the tokens. kinds: of examples, all when empty. packed: trl's packing of whole posts instead
    of cutting them. whole_loss: on the question too.
    """

    side: str
    rate: float | None
    seed: int
    tokens: int
    rank: int = 0
    batch: int = 0
    kinds: tuple[str, ...] = ()
    epochs: float | None = None
    packed: bool = False
    whole_loss: bool = False


@dataclass(frozen=True)
class Bench:
    """folder: data/ and adapters/. base: of every run. posts: training, then held out, as ingest left them."""

    folder: Path
    base: models.Base
    tokenizer: Any
    posts: tuple[list[Post], list[Post]]

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def tokenized(self, found: Sequence[Example]) -> list[rows.Row]:
        return rows.tokenized(found, self.tokenizer, self.base.template, TrainingSettings().system_prompt, CONTEXT).rows


def prepared(posts: Path, base: Path, folder: Path) -> Bench:
    """Ingest and split, by blogtwin itself."""
    data = folder / "data"
    said("ingest", "--input-dir", posts, "--output", data / "raw_blogs.jsonl")
    said("prepare-dataset", "--input", data / "raw_blogs.jsonl", "--output", data / "training_data.jsonl")
    read = list(jsonl.read(data / "raw_blogs.jsonl", Post))
    sides = [
        {one.post_id for one in examples.read(data / name)} for name in ("training_data.jsonl", "validation.jsonl")
    ]
    training, held = ([post for post in read if post.id in side] for side in sides)
    return Bench(folder, models.resolve(str(base)), load(base), (training, held))


def said(*command: object) -> None:
    """One blogtwin command, in this process."""
    if code := blogtwin([str(word) for word in command]):
        raise SystemExit(code)


def plain(bench: Bench, run: Run, adapter: Path) -> tuple[int, int]:
    """The plain recipe. Returns tokens seen and steps."""
    import datasets
    import torch
    import transformers
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    torch.set_num_threads(1)
    transformers.set_seed(run.seed)
    rank, batch = run.rank or 16, run.batch or 4
    asked = [
        {
            "prompt": [{"role": "user", "content": f"Write a blog post about {post.title}"}],
            "completion": [{"role": "assistant", "content": post.text}],
        }
        for post in bench.posts[0]
    ]
    lengths = [
        len(bench.tokenizer(post.text)["input_ids"]) + len(question(bench, post.title)) for post in bench.posts[0]
    ]
    a_step = sum(min(length, CONTEXT) for length in lengths) / ceil(len(asked) / batch)  # tokens a step, on average
    steps = round(run.tokens / (CONTEXT * batch if run.packed else a_step))
    trainer = SFTTrainer(
        model=transformers.AutoModelForCausalLM.from_pretrained(bench.base.folder, dtype=torch.float32),
        args=SFTConfig(
            output_dir=str(adapter),
            max_length=CONTEXT,
            packing=run.packed,
            packing_strategy="bfd_split" if run.packed else "bfd",
            learning_rate=run.rate,
            per_device_train_batch_size=batch,
            max_steps=steps,
            seed=run.seed,
            loss_type="nll",
            gradient_checkpointing=False,  # neither changes what is computed, and both cost time here
            use_cpu=True,
            bf16=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        ),
        train_dataset=datasets.Dataset.from_list(asked),
        processing_class=bench.tokenizer,
        peft_config=LoraConfig(
            r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
    )
    trainer.train()
    trainer.save_model(str(adapter))
    seen = [entry["num_tokens"] for entry in trainer.state.log_history if "num_tokens" in entry]
    return int(seen[-1]), trainer.state.global_step


def ours(bench: Bench, run: Run, adapter: Path) -> tuple[int, int]:
    """`finetune`, as a user runs it. Returns tokens seen and steps."""
    found = examples.read(bench.data / "training_data.jsonl")
    found = [one for one in found if not run.kinds or one.kind in run.kinds]
    an_epoch = sum(len(row.tokens) for row in bench.tokenized(found))
    held = examples.read(bench.data / "validation.jsonl")
    data = adapter / "examples"
    jsonl.write(data / "training_data.jsonl", found)
    jsonl.write(data / "validation.jsonl", held[:: max(1, len(held) // VALIDATED_ON)])
    epochs = run.epochs or run.tokens / an_epoch
    rate = [] if run.rate is None else ["--lr", run.rate]
    other = ["--batch-size", run.batch] if run.batch else []
    other += ["--lora-r", run.rank] if run.rank else []
    os.environ["BLOGTWIN_TRAINING_SEED"] = str(run.seed)
    with loss_on_the_question() if run.whole_loss else contextlib.nullcontext():
        said(
            *("finetune", "--data", data / "training_data.jsonl", "--output", adapter),
            *("--base-model", bench.base.folder, "--epochs", f"{epochs:.4f}", "--threads", 1, *rate, *other),
        )
    log = [json.loads(line) for line in (adapter / "training_log.jsonl").read_text("utf-8").splitlines()]
    last = log[-1]
    return round(an_epoch * min(last["epoch"], epochs)), last["step"]


@contextlib.contextmanager
def loss_on_the_question() -> Iterator[None]:
    """Nobody should want this, so `finetune` cannot do it."""
    before = rows.Row.labels
    rows.Row.labels = property(lambda row: list(row.tokens))  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        rows.Row.labels = before  # type: ignore[method-assign]


def question(bench: Bench, title: str) -> list[int]:
    """The plain recipe's question, as the base's own template renders it."""
    asked = [{"role": "user", "content": f"Write a blog post about {title}"}]
    text = bench.tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    found: list[int] = bench.tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


def held_out(bench: Bench) -> dict[str, list[rows.Row]]:
    """For each measure its rows."""
    number = bench.tokenizer
    bare, asked = [], []
    for post in bench.posts[1]:
        text = number(post.text, add_special_tokens=False)["input_ids"]
        windows = [text[start : start + WINDOW] for start in range(0, len(text), WINDOW)]
        bare += [rows.Row([number.bos_token_id, *window], 1) for window in windows]
        prompt = question(bench, post.title)
        end = number(bench.base.template.turn_end, add_special_tokens=False)["input_ids"]
        asked.append(rows.Row((prompt + text + end)[:CONTEXT], len(prompt)))
    answered = bench.tokenized(examples.read(bench.data / "validation.jsonl"))
    return {name: spread(found) for name, found in zip(MEASURES, (bare, asked, answered), strict=True)}


def spread(found: list[rows.Row]) -> list[rows.Row]:
    """As many as MEASURED allows, evenly from first to last."""
    total = sum(len(row.tokens) for row in found)
    many = min(len(found), round(len(found) * MEASURED / total))
    return [found[place * len(found) // many] for place in range(many)]


def perplexities(bench: Bench, adapter: Path | None) -> dict[str, float]:
    """Of each measure; adapter, None: the base's own."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(bench.base.folder, dtype=torch.float32)
    model = (PeftModel.from_pretrained(model, str(adapter)) if adapter else model).eval()
    out = {}
    for name, found in held_out(bench).items():
        nats, count = 0.0, 0
        with torch.inference_mode():
            for row in found:
                logits = model(torch.tensor([row.tokens]), use_cache=False).logits[0, row.prompt - 1 : -1]
                wanted = torch.tensor(row.tokens[row.prompt :])
                nats += float(torch.nn.functional.cross_entropy(logits, wanted, reduction="sum"))
                count += len(wanted)
        out[name] = round(float(torch.tensor(nats / count).exp()), 2)
    return out


def measured(bench: Bench, run: Run) -> dict[str, Any]:
    """One run's line: from results.jsonl, or trained now and added there."""
    results = bench.folder / "results.jsonl"
    key = json.dumps(asdict(run))
    lines: list[dict[str, Any]] = []
    if results.is_file():
        lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    known = [line for line in lines if json.dumps(line["run"]) == key]
    if not known:
        adapter = bench.folder / "adapters" / str(len(lines))
        began, processor = time.monotonic(), time.process_time()
        seen, steps = (plain if run.side == "plain" else ours)(bench, run, adapter) if run.side != "base" else (0, 0)
        line = {"run": asdict(run), "seen": seen, "steps": steps, "seconds": round(time.monotonic() - began)}
        line["processor_seconds"] = round(time.process_time() - processor)
        line |= {"perplexity": perplexities(bench, adapter if run.side != "base" else None)}
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        known = [line]
    print(shown(run), known[0]["perplexity"], f"{known[0]['seen']:,} tokens, {known[0]['steps']} steps", flush=True)
    return known[0]


def shown(run: Run) -> str:
    """What differs from a bare Run."""
    usual = asdict(Run("", None, 0, 0))
    return " ".join(f"{name}={value}" for name, value in asdict(run).items() if value != usual[name])


def headline(bench: Bench, tokens: int, rate: float | None) -> None:
    """The table of the module's first lines, and the ratio that is to be at most 0.95."""
    measured(bench, Run("base", None, 0, 0))
    measured(bench, Run("ours", rate, SEEDS[0], tokens))
    one_each = {
        plain_rate: measured(bench, Run("plain", plain_rate, SEEDS[0], tokens))["perplexity"] for plain_rate in RATES
    }
    sides = {"ours": [Run("ours", rate, seed, tokens) for seed in SEEDS]}
    for name in MEASURES:  # plain may take another rate for each measure
        best = min(RATES, key=lambda one: one_each[one][name])
        sides[f"plain for {name}"] = [Run("plain", best, seed, tokens) for seed in SEEDS]
    found = {side: [measured(bench, run)["perplexity"] for run in runs] for side, runs in sides.items()}
    print()
    for name in MEASURES:
        mine, its = (statistics.median(one[name] for one in found[side]) for side in ("ours", f"plain for {name}"))
        print(
            f"{name}: plain {its:.2f} at {sides[f'plain for {name}'][0].rate:g}, ours {mine:.2f}, ratio {mine / its:.3f}"
        )


def changed(run: Run, changes: str) -> Run:
    """`rank=4`, `kinds=topic+section`, `rate=5e-3,seed=8`, `side=plain,packed=1,rate=2e-3`: what differs from `run`."""
    kinds: dict[str, Any] = {"kinds": lambda text: tuple(text.split("+")), "side": str, "rate": float, "epochs": float}
    kinds |= {"packed": lambda text: bool(int(text)), "whole_loss": lambda text: bool(int(text))}
    pairs = [change.split("=") for change in changes.split(",")]
    return replace(run, **{name: kinds.get(name, int)(value) for name, value in pairs})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("posts", type=Path)
    parser.add_argument("base", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument("--rate", type=float, help="of ours; without it, what finetune chooses")
    parser.add_argument("--try", dest="tries", nargs="+", default=[], metavar="NAME=VALUE[,NAME=VALUE]")
    wanted = parser.parse_args()
    bench = prepared(wanted.posts, wanted.base.resolve(), wanted.folder)
    for changes in wanted.tries:
        measured(bench, changed(Run("ours", wanted.rate, SEEDS[0], wanted.tokens), changes))
    if not wanted.tries:
        headline(bench, wanted.tokens, wanted.rate)


if __name__ == "__main__":
    main()
