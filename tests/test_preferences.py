"""dpo and kto, end to end, on a tiny Llama: the shapes of the data, what is learned, and how a killed run goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blogtwin import adapter_folder, jsonl
from blogtwin.chat_template import LLAMA3
from blogtwin.config import Settings, TrainingSettings
from blogtwin.errors import BrokenRecord, ModelError, NothingUsable, UsageError
from blogtwin.progress import Silent
from blogtwin.records import Example
from blogtwin.stages import finetune
from blogtwin.training import examples, hardware, material, precision, preferences, starter
from blogtwin.training.preferences import Pair, Rating
from blogtwin.training.rows import paired, rated, tokenized
from blogtwin.workspace import Workspace
from training_runs import DECIDED, SHAPE, Interrupting, files, place

SYSTEM = TrainingSettings().system_prompt
GOOD = ("The clock in the hall stopped on Tuesday.", "My neighbour's bees were in the lime tree by noon.")
BAD = ("In conclusion, clocks are a game changer.", "Let us delve into the world of bees, a rich tapestry.")


def pair(day: int) -> dict[str, object]:
    words = [(GOOD[day % 2], BAD[day % 2]), (GOOD[1 - day % 2], BAD[1 - day % 2])]
    chosen, rejected = (" ".join(side * 2) for side in zip(*words, strict=True))
    return {"prompt": f"Write about day {day}.", "chosen": chosen, "rejected": rejected}


def write(path: Path, lines: list[dict[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


PREFERENCES = "preferences.jsonl"


def settings(parent: Path | None, **changes: object) -> Settings:
    training = replace(
        TrainingSettings(), method="dpo", from_adapter=parent, learning_rate=0.01, epochs=2.0, max_length=256
    )
    return replace(Settings(), training=replace(training, **changes), given=DECIDED - SHAPE)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def parent(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A twin that has learned from examples."""
    workspace = place(tmp_path_factory.mktemp("parent"))
    texts = [{"instruction": f"Write about day {day}.", "output": str(pair(day)["chosen"])} for day in range(12)]
    write(workspace.training_data, [*texts])
    chosen = settings(None, method="sft", base_model=str(tiny_base), epochs=1.0, lora_r=4, lora_alpha=8)
    finetune.run(chosen, workspace, Silent())
    return workspace.model


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = place(tmp_path, PREFERENCES)
    write(made.training_data, [pair(day) for day in range(20)])
    return made


# --- the shapes of the data


def test_every_shape_of_an_example_becomes_the_same_example(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Write."}, {"role": "assistant", "content": "A clock."}]
    parts: dict[str, object] = {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Write."}]},
            {"role": "model", "parts": [{"text": "A "}, {"text": "clock."}]},
        ],
    }
    alpaca: dict[str, object] = {"instruction": "Write.", "output": "A clock."}
    path = write(tmp_path / "own.jsonl", [alpaca, {"messages": turns}, parts])
    first, *others = examples.read(path)
    assert len(others) == 2
    assert all(other == first for other in others)


def test_every_shape_of_a_preference_becomes_the_same_pair(tmp_path: Path) -> None:
    plain: dict[str, object] = {"prompt": "Write.", "chosen": "A clock.", "rejected": "In conclusion."}
    chat: dict[str, object] = {
        "prompt": [{"role": "system", "content": "Be."}, {"role": "user", "content": "Write."}],
        "chosen": [{"role": "assistant", "content": "A clock."}],
        "rejected": [{"role": "assistant", "content": "In conclusion."}],
    }
    own = plain | {"id": "1", "origin": "edit", "model_version": "v1", "created_at": "2026-01-01T00:00:00Z"}
    same = plain | {"rejected": "A clock."}  # teaches nothing
    path = write(tmp_path / "own.jsonl", [plain, chat, own, same])
    assert preferences.read_pairs(path) == [Pair("Write.", "A clock.", "In conclusion.")] * 3
    assert preferences.read_ratings(path)[:2] == [
        Rating("Write.", "A clock.", True),
        Rating("Write.", "In conclusion.", False),
    ]


