"""The autopilot: what it chooses for a corpus and a base, that it never overrules anybody, and what it says of too little."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from math import ceil
from pathlib import Path

import pytest

from blogtwin import jsonl
from blogtwin.config import Settings, TrainingSettings, load_settings
from blogtwin.records import Example
from blogtwin.stages.effective import effective
from blogtwin.training import autopilot, sizes
from blogtwin.training.sizes import Corpus

EXAMPLES = (2, 30, 137, 300, 544, 1_000, 2_044, 6_000, 50_000, 400_000)
BASES = (
    100_000,
    800_000,
    3_500_000,
    135_000_000,
    362_000_000,
    596_000_000,
    1_236_000_000,
    3_213_000_000,
    8_000_000_000,
)
GB = 10**9


def of(examples: int) -> Corpus:
    return Corpus(examples, max(1, examples // 8), examples * 500, examples * 200)


def values(corpus: Corpus, parameters: int, memory: int = 0, **decided: float) -> dict[str, float]:
    return {one.name: one.value for one in autopilot.choose(corpus, parameters, memory, "sft", decided)}


@pytest.mark.parametrize(
    ("examples", "parameters", "expected"),
    [
        # measured good: starter with 137 examples; the Llama of 3.5 million with 544 and 2,044 (docs/experiments.md)
        (137, 800_000, {"epochs": 4.0, "batch_size": 2, "lora_r": 16}),
        (544, 3_500_000, {"epochs": 2.0, "batch_size": 2, "lora_r": 16, "lora_alpha": 32, "patience": 3}),
        (2_044, 3_500_000, {"epochs": 1.0, "batch_size": 2}),
        # the field's: QLoRA and Biderman et al. took 1e-4 to 5e-4 for billions of parameters
        (544, 1_236_000_000, {"lora_r": 16, "lora_alpha": 32}),
        (400_000, 1_236_000_000, {"epochs": 1.0, "batch_size": 16, "warm_up": 0.03}),
    ],
)
def test_what_was_measured_is_what_is_chosen(examples: int, parameters: int, expected: dict[str, float]) -> None:
    chosen = values(of(examples), parameters)
    assert {name: chosen[name] for name in expected} == expected


def test_every_choice_is_bounded_and_moves_one_way() -> None:
    for parameters in BASES:
        found = [values(of(examples), parameters) for examples in EXAMPLES]
        for fewer, more in pairwise(found):
            assert fewer["epochs"] >= more["epochs"]
            assert fewer["patience"] >= more["patience"]
            assert fewer["batch_size"] <= more["batch_size"]
            assert fewer["lora_r"] <= more["lora_r"]
            assert fewer["learning_rate"] == more["learning_rate"]
        for one in found:
            assert 1 <= one["epochs"] <= 4
            assert one["batch_size"] in (2, 4, 8, 16)
            assert one["lora_r"] in (8, 16, 32, 64)
            assert 0.03 <= one["warm_up"] <= 0.1
            assert 1e-4 <= one["learning_rate"] <= 1e-2
    for smaller, larger in pairwise(BASES):
        assert autopilot.rate(smaller) >= autopilot.rate(larger)
        for examples in EXAMPLES:
            assert values(of(examples), smaller)["lora_r"] >= values(of(examples), larger)["lora_r"]


def test_the_rate_is_the_fields_for_billions_and_ours_for_millions() -> None:
    assert 2e-4 <= autopilot.rate(3_213_000_000) < autopilot.rate(1_236_000_000) <= 8e-4
    assert 2e-3 <= autopilot.rate(3_500_000) <= 8e-3
    assert autopilot.rate(1_236_000_000, "dpo") == pytest.approx(autopilot.rate(1_236_000_000) / 50, rel=0.05)


def test_little_memory_makes_the_adapter_smaller_and_says_so() -> None:
    corpus = of(400_000)
    ranks = [values(corpus, 135_000_000, memory)["lora_r"] for memory in (GB, 4 * GB, 64 * GB)]
    assert ranks == sorted(ranks)
    assert ranks[0] < ranks[-1] == 64
    reasons = {one.name: one.reason for one in autopilot.choose(corpus, 135_000_000, GB, "sft", {})}
    assert "as far as the memory allows" in reasons["lora_r"]


def test_what_is_decided_is_not_chosen_and_the_rest_follows_it() -> None:
    assert "epochs" not in values(of(544), 3_500_000, epochs=0.5)
    assert values(of(544), 3_500_000, epochs=0.5)["warm_up"] > values(of(544), 3_500_000)["warm_up"]


def test_kto_compares_four_answers_or_more() -> None:
    assert {one.name: one.value for one in autopilot.choose(of(30), 800_000, 0, "kto", {})}["batch_size"] == 4


def test_a_corpus_too_small_is_told_with_what_helps() -> None:
    assert autopilot.too_small(Corpus(137, 23, 57_000, 19_000), "llama3.2:1b") is None
    said = autopilot.too_small(Corpus(12, 3, 2_000, 900), "llama3.2:1b")
    assert said is not None
    assert said.startswith("3 posts with about 900 words are little")
    for help_ in ("--drafts", "in its prompt", "--lora-r 8", "smaller base than llama3.2:1b"):
        assert help_ in said
    assert autopilot.too_small(Corpus(200, 40, 9_000, 5_000), "llama3.2:1b")  # many posts, of a line each


def test_a_training_file_is_counted_whatever_its_shape(tmp_path: Path) -> None:
    own, bare = tmp_path / "own.jsonl", tmp_path / "bare.jsonl"
    jsonl.write(own, [_example(place) for place in range(6)])
    bare.write_text("".join(json.dumps({"messages": [place]}) + "\n\n" for place in range(3)), "utf-8")
    counted = sizes.corpus(own)
    assert counted is not None
    assert (counted.examples, counted.posts) == (6, 3)
    assert counted.tokens == pytest.approx(own.stat().st_size / 4, abs=1)
    found = sizes.corpus(bare)
    assert found is not None
    assert (found.examples, found.posts) == (3, 3)
    assert sizes.corpus(tmp_path / "none.jsonl") is None


def test_each_method_counts_what_it_learns_from(tmp_path: Path) -> None:
    path = tmp_path / "preferences.jsonl"
    pairs = [{"prompt": f"p{place}", "chosen": "good", "rejected": "bad"} for place in range(30)]
    quoted = {"prompt": 'a key "rejected": of JSON', "completion": 'he said "rejected": twice', "label": False}
    rows = [*pairs, *[quoted | {"prompt": f"{quoted['prompt']} {place}"} for place in range(500)]]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    found = sizes.corpus(path)
    assert found is not None
    counts = {method: found.learned(method, 0.5).examples for method in ("sft", "dpo", "kto")}
    assert counts == {"sft": 795, "dpo": 45, "kto": 840}
    assert found.learned("dpo", 0.0).examples == 30


@pytest.mark.parametrize("examples", [30, 90, 150, 299, 400, 1_200, 2_300])
def test_preferences_are_learned_in_about_a_hundred_steps(examples: int) -> None:
    """The voice pays for each; few judgements are seen twice, of many each step takes more."""
    chosen = {one.name: one.value for one in autopilot.choose(of(examples), 3_500_000, 0, "dpo", {})}
    steps = ceil(examples / chosen["batch_size"]) * chosen["epochs"]
    assert min(examples, 75) <= steps <= 150
    assert 1 <= chosen["epochs"] <= 2


def _example(place: int) -> Example:
    fields = {"kind": "topic", "instruction": "Write.", "input": "", "output": f"The tide came at {place}. " * 20}
    return Example.model_validate({"id": f"e{place}", "post_id": f"p{place // 2}", **fields})


@pytest.mark.parametrize(
    ("base", "parameters"),
    [
        ("llama3.2:1b", 1_236_000_000),
        ("starter", 800_000),
        ("org/SmolLM2-135M-Instruct", 135_000_000),
        ("org/Some-Model-1.7B@main", 1_700_000_000),
        ("org/qwen-3b-a2", 3_000_000_000),
        ("org/llama-of-mine", 1_000_000_000),
    ],
)
def test_a_base_tells_its_size_by_its_name_alone(base: str, parameters: int) -> None:
    assert sizes.parameters(base) == parameters


def test_a_folder_tells_its_size_by_its_weights(tiny_base: Path, tmp_path: Path) -> None:
    assert 50_000 < sizes.parameters(str(tiny_base)) < 300_000
    assert sizes.parameters(str(tmp_path)) == 1_000_000_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "training_data.jsonl"
    jsonl.write(path, [_example(place) for place in range(60)])
    return path


def test_flags_environment_and_file_go_before_the_autopilot(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("training: {lora_r: 12}\n", "utf-8")
    monkeypatch.setenv("BLOGTWIN_TRAINING_LEARNING_RATE", "2e-4")  # the default, said out loud
    found = effective(load_settings(config, {"training": {"epochs": 3.0, "base_model": "starter"}}), data)
    assert (found.training.lora_r, found.training.learning_rate, found.training.epochs) == (12, 2e-4, 3.0)
    assert {one.name for one in found.choices} == {"batch_size", "lora_alpha", "warm_up", "patience"}
    assert all(getattr(found.training, one.name) == one.value for one in found.choices)
    assert isinstance(found.training.batch_size, int)


def test_the_same_files_choose_the_same_and_no_file_leaves_the_defaults(data: Path, tmp_path: Path) -> None:
    settings = replace(Settings(), training=replace(TrainingSettings(), base_model="starter"))
    assert effective(settings, data) == effective(settings, data)
    nothing = effective(settings, tmp_path / "none.jsonl")
    assert (nothing.choices, nothing.training) == ((), settings.training)
    assert any("are little to learn a voice from" in remark for remark in effective(settings, data).remarks)
