"""What one way of running trl's trainers has of its own: how the model is loaded, and where it computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from blogtwin.training.base import TrainJob


@dataclass(frozen=True)
class Engine:
    """load: a job → the PeftModel at step 0; it raises ModelError when base or adapter do not load.

    device: training arguments that say where and in which numbers it computes. sft_loss: trl's name of the loss that keeps
    the logits of a whole sequence out of memory here. lean: with sft, loss and adapters are computed by answer_loss.py and
    lora_product.py instead, which take fewer passes over memory than trl's and PEFT's. widened: these then compute in float32
    with a base that is held in bfloat16.
    """

    load: Callable[[TrainJob], Any]
    device: Mapping[str, Any]
    sft_loss: str
    lean: bool = False
    widened: bool = False
