"""The quicker loss and adapter products are the same computation: the same loss, the same gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("counted", [None, 17])
def test_the_quicker_way_has_the_loss_and_the_gradients_of_the_plain_one(tiny_base: Path, counted: int | None) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from blogtwin.training import answer_loss, lora_product

    def computed(quicker: bool) -> tuple[float, dict[str, Any]]:
        torch.manual_seed(3)
        base = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32, local_files_only=True)
        model = get_peft_model(
            base, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)
        )
        if quicker:
            answer_loss.install(model.get_base_model())
            lora_product.install(model)
        tokens = torch.arange(5, 45).reshape(2, 20)
        labels = tokens.clone()
        labels[:, :7] = -100
        loss = model(
            input_ids=tokens, attention_mask=torch.ones_like(tokens), labels=labels, num_items_in_batch=counted
        ).loss
        loss.backward()
        return float(loss.detach()), {name: one.grad for name, one in model.named_parameters() if one.requires_grad}

    (plain, gradients), (quick, own) = computed(False), computed(True)
    assert quick == pytest.approx(plain, rel=1e-5)
    assert gradients.keys() == own.keys()
    assert all(gradient.abs().max() > 0 for gradient in gradients.values())
    for name, gradient in gradients.items():
        torch.testing.assert_close(
            own[name], gradient, rtol=1e-3, atol=1e-6, msg=lambda told, name=name: f"{name}: {told}"
        )


def test_a_base_held_in_fewer_bits_is_computed_in_float32(tiny_base: Path) -> None:
    """On a processor without bfloat16: the memory of the one, the numbers of the other."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from blogtwin.training import answer_loss, lora_product

    def computed(held: torch.dtype) -> tuple[float, dict[str, Any]]:
        torch.manual_seed(3)
        base = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.bfloat16, local_files_only=True)
        model = get_peft_model(
            base, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)
        )
        if held == torch.float32:
            model.float()
        answer_loss.install(model.get_base_model())
        lora_product.install(model, widened=held == torch.bfloat16)
        tokens = torch.arange(5, 45).reshape(2, 20)
        loss = model(input_ids=tokens, attention_mask=torch.ones_like(tokens), labels=tokens.clone()).loss
        loss.backward()
        return float(loss.detach()), {name: one.grad for name, one in model.named_parameters() if one.requires_grad}

    (narrow, own), (plain, gradients) = computed(torch.bfloat16), computed(torch.float32)
    assert narrow == pytest.approx(plain, rel=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(
            own[name], gradient, rtol=1e-3, atol=1e-6, msg=lambda told, name=name: f"{name}: {told}"
        )
