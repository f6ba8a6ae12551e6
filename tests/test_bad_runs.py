"""Training that cannot go well: it says so in time, replaces nothing, and what was good before stays in use."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blogtwin import adapter_folder, jsonl
from blogtwin.errors import ModelError, OutputError
from blogtwin.progress import Silent
from blogtwin.stages import finetune
from blogtwin.training import hardware, precision
from blogtwin.workspace import Workspace
from test_finetune import settings
from training_runs import Interrupting, example, files, filled, said


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return filled(tmp_path)


def checkpoint(workspace: Workspace, step: int) -> Path:
    return adapter_folder.work_folder(workspace.model) / f"checkpoint-{step}"


def test_a_base_far_too_large_for_the_memory_is_refused_before_the_first_step(
    tiny_base: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = hardware.detect_hardware_platform()
    monkeypatch.setattr(precision, "_LARGE", 1000)
    monkeypatch.setattr(hardware, "detect_hardware_platform", lambda: replace(here, memory=2**10))
    with pytest.raises(ModelError, match="GiB of memory and this machine has") as caught:
        finetune.run(settings(tiny_base), workspace, Silent())
    assert "--base-model" in caught.value.hint
    assert not adapter_folder.work_folder(workspace.model).exists()


def test_a_loss_that_is_no_number_ends_the_run_says_where_and_replaces_nothing(
    tiny_base: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blogtwin.training import sft

    finetune.run(settings(tiny_base, epochs=1.0), workspace, Silent())
    earlier = files(workspace.model)

    computed = sft._Trainer.compute_loss

    def diverging(trainer: Any, *given: Any, **named: Any) -> Any:
        loss = computed(trainer, *given, **named)
        return loss * float("nan") if trainer.state.global_step == 8 else loss

    with monkeypatch.context() as patch:
        patch.setattr(sft._Trainer, "compute_loss", diverging, raising=False)
        with pytest.raises(ModelError, match=r"diverged at step 9: the loss is nan \(learning rate 0.0") as caught:
            finetune.run(settings(tiny_base), workspace, Silent())
    assert "--lr 0.005" in caught.value.hint
    left = files(workspace.model)
    assert {name: left[name] for name in earlier} == earlier
    assert checkpoint(workspace, 6).is_dir()
    progress = Silent()
    finetune.run(settings(tiny_base), workspace, progress)  # the cause is gone: it goes on from what was good
    assert said(progress) == ["going on from step 6 of 12"]


def test_a_base_that_computes_no_numbers_is_named_before_any_training(
    tiny_base: Path, workspace: Workspace, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    base = Path(shutil.copytree(tiny_base, tmp_path / "damaged"))
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"][3] = float("nan")
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="before the first step the loss on the held-out answers is nan"):
        finetune.run(settings(base), workspace, Silent())


@pytest.mark.parametrize("harm", ["optimizer state", "truncated adapter"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    harm: str, tiny_base: Path, workspace: Workspace
) -> None:
    finetune.run(settings(tiny_base), workspace, Silent())
    wanted = files(workspace.model)
    again = replace(workspace, model=workspace.model.with_name("again"))
    with pytest.raises(KeyboardInterrupt):
        finetune.run(settings(tiny_base), again, Interrupting(8))
    path = checkpoint(again, 6) / ("optimizer.pt" if harm == "optimizer state" else adapter_folder.WEIGHTS)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF  # the same size, other bytes
    path.write_bytes(content if harm == "optimizer state" else content[: len(content) // 2])
    progress = Silent()
    finetune.run(settings(tiny_base), again, progress)
    assert said(progress) == [
        f"the checkpoint of step 6 is passed over: {path.name} is not what was written",
        "going on from step 3 of 12",
    ]
    assert files(again.model) == wanted


@pytest.mark.parametrize("other", ["data", "base"])
def test_a_checkpoint_of_other_data_or_another_base_is_not_used(
    other: str, tiny_base: Path, workspace: Workspace, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    base = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    with pytest.raises(KeyboardInterrupt):
        finetune.run(settings(base), workspace, Interrupting(8))
    assert checkpoint(workspace, 6).is_dir()
    if other == "data":
        jsonl.write(workspace.training_data, map(example, range(30, 54)))
    else:
        weights = {name: tensor * 1.01 for name, tensor in load_file(base / "model.safetensors").items()}
        save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    progress = Silent()
    result = finetune.run(settings(base), workspace, progress)
    assert said(progress) == []
    assert result.counts["steps"] == 12


def test_a_disk_that_fills_while_a_checkpoint_is_written_is_named_and_the_run_goes_on_later(
    tiny_base: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    finetune.run(settings(tiny_base), workspace, Silent())
    wanted = files(workspace.model)
    again = replace(workspace, model=workspace.model.with_name("again"))
    save, full = torch.save, shutil.disk_usage("/")._replace(free=0)

    def filling(content: Any, path: Any, *given: Any, **named: Any) -> None:
        if checkpoint(again, 6).name in str(path):
            raise RuntimeError("[enforce fail at inline_container.cc:769] . PytorchStreamWriter failed writing file")
        save(content, path, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", filling)
        patch.setattr(shutil, "disk_usage", lambda _: full)
        with pytest.raises(OutputError, match="cannot be written: the disk is full"):
            finetune.run(settings(tiny_base), again, Silent())
    assert not checkpoint(again, 6).exists()
    progress = Silent()
    finetune.run(settings(tiny_base), again, progress)
    assert said(progress) == ["going on from step 3 of 12"]
    assert files(again.model) == wanted
