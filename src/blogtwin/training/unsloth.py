"""The backend for GPUs of NVIDIA, AMD and Intel: unsloth's kernels under the same trainers as everywhere.

In: a Lesson. Out: checkpoints. Only the loading of the model and the device differ from the transformers backend; what is left
is the same PEFT adapter, merged and converted by the export room and never by unsloth's exporters, which fetch or build
llama.cpp on their own. On a GPU a run that goes on computes what an undisturbed one computes only as far as the
kernels do: sums are taken in another order from run to run.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from blogtwin.errors import ModelError
from blogtwin.progress import Progress
from blogtwin.training.base import Lesson, Memory, Speed, TrainJob
from blogtwin.training.engine import Engine
from blogtwin.training.hardware import Hardware
from blogtwin.workspace import home

# All linear layers of a block, as "all-linear" names them for the architectures that can be deployed.
_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
_INSTALL = {
    "cuda": "the `cuda` extra is not installed: uv sync --extra cuda",
    "rocm": "unsloth is not installed: after AMD's own torch, uv pip install 'unsloth[amd]==2026.10.7'",
    "xpu": "unsloth is not installed: after Intel's own torch, uv pip install unsloth==2026.10.7 'unsloth_zoo[intelgpu]'",
}
# How torch/version.py says for which platform it was built.
_BUILT_FOR = {"cuda": "cuda", "rocm": "hip", "xpu": "xpu"}


class Unsloth:
    """LoRA on a GPU, of a base in 16 bits, or in 4 where its memory asks for it."""

    name = "unsloth"
    libraries: tuple[str, ...] = ("torch", "transformers", "peft", "trl", "unsloth", "unsloth_zoo")

    def unavailable(self, hardware: Hardware) -> str | None:
        """A GPU, a torch that was built for it, and unsloth itself."""
        if hardware.platform not in _INSTALL:
            seen = "; ".join(hardware.found[name] for name in _INSTALL if name in hardware.found)
            return f"no CUDA, ROCm or XPU device was found: {seen}"
        if any(find_spec(library) is None for library in ("unsloth", "unsloth_zoo")):
            return _INSTALL[hardware.platform]
        built = _torch_is_built_for()
        if built and _BUILT_FOR[hardware.platform] not in built:
            return (
                f"the torch that is installed was built for {' and '.join(sorted(built))}, not for {hardware.platform}"
            )
        return None

    def choices(self, job: TrainJob) -> Mapping[str, object]:
        """The device, and whether the base is in 4 bits."""
        return {"platform": job.hardware.platform, "device": job.hardware.device, "four_bit": _four_bit(job)}

    def memory(self, job: TrainJob) -> Memory:
        """Of the GPU's own."""
        needed = _four_bit_bytes(job) if _four_bit(job) else _sixteen_bit_bytes(job)
        return Memory(needed, job.hardware.device_memory or 0)

    def train(self, lesson: Lesson, progress: Progress) -> Speed:
        """As the protocol says. Raises ModelError too when unsloth does not start on this GPU."""
        with _quiet_and_private():
            with progress.task("Loading the training libraries"):
                library = _imported()
                from blogtwin.training import preference_training, sft
            engine = Engine(
                load=lambda job: _model_of(job, library.FastLanguageModel),
                device=_device(bool(library.is_bfloat16_supported())),
                sft_loss="nll",  # of which unsloth has a fused one; trl's chunked loss would go round its kernels
            )
            if lesson.job.settings.method == "sft":
                return sft.train(lesson, engine, progress)
            return preference_training.train(lesson, engine, progress)


def _imported() -> Any:
    """unsloth, which has to be there before trl, because it changes it."""
    try:
        return import_module("unsloth")
    except (ImportError, NotImplementedError, RuntimeError, OSError) as fault:
        raise ModelError(
            f"unsloth does not start on this machine: {(str(fault).strip() or repr(fault)).splitlines()[0]}",
            "see what `blogtwin doctor` says of the GPU, or train without unsloth: --backend transformers",
        ) from fault


