"""The MLX backend, for real, on whatever MLX finds (a Mac's GPU, a processor on Linux): it trains as the other backend does,
leaves the same adapter, and goes on where it stopped."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import tiny_models
from blogtwin import jsonl
from blogtwin.errors import ModelError
from blogtwin.export.merge import merge
from blogtwin.progress import Silent
from blogtwin.stages import finetune
from blogtwin.training import adapter, precision
from blogtwin.training.hardware import detect
from blogtwin.training.mlx import Mlx
from blogtwin.training.transformers import Transformers
from blogtwin.workspace import Workspace
from test_finetune import Interrupting, example, files, place, settings

needs_mlx = pytest.mark.skipif(find_spec("mlx_lm") is None, reason="mlx-lm is not installed here: uv sync --extra mlx")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return filled(tmp_path)


def filled(root: Path) -> Workspace:
    made = place(root)
    jsonl.write(made.training_data, map(example, range(24)))
    jsonl.write(made.validation, map(example, range(24, 28)))
    return made


@pytest.fixture
def by_mlx(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is trained in this test is trained by MLX."""
    monkeypatch.setattr(finetune, "choose", lambda *_: Mlx(anywhere=True))


def numbers(workspace: Workspace, name: str) -> list[float]:
    entries = jsonl.lines(workspace.model / "training_log.jsonl")
    return [float(str(entry[name])) for _, entry in entries if name in entry]


def test_it_serves_on_a_mac_and_elsewhere_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    linux = replace(detect(), platform="cpu", found={"apple_silicon": "this is no Mac"})
    mac = replace(linux, platform="apple_silicon")
    monkeypatch.setattr("blogtwin.training.mlx.find_spec", lambda name: object())
    assert Mlx().unavailable(mac) is None
    assert Mlx().unavailable(linux) == "no Apple silicon was found: this is no Mac"
    assert Mlx(anywhere=True).unavailable(linux) is None
    monkeypatch.setattr("blogtwin.training.mlx.find_spec", lambda name: None)
    assert Mlx().unavailable(mac) == "the `mlx` extra is not installed: uv sync --extra mlx"


