"""finetune, end to end, on a tiny Llama: what it learns, what it leaves, how it goes on, and what it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from blogtwin import adapter_folder as adapter
from blogtwin import jsonl
from blogtwin.config import Settings, TrainingSettings
from blogtwin.errors import ModelError, NothingUsable, OutputError
from blogtwin.progress import Silent
from blogtwin.records import AdapterCard, Example
from blogtwin.stages import finetune
from blogtwin.training import hardware, precision, starter
from blogtwin.training.checkpoints import Checkpoints
from blogtwin.training.hardware import detect_hardware_platform as detect
from blogtwin.training.schedule import Schedule
from blogtwin.workspace import Workspace
from training_runs import DECIDED, Interrupting, files, filled, place, said


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return filled(tmp_path)


def settings(base: Path | str, **changes: object) -> Settings:
    training = replace(
        TrainingSettings(), base_model=str(base), learning_rate=0.02, epochs=2.0, lora_r=4, max_length=256
    )
    return replace(Settings(), training=replace(training, **changes), given=DECIDED)  # type: ignore[arg-type]


def test_the_twin_predicts_held_out_posts_better_and_its_folder_says_what_it_is(
    tiny_base: Path, workspace: Workspace
) -> None:
    chosen = settings(tiny_base)
    result = finetune.run(chosen, workspace, Silent())

    assert result.counts["examples"] == 24
    assert result.counts["steps"] == 12
    assert result.counts["validation_perplexity"] < 0.9 * result.counts["base_validation_perplexity"]
    made = adapter.load(workspace.model)
    assert adapter.find_base(workspace.model, made.card) == tiny_base.resolve()
    assert made.card.template == "llama3"
    assert made.card.max_length == 256
    assert (made.card.settings["learning_rate"], made.card.settings["epochs"]) == (0.02, 2.0)
    assert {path.name for path in workspace.model.iterdir()} == {*adapter.FILES, "manifest.json"}
    assert "{{ bos_token }}" in (workspace.model / "chat_template.jinja").read_text("utf-8")
    log = list(jsonl.lines(workspace.model / "training_log.jsonl"))
    assert log[0][1].keys() >= {"step", "eval_loss"}
    losses = [entry["eval_loss"] for _, entry in log if "eval_loss" in entry]
    assert min(losses) == pytest.approx(made.card.best_loss, abs=1e-5)
    assert (workspace.model / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert finetune.plan(chosen, workspace).stale() is None
    assert finetune.plan(settings(tiny_base, epochs=3.0), workspace).stale() == "its settings have changed"

    # PEFT itself loads the folder, and finds in it the loss that the card promises.
    assert _loss(workspace, made.card, chosen) == pytest.approx(made.card.best_loss, abs=1e-3)


def _loss(workspace: Workspace, card: AdapterCard, chosen: Settings) -> float:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from blogtwin.chat_template import LLAMA3
    from blogtwin.training.rows import tokenized

    tokenizer = AutoTokenizer.from_pretrained(workspace.model)
    rows = tokenized(
        list(jsonl.read(workspace.validation, Example)), tokenizer, LLAMA3, chosen.training.system_prompt, 256
    ).rows
    twin = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(card.base_path), workspace.model)
    total, count = 0.0, 0
    with torch.no_grad():
        for row in rows:
            loss = twin(input_ids=torch.tensor([row.tokens]), labels=torch.tensor([row.labels])).loss
            total += float(loss) * (len(row.tokens) - row.prompt)
            count += len(row.tokens) - row.prompt
    return total / count


KILLED = """
import sys
from test_finetune import settings
from training_runs import place
from blogtwin.progress import Silent
from blogtwin.stages import finetune
from blogtwin.training import starter

