"""Adapter mode: a few megabytes beside a shared base say, word for word, what the merged twin says."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny_models
from blogtwin import workspace as places
from blogtwin.adapter_folder import read_card
from blogtwin.config import Settings, load_settings
from blogtwin.errors import ModelError, RuntimeUnavailable
from blogtwin.export.adapter import read_changes
from blogtwin.export.lora_gguf import write_lora
from blogtwin.manifest import hash_file
from blogtwin.progress import Silent
from blogtwin.records import Artifact
from blogtwin.runtimes.base import Runtime
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.runtimes.ollama import Ollama
from blogtwin.stages import deploy
from blogtwin.stages.exporting import export
from blogtwin.workspace import Workspace, find_deployment
from tiny_models import QUESTIONS, conversation, recite, save_adapter, save_tokenizer


def settings_for(mode: str, **deployment: object) -> Settings:
    chosen = {"model_name": "my-twin:latest", "quantize": "f16", "mode": mode, "runtime": "llama-cpp"} | deployment
    return load_settings(None, {"deployment": chosen, "machine": {"threads": 1}})


@pytest.fixture(scope="module")
def llama(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama that recites, so that two engines never differ by rounding."""
    folder = tmp_path_factory.mktemp("llama")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tiny_base / name, folder / name)
    return recite(folder, tiny_models.config("llama", 1024, 4))


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qwen")
    save_tokenizer("qwen2", folder)
    return recite(folder, tiny_models.config("qwen3", 1024, 2, head_dim=32))


