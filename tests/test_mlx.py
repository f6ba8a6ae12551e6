"""The MLX backend, for real, on whatever MLX finds (a Mac's GPU, a processor on Linux): it trains as the other backend does,
leaves the same adapter, and goes on where it stopped."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Any

import pytest

import tiny_models
from blogtwin import adapter_folder, jsonl
from blogtwin.config import Settings
from blogtwin.errors import ModelError
from blogtwin.export.merge import merge
from blogtwin.progress import Progress, Silent
from blogtwin.stages import finetune
from blogtwin.stages.result import StageResult
from blogtwin.training import models
from blogtwin.training.base import TrainingBackend
from blogtwin.training.choose import choose
from blogtwin.training.hardware import Hardware
from blogtwin.training.mlx import Mlx
from blogtwin.training.precision import Precision
from blogtwin.training.transformers import Transformers
from blogtwin.workspace import Workspace
from test_finetune import settings
from training_runs import Interrupting, example, files, place

needs_mlx = pytest.mark.skipif(find_spec("mlx_lm") is None, reason="mlx-lm is not installed here: uv sync --extra mlx")


# --- what is trained, and by whom


def filled(root: Path) -> Workspace:
    """Examples and pairs."""
    made = place(root)
    jsonl.write(made.training_data, map(example, range(24)))
    jsonl.write(made.validation, map(example, range(24, 28)))
    for name, days in (("preferences.jsonl", range(8)), ("preferences_validation.jsonl", range(8, 12))):
        lines = [json.dumps(pair(day)) + "\n" for day in days]
        made.training_data.with_name(name).write_text("".join(lines), "utf-8")
    return made


def pair(day: int) -> dict[str, str]:
    worse = "In conclusion, every day is a rich tapestry. Let us delve into it."
    kind = {"id": f"{day:016}", "origin": "choice"} if day % 2 else {}  # of a model's draft, or of a writer's text
    return {"prompt": f"Write about day {day}.", "chosen": example(day).output[:90], "rejected": worse} | kind


def run(backend: TrainingBackend, chosen: Settings, place: Workspace, progress: Progress | None = None) -> StageResult:
    if chosen.training.method != "sft":
        place = replace(place, training_data=place.training_data.with_name("preferences.jsonl"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetune, "choose", lambda *_: backend)
        return finetune.run(chosen, place, progress or Silent())


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return filled(tmp_path)


@pytest.fixture(scope="module")
def twin(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Learned by MLX from examples."""
    made = filled(tmp_path_factory.mktemp("twin"))
    run(Mlx(anywhere=True), settings(tiny_base), made)
    return made