@pytest.mark.parametrize(
    ("line", "read", "reason"),
    [
        ({"prompt": "P", "chosen": "C", "rejected": "R"}, examples.read, "a preference, which sft does not learn"),
        ({"prompt": "P", "completion": "C", "label": True}, preferences.read_pairs, "a rating, which dpo does not"),
        ({"instruction": "P", "output": "C"}, preferences.read_pairs, "an example, which dpo does not learn from"),
        ({"instruction": "P", "output": "C"}, preferences.read_ratings, "an example, which kto does not learn from"),
        ({"prompt": "P", "chosen": "C"}, preferences.read_pairs, "rejected is no text"),
        ({"prompt": 7, "chosen": "C", "rejected": "R"}, preferences.read_pairs, "prompt is no text"),
        ({"prompt": "P", "completion": "C", "label": "yes"}, preferences.read_ratings, "label is 'yes', not true"),
        ({"prompt": "P", "chosen": "C", "rejected": "R", "origin": "mood"}, preferences.read_pairs, "no Preference: "),
        ({"contents": [{"role": "user", "parts": "Write."}]}, examples.read, "contents: a turn is no"),
        ({"messages": [{"role": "user"}]}, examples.read, "content: Field required"),
        (
            {"messages": [{"role": "user", "content": "Hi"}]},
            examples.read,
            "does not end with a question and its answer",
        ),
    ],
)
def test_a_line_that_does_not_fit_is_named_with_its_field_and_the_method_that_fits(
    tmp_path: Path, line: dict[str, object], read: Any, reason: str
) -> None:
    with pytest.raises(BrokenRecord, match=reason) as caught:
        read(write(tmp_path / "own.jsonl", [line]))
    assert caught.value.line == 1
    assert "--method" in caught.value.hint or "a line is" in caught.value.hint


def test_no_prompt_is_on_both_sides(tmp_path: Path) -> None:
    pairs = [Pair(f"day {n % 10}", f"good {n}", f"bad {n}") for n in range(40)]
    train, held = preferences.hold_out(pairs)
    assert len(train) + len(held) == 40
    assert len(held) == 4
    assert not {one.prompt for one in train} & {one.prompt for one in held}
    assert preferences.apart(pairs, held) == train


def test_the_validation_file_of_preferences_is_found_beside_those_of_examples(tmp_path: Path) -> None:
    training, validation = tmp_path / "preferences.jsonl", tmp_path / "validation.jsonl"
    own = tmp_path / "preferences_validation.jsonl"
    write(validation, [{"instruction": "P", "output": "C"}])
    assert material.validation_file("sft", training, validation) == validation
    assert material.validation_file("dpo", training, validation) == own
    write(validation, [pair(1)])
    assert material.validation_file("dpo", training, validation) == validation
    write(training, [pair(1), pair(2), pair(3)])
    learned = material.read("kto", training, validation)
    assert {rating.prompt for rating in learned.train} == {pair(2)["prompt"], pair(3)["prompt"]}
    assert learned.remarks[0] == f"2 records are not learned from: {validation} has their prompts"
    assert "preferences.jsonl has 6 ratings: from 20 on" in learned.remarks[1]
    write(own, [pair(2)])
    assert material.validation_file("dpo", training, validation) == own


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    from blogtwin.training.tokenizer import load

    return load(tiny_base)


def test_the_prompt_has_the_very_tokens_that_it_has_among_examples(tokenizer: Any) -> None:
    given = {"instruction": " Write about bees. ", "input": "", "output": GOOD[1]}
    example = Example.model_validate({"id": "1", "post_id": "1", "kind": "topic", **given})
    known = tokenized([example], tokenizer, LLAMA3, SYSTEM, 256).rows[0]
    compared = paired([Pair(" Write about bees. ", GOOD[1], BAD[1])], tokenizer, LLAMA3, SYSTEM, 256).rows[0]
    judged = rated([Rating(" Write about bees. ", GOOD[1], True)], tokenizer, LLAMA3, SYSTEM, 256).rows[0]
    assert compared.prompt == judged.prompt == known.tokens[: known.prompt]
    assert compared.chosen == judged.completion == known.tokens[known.prompt :]


