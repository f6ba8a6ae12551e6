"""What a machine is found to have, on every platform: fake tools on the PATH and fake files where the drivers leave theirs."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from blogtwin.cli.app import main
from blogtwin.config import load_settings
from blogtwin.diagnosis import diagnose
from blogtwin.errors import ConfigError, ModelError
from blogtwin.training import accelerators, choose
from blogtwin.training.hardware import Hardware, Platform, detect_hardware_platform, get_platform_model_name
from blogtwin.training.models import resolve
from blogtwin.training.table import KNOWN

GIB = 2**30


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty machine that runs Linux: its files are below the folder, its commands in `bin`."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    return tmp_path


def command(machine: Path, name: str, script: str) -> Path:
    path = machine / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)
    return path


def file(machine: Path, name: str, content: str) -> None:
    path = machine / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")


def seen(machine: Path) -> tuple[str, str, int | None, int]:
    found = detect_hardware_platform(machine)
    return found.platform, found.device, found.device_memory, found.devices


def test_a_machine_without_an_accelerator_trains_on_its_processor_and_says_why(machine: Path) -> None:
    file(machine, "proc/cpuinfo", "model name\t: AMD EPYC 9R14\nflags\t\t: fpu avx512_bf16 sse\n")
    found = detect_hardware_platform(machine)
    assert (found.platform, found.device, found.bf16) == ("cpu", "AMD EPYC 9R14", True)
    assert found.reason == f"AMD EPYC 9R14, {found.cores} cores, with native bfloat16"
    assert found.found["cuda"] == "no NVIDIA driver: nvidia-smi is not on the PATH"
    assert found.found["rocm"] == "no AMD compute driver: /dev/kfd is not there"
    assert found.found["xpu"] == "no Intel GPU driver: xpu-smi is not on the PATH"
    assert found.found["apple_silicon"] == "this is no Mac"


@pytest.mark.parametrize("flags", ["flags : sse avx512f", "Features : fp asimd"])
def test_a_processor_without_bfloat16_is_known(machine: Path, flags: str) -> None:
    file(machine, "proc/cpuinfo", f"processor : 0\n{flags}\n")
    assert not detect_hardware_platform(machine).bf16


def test_an_arm_processor_with_bfloat16_is_known(machine: Path) -> None:
    file(machine, "proc/cpuinfo", "processor : 0\nFeatures : fp asimd bf16\n")
    assert detect_hardware_platform(machine).bf16


# --- NVIDIA


def test_one_nvidia_gpu(machine: Path) -> None:
    command(machine, "nvidia-smi", "echo 'NVIDIA H200, 143771'")
    assert seen(machine) == ("cuda", "NVIDIA H200", 143771 * 2**20, 1)
    assert detect_hardware_platform(machine).reason == "nvidia-smi names NVIDIA H200 with 140 GiB"


def test_of_several_gpus_the_one_with_the_most_memory_is_taken_and_the_others_are_named(machine: Path) -> None:
    command(machine, "nvidia-smi", "printf 'NVIDIA T4, 15360\\nNVIDIA L4, 23034\\nNVIDIA L4, 23034\\n'")
    assert seen(machine) == ("cuda", "NVIDIA L4", 23034 * 2**20, 2)
    assert detect_hardware_platform(machine).reason == "nvidia-smi names 2 × NVIDIA L4 with 22 GiB, and NVIDIA T4"


def test_gpus_that_are_hidden_from_the_process_do_not_count(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(machine, "nvidia-smi", "printf 'NVIDIA T4, 15360\\nNVIDIA L4, 23034\\n'")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert seen(machine)[:2] == ("cuda", "NVIDIA T4")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert seen(machine)[0] == "cpu"
    assert "CUDA_VISIBLE_DEVICES" in detect_hardware_platform(machine).found["cuda"]


def test_a_driver_that_does_not_answer_says_what_it_said(machine: Path) -> None:
    command(machine, "nvidia-smi", "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    found = detect_hardware_platform(machine)
    assert found.platform == "cpu"
    assert "Driver/library version mismatch" in found.found["cuda"]


def test_a_driver_that_hangs_ends_after_a_while(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(machine, "nvidia-smi", "exec /bin/sleep 60")
    given = subprocess.run
    monkeypatch.setattr(accelerators.subprocess, "run", lambda *a, **k: given(*a, **{**k, "timeout": 0.2}))
    assert detect_hardware_platform(machine).found["cuda"] == "nvidia-smi is there but names no GPU, and says nothing"


def test_without_nvidia_smi_the_driver_itself_tells_of_its_gpus(machine: Path) -> None:
    for place in ("0000:01:00.0", "0000:02:00.0"):
        file(machine, f"proc/driver/nvidia/gpus/{place}/information", "Model: \t\t NVIDIA L4\nIRQ:   \t\t 24\n")
    assert seen(machine) == ("cuda", "NVIDIA L4", None, 2)
    assert "the driver names 2 × NVIDIA L4" in detect_hardware_platform(machine).reason


def test_under_wsl_the_tool_is_found_in_its_own_folder_and_its_absence_is_explained(machine: Path) -> None:
    file(machine, "proc/version", "Linux version 5.15.153.1-microsoft-standard-WSL2")
    assert "the driver for Windows" in detect_hardware_platform(machine).found["cuda"]
    tool = command(machine, "nvidia-smi", "echo 'NVIDIA GeForce RTX 4070, 12282'")
    (machine / "usr/lib/wsl/lib").mkdir(parents=True)
    tool.rename(machine / "usr/lib/wsl/lib/nvidia-smi")
    assert seen(machine)[:2] == ("cuda", "NVIDIA GeForce RTX 4070")


# --- AMD

ROCM = """WARNING: AMD GPU device(s) is/are in a low-power state.
device,VRAM Total Memory (B),VRAM Total Used Memory (B),Card Series,Card Model,Card Vendor,Card SKU,GFX Version
card0,25753026560,314572800,Radeon RX 7900 XTX,0x744c,AMD,EXT94393,gfx1100
card1,536870912,20000,N/A,AMD Radeon Graphics,AMD,RAPHAEL,gfx1036
"""


def test_an_amd_gpu_by_rocm_smi(machine: Path) -> None:
    file(machine, "dev/kfd", "")
    file(machine, "told", ROCM)
    command(machine, "rocm-smi", f"/bin/cat {machine / 'told'}")
    assert seen(machine) == ("rocm", "Radeon RX 7900 XTX", 25753026560, 1)
    assert detect_hardware_platform(machine).reason == (
        "rocm-smi names Radeon RX 7900 XTX with 24 GiB, and AMD Radeon Graphics"
    )


def test_without_rocm_smi_the_kernel_tells_of_an_amd_gpu(machine: Path) -> None:
    nodes = "sys/class/kfd/kfd/topology/nodes"
    file(machine, "dev/kfd", "")
    file(machine, f"{nodes}/0/properties", "cpu_cores_count 16\nsimd_count 0\n")
    file(machine, f"{nodes}/0/mem_banks/0/properties", f"heap_type 0\nsize_in_bytes {64 * GIB}\n")
    assert detect_hardware_platform(machine).found["rocm"] == "/dev/kfd is there, but no AMD GPU behind it"
    file(machine, f"{nodes}/1/properties", "cpu_cores_count 0\nsimd_count 192\ngfx_target_version 110000\n")
    file(machine, f"{nodes}/1/name", "navi31\n")
    file(machine, f"{nodes}/1/mem_banks/0/properties", f"heap_type 1\nsize_in_bytes {24 * GIB}\n")
    assert seen(machine) == ("rocm", "AMD navi31", 24 * GIB, 1)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may use every device")
def test_an_amd_gpu_that_the_user_may_not_use_names_the_group(machine: Path) -> None:
    file(machine, "dev/kfd", "")
    (machine / "dev/kfd").chmod(0)
    assert "usermod -aG render" in detect_hardware_platform(machine).found["rocm"]


# --- Intel


def test_an_intel_gpu_by_xpu_smi(machine: Path) -> None:
    command(machine, "xpu-smi", "echo '| 0 | Device Name: Intel(R) Arc(TM) B580 Graphics        |'")
    assert seen(machine) == ("xpu", "Intel(R) Arc(TM) B580 Graphics", None, 1)


def test_an_intel_display_chip_alone_is_no_accelerator(machine: Path) -> None:
    file(machine, "sys/class/drm/card0/device/vendor", "0x8086\n")
    file(machine, "sys/class/drm/card0/device/class", "0x030000\n")
    found = detect_hardware_platform(machine)
    assert found.platform == "cpu"
    assert "install Intel's compute driver" in found.found["xpu"]


# --- Apple


def mac(machine: Path, monkeypatch: pytest.MonkeyPatch, processor: str, translated: bool = False) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: processor)
    command(
        machine,
        "sysctl",
        f'case "$2" in machdep.cpu.brand_string) echo "Apple M3 Pro";; hw.memsize) echo {36 * GIB};;'
        f" hw.optional.arm.FEAT_BF16) echo 1;; sysctl.proc_translated) echo {int(translated)};; esac",
    )


def test_a_mac_with_its_memory(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mac(machine, monkeypatch, "arm64")
    found = detect_hardware_platform(machine)
    assert (found.platform, found.device, found.device_memory) == ("apple_silicon", "Apple M3 Pro", None)
    assert (found.memory, found.bf16) == (36 * GIB, True)
    assert found.reason == "Apple M3 Pro, whose GPU shares the main memory"


def test_an_intel_mac_and_an_intel_python_on_apple_silicon_are_told_apart(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mac(machine, monkeypatch, "x86_64")
    assert detect_hardware_platform(machine).found["apple_silicon"] == "this Mac has an Intel processor"
    mac(machine, monkeypatch, "x86_64", translated=True)
    assert "runs translated" in detect_hardware_platform(machine).found["apple_silicon"]


# --- memory, and the machine that runs the tests


@pytest.mark.parametrize("limit", ["sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"])
def test_a_containers_limit_counts_as_its_memory(machine: Path, limit: str) -> None:
    file(machine, limit, f"{GIB // 8}\n")
    assert detect_hardware_platform(machine).memory == GIB // 8
    file(machine, limit, "max\n")
    assert detect_hardware_platform(machine).memory > GIB // 8


def test_this_machine_is_described_without_loading_torch() -> None:
    script = (
        "import sys; from blogtwin.training.hardware import detect_hardware_platform as detect; found = detect();"
        "print(found.cores >= 1, found.memory > 2**28, found.platform in found.found, 'torch' in sys.modules)"
    )
    told = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert told.strip() == "True True True False"


# --- which files, and which backend


@pytest.mark.parametrize(
    ("where", "column"), [("cpu", "cpu"), ("cuda", "cuda"), ("rocm", "cuda"), ("xpu", "cuda"), ("apple_silicon", "mlx")]
)
def test_a_name_stands_for_the_files_that_suit_the_platform(where: Platform, column: str) -> None:
    for name, known in KNOWN.items():
        assert get_platform_model_name(where, name) == getattr(known, column)
    assert get_platform_model_name(where, "someone/else") == "someone/else"


def test_a_base_is_looked_for_where_the_platform_has_it() -> None:
    with pytest.raises(ModelError, match="mlx-community/SmolLM2-135M-Instruct is not in the local cache"):
        resolve("smollm2:135m", offline=True, platform="apple_silicon")


def plain(**changes: object) -> Hardware:
    found = dict.fromkeys(("cpu", "cuda", "rocm", "xpu", "apple_silicon"), "nothing seen")
    return replace(Hardware("cpu", "a processor", None, 8 * GIB, 2, False, found), **changes)  # type: ignore[arg-type]


def test_a_backend_that_is_asked_for_and_cannot_serve_says_its_own_reason() -> None:
    with pytest.raises(ModelError) as caught:
        choose.choose(plain(), "unsloth")
    reason = choose.Unsloth().unavailable(plain())
    assert caught.value.message == f"the unsloth backend cannot train here: {reason}"
    assert "--backend auto" in caught.value.hint


def test_an_accelerator_that_is_left_alone_is_told_of_with_what_would_put_it_to_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choose.Unsloth, "unavailable", lambda *_: "the `cuda` extra is not installed: uv sync")
    with_a_gpu = plain(platform="cuda", device="NVIDIA L4")
    remark = choose.unused(with_a_gpu, choose.choose(with_a_gpu))
    assert remark == "NVIDIA L4 is not used: the `cuda` extra is not installed: uv sync"
    assert choose.unused(with_a_gpu, choose.Unsloth()) is None
    assert choose.unused(plain(), choose.Transformers()) is None


def test_when_none_can_serve_every_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose.Transformers, "unavailable", lambda *_: "trl not installed")
    with pytest.raises(ModelError, match=r"unsloth: .*; mlx: .*; transformers: trl not installed"):
        choose.choose(plain())


def test_the_setting_is_a_flag_and_a_variable_and_knows_its_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_settings().machine.backend == "auto"
    monkeypatch.setenv("BLOGTWIN_MACHINE_BACKEND", "mlx")
    assert load_settings().machine.backend == "mlx"
    with pytest.raises(ConfigError, match="backend is 'jax'"):
        load_settings(overrides={"machine": {"backend": "jax"}})
    assert main(["finetune", "--backend", "jax"]) == 2
    assert "'transformers', 'unsloth' or 'mlx'" in capsys.readouterr().err


def test_doctor_shows_every_backend_with_its_reason(machine: Path) -> None:
    findings = {one.subject: one for one in diagnose(load_settings())}
    assert {f"training: {backend.name}" for backend in choose.backends()} <= set(findings)
    assert "no CUDA, ROCm or XPU device was found" in findings["training: unsloth"].fact
    assert findings["training: transformers"].fact.endswith("--backend auto takes this one")
    assert {"accelerator: cuda", "accelerator: rocm", "accelerator: xpu"} <= set(findings)
