"""A twin of every other family is trained, deployed in both modes and proved, as a Llama is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from blogtwin import adapter_folder, jsonl
from blogtwin.config import MachineSettings
from blogtwin.progress import Silent
from blogtwin.stages import deploy, finetune
from blogtwin.workspace import find_deployment
from test_check_gguf import by_chance
from test_finetune import settings
from training_runs import example, place


@pytest.mark.parametrize("kind", ["qwen2", "gemma3", "mistral"])
def test_a_trained_adapter_is_deployed_and_proved_in_both_modes(kind: str, tiny_base: Path, tmp_path: Path) -> None:
    """Qwen 2 has biases, Gemma norms of its own, Mistral rows in another order: each in what is trained and in what serves."""
    workspace = place(tmp_path)
    jsonl.write(workspace.training_data, map(example, range(24)))
    jsonl.write(workspace.validation, map(example, range(24, 28)))
    chosen = replace(settings(by_chance(kind, tiny_base, tmp_path)), machine=MachineSettings(threads=1))
    trained = finetune.run(chosen, workspace, Silent())
    assert trained.counts["steps"] == 12
    assert trained.counts["validation_perplexity"] < trained.counts["base_validation_perplexity"]
    assert adapter_folder.read_card(workspace.model).template in ("chatml", "gemma", "mistral")
    for mode in ("merged", "adapter"):
        served = replace(chosen.deployment, model_name="my-twin:latest", runtime="llama-cpp", mode=mode)
        deploy.run(replace(chosen, deployment=served), workspace, Silent())
        made = find_deployment("my-twin")
        assert made is not None
        assert (made.artifact.lora is not None) == (mode == "adapter")
        assert made.parity is not None
        assert made.parity.agreement > 0.9
        assert made.parity.tokens >= made.parity.prompts == 12  # a place that repeats counts once
