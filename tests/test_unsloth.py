"""The unsloth backend. No GPU was to be had when this was written: what runs here is everything but unsloth's own kernels.

A stand-in (tests/fakes/unsloth) with the same calls trains on the processor. Where the real package is installed, its
signatures are compared with the stand-in's, and it loads a base and puts the adapter in. That its kernels train well on
a GPU is not shown by any test in this file.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors import safe_open

from blogtwin import adapter_folder
from blogtwin.export.merge import merge
from blogtwin.training import choose, unsloth
from blogtwin.training.hardware import Hardware
from tiny_models import save_adapter, write_card

FAKES = Path(__file__).parent / "fakes"
GIB = 2**30
TEXTS = (
    "The clock in the hall stopped on Tuesday. I wound it twice and it went on as if nothing had happened.",
    "My neighbour's bees were in the lime tree by noon. We left them a skep and a wide berth until evening.",
)


def hardware(**changes: Any) -> Hardware:
    found = {"cuda": "no NVIDIA driver", "rocm": "no AMD driver", "xpu": "no Intel driver", "cpu": "a processor"}
    return replace(Hardware("cuda", "NVIDIA L4", 24 * GIB, 64 * GIB, 8, True, found), **changes)


def job(parameters: float, memory: int | None) -> Any:
    return SimpleNamespace(base=SimpleNamespace(parameters=parameters), hardware=hardware(device_memory=memory))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the `cuda` extra were there, and a torch for CUDA."""
    monkeypatch.setattr(unsloth, "find_spec", lambda name: name)
    monkeypatch.setattr(unsloth, "_torch_is_built_for", lambda: {"cuda"})


def test_without_a_gpu_it_says_where_each_was_looked_for(installed: None) -> None:
    reason = unsloth.Unsloth().unavailable(hardware(platform="cpu"))
    assert reason == "no CUDA, ROCm or XPU device was found: no NVIDIA driver; no AMD driver; no Intel driver"


@pytest.mark.parametrize(("platform", "mend"), [("cuda", "--extra cuda"), ("rocm", "[amd]"), ("xpu", "[intelgpu]")])
def test_without_the_package_it_says_how_to_install_it(
    platform: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsloth, "find_spec", lambda _: None)
    assert mend in str(unsloth.Unsloth().unavailable(hardware(platform=platform)))


def test_a_torch_for_another_platform_is_found_out_before_training(installed: None) -> None:
    assert unsloth.Unsloth().unavailable(hardware()) is None
    reason = unsloth.Unsloth().unavailable(hardware(platform="rocm"))
    assert reason == "the torch that is installed was built for cuda, not for rocm"


def test_what_torch_was_built_for_is_read_without_loading_it() -> None:
    script = (
        "import sys; from blogtwin.training import unsloth; print(sorted(unsloth._torch_is_built_for()));"
        "print('torch' in sys.modules)"
    )
    told = subprocess.check_output([sys.executable, "-c", script], text=True).splitlines()
    import torch

    built = {"cuda": torch.version.cuda, "hip": torch.version.hip, "xpu": getattr(torch.version, "xpu", None)}
    assert told == [str(sorted(name for name, version in built.items() if version)), "False"]


@pytest.mark.parametrize(
    ("parameters", "memory", "four_bit"),
    [(1.2e9, 24 * GIB, False), (3.2e9, 24 * GIB, False), (3.2e9, 8 * GIB, True), (8e9, 16 * GIB, True)],
)
def test_the_base_is_quantized_where_the_memory_asks_for_it(parameters: float, memory: int, four_bit: bool) -> None:
    backend, asked = unsloth.Unsloth(), job(parameters, memory)
    assert backend.choices(asked)["four_bit"] is four_bit
    assert backend.memory(asked).needed < backend.memory(asked).available == memory


def test_a_gpu_that_is_too_small_even_so_is_known_before_training() -> None:
    memory = unsloth.Unsloth().memory(job(14e9, 8 * GIB))
    assert memory.needed > memory.available


def test_it_goes_before_the_others_and_stands_back_where_it_cannot_serve(installed: None) -> None:
    assert choose.choose(hardware()).name == "unsloth"
    assert choose.choose(hardware(platform="cpu")).name == "transformers"
    assert choose.choose(hardware(), "transformers").name == "transformers"


