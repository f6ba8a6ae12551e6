"""The estimate before training: the arithmetic, what a rehearsal shows and leaves, and that the real run keeps to it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from blogtwin.cli.app import main
from blogtwin.config import Settings, TrainingSettings
from blogtwin.errors import ModelError
from blogtwin.progress import Silent
from blogtwin.stages import finetune, rehearsal
from blogtwin.training import rehearsal as steps
from blogtwin.training import starter
from blogtwin.training.estimate import Disk, Estimate, Pace, Work, disk_for, duration, estimate, size
from blogtwin.training.schedule import Schedule
from blogtwin.workspace import Workspace
from test_finetune import settings
from training_runs import files, filled

GB = 10**9
NOTHING = Disk(0, 0, 0)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return filled(tmp_path)


def test_time_is_steps_and_looks_and_the_least_is_when_patience_ends() -> None:
    schedule = Schedule.plan(40, replace(TrainingSettings(), batch_size=4, epochs=3.0, patience=2))  # 6 looks, 30 steps
    work = Work(train=4_000, validation=200, step=400.0, schedule=schedule)
    found = estimate(work, Pace(start=10.0, token=0.01, memory=GB), NOTHING, "reckoned")
    assert found.seconds == pytest.approx(10 + 3 * 4_000 * 0.01 + 7 * 200 * 0.01 / 2)
    assert found.least == pytest.approx(10 + 1.5 * 4_000 * 0.01 + 4 * 200 * 0.01 / 2)  # ends at the third look
    compared = estimate(replace(work, compared=True), Pace(10.0, 0.01, GB), NOTHING, "reckoned")
    assert compared.seconds == pytest.approx(found.seconds + 4_200 * 0.01 / 2)


def test_a_run_too_short_to_stop_early_names_one_time() -> None:
    schedule = Schedule.plan(40, replace(TrainingSettings(), batch_size=4, epochs=1.0, patience=3))
    found = estimate(Work(4_000, 200, 400.0, schedule), Pace(0.0, 0.01, GB), NOTHING, "reckoned")
    assert found.seconds == found.least
    assert "stops early" not in found.line


def test_the_line_says_time_memory_disk_and_where_the_figures_come_from() -> None:
    line = Estimate(12_000, 6_600, 4_200_000_000, Disk(0, 100_000_000, 5 * GB), "measured").line
    assert line == "about 3 h 20 min (1 h 50 min if it stops early), 4.2 GB of memory, 5.1 GB of disk; measured"


def test_disk_holds_the_download_the_checkpoints_and_what_a_deploy_leaves() -> None:
    disk = disk_for(1_236_000_000, 11_300_000, "q8_0", download=2_472_000_000)
    assert disk.download == 2_472_000_000
    assert disk.training == pytest.approx(16 * 4 * 11_300_000)
    assert disk.export == pytest.approx(1_236_000_000 * (2 + 8.5 / 8))
    assert disk.total == disk.download + disk.training + disk.export


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.2, "1 s"),
        (45, "45 s"),
        (100, "2 min"),
        (3_540, "59 min"),
        (3_600, "1 h"),
        (12_100, "3 h 20 min"),
        (50 * 3_600, "2 days 2 h"),
        (72 * 3_600, "3 days"),
    ],
)
def test_durations_are_told_as_people_say_them(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_sizes_are_told_as_people_say_them() -> None:
    assert [size(count) for count in (1, 32_000_000, 4_210_000_000)] == ["1 MB", "32 MB", "4.2 GB"]


def test_a_rehearsal_keeps_near_the_real_run_and_leaves_nothing(tiny_base: Path, workspace: Workspace) -> None:
    from blogtwin.training import sft  # what loads only once is in neither figure

    assert sft
    chosen = settings(tiny_base, epochs=4.0, patience=20)
    found = rehearsal.run(chosen, workspace, Silent())
    assert not workspace.model.exists()
    assert found.estimate.basis.startswith("measured")

    began = time.monotonic()
    result = finetune.run(chosen, workspace, Silent())
    taken = time.monotonic() - began
    assert result.counts["steps"] == 24
    assert taken / 3 < found.estimate.seconds < taken * 3
    assert steps.peak_memory() / 3 < found.estimate.memory <= 3 * steps.peak_memory()
    left = sum(path.stat().st_size for path in workspace.model.rglob("*.safetensors"))
    assert left < found.estimate.disk.total


def test_a_rehearsal_shows_the_first_examples_as_the_model_reads_them(tiny_base: Path, workspace: Workspace) -> None:
    first, *_ = rehearsal.run(settings(tiny_base), workspace, Silent()).examples
    assert first.prompt.startswith("<|begin_of_text|>")
    assert first.prompt.endswith("Write about day 0.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n")
    assert first.answer.startswith("The clock in the hall stopped on Tuesday.")
    assert first.answer.endswith("<|eot_id|>")


def test_an_adapter_in_service_is_not_touched_by_a_rehearsal(tiny_base: Path, workspace: Workspace) -> None:
    finetune.run(settings(tiny_base, epochs=0.5), workspace, Silent())
    before = files(workspace.model)
    rehearsal.run(settings(tiny_base), workspace, Silent())
    assert files(workspace.model) == before


def test_a_base_that_is_not_here_is_guessed_and_nothing_is_asked_of_the_network(workspace: Workspace) -> None:
    offline = replace(Settings(), machine=replace(Settings().machine, offline=True))
    wanted = replace(offline, training=replace(TrainingSettings(), base_model="smollm2:135m"))
    found = rehearsal.run(wanted, workspace, Silent())
    assert found.estimate.disk.download == 270_000_000
    assert found.estimate.basis.startswith("a guess")
    assert any("270 MB would be downloaded first" in note for note in found.notes)
    assert found.examples[0].prompt.endswith("Write about day 0.\n\n")


def test_a_base_that_is_nothing_is_an_error_in_a_rehearsal_too(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for base in ("./nowhere", "lama3.2", tmp_path / "empty"):
        with pytest.raises(ModelError):
            rehearsal.run(settings(base), workspace, Silent())


def test_a_starter_is_rehearsed_in_a_few_steps(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "SHAPE", starter.SHAPE | {"hidden_size": 64, "num_hidden_layers": 1})
    found = rehearsal.run(settings("starter"), workspace, Silent())
    assert not workspace.model.exists()
    assert found.estimate.seconds > 0


def test_the_command_line_marks_what_is_learned(
    tiny_base: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["finetune", "--dry-run", "--data", str(workspace.training_data), "--base-model", str(tiny_base)]
    line += ["--output", str(workspace.model)]
    assert main(line) == 0
    shown = capsys.readouterr().out
    assert "⟦The clock in the hall stopped on Tuesday." in shown
    assert "learning_rate" in shown
    assert "adapters learn best in many small steps" in shown
    assert main([*line, "--lr", "1e-3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["estimate"]["seconds"] > 0
    assert "learning_rate" not in {one["name"] for one in told["choices"]}
    assert not workspace.model.exists()


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_learning_from_preferences_is_rehearsed_too(method: str, tiny_base: Path, workspace: Workspace) -> None:
    finetune.run(settings(tiny_base, epochs=0.2), workspace, Silent())
    pairs = workspace.training_data.with_name("preferences.jsonl")
    lines = [
        {"prompt": f"Write about day {day}.", "chosen": f"The tide came up at {day}.", "rejected": f"As an AI, {day}."}
        for day in range(12)
    ]
    pairs.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    after = replace(workspace, training_data=pairs, model=workspace.model.with_name("better"))
    training = replace(TrainingSettings(), method=method, from_adapter=workspace.model, max_length=256)
    found = rehearsal.run(replace(Settings(), training=training), after, Silent())
    assert found.estimate.basis.startswith("measured")
    assert {"learning_rate", "batch_size"} <= {one.name for one in found.choices}
    assert not {"lora_r", "lora_alpha"} & {one.name for one in found.choices}
    sides = [(one.answer, one.against) for one in found.examples]
    assert all("The tide came up" in answer or "As an AI" in against for answer, against in sides)
    assert not after.model.exists()


def test_what_was_chosen_makes_no_second_run_of_the_same(tiny_base: Path, workspace: Workspace) -> None:
    """The plan has the settings that took effect, so nothing looks changed afterwards."""
    nothing_decided = replace(Settings(), training=replace(TrainingSettings(), base_model=str(tiny_base)))
    progress = Silent()
    finetune.run(nothing_decided, workspace, progress)
    assert finetune.plan(nothing_decided, workspace).stale() is None
    assert progress.notes[0].startswith("chosen for this corpus, base and machine")
    assert any(note.startswith("about ") and "of disk" in note for note in progress.notes)