def test_long_answers_are_cut_and_what_then_says_nothing_is_left_out(tokenizer: Any) -> None:
    long = " ".join(GOOD * 20)
    rows = paired(
        [
            Pair("Write.", long, BAD[0] * 2),
            Pair("Write.", f"{long} Yes.", f"{long} No."),  # what both begin with is given, as much of it as has room
            Pair("Write. " * 200, *GOOD),
        ],
        tokenizer,
        LLAMA3,
        SYSTEM,
        200,
    )
    assert (len(rows.rows), rows.cut, rows.left_out) == (2, 1, 1)
    assert tokenizer.decode(rows.rows[0].chosen).endswith(".")
    assert tokenizer.decode(rows.rows[0].rejected).endswith("<|eot_id|>")
    given = rows.rows[1]
    assert (tokenizer.decode(given.chosen), tokenizer.decode(given.rejected)) == (" Yes.<|eot_id|>", " No.<|eot_id|>")
    assert tokenizer.decode(given.prompt).endswith(long[-60:])
    assert len(given.prompt) + len(given.chosen) <= 200


# --- what is learned


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_the_twin_moves_towards_what_was_preferred_and_says_where_it_came_from(
    method: str, parent: Path, workspace: Workspace
) -> None:
    chosen = settings(parent, method=method)
    result = finetune.run(chosen, workspace, Silent())
    card = adapter_folder.load(workspace.model).card
    before = adapter_folder.load(parent).card
    assert (card.method, card.base_hash) == (method, before.base_hash)
    assert card.parent is not None
    assert card.parent in (workspace.model / "README.md").read_text("utf-8")
    log = [entry for _, entry in jsonl.lines(workspace.model / "training_log.jsonl")]
    losses = {entry["step"]: entry["eval_loss"] for entry in log if "eval_loss" in entry}
    assert card.best_loss == pytest.approx(min(losses.values()), abs=1e-5)
    assert card.best_loss < losses[0] - 0.1
    assert result.counts["validation_margin"] > 0.1
    assert "validation_perplexity" not in result.counts
    if method == "dpo":
        assert result.counts["validation_accuracy"] == 1.0
    shape = json.loads((workspace.model / "adapter_config.json").read_text("utf-8"))
    assert (shape["r"], shape["lora_alpha"]) == (4, 8)  # the parent's
    assert finetune.plan(chosen, workspace).stale() is None


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_a_large_base_learns_from_preferences_in_bfloat16_with_less_memory(
    method: str, parent: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = hardware.detect_hardware_platform()
    monkeypatch.setattr(precision, "_LARGE", 1000)
    monkeypatch.setattr(hardware, "detect_hardware_platform", lambda: replace(here, bf16=True))
    result = finetune.run(settings(parent, method=method, epochs=1.0), workspace, Silent())
    assert result.counts["validation_margin"] > 0.05


def test_the_first_dpo_loss_is_log_2_and_the_parents_own(parent: Path, workspace: Workspace) -> None:
    finetune.run(settings(parent, sft_weight=0.0, epochs=0.1), workspace, Silent())
    first = next(jsonl.lines(workspace.model / "training_log.jsonl"))[1]
    assert first["step"] == 0
    assert first["eval_loss"] == pytest.approx(0.693147, abs=1e-5)
    assert first["eval_margin"] == pytest.approx(0.0, abs=1e-6)


def test_a_draft_that_was_liked_is_preferred_and_no_example_of_how_to_write(parent: Path, workspace: Workspace) -> None:
    """Else the twin would learn its own words, and grow more like itself."""
    losses = {}
    for origin in ("edit", "choice", "rating"):
        own = [pair(day) | {"id": f"{day:016}", "origin": origin} for day in range(20)]
        write(workspace.training_data, own)
        there = replace(workspace, model=workspace.model.with_name(origin))
        finetune.run(settings(parent, epochs=1.0), there, Silent())
        log = [entry for _, entry in jsonl.lines(there.model / "training_log.jsonl")]
        losses[origin] = [entry["eval_loss"] for entry in log if "eval_loss" in entry]
        assert log[-1]["eval_margin"] > 0.01
    assert losses["edit"][0] > 1
    assert losses["choice"][0] == pytest.approx(0.693147, abs=1e-5)
    assert losses["rating"] == losses["choice"]


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_what_it_learned_before_counts_where_it_stays_close_to_an_earlier_adapter(
    method: str, parent: Path, workspace: Workspace
) -> None:
    """A second turn measured against the first twin starts with what the first turn has gained, instead of anew."""
    finetune.run(settings(parent, method=method), workspace, Silent())
    moved = adapter_folder.load(workspace.model).card.best_loss
    again = replace(workspace, model=workspace.model.with_name("again"))
    chosen = settings(workspace.model, method=method, reference=parent, epochs=0.1)
    finetune.run(chosen, again, Silent())
    first = next(jsonl.lines(again.model / "training_log.jsonl"))[1]
    assert first["step"] == 0
    assert first["eval_margin"] > 0.1
    assert first["eval_loss"] == pytest.approx(moved, rel=0.02)
    plan = finetune.plan(chosen, again)
    assert plan.stale() is None
    assert parent / adapter_folder.WEIGHTS in plan.inputs
    elsewhere = replace(chosen, training=replace(chosen.training, reference=None))
    assert finetune.plan(elsewhere, again).stale() is not None


def test_a_reference_of_another_shape_or_without_use_is_refused(
    parent: Path, workspace: Workspace, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(parent, other)
    shape = json.loads((other / adapter_folder.SHAPE).read_text("utf-8"))
    (other / adapter_folder.SHAPE).write_text(json.dumps(shape | {"lora_alpha": 64}), "utf-8")
    with pytest.raises(ModelError, match="another base or rank"):
        finetune.run(settings(parent, reference=other), workspace, Silent())
    with pytest.raises(UsageError, match="stays close to nothing"):
        finetune.run(settings(parent, method="sft", reference=parent), workspace, Silent())


def test_going_on_from_an_adapter_with_examples_starts_where_it_stood(parent: Path, workspace: Workspace) -> None:
    texts = [{"instruction": f"Write about day {day}.", "output": str(pair(day)["chosen"])} for day in range(12)]
    write(workspace.training_data, [*texts])
    finetune.run(settings(parent, method="sft", epochs=0.4), workspace, Silent())
    first = next(jsonl.lines(workspace.model / "training_log.jsonl"))[1]
    assert first["eval_loss"] == pytest.approx(adapter_folder.load(parent).card.best_loss, abs=0.2)


def test_a_twin_of_a_base_made_in_the_run_takes_its_base_along(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starter, "STEPS", 12)
    first = replace(workspace, training_data=workspace.training_data.with_name("examples.jsonl"))
    first = replace(first, model=workspace.model.with_name("first"))
    texts = [{"instruction": f"Write about day {day}.", "output": str(pair(day)["chosen"])} for day in range(12)]
    write(first.training_data, [*texts])
    finetune.run(settings(None, method="sft", base_model="starter", epochs=0.5), first, Silent())
    finetune.run(settings(first.model, epochs=0.5), workspace, Silent())
    one, two = (adapter_folder.load(model).card for model in (first.model, workspace.model))
    assert (two.base_model, two.base_path, two.base_hash) == ("starter", "base", one.base_hash)
    assert (workspace.model / "base" / "model.safetensors").is_file()


# --- what is refused


def test_dpo_without_an_adapter_says_to_learn_from_examples_first(tiny_base: Path, workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="dpo improves a twin that can write already") as caught:
        finetune.run(settings(None, base_model=str(tiny_base)), workspace, Silent())
    assert "--from-adapter" in caught.value.hint


def test_another_base_than_the_adapters_is_refused(parent: Path, workspace: Workspace, tiny_twin_base: Path) -> None:
    chosen = settings(parent, base_model=str(tiny_twin_base))
    chosen = replace(chosen, given=chosen.given | {("training", "base_model")})
    with pytest.raises(ModelError, match="fits no other weights than its own base's"):
        finetune.run(chosen, workspace, Silent())


@pytest.fixture
def tiny_twin_base(tiny_base: Path, tmp_path: Path) -> Path:
    """The same shape and tokenizer, other weights."""
    import shutil

    from safetensors.torch import load_file, save_file

    base = Path(shutil.copytree(tiny_base, tmp_path / "other"))
    weights = {name: tensor + 0.01 for name, tensor in load_file(base / "model.safetensors").items()}
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    return base


def test_the_adapter_that_training_goes_on_from_is_not_replaced(parent: Path, workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="would be replaced"):
        finetune.run(settings(parent), replace(workspace, model=parent), Silent())


def test_a_batch_of_one_is_refused_for_kto(parent: Path, workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="kto compares the answers of a batch"):
        finetune.run(settings(parent, method="kto", batch_size=1), workspace, Silent())


def test_a_file_without_a_pair_that_says_anything_is_refused(parent: Path, workspace: Workspace) -> None:
    write(workspace.training_data, [{"prompt": "P", "chosen": "same", "rejected": "same"}])
    with pytest.raises(NothingUsable, match="has no pair to learn from"):
        finetune.run(settings(parent), workspace, Silent())


def test_a_single_pair_is_counted_as_one(parent: Path, workspace: Workspace) -> None:
    workspace.validation.unlink(missing_ok=True)
    write(workspace.training_data, [{"prompt": "P", "chosen": "better", "rejected": "worse"}])
    with pytest.raises(NothingUsable, match="has 1 pair, and dpo learns from 3 on"):
        finetune.run(settings(parent), workspace, Silent())


# --- a run that is cut off


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_an_interrupted_run_ends_with_the_same_bytes(method: str, parent: Path, workspace: Workspace) -> None:
    chosen = settings(parent, method=method)
    finetune.run(chosen, workspace, Silent())
    wanted = files(workspace.model)
    again = replace(workspace, model=workspace.model.with_name("again"))
    with pytest.raises(KeyboardInterrupt):
        finetune.run(chosen, again, Interrupting(8))
    progress = Silent()
    finetune.run(chosen, again, progress)
    assert any(note.startswith("going on from step") for note in progress.notes)
    assert files(again.model) == wanted


KILLED = """
import sys
from pathlib import Path
from test_preferences import PREFERENCES, settings
from training_runs import place
from blogtwin.progress import Silent
from blogtwin.stages import finetune

finetune.run(settings(Path(sys.argv[2])), place(sys.argv[1], PREFERENCES), Silent())
"""


def test_a_killed_dpo_run_ends_with_the_same_bytes(parent: Path, workspace: Workspace, tmp_path: Path) -> None:
    again = place(tmp_path / "again", PREFERENCES)
    write(again.training_data, [pair(day) for day in range(20)])
    command = [sys.executable, "-c", KILLED, str(tmp_path / "again"), str(parent)]
    process = subprocess.Popen(command, cwd=Path(__file__).parent)
    try:
        while not (adapter_folder.work_folder(again.model) / "checkpoint-6" / "sealed.json").exists():
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait()
    assert not (again.model / adapter_folder.CARD).exists()
    finetune.run(settings(parent), workspace, Silent())
    finetune.run(settings(parent), again, Silent())
    assert files(again.model) == files(workspace.model)