# --- trained for real, with the stand-in


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with examples and preferences, on a machine whose nvidia-smi names a GPU, with the stand-in installed."""
    (tmp_path / "bin").mkdir()
    driver = tmp_path / "bin" / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 'NVIDIA L4, 23034'\n", "utf-8")
    driver.chmod(0o755)
    for name in ("unsloth", "unsloth_zoo"):
        about = tmp_path / "installed" / f"{name}-2026.10.7.dist-info" / "METADATA"
        about.parent.mkdir(parents=True)
        about.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2026.10.7\n", "utf-8")
    examples = [{"instruction": f"Write about day {day}.", "output": TEXTS[day % 2]} for day in range(12)]
    pairs = [
        {"prompt": one["instruction"], "chosen": one["output"], "rejected": "Clocks are a game changer. Let us delve."}
        for one in examples
    ]
    for name, rows in (("training_data", examples), ("validation", examples[:2]), ("preferences", pairs)):
        (tmp_path / "data").mkdir(exist_ok=True)
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "data" / f"{name}.jsonl").write_text(lines, "utf-8")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (FAKES, tmp_path / "installed"))))
    monkeypatch.setenv("FAKE_UNSLOTH_CALLS", str(tmp_path / "calls.jsonl"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


_TRAIN = """
import sys
from blogtwin.cli.app import main
from blogtwin.training import unsloth
unsloth._torch_is_built_for = lambda: {"cuda"}  # whatever torch the tests run on
base, *_ = sys.argv[1:]
common = ["--base-model", base, "--lora-r", "4", "--max-length", "256", "--epochs", "1", "--lr", "0.02", "--json"]
sft = ["finetune", "--data", "data/training_data.jsonl", *common]
code = main([*sft, "--output", "models/by-unsloth"])
code = code or main([*sft, "--output", "models/by-transformers", "--backend", "transformers"])
code = code or main(
    ["finetune", "--method", "dpo", "--from-adapter", "models/by-unsloth", "--data", "data/preferences.jsonl",
     "--output", "models/preferred", *common]
)
raise SystemExit(code)
"""


def test_a_twin_trained_through_it_is_the_same_folder_as_any_other(project: Path, tiny_base: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _TRAIN, str(tiny_base)], cwd=project, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]

    results = [json.loads(f"{{{text}") for text in f"\n{done.stdout}".split("\n{")[1:]]  # and nothing else on stdout
    assert [result["stage"] for result in results] == ["finetune"] * 3
    ours, plain, _ = (result["counts"] for result in results)
    assert ours["validation_loss"] == pytest.approx(plain["validation_loss"], rel=1e-3)

    calls = [json.loads(line) for line in (project / "calls.jsonl").read_text("utf-8").splitlines()]
    assert [call["call"] for call in calls] == [
        "import", "from_pretrained", "get_peft_model", "from_pretrained", "patch_peft_model",
    ]  # fmt: skip
    assert not calls[0]["trl_came_first"]
    assert calls[0]["switches"] == {
        "UNSLOTH_DISABLE_STATISTICS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
        "UNSLOTH_COMPILE_LOCATION": str(Path(os.environ["BLOGTWIN_HOME"]) / "unsloth"),
    }
    assert calls[1] == {
        "call": "from_pretrained",
        "model_name": str(tiny_base),
        "max_seq_length": 256,
        "load_in_4bit": False,
        "load_in_16bit": True,
        "local_only": True,
    }

    folders = [project / "models" / name for name in ("by-unsloth", "by-transformers", "preferred")]
    tensors = [safe_open(folder / adapter_folder.WEIGHTS, "pt").keys() for folder in folders]
    assert tensors[0] == tensors[1] == tensors[2]
    assert adapter_folder.load(folders[0]).card.versions["unsloth"] == "2026.10.7"
    assert {path.name for path in folders[0].iterdir()} == {path.name for path in folders[1].iterdir()}
    for folder in folders:
        assert merge(folder, project / "merged" / folder.name, offline=True).is_dir()
    assert not (project / "unsloth_compiled_cache").exists()


def test_an_unsloth_that_does_not_start_is_an_error_with_a_way_out(project: Path, tiny_base: Path) -> None:
    broken = project / "broken" / "unsloth"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text(
        "raise NotImplementedError('Unsloth cannot find any torch accelerator')", "utf-8"
    )
    paths = os.pathsep.join(map(str, (project / "broken", FAKES, project / "installed")))
    done = subprocess.run(
        [sys.executable, "-c", _TRAIN, str(tiny_base)],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 1
    assert "error: unsloth does not start on this machine: Unsloth cannot find any torch accelerator" in done.stderr
    assert "--backend transformers" in done.stderr


# --- the stand-in and the real package

_SIGNATURES = """
import inspect, json, sys
from unsloth import FastLanguageModel, is_bfloat16_supported
told = {}
for name in ("from_pretrained", "get_peft_model", "patch_peft_model"):
    parameters = inspect.signature(getattr(FastLanguageModel, name)).parameters.values()
    told[name] = {one.name: [str(one.kind), repr(one.default)] for one in parameters}
