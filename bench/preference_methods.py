"""dpo, kto and sft on the same judgements, of 10, 30 and 100 texts: how much of what a reader likes is learned, at what price.

    uv run python bench/preference_methods.py POSTS BASE FOLDER [--samples 10 30 100]

POSTS is a folder of posts, BASE a Hugging Face folder. A twin is trained on posts; it drafts two texts for each of a hundred
training titles; a simulated reader (simulated_reader.py: short sentences, no exclamation marks) chooses one, edits it, approves
the edit and rates the draft. prepare-dataset makes preferences of the first 10, 30 and 100, and each method goes on from the twin
with the settings that `finetune` chooses, but two epochs. Measured: the share of fresh drafts on held-out titles that the
reader likes (with Wilson's interval), exclamation marks and words a sentence, and the perplexity of held-out posts.

FOLDER takes the data, the adapters and results.jsonl, one line a run; a run that stands there is not made again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import exp, sqrt
from pathlib import Path
from typing import Any

from blogtwin import jsonl
from blogtwin.cli.app import main as blogtwin
from blogtwin.config import TrainingSettings
from blogtwin.records import Example, content_id
from blogtwin.service_records import Draft, Feedback
from blogtwin.training import examples, models, rows
from blogtwin.training.tokenizer import load
from simulated_reader import Short, sentences

TOKENS = 70  # of a draft
TITLES, FRESH = 100, 3  # drafts of each held-out title
READER = Short(11)
MEASURED = 40  # held-out titles, and held-out examples
SYSTEM = TrainingSettings().system_prompt
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
# of 30 texts: name, method, one pair an edit instead of one a place, replay, learning rate
VARIANTS: tuple[tuple[str, str, bool, bool, float | None], ...] = (
    ("one pair an edit", "dpo", True, False, None),
    ("with replay", "dpo", False, True, None),
    ("with replay", "sft", False, True, None),
    ("a tenth of the rate", "sft", False, False, 5.2e-4),
)


def said(*command: object) -> None:
    """One blogtwin command, in this process."""
    if code := blogtwin([str(word) for word in command]):
        raise SystemExit(code)


class Bench:
    """The twin, its titles, and what is measured of an adapter."""

    def __init__(self, posts: Path, base: Path, folder: Path) -> None:
        self.base, self.folder, self.data = models.resolve(str(base)), folder, folder / "data"
        self.tokenizer = load(base)
        self.twin = folder / "twin"
        if not (self.data / "training_data.jsonl").is_file():
            said("ingest", "--input-dir", posts, "--output", self.data / "raw_blogs.jsonl")
            said(
                "prepare-dataset",
                "--input",
                self.data / "raw_blogs.jsonl",
                "--output",
                self.data / "training_data.jsonl",
            )
        sides = [examples.read(self.data / name) for name in ("training_data.jsonl", "validation.jsonl")]
        self.short, self.held = (sorted((one for one in side if len(one.output) < 1600), key=_mixed) for side in sides)
        self.asked, self.fresh = (
            [one.instruction for one in sorted(side, key=_mixed) if _is_title(one)] for side in sides
        )
        if not (self.twin / "twin.json").is_file():
            jsonl.write(self.data / "some.jsonl", self.short[:160])
            jsonl.write(self.data / "some_validation.jsonl", self.held[:20])
            said(
                "finetune",
                "--data",
                self.data / "some.jsonl",
                "--output",
                self.twin,
                "--base-model",
                base,
                "--epochs",
                1,
            )

    def model(self, adapter: Path) -> Any:
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        torch.set_num_threads(1)
        made = AutoModelForCausalLM.from_pretrained(self.base.folder, dtype=torch.float32)
        return PeftModel.from_pretrained(made, adapter).merge_and_unload().eval()

    def drafts(self, model: Any, prompts: Sequence[str], seed: int) -> list[str]:
        """One answer to each, up to its last whole sentence."""
        import torch

        torch.manual_seed(seed)
        texts = [self.base.template.prompt(rows.asked(prompt, SYSTEM)) for prompt in prompts]
        self.tokenizer.padding_side = "left"
        inputs = self.tokenizer(texts, add_special_tokens=False, padding=True, return_tensors="pt")
        inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        with torch.no_grad():
            found = model.generate(
                **inputs, do_sample=True, temperature=0.7, top_p=0.9, top_k=40, max_new_tokens=TOKENS,
                pad_token_id=self.tokenizer.pad_token_id or 0,
            )  # fmt: skip
        answers = found[:, inputs["input_ids"].shape[1] :]
        return [_whole(text.strip()) for text in self.tokenizer.batch_decode(answers, skip_special_tokens=True)]

    def measured(self, adapter: Path) -> dict[str, float]:
        model = self.model(adapter)
        texts = [text for seed in range(FRESH) for text in self.drafts(model, self.fresh[:MEASURED], 100 + seed)]
        liked = sum(map(READER.satisfied, texts))
        low, high = _wilson(liked, len(texts))
        words = sum(len(text.split()) for text in texts)
        return {
            "drafts": len(texts),
            "liked": round(liked / len(texts), 3),
            "low": low,
            "high": high,
            "words a sentence": round(words / sum(len(sentences(text)) for text in texts), 1),
            "exclamations in 1000 words": round(1000 * sum(text.count("!") for text in texts) / words, 1),
            "perplexity": round(self.perplexity(model), 1),
        }

    def perplexity(self, model: Any) -> float:
        import torch

        found = rows.tokenized(self.held[:MEASURED], self.tokenizer, self.base.template, SYSTEM, 1024).rows
        total = count = 0.0
        with torch.no_grad():
            for row in found:
                answer = len(row.tokens) - row.prompt
                total += answer * float(model(torch.tensor([row.tokens]), labels=torch.tensor([row.labels])).loss)
                count += answer
        return exp(total / count)

    def judged(self) -> list[Feedback]:
        """What the reader says of two drafts for each title."""
        path = self.data / "feedback.jsonl"
        if not path.is_file():
            model = self.model(self.twin)
            sides = [self.drafts(model, self.asked[:TITLES], seed) for seed in (1, 2)]
            both = zip(self.asked, *sides, strict=False)
            jsonl.write(path, (_feedback(place, *one) for place, one in enumerate(both) if all(one)))
        return list(jsonl.read(path, Feedback))


def _feedback(place: int, prompt: str, first: str, second: str) -> Feedback:
    drafts = (first, second)
    chosen = int(READER.taste(second) < READER.taste(first))
    moment = BEGAN + timedelta(minutes=place)
    return Feedback(
        id=f"{place:03}", twin="twin", kind="write", subject="", prompt=prompt, response=drafts[chosen], chosen=chosen,
        drafts=tuple(Draft(version="twin:a", text=text) for text in drafts), version="twin:a", approved=True,
        rating=1 if READER.satisfied(drafts[chosen]) else -1, edited_text=READER.edited(drafts[chosen]),
        created_at=moment, judged_at=moment,
    )  # fmt: skip


def _mixed(example: Example) -> str:
    return content_id("bench", example.id)


def _is_title(example: Example) -> bool:
    return example.kind in ("topic", "section") and not example.input


def _whole(text: str) -> str:
    end = max(text.rfind(mark) for mark in ".!?")
    return text[: end + 1] if end > len(text) / 3 else text


def _wilson(successes: int, trials: int) -> tuple[float, float]:
    """95%: Wilson, 1927, JASA 22(158)."""
    z, share = 1.96, successes / trials
    middle, wide = share + z * z / (2 * trials), z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return tuple(round((middle + sign * wide) / (1 + z * z / trials), 3) for sign in (-1, 1))  # type: ignore[return-value]


def prepared(bench: Bench, judged: list[Feedback], samples: int, whole: bool) -> Path:
    """preferences.jsonl and approved.jsonl of the first so many judgements."""
    folder = bench.data / (f"{samples}-whole" if whole else str(samples))
    out = folder / "preferences.jsonl"
    if not out.is_file():
        jsonl.write(folder / "feedback.jsonl", judged[:samples])
        said("prepare-dataset", "--preferences", folder / "feedback.jsonl", "--output", out, "--model-name", "twin")
    if whole:
        for path in (out, out.with_name("preferences_validation.jsonl")):
            asked = {str(line["prompt"]) for _, line in jsonl.lines(path)}
            pairs = [pair for row in judged[:samples] if row.prompt in asked for pair in _pairs(row)]
            path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return out


def _pairs(row: Feedback) -> list[dict[str, str]]:
    other = row.drafts[1 - (row.chosen or 0)].text
    better = [(row.edited_text or "", row.response), (row.response, other)]
    return [{"prompt": row.prompt, "chosen": one, "rejected": two} for one, two in better if one.split() != two.split()]


def trained(bench: Bench, data: Path, method: str, replay: bool, rate: float | None, adapter: Path) -> float:
    """Processor seconds."""
    source = data.with_name("approved.jsonl") if method == "sft" else data
    mixed_in = ["--replay", bench.data / "some.jsonl"] if replay else []
    given_rate = ["--lr", rate] if rate else []
    began = time.process_time()
    said(
        "finetune", "--data", source, "--output", adapter, "--method", method, "--from-adapter", bench.twin,
        "--epochs", 2, *mixed_in, *given_rate,
    )  # fmt: skip
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("posts", type=Path)
    parser.add_argument("base", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, nargs="*", default=[10, 30, 100])
    options = parser.parse_args()
    bench = Bench(options.posts, options.base, options.folder)
    results = options.folder / "results.jsonl"
    done = [line for _, line in jsonl.lines(results)] if results.is_file() else []

    def note(**found: object) -> None:
        done.append(found)
        results.write_text("".join(json.dumps(one) + "\n" for one in done))
        print(json.dumps(found), flush=True)

    def known(**run: object) -> bool:
        return any(all(one.get(name) == value for name, value in run.items()) for one in done)

    if not known(method="none"):
        note(method="none", samples=0, variant="", **bench.measured(bench.twin))
    judged = bench.judged()
    plain = [
        (samples, "", method, False, False, None) for samples in options.samples for method in ("dpo", "sft", "kto")
    ]
    changed = [(30, *one) for one in VARIANTS] if 30 in options.samples else []
    for samples, variant, method, whole, replay, rate in (*plain, *changed):
        if known(method=method, samples=samples, variant=variant):
            continue
        adapter = options.folder / f"{method}-{samples}{'-' + variant.replace(' ', '-') if variant else ''}"
        seconds = trained(bench, prepared(bench, judged, samples, whole), method, replay, rate, adapter)
        note(method=method, samples=samples, variant=variant, seconds=round(seconds), **bench.measured(adapter))


if __name__ == "__main__":
    main()
