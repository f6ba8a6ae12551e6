"""Plain trl with its defaults, as a side of bench/train.py: what its documentation's first page says, on a processor.

python train_trl.py JOB.json
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from train_clock import Clock, job


class _Timed(TrainerCallback):  # type: ignore[misc]
    def __init__(self) -> None:
        self.clock, self.trainer = Clock(), None

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.clock.step(int(self.trainer._total_train_tokens))


def main() -> None:
    given = job()
    if given["threads"]:
        torch.set_num_threads(given["threads"])
    timed = _Timed()
    timed.trainer = trainer = SFTTrainer(
        model=given["base"],
        args=SFTConfig(
            output_dir=str(Path(given["room"])),
            max_length=given["max_length"],
            max_steps=given["steps"],
            per_device_train_batch_size=given["batch"],
            learning_rate=given["rate"],
            model_init_kwargs={"dtype": "float32"},
            use_cpu=True,
            bf16=False,  # it raises otherwise
            save_strategy="no",
            report_to="none",
        ),
        train_dataset=load_dataset("json", data_files=given["rows"], split="train"),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[timed],
    )
    trainer.train()
    timed.clock.tell(last=trainer.state.log_history[-1])


if __name__ == "__main__":
    main()
