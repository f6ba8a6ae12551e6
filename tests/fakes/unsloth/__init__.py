"""Stands in for unsloth where there is no GPU: the same calls, served by transformers and peft on the processor.

tests/test_unsloth.py compares the signatures with the real package's. What was called is written to $FAKE_UNSLOTH_CALLS.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

print("🦥 Unsloth: this line is on stdout, as the real one's is")
_SWITCHES = ("UNSLOTH_DISABLE_STATISTICS", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_OFFLINE", "UNSLOTH_COMPILE_LOCATION")


def _record(name: str, **told: Any) -> None:
    with Path(os.environ["FAKE_UNSLOTH_CALLS"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"call": name, **told}) + "\n")


_record("import", trl_came_first="trl" in sys.modules, switches={name: os.environ.get(name) for name in _SWITCHES})


def is_bfloat16_supported() -> bool:
    return False


class FastLanguageModel:
    @staticmethod
    def from_pretrained(
        model_name: str = "unsloth/Llama-3.2-1B-Instruct",
        max_seq_length: int = 2048,
        dtype: Any = None,
        load_in_4bit: bool = True,
        load_in_16bit: bool = False,
        trust_remote_code: bool = False,
        use_gradient_checkpointing: str = "unsloth",
        use_exact_model_name: bool = False,
        random_state: int = 3407,
        *,
        local_files_only: bool = False,  # one of the real one's further keywords
    ) -> tuple[Any, Any]:
        from transformers import AutoModelForCausalLM

        _record(
            "from_pretrained",
            model_name=model_name,
            max_seq_length=max_seq_length,
            load_in_4bit=load_in_4bit,
            load_in_16bit=load_in_16bit,
            local_only=local_files_only and use_exact_model_name,
        )
        return AutoModelForCausalLM.from_pretrained(model_name, dtype="float32"), None

    @staticmethod
    def get_peft_model(
        model: Any,
        r: int = 16,
        target_modules: Any = (),
        lora_alpha: int = 16,
        lora_dropout: float = 0.0,
        bias: str = "none",
        use_gradient_checkpointing: str = "unsloth",
        random_state: int = 3407,
        max_seq_length: int = 2048,
    ) -> Any:
        from peft import LoraConfig, get_peft_model

        _record("get_peft_model", r=r, target_modules=target_modules)
        shape = LoraConfig(
            r=r,
            target_modules=target_modules,
            lora_alpha=lora_alpha,
            lora_dropout=lora_dropout,
            bias=bias,
            task_type="CAUSAL_LM",
        )
        return get_peft_model(model, shape)

    @staticmethod
    def patch_peft_model(model: Any, use_gradient_checkpointing: str = "unsloth") -> Any:
        _record("patch_peft_model")
        return model