told["is_bfloat16_supported"] = {one.name: [] for one in inspect.signature(is_bfloat16_supported).parameters.values()}
from trl import SFTConfig
SFTConfig(output_dir="out", loss_type="nll", use_cpu=True, bf16=False, fp16=False, dataset_kwargs={"skip_prepare_dataset": True})
print("\\n" + json.dumps(told))
"""
# What the real one takes among its further keywords (**kwargs), read in its source.
_FURTHER = {"local_files_only"}
# Defaults that a call from here never leaves as they are.
_ALWAYS_GIVEN = {"target_modules"}


real = pytest.mark.skipif(find_spec("unsloth") is None, reason="unsloth is not installed: uv sync --extra cuda")


def _with_the_real_one(script: str, folder: Path, *arguments: Path) -> str:
    """Run it in a process of its own, for the import changes torch and trl; it needs no GPU to be imported."""
    environment = {**os.environ, "UNSLOTH_ALLOW_CPU": "1", "UNSLOTH_DISABLE_STATISTICS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def _fake() -> Any:
    """The stand-in, loaded beside the name of the real one."""
    spec = spec_from_file_location("fake_unsloth", FAKES / "unsloth" / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@real
def test_the_stand_in_has_the_signatures_of_the_real_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_UNSLOTH_CALLS", str(tmp_path / "calls.jsonl"))
    fake = _fake()
    there = json.loads(_with_the_real_one(_SIGNATURES, tmp_path).splitlines()[-1])
    assert there["is_bfloat16_supported"] == {}
    for name in ("from_pretrained", "get_peft_model", "patch_peft_model"):
        for one in inspect.signature(getattr(fake.FastLanguageModel, name)).parameters.values():
            if one.name in _FURTHER:
                assert "kwargs" in there[name]
                continue
            assert one.name in there[name], f"{name} of the real package takes no {one.name}"
            if one.name not in _ALWAYS_GIVEN and one.default is not inspect.Parameter.empty:
                assert repr(one.default) == there[name][one.name][1], f"{name}({one.name})"


# Without a driver torch answers no question about the GPU; here it gives the answers of one with 24 GiB, and "cuda" is the
# processor. That is enough to load a base and to put the adapter in, not to train: the kernels are for GPUs alone.
_LOADS = """
import sys
from pathlib import Path
from types import SimpleNamespace as Some
import unsloth, torch
about = Some(name="GPU", total_memory=24 * 2**30, major=8, minor=9, multi_processor_count=10)
torch.cuda.get_device_properties = lambda *_: about
torch.cuda.mem_get_info = lambda *_: (20 * 2**30, 24 * 2**30)
torch.cuda.get_device_capability = lambda *_: (8, 9)
torch.cuda.current_device = lambda: "cpu"
torch.cuda.device_count = lambda: 1
torch.cuda.synchronize = torch.cuda.empty_cache = lambda *_: None
import unsloth.models.llama
unsloth.models.llama.DEVICE_COUNT = 1
move = torch.Tensor.to
def stay(tensor, *places, **named):
    on_a_gpu = lambda place: type(place) is int or str(place).startswith("cuda")
    if named.get("device") is not None:
        named["device"] = "cpu"
    return move(tensor, *("cpu" if on_a_gpu(place) else place for place in places), **named)
torch.Tensor.to = stay

from blogtwin.training import unsloth as ours
base, into = map(Path, sys.argv[1:])
settings = Some(max_length=256, seed=7, lora_r=4, lora_alpha=8)
job = Some(base=Some(folder=base, parameters=1e5, context_length=512), settings=settings,
           hardware=Some(device_memory=24 * 2**30), parent=None)
model = ours._model_of(job, unsloth.FastLanguageModel)
for name, weight in model.named_parameters():
    if "lora_B" in name:
        torch.nn.init.normal_(weight, std=0.1)
model.save_pretrained(into)
job.parent = into
again = ours._model_of(job, unsloth.FastLanguageModel)
kept, mine = dict(again.named_parameters()), dict(model.named_parameters())
assert kept.keys() == mine.keys()
assert all(torch.equal(kept[name], mine[name]) and kept[name].requires_grad for name in kept if "lora_" in name)
"""


@real
def test_the_real_package_loads_a_base_and_its_adapter_merges_as_any_other(tmp_path: Path, tiny_base: Path) -> None:
    folder = tmp_path / "adapter"
    _with_the_real_one(_LOADS, tmp_path, tiny_base, folder)
    ours = save_adapter(tiny_base, tmp_path / "ours", std=0.1)
    tensors = [safe_open(one / adapter_folder.WEIGHTS, "pt").keys() for one in (folder, ours)]
    assert tensors[0] == tensors[1]
    write_card(folder, tiny_base)
    assert merge(folder, tmp_path / "merged", offline=True).is_dir()