@pytest.fixture(scope="module")
def adapter(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It has learned to give to each question the answer that the base gives to the next one."""
    return retrained(llama, tmp_path_factory.mktemp("adapter") / "my-twin")


def retrained(base: Path, folder: Path) -> Path:
    import torch
    from peft import PeftModel
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    save_adapter(base, folder, std=0.01, r=16, lora_alpha=32)
    words, template = Tokenizer.from_file(str(base / "tokenizer.json")), tiny_models.template_of(base)
    model = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), folder, is_trainable=True
    )
    rows = []
    for question, answer in zip(QUESTIONS, tiny_models.answers()[1:] + tiny_models.answers()[:1], strict=True):
        prompt = words.encode(template.prompt(conversation(question)), add_special_tokens=False).ids
        rows.append((len(prompt), (prompt + words.encode(answer, add_special_tokens=False).ids)[: len(prompt) + 40]))
    tiny_models.learn(model, rows)
    model.save_pretrained(folder)
    return folder


def exported(adapter: Path, mode: str, folder: Path, **deployment: object) -> Artifact:
    folder.mkdir(parents=True, exist_ok=True)
    return export(adapter, read_card(adapter), settings_for(mode, **deployment), folder, Silent())


def recital(runtime: Runtime, artifact: Artifact, name: str) -> list[str]:
    """What it answers to every question, greedily, 32 tokens long."""
    runtime.install(artifact, name, Silent())
    try:
        options = artifact.sampling.greedy(32)
        return ["".join(runtime.chat(name, conversation(question), options)) for question in QUESTIONS]
    finally:
        runtime.remove(name)


@pytest.fixture(params=["ollama", "llama-cpp"])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    return Ollama(request.getfixturevalue("ollama"), 1) if request.param == "ollama" else LlamaCpp(1)


def test_both_modes_say_the_same_words(runtime: Runtime, adapter: Path, tmp_path: Path) -> None:
    merged, beside = (exported(adapter, mode, tmp_path / mode) for mode in ("merged", "adapter"))
    words = recital(runtime, merged, "merged:latest")
    assert recital(runtime, beside, "beside:latest") == words
    base = beside.model_copy(update={"lora": None, "lora_sha256": None})
    alone = recital(runtime, base, "base:latest")
    assert all(one[:60] == other[:60] for one, other in zip(words, alone[1:] + alone[:1], strict=True))
    assert all(one != other for one, other in zip(words, alone, strict=True))


@pytest.mark.parametrize(
    "lora", [{}, {"use_rslora": True}, {"target_modules": ["q_proj", "k_proj"], "r": 2, "lora_alpha": 3}]
)
def test_the_factors_are_those_of_the_adapter_in_the_order_of_the_base(
    llama: Path, tmp_path: Path, lora: dict[str, Any]
) -> None:
    """base + alpha / r · B·A of the two files is what the merged file holds, row for row."""
    import gguf
    import numpy as np

    adapter = save_adapter(llama, tmp_path / "twin", 0.1, **lora)
    merged, beside = (exported(adapter, mode, tmp_path / mode, quantize="f16") for mode in ("merged", "adapter"))
    whole, base, factors = (gguf.GGUFReader(str(path)) for path in (merged.gguf, beside.gguf, beside.lora))
    told = {key: factors.fields[key].contents() for key in ("general.architecture", "general.type", "adapter.type")}
    assert told == {"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora"}
    parts = {tensor.name: np.asarray(tensor.data, np.float32) for tensor in factors.tensors}
    before = {tensor.name: tensor.data for tensor in base.tensors}
    changed = 0
    for tensor in whole.tensors:
        expected = np.asarray(before[tensor.name], np.float32)
        if f"{tensor.name}.lora_a" in parts:
            a, b = parts[f"{tensor.name}.lora_a"], parts[f"{tensor.name}.lora_b"]
            expected = expected + factors.fields["adapter.lora.alpha"].contents() / len(a) * b @ a
            changed += 1
        np.testing.assert_allclose(tensor.data, expected, atol=2e-3)
    assert changed == len(parts) // 2 == len(read_changes(adapter).factors)


def test_a_qwen_adapter_serves_or_is_refused_with_the_remedy(runtime: Runtime, qwen: Path, tmp_path: Path) -> None:
    """Ollama 0.20 runs this family by an engine of its own, which takes no adapters; llama.cpp and later ones take them."""
    adapter = retrained(qwen, tmp_path / "qwen-twin")
    merged, beside = (exported(adapter, mode, tmp_path / mode) for mode in ("merged", "adapter"))
    words = recital(runtime, merged, "merged:latest")
    try:
        found, remedy = recital(runtime, beside, "beside:latest"), ""
    except RuntimeUnavailable as refusal:
        found, remedy = [], refusal.hint
    assert found == words or (runtime.name == "ollama" and "--mode merged" in remedy)


def test_the_base_is_written_once_for_every_twin(adapter: Path, tmp_path: Path) -> None:
    first = exported(adapter, "adapter", tmp_path / "first")
    bases = places.home() / "bases"
    written = {path: path.stat().st_mtime_ns for path in bases.iterdir()}
    other = shutil.copytree(adapter, tmp_path / "other-twin")
    second = exported(other, "adapter", tmp_path / "second")
    assert second.gguf == first.gguf
    assert {path: path.stat().st_mtime_ns for path in bases.iterdir()} == written
    assert [path.name for path in written] == [Path(first.gguf).name]
    assert sorted(path.name for path in (tmp_path / "second").iterdir()) == ["Modelfile", "adapter.gguf"]
    assert Path(str(second.lora)).stat().st_size < 2.2 * (adapter / "adapter_model.safetensors").stat().st_size
    assert exported(adapter, "adapter", tmp_path / "smaller", quantize="q8_0").gguf != first.gguf
    Path(first.gguf).write_bytes(b"damaged")
    mended = exported(adapter, "adapter", tmp_path / "third")
    assert hash_file(Path(mended.gguf)) == mended.gguf_sha256 == first.gguf_sha256


@pytest.mark.parametrize("mode", ["merged", "adapter"])
def test_an_adapter_on_another_base_is_refused_before_anything_is_written(
    adapter: Path, llama: Path, tmp_path: Path, mode: str
) -> None:
    """The same shape, one other number: nothing but the hash can tell."""
    import json

    spoilt = shutil.copytree(llama, tmp_path / "base")
    weights = bytearray((spoilt / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (spoilt / "model.safetensors").write_bytes(weights)
    wrong = shutil.copytree(adapter, tmp_path / "twin")
    card = read_card(wrong).model_copy(update={"base_path": str(spoilt)})
    (wrong / "twin.json").write_text(json.dumps(card.model_dump()), encoding="utf-8")
    with pytest.raises(ModelError, match=r"an adapter fits no other weights than its own base's"):
        exported(wrong, mode, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert not (places.home() / "bases").exists()


def test_factors_beyond_sixteen_bits_are_refused(adapter: Path, tmp_path: Path) -> None:
    changes = read_changes(adapter)
    name = next(iter(changes.factors))
    a, b = changes.factors[name]
    diverged = replace(changes, factors={name: (a * 1e9, b)})
    with pytest.raises(ModelError, match="16-bit numbers cannot hold"):
        write_lora(diverged, tmp_path / "adapter.gguf", "twin")
    assert list(tmp_path.iterdir()) == []


def test_a_twin_in_adapter_mode_is_deployed_and_proved(adapter: Path, tmp_path: Path) -> None:
    model = shutil.copytree(adapter, tmp_path / "my-twin")
    settings = settings_for("adapter")
    workspace = replace(Workspace.here(settings), model=model)
    deploy.run(settings, workspace, Silent())
    twin = find_deployment("my-twin:latest")
    assert twin is not None
    assert twin.artifact.lora == str((model / "deploy" / "adapter.gguf").absolute())
    assert Path(twin.artifact.gguf).parent == places.home() / "bases"
    assert not (model / "deploy" / "model.gguf").exists()
    assert LlamaCpp(1).difference("my-twin:latest", twin.artifact) is None
    assert deploy.plan(settings, workspace).stale() is None
