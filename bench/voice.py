"""Does the voice score work? Over two authors, on people and on twins, where the right order is known.

    uv run python bench/voice.py ONE OTHER [--base BASE --twins TWIN_OF_ONE TWIN_OF_OTHER]

ONE and OTHER are folders with training_data.jsonl and validation.jsonl as `prepare-dataset` writes them; BASE is a Hugging Face
folder, the twins are adapters that `finetune` made of these examples.

- People: author ONE's training posts are the voice, the held-out side is other posts of ONE's, the "base" is OTHER. The "twin"
  is, in turn, more of ONE's posts (should be near 1), more of OTHER's (near 0), ONE's with their words shuffled, and ONE's
  again with 5, 10 and 15 prompts for the width of the interval. Posts are drawn anew in each trial. Then the two change places.
- Twins: both twins and the base answer ONE's held-out titles, several times with other seeds; the right twin should score above
  the wrong one and the base's 0. Independent of any measure of style: each model's perplexity on ONE's held-out posts.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from blogtwin.adapter_folder import read_card
from blogtwin.chat_template import TEMPLATES
from blogtwin.evaluation.perplexity import HeldOut, answer_losses
from blogtwin.evaluation.voice import Voice, voice_score
from blogtwin.evaluation.words import cut, words
from blogtwin.progress import Silent
from blogtwin.records import Example, Message
from blogtwin.training import examples

TRIALS, WORDS, ASKED, NEW_TOKENS = 8, 400, 32, 500
SEEDS = (7, 8, 9)
CONTEXT = 1024  # tokens, prompt and post


def topics(file: Path) -> list[Example]:
    """One example a post, whose answer is the whole post."""
    found = {one.post_id: one for one in examples.read(file) if one.kind == "topic" and not one.input}
    return list(found.values())


def posts(file: Path) -> list[str]:
    """The longest answer of each post: the post itself, or its longest section."""
    found: dict[str, str] = {}
    for one in examples.read(file):
        found[one.post_id] = max(found.get(one.post_id, ""), one.output, key=len)
    return list(found.values())


def people(one: Path, other: Path) -> None:
    mine, theirs = (
        [post for name in ("training_data.jsonl", "validation.jsonl") for post in posts(side / name)]
        for side in (one, other)
    )
    found: dict[str, list[tuple[float, float, float]]] = {}
    for trial in range(TRIALS):
        chance = random.Random(trial)
        long = [
            chance.sample(long, len(long))
            for long in ([text for text in side if len(words(text)) >= WORDS] for side in (mine, theirs))
        ]
        held, more, training = long[0][:15], long[0][15:30], long[0][30:130]
        base, more_base = long[1][:15], long[1][15:30]
        shuffled = [" ".join(chance.sample(text.split(), len(text.split()))) for text in more]
        twins = {"author": more, "other": more_base, "author, words shuffled": shuffled}
        for name, twin in twins.items():
            for prompts in (5, 10, 15) if name == "author" else (15,):
                sides = [[cut(text, WORDS) for text in side[:prompts]] for side in (held, base, twin)]
                voice = voice_score(training, *sides, seed=7)
                if voice.score is not None and voice.low is not None and voice.high is not None:
                    found.setdefault(f"{name}, {prompts} posts", []).append((voice.score, voice.low, voice.high))
    print(f"\npeople: the voice of {one.parent.name}, 0 is {other.parent.name}; {TRIALS} trials, {WORDS} words a post")
    for name, scores in found.items():
        score, low, high = np.array(scores).T
        print(
            f"  {name:36} {score.mean():6.2f} ± {score.std():.2f}, width {np.median(high - low):.2f}, scored {len(scores)}"
        )


def tokenizer_of(base: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base, padding_side="left")


def answers(
    base: Path, adapter: Path | None, asked: Sequence[str], stop: str, seed: int, temperature: float
) -> list[str]:
    """What the base, or the twin, says to rendered prompts; one sampling for all."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    tokenizer = tokenizer_of(base)
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = (PeftModel.from_pretrained(model, str(adapter)) if adapter else model).eval()
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    batch = tokenizer(asked, return_tensors="pt", padding=True, add_special_tokens=False)
    with torch.inference_mode():
        made = model.generate(
            **batch,
            max_new_tokens=NEW_TOKENS,
            do_sample=True,
            temperature=temperature,
            top_p=0.95,
            repetition_penalty=1.1,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.convert_tokens_to_ids(stop),
        )
    return list(tokenizer.batch_decode(made[:, batch["input_ids"].shape[1] :], skip_special_tokens=True))


def twins(one: Path, base: Path, right: Path, wrong: Path, temperature: float) -> None:
    card = read_card(right)
    template, system = TEMPLATES[card.template], Message(role="system", content=card.system)
    training = posts(one / "training_data.jsonl")
    held = topics(one / "validation.jsonl")[:ASKED]
    own = [example.output for example in held]
    asked = [template.prompt([system, Message(role="user", content=example.instruction)]) for example in held]
    stop = template.stop[0]
    print(
        f"\ntwins: the voice of {one.parent.name}, 0 is the base; {len(held)} held-out titles, temperature {temperature}"
    )
    perplexities(base, {"right": right, "wrong": wrong}, asked, [f"{text}{stop}" for text in own])
    for seed in SEEDS:
        from_base = answers(base, None, asked, stop, seed, temperature)
        for name, adapter in (("right", right), ("wrong", wrong)):
            said = answers(base, adapter, asked, stop, seed, temperature)
            shown(f"{name} twin, seed {seed}", voice_score(training, own, from_base, said, seed=7))


def perplexities(base: Path, adapters: dict[str, Path], asked: Sequence[str], own: Sequence[str]) -> None:
    """Of each model on the author's own held-out posts, as far as they fit."""
    tokenizer = tokenizer_of(base)
    rows = []
    for prompt, text in zip(asked, own, strict=True):
        before, after = (tokenizer(part, add_special_tokens=False)["input_ids"] for part in (prompt, text))
        tokens = [*before, *after][:CONTEXT]
        rows.append(HeldOut("", tokens, len(before), 1))
    for name, adapter in adapters.items():
        found = answer_losses(base, adapter, rows, False, 1, Silent()).perplexities()
        print(
            f"  perplexity of the author's posts: base {found['perplexity_base']:.1f}, {name} twin {found['perplexity']:.1f}"
        )


def shown(name: str, voice: Voice) -> None:
    def figure(score: float | None) -> str:
        return "left out" if score is None else f"{score:.2f}"

    each = ", ".join(f"{habit.habit} {figure(habit.score)}" for habit in voice.habits)
    interval = f"{figure(voice.low)} to {figure(voice.high)}"
    print(f"  {name}: {figure(voice.score)} ({interval}), {voice.words} words a side: {each}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("one", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--twins", type=Path, nargs=2, metavar=("TWIN_OF_ONE", "TWIN_OF_OTHER"))
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--only-twins", action="store_true")
    wanted = parser.parse_args()
    if not wanted.only_twins:
        people(wanted.one, wanted.other)
        people(wanted.other, wanted.one)
    if wanted.base and wanted.twins:
        twin_of_one, twin_of_other = wanted.twins
        twins(wanted.one, wanted.base, twin_of_one, twin_of_other, wanted.temperature)
        twins(wanted.other, wanted.base, twin_of_other, twin_of_one, wanted.temperature)


if __name__ == "__main__":
    main()