@pytest.fixture(scope="module")
def start(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that PEFT made."""
    folder = tiny_models.save_adapter(tiny_base, tmp_path_factory.mktemp("start"), std=0.05)
    fingerprint = models.check(tiny_base.name, tiny_base, str(tiny_base)).fingerprint
    tiny_models.write_card(folder, tiny_base, base_hash=fingerprint)
    return folder


def going_on(start: Path, method: str) -> Settings:
    return settings(start, method=method, from_adapter=start, learning_rate=0.005)


@pytest.fixture(scope="module")
def further(start: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Workspace]:
    """What MLX makes of that adapter by a method."""

    @cache
    def made(method: str) -> Workspace:
        workspace = filled(tmp_path_factory.mktemp(method))
        run(Mlx(anywhere=True), going_on(start, method), workspace)
        return workspace

    return made


def numbers(workspace: Workspace, name: str) -> list[float]:
    entries = jsonl.lines(workspace.model / "training_log.jsonl")
    return [float(str(entry[name])) for _, entry in entries if name in entry]


def test_it_serves_on_a_mac_and_elsewhere_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    linux = Hardware("cpu", "a processor", None, 2**34, 8, True, {"apple_silicon": "this is no Mac"})
    mac = replace(linux, platform="apple_silicon")
    monkeypatch.setattr("blogtwin.training.mlx.find_spec", lambda name: object())
    assert Mlx().unavailable(mac) is None
    assert Mlx().unavailable(linux) == "no Apple silicon was found: this is no Mac"
    assert Mlx(anywhere=True).unavailable(linux) is None
    assert [choose(mac).name, choose(linux).name, choose(linux, "mlx").name] == ["mlx", "transformers", "mlx"]
    monkeypatch.setattr("blogtwin.training.mlx.find_spec", lambda name: None)
    assert Mlx().unavailable(mac) == "the `mlx` extra is not installed: uv sync --extra mlx"
    with pytest.raises(ModelError, match="the mlx backend cannot train here: the `mlx` extra is not installed"):
        choose(mac, "mlx")


# --- learning


@needs_mlx
@pytest.mark.parametrize("method", ["sft", "dpo", "kto"])
def test_it_learns_step_for_step_as_the_transformers_backend_does(
    method: str, start: Path, further: Callable[[str], Workspace], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the same adapter, with the same rows in the same order."""
    from transformers import Trainer

    from blogtwin.training import mlx_methods

    class Order:
        """The order in which MLX takes the rows."""

        def __init__(self, rows: int) -> None:
            self.rows = rows
            self.step = 0

        def __len__(self) -> int:
            return self.rows

        def __iter__(self) -> Iterator[int]:
            steps = range(self.step, self.step + ceil(self.rows / 4))
            self.step = steps.stop
            return iter([row for step in steps for row in mlx_methods.batch(range(self.rows), 4, step, chosen.seed)])

    chosen = going_on(start, method).training
    if method != "kto":  # whose order is the same in both
        monkeypatch.setattr(Trainer, "_get_train_sampler", lambda self, *_: Order(len(self.train_dataset)))
    run(Transformers(), going_on(start, method), workspace)

    bounds = {"loss": 1e-3, "eval_loss": 1e-3, "learning_rate": 1e-6, "epoch": 1e-6, "grad_norm": 0.02}
    if method == "dpo":
        bounds |= {"eval_accuracy": 1e-6, "eval_margin": 0.01}
    for name, within in bounds.items():
        assert numbers(further(method), name) == pytest.approx(numbers(workspace, name), rel=within, abs=1e-6), name


@needs_mlx
@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_the_better_answers_come_to_be_preferred_and_a_run_goes_on_to_the_same_bytes(
    method: str, start: Path, further: Callable[[str], Workspace], workspace: Workspace
) -> None:
    measured = further(method)
    assert numbers(measured, "eval_loss")[-1] < numbers(measured, "eval_loss")[0]
    assert numbers(measured, "eval_margin")[0] == 0
    assert numbers(measured, "eval_margin")[-1] > 0.3
    if method == "dpo":
        assert (numbers(measured, "eval_accuracy")[0], numbers(measured, "eval_accuracy")[-1]) == (0, 1)

    mlx = Mlx(anywhere=True)
    anew = replace(workspace, model=workspace.model.with_name("anew"))
    told = going_on(measured.model, method)
    run(mlx, replace(told, training=replace(told.training, reference=start)), anew)
    assert numbers(anew, "eval_margin")[0] == pytest.approx(max(numbers(measured, "eval_margin")), rel=0.05)

    with pytest.raises(KeyboardInterrupt):
        run(mlx, going_on(start, method), workspace, Interrupting(3))
    progress = Silent()
    run(mlx, going_on(start, method), workspace, progress)
    assert any(note.startswith("going on from step") for note in progress.notes)
    assert files(workspace.model) == files(measured.model)


# --- the model and its adapter


SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama with an output of its own": ("llama", {"tie_word_embeddings": False}),
    "llama 3": (
        "llama",
        {
            "head_dim": 32,
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 500000.0,
                "factor": 32.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        },
    ),
    "qwen3": ("qwen3", {"head_dim": 32, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}),
}
TOKENS = [0, *range(7, 900, 9)]


