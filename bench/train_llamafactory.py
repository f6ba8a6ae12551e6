"""LLaMA-Factory, as a side of bench/train.py, in an environment of its own and with what its LoRA example sets.

python train_llamafactory.py JOB.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from llamafactory.train.tuner import run_exp
from transformers import TrainerCallback

from train_clock import Clock, job


class _Timed(TrainerCallback):  # type: ignore[misc]
    def __init__(self) -> None:
        self.clock = Clock()

    def on_step_end(self, _: Any, state: Any, *__: Any, **___: Any) -> None:
        self.clock.step(int(state.num_input_tokens_seen))


def main() -> None:
    given = job()
    if given["threads"]:
        torch.set_num_threads(given["threads"])
    folder = Path(given["room"])
    folder.mkdir(parents=True)
    columns = {"prompt": "instruction", "query": "input", "response": "output", "system": "system"}
    index = {"bench": {"file_name": given["alpaca"], "columns": columns}}
    (folder / "dataset_info.json").write_text(json.dumps(index), "utf-8")
    timed = _Timed()
    run_exp(
        {
            "model_name_or_path": given["base"],
            "stage": "sft",
            "do_train": True,
            "finetuning_type": "lora",
            "lora_rank": 16,
            "lora_alpha": 32,
            "lora_target": "all",
            "dataset": "bench",
            "dataset_dir": str(folder),
            "template": "llama3",
            "cutoff_len": given["max_length"],
            "output_dir": str(folder / "out"),
            "per_device_train_batch_size": given["batch"],
            "gradient_accumulation_steps": 1,
            "learning_rate": given["rate"],
            "max_steps": given["steps"],
            "lr_scheduler_type": "cosine",
            "warmup_steps": 1,
            "bf16": given["bf16"],
            "use_cpu": True,
            "save_strategy": "no",
            "report_to": "none",
            "include_num_input_tokens_seen": "non_padding",
        },
        callbacks=[timed],
    )
    timed.clock.tell()


if __name__ == "__main__":
    main()
