"""Before anybody is served from it, a written file is read back and held against what was trained."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

import reciting_twins
import tiny_models
from blogtwin.adapter_folder import read_card
from blogtwin.config import Settings
from blogtwin.errors import ProofFailed
from blogtwin.export import gguf as export_gguf
from blogtwin.export import lora_gguf, merge
from blogtwin.progress import Silent
from blogtwin.records import Artifact
from blogtwin.stages import deploy
from blogtwin.stages.exporting import check, export
from blogtwin.workspace import find_deployment
from test_export import FAMILIES

# Llama 3.2's own: what it changes shows in the answers only behind thousands of tokens.
LLAMA32 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def twin(kind: str, tiny_base: Path, folder: Path, **shape: Any) -> Path:
    """An adapter on a base by chance."""
    return tiny_models.save_adapter(by_chance(kind, tiny_base, folder, **shape), folder / "my-twin", std=0.1)


def by_chance(kind: str, tiny_base: Path, folder: Path, **shape: Any) -> Path:
    """A base of this family, with weights by chance, in norms and biases too."""
    import torch
    from transformers import AutoModelForCausalLM

    changes = dict(FAMILIES[kind]) | shape
    pre, architecture = changes.pop("pre", "llama-bpe"), changes.pop("architecture", "llama")
    base = folder / "base"
    base.mkdir()
    if pre == "llama-bpe":
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(tiny_base / name, base / name)
    else:
        tiny_models.save_tokenizer(pre, base)
    words = Tokenizer.from_file(str(base / "tokenizer.json"))
    end = words.token_to_id(tiny_models.template_of(base).turn_end)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(tiny_models.config(architecture, words.get_vocab_size(), end, **changes))
    for weight in model.parameters():
        if weight.dim() == 1:
            torch.nn.init.normal_(weight, mean=1.0, std=0.1)
    model.half().save_pretrained(base)
    return base


def settings(mode: str = "merged", quantize: str = "f16") -> Settings:
    return reciting_twins.settings(mode=mode, quantize=quantize)


def written(adapter: Path, folder: Path, how: Settings) -> Artifact:
    folder.mkdir()
    return export(adapter, read_card(adapter), how, folder, Silent())


def checked(adapter: Path, artifact: Artifact) -> None:
    check(artifact, adapter, read_card(adapter), settings(), Silent())


@pytest.mark.parametrize("kind", FAMILIES)
def test_what_is_written_passes_in_every_family_mode_and_precision(kind: str, tiny_base: Path, tmp_path: Path) -> None:
    adapter = twin(kind, tiny_base, tmp_path)
    for mode, quantize in (("merged", "f16"), ("merged", "q8_0"), ("merged", "q4_k_m"), ("adapter", "bf16")):
        checked(adapter, written(adapter, tmp_path / f"{mode}-{quantize}", settings(mode, quantize)))


Plant = Callable[[pytest.MonkeyPatch], None]


def told(key: str, change: Callable[[Any], Any]) -> Plant:
    """gguf's writer is given another value for one key."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        import gguf

        honest = getattr(gguf.GGUFWriter, key)
        monkeypatch.setattr(gguf.GGUFWriter, key, lambda self, value: honest(self, change(value)))

    return plant


def unscaled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_gguf, "rope_factors", lambda config: None)


def scaled_as_llama31(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = export_gguf.rope_factors
    other = {"rope_parameters": LLAMA32 | {"factor": 8.0}}
    monkeypatch.setattr(export_gguf, "rope_factors", lambda config: honest(config | other))


def unturned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_gguf, "interleaved", lambda rows, head: rows)


def unturned_lora(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lora_gguf, "interleaved", lambda rows, head: rows)


def half_as_strong(monkeypatch: pytest.MonkeyPatch) -> None:
    import gguf

    honest = gguf.GGUFWriter.add_float32
    monkeypatch.setattr(
        gguf.GGUFWriter,
        "add_float32",
        lambda self, key, value: honest(self, key, value / 2 if key == gguf.Keys.Adapter.LORA_ALPHA else value),
    )


def unmerged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge.Merged, "read", lambda self, *place: self._base.read(*place))