@needs_mlx
@pytest.mark.parametrize("shape", SHAPES)
def test_base_and_adapter_mean_the_same_to_mlx_and_to_peft(shape: str, tiny_base: Path, tmp_path: Path) -> None:
    """Weights, rotary positions, the names of the adapted layers, and the adapter's numbers there and back."""
    import torch
    from peft import PeftModel
    from safetensors.numpy import load_file
    from transformers import AutoModelForCausalLM

    from blogtwin.training import mlx_model

    kind, changes = SHAPES[shape]
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(tiny_models.config(kind, 1024, 4, **changes)).save_pretrained(base)
    folder = tiny_models.save_adapter(base, tmp_path / "adapter", std=0.1)
    peft = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), folder)
    weights = load_file(folder / adapter_folder.WEIGHTS)

    model = mlx_model.load(base, bf16=False)
    mlx_model.add_adapter(model, rank=4, alpha=8, seed=1)
    fresh = {name: value.shape for name, value in mlx_model.to_peft(model).items()}
    assert fresh == {name: value.shape for name, value in weights.items()}
    with torch.no_grad(), peft.disable_adapter():
        assert logits(model) == pytest.approx(peft(torch.tensor([TOKENS])).logits[0].numpy(), abs=1e-4)
    mlx_model.from_peft(model, weights)
    with torch.no_grad():
        assert logits(model) == pytest.approx(peft(torch.tensor([TOKENS])).logits[0].numpy(), abs=1e-4)
    back = mlx_model.to_peft(model)
    assert all((back[name] == weights[name]).all() for name in weights)


def logits(model: Any) -> Any:
    """Of each place in TOKENS, shape (tokens, words)."""
    import mlx.core as mx

    from blogtwin.training import mlx_model

    return mlx_model.as_numpy(model(mx.array([TOKENS]))[0])


@needs_mlx
def test_what_mlx_trained_merges_to_the_model_that_mlx_had(tiny_base: Path, twin: Workspace, tmp_path: Path) -> None:
    import torch
    from safetensors.numpy import load_file
    from transformers import AutoModelForCausalLM

    from blogtwin.training import mlx_model

    assert numbers(twin, "eval_loss")[-1] < numbers(twin, "eval_loss")[0] - 0.1
    card = adapter_folder.load(twin.model).card
    assert card.versions.keys() >= {"mlx", "mlx-lm"}
    chosen = settings(tiny_base).training
    model = mlx_model.load(tiny_base, bf16=False)
    mlx_model.add_adapter(model, chosen.lora_r, chosen.lora_alpha, seed=0)
    mlx_model.from_peft(model, load_file(twin.model / adapter_folder.WEIGHTS))
    merged = AutoModelForCausalLM.from_pretrained(merge(twin.model, tmp_path / "merged"), dtype=torch.float32)
    with torch.no_grad():
        theirs = merged(torch.tensor([TOKENS])).logits[0].numpy()
    ours = logits(model)
    assert abs(ours - theirs).max() < 2e-3 * abs(ours).max()  # the merged weights are rounded to 16 bits


@needs_mlx
def test_an_adapter_of_another_base_or_rank_is_refused(tiny_base: Path, start: Path) -> None:
    from safetensors.numpy import load_file

    from blogtwin.training import mlx_model

    model = mlx_model.load(tiny_base, bf16=False)
    mlx_model.add_adapter(model, rank=8, alpha=8, seed=0)
    with pytest.raises(ModelError, match=r"has \(4, 128\) as .*down_proj.lora_A.weight, and here it is \(8, 128\)"):
        mlx_model.from_peft(model, load_file(start / adapter_folder.WEIGHTS))


# --- what may happen on the way


KILLED = """
import sys
from pathlib import Path
from test_finetune import settings
from test_mlx import run
from training_runs import place
from blogtwin.training.mlx import Mlx

run(Mlx(anywhere=True), settings(Path(sys.argv[1])), place(sys.argv[2]))
"""


@needs_mlx
def test_a_run_that_is_killed_ends_with_the_same_bytes(tiny_base: Path, twin: Workspace, workspace: Workspace) -> None:
    command = [sys.executable, "-c", KILLED, str(tiny_base), str(workspace.model.parent.parent)]
    process = subprocess.Popen(command, cwd=Path(__file__).parent)
    while not (workspace.model / ".training" / "checkpoint-3" / "sealed.json").exists():
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    progress = Silent()
    run(Mlx(anywhere=True), settings(tiny_base), workspace, progress)
    assert any(note.startswith("going on from step") for note in progress.notes)
    assert files(workspace.model) == files(twin.model)