def _model_of(job: TrainJob, library: Any) -> Any:
    """The PeftModel at step 0, by unsloth's FastLanguageModel."""
    import transformers
    from peft import PeftModel

    length = min(job.settings.max_length, job.base.context_length)
    checkpointing = "unsloth"  # activations wait in main memory
    transformers.set_seed(job.settings.seed)
    try:
        model, _ = library.from_pretrained(
            model_name=str(job.base.folder),
            max_seq_length=length,
            dtype=None,  # bfloat16 where the GPU has it, else float16
            load_in_4bit=_four_bit(job),
            load_in_16bit=not _four_bit(job),
            use_exact_model_name=True,  # not one that unsloth would rather download
            use_gradient_checkpointing=checkpointing,
            trust_remote_code=False,
            random_state=job.settings.seed,
            local_files_only=True,
        )
        if job.parent:
            further = PeftModel.from_pretrained(model, str(job.parent), is_trainable=True)
            # As in lora.py: where it is saved, PEFT looks for the base's configuration there, and not on the hub.
            further.peft_config["default"].base_model_name_or_path = str(job.base.folder)
            return library.patch_peft_model(further, use_gradient_checkpointing=checkpointing)
        return library.get_peft_model(
            model,
            r=job.settings.lora_r,
            target_modules=_LAYERS,
            lora_alpha=job.settings.lora_alpha,
            lora_dropout=0.0,
            bias="none",
            use_gradient_checkpointing=checkpointing,
            random_state=job.settings.seed,
            max_seq_length=length,
        )
    except (OSError, ValueError, RuntimeError, KeyError) as fault:
        raise ModelError(
            f"unsloth does not load {job.parent or job.base.folder}: {(str(fault).strip() or repr(fault)).splitlines()[0]}",
            "train without it: --backend transformers, or choose another base with --base-model",
        ) from fault


def _device(bf16: bool) -> dict[str, Any]:
    """Training arguments. Without bfloat16 (NVIDIA cards before 2020) float16 is mixed in, as unsloth advises."""
    import torch

    return {"use_cpu": False, "bf16": bf16, "fp16": not bf16 and torch.cuda.is_available()}


def _four_bit(job: TrainJob) -> bool:
    """Whether the base has to be quantized to be trained here; where the memory is unknown it is not."""
    there = job.hardware.device_memory
    return there is not None and _sixteen_bit_bytes(job) > there


# Straight lines over unsloth's own table of the least that training takes, from 3 to 14 billion parameters: 8 to 33 GB in
# 16 bits, 3.5 to 8.5 GB in 4 (unsloth documentation, "Unsloth Requirements"). Not measured here.
def _sixteen_bit_bytes(job: TrainJob) -> int:
    return round(2.8 * job.base.parameters)


def _four_bit_bytes(job: TrainJob) -> int:
    return round(0.5 * job.base.parameters + 2.2e9)


def _torch_is_built_for() -> set[str]:
    """The platforms that the installed torch names in its version file; read as text, for torch takes seconds to load."""
    found = find_spec("torch")
    places = list(found.submodule_search_locations or []) if found else []
    try:
        text = (Path(places[0]) / "version.py").read_text("utf-8") if places else ""
    except OSError:
        return set()
    return {name for name, version in re.findall(r"^(cuda|hip|xpu)\b[^=]*= *(.+)$", text, re.M) if version != "None"}


@contextlib.contextmanager
def _quiet_and_private() -> Iterator[None]:
    """What unsloth prints is kept off stdout, where results go; it counts nobody and asks nothing of the network."""
    switches = {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",  # everything it needs is here
        "UNSLOTH_DISABLE_STATISTICS": "1",
        "UNSLOTH_COMPILE_LOCATION": str(home() / "unsloth"),  # not the folder that the user happens to be in
    }
    before = {name: os.environ.get(name) for name in switches}
    os.environ.update(switches)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
