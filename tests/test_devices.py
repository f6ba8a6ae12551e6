"""Where plain transformers trains, and in which numbers, decided for machines that are not here.

No GPU and no Mac was to be had: what is held here is what would be asked of transformers on them, not that they do it.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from blogtwin.training import choose, device, mlx, transformers, unsloth
from blogtwin.training.device import Device
from blogtwin.training.hardware import Hardware
from blogtwin.training.precision import Precision

GIB = 2**30
LARGE = 1_236_000_000
FOUND = {"cuda": "one NVIDIA L4", "rocm": "none", "xpu": "none", "apple_silicon": "this is no Mac", "cpu": "8 cores"}
PC = Hardware("cpu", "a processor", None, 32 * GIB, 8, True, FOUND)
GPU = replace(PC, platform="cuda", device="NVIDIA L4", device_memory=24 * GIB, bf16=False)
MAC = replace(PC, platform="apple_silicon", device="Apple M2", memory=16 * GIB, bf16=True)


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the installed torch were built for whatever is asked for, and every GPU had bfloat16."""
    monkeypatch.setattr(device, "reaches", lambda _: True)
    monkeypatch.setattr(device, "_has_bf16", lambda _: True)


def job(hardware: Hardware, parameters: int = LARGE, method: str = "sft") -> Any:
    base = SimpleNamespace(parameters=parameters, name="a base")
    return SimpleNamespace(hardware=hardware, base=base, settings=SimpleNamespace(method=method))


@pytest.mark.parametrize(
    ("hardware", "name", "bf16", "memory"),
    [
        (PC, "cpu", True, 32 * GIB),
        (GPU, "cuda", True, 24 * GIB),  # whatever its processor can
        (replace(GPU, platform="rocm"), "cuda", True, 24 * GIB),  # torch's name for AMD's too
        (replace(GPU, platform="xpu", device_memory=None), "xpu", True, 0),
        (MAC, "mps", True, 16 * GIB),
        (replace(MAC, bf16=False), "mps", False, 16 * GIB),  # an M1
    ],
)
def test_the_accelerator_is_taken_by_its_name_in_torch(
    hardware: Hardware, name: str, bf16: bool, memory: int, reached: None
) -> None:
    assert Device.choose(hardware) == Device(name, bf16, memory)  # type: ignore[arg-type]


def test_an_accelerator_that_torch_does_not_reach_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "reaches", lambda _: False)
    assert Device.choose(replace(GPU, bf16=True)) == Device("cpu", True, 32 * GIB)


def test_on_a_processor_transformers_is_asked_for_what_it_always_was() -> None:
    for parameters, frugal in ((3_500_000, False), (LARGE, True)):
        chosen = Device.choose(PC)
        assert chosen.arguments(chosen.precision(parameters, PC)) == {
            "use_cpu": True,
            "bf16": False,
            "gradient_checkpointing": frugal,
            "dataloader_pin_memory": False,
        }


@pytest.mark.parametrize(
    ("name", "has_bf16", "base_bf16", "mixed", "pinned"),
    [
        ("cuda", True, True, True, True),
        ("cuda", False, False, False, True),  # NVIDIA's cards before 2020
        ("xpu", True, True, True, False),
        ("mps", True, True, False, False),  # pinning there is nothing but a warning
    ],
)
def test_a_large_base_is_in_bfloat16_where_the_device_multiplies_it(
    name: Any, has_bf16: bool, base_bf16: bool, mixed: bool, pinned: bool
) -> None:
    there = Device(name, has_bf16, 24 * GIB)
    precision = there.precision(LARGE, GPU)
    asked = there.arguments(precision)
    assert precision == Precision(bf16=base_bf16, frugal=True)
    assert asked["use_cpu"] is False
    assert (asked["bf16"], asked["dataloader_pin_memory"]) == (mixed, pinned)
    assert not there.precision(3_500_000, GPU).bf16


def test_unsloth_and_mlx_go_first_and_what_they_lack_is_said(monkeypatch: pytest.MonkeyPatch, reached: None) -> None:
    monkeypatch.setattr(unsloth, "find_spec", lambda _: None)
    monkeypatch.setattr(mlx, "find_spec", lambda _: None)
    for hardware, missing, mend in ((GPU, "unsloth", "--extra cuda"), (MAC, "mlx", "--extra mlx")):
        chosen = choose.choose(hardware)
        assert chosen.name == "transformers"
        remark = str(choose.unused(hardware, chosen))
        assert remark.startswith(f"{hardware.device} is used by plain transformers, not by {missing}: ")
        assert mend in remark
    monkeypatch.setattr(mlx, "find_spec", lambda name: name)
    assert choose.choose(MAC).name == "mlx"
    assert choose.unused(MAC, choose.choose(MAC)) is None


def test_a_gpu_whose_memory_is_too_small_leaves_the_work_to_the_processor(reached: None) -> None:
    backend, small = transformers.Transformers(), replace(GPU, device_memory=2 * GIB, bf16=True)
    assert backend.choices(job(GPU)) == {
        "device": "cuda",
        "bf16": True,
        "frugal": True,
        "narrow": False,
        "roomy": False,
    }
    assert backend.choices(job(small)) == {
        "device": "cpu",
        "bf16": True,
        "frugal": True,
        "narrow": False,
        "roomy": True,
    }
    assert backend.memory(job(GPU)).available == 24 * GIB
    assert backend.memory(job(small)).available == 32 * GIB


def test_the_one_gpu_that_is_used_of_several_is_told_of(monkeypatch: pytest.MonkeyPatch, reached: None) -> None:
    monkeypatch.setattr(unsloth, "find_spec", lambda name: name)
    monkeypatch.setattr(unsloth, "_torch_is_built_for", lambda: {"cuda"})
    four = replace(GPU, devices=4)
    assert "one of 4 is used" in str(choose.unused(four, choose.choose(four)))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert choose.choose(four).name == "transformers"  # which alone shares a batch among processes
    assert "it trains in one process, and 4 were started" in str(choose.unused(four, choose.choose(four)))


def test_dpo_needs_memory_for_two_rows_and_processes_on_one_machine_share_what_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = transformers.Transformers()
    alone = {method: backend.memory(job(PC, method=method)).needed for method in ("sft", "dpo", "kto")}
    assert alone["sft"] == round(4.8 * LARGE)  # keeping all that is computed
    assert alone["kto"] == round(3.6 * LARGE)
    assert alone["dpo"] == round(5.2 * LARGE)
    older = replace(PC, bf16=False, memory=8 * GIB)
    assert backend.memory(job(replace(PC, memory=8 * GIB))).needed == round(3.6 * LARGE)
    assert backend.memory(job(older)).needed == round(4.7 * LARGE)  # held in bfloat16, computed in float32
    assert backend.memory(job(older, method="kto")).needed == round(6.7 * LARGE)
    for name, value in {"RANK": "0", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    assert backend.memory(job(PC)).needed == 2 * alone["sft"]