@needs_mlx
def test_a_large_base_in_bfloat16_learns_the_same(
    tiny_base: Path, twin: Workspace, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blogtwin.training.mlx._precision", lambda _: Precision(bf16=True, frugal=True))
    run(Mlx(anywhere=True), settings(tiny_base), workspace)
    assert numbers(workspace, "loss") == pytest.approx(numbers(twin, "loss"), rel=0.02)


@needs_mlx
def test_a_loss_that_is_no_number_ends_the_run_and_names_the_step(
    tiny_base: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blogtwin.training import mlx_loop

    monkeypatch.setattr(mlx_loop, "share", lambda step, *_: float("inf") if step == 3 else 1e-3)
    with pytest.raises(ModelError, match="diverged at step 5"):
        run(Mlx(anywhere=True), settings(tiny_base), workspace)
    assert (workspace.model / ".training" / "checkpoint-3" / "sealed.json").exists()


@needs_mlx
def test_memory_that_runs_out_is_an_error_with_a_way_out(
    tiny_base: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blogtwin.training import mlx_loop

    def full(*_: Any) -> None:
        raise RuntimeError("[METAL] Command buffer execution failed: Insufficient Memory (00000008:kIOGPU…)")

    monkeypatch.setattr(mlx_loop._Run, "_take_step", full)
    with pytest.raises(ModelError, match="the GPU's share of the memory ran out while training") as caught:
        run(Mlx(anywhere=True), settings(tiny_base), workspace)
    assert "--max-length 128" in caught.value.hint


@needs_mlx
def test_layers_that_are_computed_again_take_less_memory_and_give_the_same_gradient(tmp_path: Path) -> None:
    import mlx.core as mx
    from mlx import nn
    from mlx.utils import tree_flatten
    from transformers import AutoModelForCausalLM

    from blogtwin.training import mlx_loss, mlx_model
    from blogtwin.training.rows import Row

    deep = tiny_models.config("llama", 256, 4, num_hidden_layers=8)
    AutoModelForCausalLM.from_config(deep).save_pretrained(tmp_path)
    model = mlx_model.load(tmp_path, bf16=False)
    mlx_model.add_adapter(model, rank=4, alpha=8, seed=0)
    row = Row([number % 250 for number in range(300)], 20)
    slope = nn.value_and_grad(model, lambda model: mlx_loss.log_probability(model, row))

    def measured() -> tuple[int, dict[str, Any]]:
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        _, gradients = slope(model)
        mx.eval(gradients)
        return mx.get_peak_memory() - before, dict(tree_flatten(gradients))

    plain_peak, plain = measured()
    with mlx_model.recomputed(model):
        peak, again = measured()
    assert peak < 0.6 * plain_peak
    assert all(mx.abs(again[name] - plain[name]).max().item() < 1e-4 for name in plain)
    assert measured()[0] > 0.9 * plain_peak  # as it was before


@needs_mlx
def test_the_vocabulary_is_never_in_memory_for_a_whole_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlx.core as mx

    from blogtwin.training import mlx_loss

    hidden, output, targets = mx.random.normal((1024, 8)), mx.random.normal((16_000, 8)), mx.arange(1024)
    slope = mx.value_and_grad(lambda hidden: mlx_loss._summed(hidden, output, targets, learns=True))
    monkeypatch.setattr(mlx_loss, "BLOCK", 32)
    mx.eval(hidden, output, targets)
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(slope(hidden))
    assert mx.get_peak_memory() - before < 0.5 * 1024 * 16_000 * 4


@needs_mlx
def test_the_loss_in_blocks_has_the_gradient_of_the_loss_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlx.core as mx
    from mlx import nn

    from blogtwin.training import mlx_loss

    hidden, output = mx.random.normal((9, 16)), mx.random.normal((50, 16))
    targets = mx.arange(9) * 5

    def whole(hidden: Any) -> Any:
        return -2.5 * nn.losses.cross_entropy(hidden @ output.T, targets, reduction="sum")

    def in_blocks(hidden: Any) -> Any:
        return 2.5 * mlx_loss._summed(hidden, output, targets, learns=True)

    monkeypatch.setattr(mlx_loss, "BLOCK", 4)
    (value, slope), (wanted, wanted_slope) = mx.value_and_grad(in_blocks)(hidden), mx.value_and_grad(whole)(hidden)
    assert value.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert mx.abs(slope - wanted_slope).max().item() < 1e-4
    assert mlx_loss._summed(hidden, output, targets, learns=False).item() == pytest.approx(
        wanted.item() / 2.5, rel=1e-5
    )
