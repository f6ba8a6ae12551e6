"""The model that is trained: a base with a new LoRA adapter, or with one to go on from. Heavy: imports torch.

In: a TrainJob. Out: a PeftModel in the precision that was chosen, its adapter in float32.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from blogtwin.config import TrainingSettings
from blogtwin.errors import ModelError
from blogtwin.training.base import TrainJob
from blogtwin.training.models import Base
from blogtwin.training.precision import Precision


def model_of(job: TrainJob, precision: Precision) -> Any:
    """The model at step 0. Raises ModelError when base or adapter do not load."""
    transformers.set_seed(job.settings.seed)  # before the adapter's first weights are drawn
    base = _load(job.base, precision)
    if job.parent is None:
        return get_peft_model(base, new_adapter(job.settings))
    try:
        model = PeftModel.from_pretrained(base, str(job.parent), is_trainable=True)
    except (OSError, ValueError, RuntimeError, KeyError) as fault:
        raise ModelError(
            f"the adapter in {job.parent} does not load: {str(fault).strip().splitlines()[0]}",
            "train it again with: blogtwin finetune --method sft",
        ) from fault
    # PEFT looks for the base's configuration when it saves: there, and not on the hub under a name that means a folder.
    model.peft_config["default"].base_model_name_or_path = str(job.base.folder)
    return model


def new_adapter(settings: TrainingSettings) -> LoraConfig:
    """LoRA on every linear layer but the output (Hu et al., 2021, arXiv:2106.09685; all layers: Dettmers et al., 2023)."""
    return LoraConfig(
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _load(base: Base, precision: Precision) -> Any:
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base.folder,
            dtype=torch.bfloat16 if precision.bf16 or precision.narrow else torch.float32,
            local_files_only=True,
            use_safetensors=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError) as fault:
        raise ModelError(
            f"the base model in {base.folder} does not load: {str(fault).strip().splitlines()[0]}",
            "fetch or copy that model again, or choose another with --base-model",
        ) from fault
    model.config.use_cache = False
    return model