starter.STEPS = 12
finetune.run(settings("starter"), place(sys.argv[1]), Silent())
"""


def kill_when(root: Path, pattern: str) -> None:
    """Run finetune in a process of its own and SIGKILL it as soon as a path like `pattern` is there."""
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(root)], cwd=Path(__file__).parent)
    try:
        while not any(root.glob(pattern)):
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait()


def test_a_run_killed_while_making_its_base_and_again_while_training_ends_with_the_same_bytes(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starter, "STEPS", 12)
    finetune.run(settings("starter"), workspace, Silent())
    undisturbed = files(workspace.model)
    assert "base/model.safetensors" in undisturbed

    again = place(tmp_path / "again")
    for path in (workspace.training_data, workspace.validation):
        jsonl.write(again.training_data.with_name(path.name), jsonl.read(path, Example))
    kill_when(tmp_path / "again", "models/twin/.training/.base.partial/tokenizer.json")
    assert not (again.model / adapter.CARD).exists()
    kill_when(tmp_path / "again", "models/twin/.training/checkpoint-6/sealed.json")
    with pytest.raises(ModelError, match="no finished adapter"):
        adapter.load(again.model)
    progress = Silent()
    finetune.run(settings("starter"), again, progress)
    assert any(note.startswith("going on from step") for note in progress.notes)
    assert files(again.model) == undisturbed


def test_ctrl_c_leaves_the_last_checkpoint_and_the_earlier_twin_in_service(
    tiny_base: Path, workspace: Workspace
) -> None:
    short, long = settings(tiny_base, epochs=1.0), settings(tiny_base)
    finetune.run(long, workspace, Silent())
    wanted = files(workspace.model)
    finetune.run(short, workspace, Silent())
    earlier = files(workspace.model)

    with pytest.raises(KeyboardInterrupt):
        finetune.run(long, workspace, Interrupting(8))
    left = files(workspace.model)
    assert {name: left[name] for name in earlier} == earlier
    assert {name.split("/")[1] for name in left if name.startswith(".training")} == {"checkpoint-3", "checkpoint-6"}

    progress = Silent()
    finetune.run(long, workspace, progress)
    assert said(progress) == ["going on from step 6 of 12"]
    assert files(workspace.model) == wanted


def test_a_checkpoint_that_is_half_written_or_of_another_run_is_passed_over(tmp_path: Path) -> None:
    mine = Checkpoints(tmp_path, "mine")
    for step, run in ((3, mine), (6, mine), (9, mine), (12, Checkpoints(tmp_path, "other"))):
        run.at(step).mkdir()
        (run.at(step) / "optimizer.pt").write_bytes(b"x" * 100)
        run.seal(step)
    mine.at(15).mkdir()  # killed before it was sealed
    (mine.at(9) / "optimizer.pt").write_bytes(b"x" * 50)  # cut off by a power failure
    assert mine.sealed() == [3, 6]
    mine.keep({6})
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-6"]


def test_other_settings_start_over_instead_of_going_on(tiny_base: Path, workspace: Workspace) -> None:
    with pytest.raises(KeyboardInterrupt):
        finetune.run(settings(tiny_base), workspace, Interrupting(8))
    progress = Silent()
    result = finetune.run(settings(tiny_base, epochs=0.5), workspace, progress)
    assert said(progress) == []
    assert result.counts["steps"] == 3
    assert not adapter.work_folder(workspace.model).exists()


@pytest.mark.parametrize("bf16", [True, False])
def test_a_large_base_is_held_in_bfloat16_with_less_memory_and_goes_on_to_the_same_bytes(
    bf16: bool, tiny_base: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_LARGE", 1000)
    monkeypatch.setattr(
        hardware, "detect_hardware_platform", lambda: replace(detect(), bf16=bf16, memory=400_000 if bf16 else 520_000)
    )
    progress = Silent()
    result = finetune.run(settings(tiny_base), workspace, progress)
    wanted = files(workspace.model)
    assert result.counts["validation_perplexity"] < 0.9 * result.counts["base_validation_perplexity"]
    assert "takes about 0 GiB of memory and this machine has 0" in said(progress)[0]
    with pytest.raises(KeyboardInterrupt):
        finetune.run(settings(tiny_base), workspace, Interrupting(8))
    finetune.run(settings(tiny_base), workspace, Silent())
    assert files(workspace.model) == wanted


def test_the_precision_follows_the_processor() -> None:
    with_bf16 = replace(detect(), bf16=True)
    assert not precision.Precision.choose(3_500_000, with_bf16).bf16
    assert precision.Precision.choose(1_236_000_000, with_bf16).bf16
    without = precision.Precision.choose(1_236_000_000, replace(with_bf16, bf16=False))
    assert (without.bf16, without.frugal) == (False, True)
    assert without.memory_needed(1_236_000_000) > 8e9
    assert replace(without, narrow=True).memory_needed(1_236_000_000) < 6.5e9


def test_training_ends_when_patience_does_and_never_before_a_better_step() -> None:
    schedule = Schedule.plan(40, replace(TrainingSettings(), batch_size=4, epochs=3.0, patience=2))
    log = [{"step": 0, "eval_loss": 1.0}, {"step": 5, "eval_loss": 3.0}, {"step": 10, "eval_loss": 2.0}]
    assert schedule.steps == 30
    assert schedule.validations == {5, 10, 15, 20, 25, 30}
    assert not schedule.is_over(log)
    assert not schedule.is_over([*log, {"step": 15, "eval_loss": 2.5}])
    assert schedule.is_over([*log, {"step": 15, "eval_loss": 2.5}, {"step": 20, "eval_loss": 2.1}])
    assert schedule.is_over([*log, {"step": 30, "eval_loss": 1.9}])


def test_a_run_cut_off_while_its_files_are_moved_into_place_ends_whole_the_next_time(
    tiny_base: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(tiny_base, epochs=0.5)
    finetune.run(chosen, workspace, Silent())
    wanted = files(workspace.model)

    def cut_off(staged: Path, path: Path, card: AdapterCard) -> None:
        (path / adapter.CARD).unlink()
        (staged / adapter.WEIGHTS).replace(path / adapter.WEIGHTS)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(adapter, "promote", cut_off)
        with pytest.raises(KeyboardInterrupt):
            finetune.run(chosen, workspace, Silent())
    with pytest.raises(ModelError, match="no finished adapter"):
        adapter.load(workspace.model)
    result = finetune.run(chosen, workspace, Silent())
    assert "tokens_per_second" not in result.counts  # nothing was left to train
    assert files(workspace.model) == wanted


def test_an_output_that_cannot_be_written_is_named(tiny_base: Path, workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(OutputError, match="a part of the path is a file"):
        finetune.run(settings(tiny_base), replace(workspace, model=tmp_path / "file" / "twin"), Silent())


def test_without_a_validation_file_a_tenth_of_the_posts_is_held_out(tiny_base: Path, workspace: Workspace) -> None:
    workspace.validation.unlink()
    result = finetune.run(settings(tiny_base, epochs=0.2), workspace, Silent())
    assert result.counts["examples"] == 22
    assert "2 of the examples were held out" in " ".join(result.notes)


@pytest.mark.parametrize("content", ["", '{"instruction": "Write.", "output": " "}\n'])
def test_data_without_a_usable_example_is_refused(tiny_base: Path, workspace: Workspace, content: str) -> None:
    workspace.training_data.write_text(content, "utf-8")
    with pytest.raises(NothingUsable, match=r"training_data\.jsonl has no example to learn from"):
        finetune.run(settings(tiny_base), workspace, Silent())


def test_examples_that_do_not_fit_say_how_to_give_them_room(tiny_base: Path, workspace: Workspace) -> None:
    wordy = settings(tiny_base, system_prompt="You write and write. " * 60)
    with pytest.raises(NothingUsable, match="none of the 24 training examples fits into 256 tokens") as caught:
        finetune.run(wordy, workspace, Silent())
    assert "--max-length" in caught.value.hint


def test_a_tokenizer_that_could_not_be_deployed_is_refused_before_training(
    tiny_base: Path, workspace: Workspace, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    raw = json.loads((base / "tokenizer.json").read_text("utf-8"))
    raw["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\w+"
    (base / "tokenizer.json").write_text(json.dumps(raw), "utf-8")
    with pytest.raises(ModelError, match="cuts text"):
        finetune.run(settings(base), workspace, Silent())


def test_an_adapter_folder_that_was_cut_off_says_so(tiny_adapter: Path, tmp_path: Path) -> None:
    folder = tmp_path / "twin"
    folder.mkdir()
    for path in tiny_adapter.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    assert adapter.load(folder).card.template == "llama3"
    whole = (folder / adapter.WEIGHTS).stat().st_size
    (folder / adapter.WEIGHTS).write_bytes((folder / adapter.WEIGHTS).read_bytes()[:-100])
    with pytest.raises(ModelError, match=f"ends after {whole - 100:,} of {whole:,} bytes"):
        adapter.load(folder)
    (folder / adapter.CARD).write_text(json.dumps({"base_model": "x"}), "utf-8")
    with pytest.raises(ModelError):
        adapter.load(folder)
    with pytest.raises(ModelError, match=r"no finished adapter: it has no twin\.json"):
        adapter.load(tmp_path)