def turned_heads_of_another_size(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = export_gguf.interleaved
    monkeypatch.setattr(export_gguf, "interleaved", lambda rows, head: honest(rows, head // 2))


FAULTS: dict[str, tuple[str, str, Plant, str]] = {
    "rotary scaling left out": ("llama 3.2", "merged", unscaled, "rotary scaling 'llama3' .* is not in it"),
    "rotary scaling of Llama 3.1": ("llama 3.2", "merged", scaled_as_llama31, "its rotary scaling is off by"),
    "q and k in another order": ("llama 3.2", "merged", unturned, r"[qk]_proj.weight is off by 1\d\d%"),
    "q and k by heads of another size": (
        "llama 3.2",
        "merged",
        turned_heads_of_another_size,
        r"[qk]_proj.weight is off by \d+%",
    ),
    "the adapter's q and k in another order": (
        "llama, tied",
        "adapter",
        unturned_lora,
        r"[qk]_proj.weight is off by 1\d\d%",
    ),
    "the adapter at half its strength": (
        "llama, tied",
        "adapter",
        half_as_strong,
        "where 2 was trained",
    ),
    "the adapter not merged": ("llama, tied", "merged", unmerged, "is off by"),
    "another rotary base": (
        "qwen2",
        "merged",
        told("add_rope_freq_base", lambda _: 1e6),
        r"rope.freq_base is 1000000.0, where 10000.0",
    ),
    "another epsilon": ("qwen3", "merged", told("add_layer_norm_rms_eps", lambda _: 1e-3), "layer_norm_rms_epsilon"),
    "fewer positions": ("qwen3", "merged", told("add_context_length", lambda _: 128), "context_length is 128"),
    "a second beginning of text": ("llama, tied", "merged", told("add_add_bos_token", lambda _: True), "add_bos_token"),
    "another end": ("llama, tied", "merged", told("add_eos_token_id", lambda _: 1), "eos_token_id is 1, where 4"),
    "another end of turn": ("gemma3", "merged", told("add_eot_token_id", lambda _: 1), "eot_token_id is 1"),
    "another template": ("llama, tied", "merged", told("add_chat_template", lambda one: one[:-1]), "chat_template"),
    "tokens that changed places": (
        "mistral, tekken",
        "merged",
        told("add_token_list", lambda one: [*one[:600], *one[601:], one[600]]),
        r"token 600 is",
    ),
}


@pytest.fixture(scope="module")
def twins(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def of(kind: str) -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp("twin")
            made[kind] = (
                twin("llama, tied", tiny_base, folder, rope_parameters=LLAMA32, head_dim=64)
                if kind == "llama 3.2"
                else twin(kind, tiny_base, folder)
            )
        return made[kind]

    return of


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_what_was_trained_is_named(
    fault: str, twins: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, mode, plant, said = FAULTS[fault]
    adapter = twins(kind)
    with monkeypatch.context() as patched:
        plant(patched)
        artifact = written(adapter, tmp_path / "deploy", settings(mode))
    with pytest.raises(ProofFailed, match=said) as failure:
        checked(adapter, artifact)
    assert "earlier version" in failure.value.hint


def test_a_norm_without_gemmas_one_is_named(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from blogtwin.export import gguf_architectures

    adapter = twin("gemma3", tiny_base, tmp_path)
    row = gguf_architectures.ARCHITECTURES["Gemma3ForCausalLM"]
    monkeypatch.setitem(gguf_architectures.ARCHITECTURES, "Gemma3ForCausalLM", replace(row, norm_offset=0.0))
    artifact = written(adapter, tmp_path / "deploy", settings())
    with pytest.raises(ProofFailed, match=r"norm.weight is off by \d+%"):
        checked(adapter, artifact)


def test_llama_32s_scaling_left_out_is_found_before_the_file_is_sent(
    twins: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parity does not see it in answers to a few hundred tokens."""
    project = reciting_twins.project(twins("llama 3.2"), tmp_path, reciting_twins.short_answers())
    deploy.run(settings(), project, Silent())
    before = find_deployment("my-twin")
    unscaled(monkeypatch)
    with pytest.raises(ProofFailed, match=r"model.gguf is not what was trained: the rotary scaling"):
        deploy.run(settings(quantize="q8_0"), project, Silent())
    assert find_deployment("my-twin") == before
    monkeypatch.setattr(deploy, "check", lambda *_: None)
    deploy.run(settings(quantize="q8_0"), project, Silent())  # without that look at the file it would be in service
    assert find_deployment("my-twin") != before


def test_the_author_of_the_settings_stands_in_the_file(twins: Callable[[str], Path], tmp_path: Path) -> None:
    from dataclasses import replace

    from gguf import GGUFReader

    how = settings()
    signed = written(
        twins("llama, tied"), tmp_path / "deploy", replace(how, data=replace(how.data, author="Hester Quillam"))
    )
    assert GGUFReader(signed.gguf).fields["general.author"].contents() == "Hester Quillam"