@needs_mlx
def test_it_learns_step_for_step_as_the_transformers_backend_does(
    tiny_base: Path, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft import get_peft_model_state_dict

    from blogtwin.training import mlx_loop, mlx_model, sft

    chosen = settings(tiny_base)
    first: dict[str, Any] = {}  # the adapter as PEFT draws it
    with_lora = sft._with_lora

    def drawn(*given: Any) -> Any:
        model = with_lora(*given)
        first.update({name: value.numpy().copy() for name, value in get_peft_model_state_dict(model).items()})
        return model

    class Order:
        """The order in which MLX takes the rows."""

        epoch = 0

        def __len__(self) -> int:
            return 24

        def __iter__(self) -> Iterator[int]:
            steps = range(6 * self.epoch, 6 * self.epoch + 6)
            self.epoch += 1
            return iter([row for step in steps for row in mlx_loop.batch(range(24), 4, step, chosen.training.seed)])

    monkeypatch.setattr(sft, "_with_lora", drawn)
    monkeypatch.setattr(sft._Trainer, "_get_train_sampler", lambda *_: Order())
    monkeypatch.setattr(finetune, "choose", lambda *_: Transformers())
    finetune.run(chosen, workspace, Silent())

    fresh = mlx_model.add_adapter

    def same(model: Any, *given: Any) -> None:
        fresh(model, *given)
        mlx_model.from_peft(model, first)

    other = filled(tmp_path / "other")
    monkeypatch.setattr(mlx_model, "add_adapter", same)
    monkeypatch.setattr(finetune, "choose", lambda *_: Mlx(anywhere=True))
    finetune.run(chosen, other, Silent())

    bounds = {"loss": 1e-3, "eval_loss": 1e-3, "learning_rate": 1e-6, "epoch": 1e-6, "grad_norm": 0.02}
    for name, within in bounds.items():
        assert numbers(other, name) == pytest.approx(numbers(workspace, name), rel=within), name


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
    weights = load_file(folder / adapter.WEIGHTS)

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
def test_what_mlx_trained_merges_to_the_model_that_mlx_had(
    tiny_base: Path, workspace: Workspace, by_mlx: None, tmp_path: Path
) -> None:
    import torch
    from safetensors.numpy import load_file
    from transformers import AutoModelForCausalLM

    from blogtwin.training import mlx_model

    chosen = settings(tiny_base)
    result = finetune.run(chosen, workspace, Silent())
    assert result.counts["validation_perplexity"] < 0.9 * result.counts["base_validation_perplexity"]
    made = adapter.load(workspace.model)
    assert made.card.versions.keys() >= {"mlx", "mlx-lm"}
    model = mlx_model.load(tiny_base, bf16=False)
    mlx_model.add_adapter(model, chosen.training.lora_r, chosen.training.lora_alpha, seed=0)
    mlx_model.from_peft(model, load_file(workspace.model / adapter.WEIGHTS))

    merged = AutoModelForCausalLM.from_pretrained(merge(workspace.model, tmp_path / "merged"), dtype=torch.float32)
    with torch.no_grad():
        theirs = merged(torch.tensor([TOKENS])).logits[0].numpy()
    ours = logits(model)
    assert abs(ours - theirs).max() < 2e-3 * abs(ours).max()  # the merged weights are rounded to 16 bits


@needs_mlx
def test_ctrl_c_leaves_a_checkpoint_from_which_it_ends_with_the_same_bytes(
    tiny_base: Path, workspace: Workspace, by_mlx: None
) -> None:
    finetune.run(settings(tiny_base), workspace, Silent())
    wanted = files(workspace.model)
    with pytest.raises(KeyboardInterrupt):
        finetune.run(settings(tiny_base), workspace, Interrupting(8))
    progress = Silent()
    finetune.run(settings(tiny_base), workspace, progress)
    assert progress.notes == ["going on from step 6 of 12"]
    assert files(workspace.model) == wanted


KILLED = """
import sys
from pathlib import Path
from test_finetune import place, settings
from blogtwin.progress import Silent
from blogtwin.stages import finetune
from blogtwin.training.mlx import Mlx

finetune.choose = lambda *_: Mlx(anywhere=True)
finetune.run(settings(Path(sys.argv[1])), place(sys.argv[2]), Silent())
"""


@needs_mlx
def test_a_run_that_is_killed_ends_with_the_same_bytes(tiny_base: Path, workspace: Workspace, by_mlx: None) -> None:
    finetune.run(settings(tiny_base), workspace, Silent())
    wanted = files(workspace.model)
    (workspace.model / adapter.CARD).unlink()
    command = [sys.executable, "-c", KILLED, str(tiny_base), str(workspace.model.parent.parent)]
    process = subprocess.Popen(command, cwd=Path(__file__).parent)
    while not (workspace.model / ".training" / "checkpoint-3" / "sealed.json").exists():
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    progress = Silent()
    finetune.run(settings(tiny_base), workspace, progress)
    assert progress.notes[0].startswith("going on from step")
    assert files(workspace.model) == wanted


@needs_mlx
def test_a_large_base_in_bfloat16_learns_the_same_and_goes_on_to_the_same_bytes(
    tiny_base: Path, workspace: Workspace, by_mlx: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = filled(tmp_path / "plain")
    finetune.run(settings(tiny_base), plain, Silent())
    monkeypatch.setattr(precision, "_LARGE", 1000)
    monkeypatch.setattr(finetune.hardware, "detect", lambda: replace(detect(), platform="apple_silicon"))
    finetune.run(settings(tiny_base), workspace, Silent())
    wanted = files(workspace.model)
    assert numbers(workspace, "loss")[:4] == pytest.approx(numbers(plain, "loss")[:4], rel=0.02)
    with pytest.raises(KeyboardInterrupt):
        finetune.run(settings(tiny_base), workspace, Interrupting(8))
    finetune.run(settings(tiny_base), workspace, Silent())
    assert files(workspace.model) == wanted


@needs_mlx
def test_a_loss_that_is_no_number_ends_the_run_and_names_the_step(
    tiny_base: Path, workspace: Workspace, by_mlx: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blogtwin.training import mlx_loop

    monkeypatch.setattr(mlx_loop, "share", lambda step, *_: float("inf") if step == 7 else 1e-3)
    with pytest.raises(ModelError, match="diverged at step 9"):
        finetune.run(settings(tiny_base), workspace, Silent())
    assert (workspace.model / ".training" / "checkpoint-6" / "sealed.json").exists()


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
