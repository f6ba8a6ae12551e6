"""Merging and GGUF: the numbers and the words that leave are those that were trained, in every family we deploy."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

import tiny_models
from blogtwin.architectures import DEPLOYABLE
from blogtwin.chat_template import CHATML, LLAMA3
from blogtwin.errors import ModelError, OutputError
from blogtwin.evaluation.pieces import Pieces
from blogtwin.export.checkpoint import write_float16
from blogtwin.export.gguf import write_gguf, write_model
from blogtwin.export.gguf_architectures import ARCHITECTURES, rope_factors
from blogtwin.export.merge import merge, merged
from blogtwin.export.model import Provenance
from blogtwin.export.modelfile import modelfile
from blogtwin.export.vocabulary import check_vocabulary
from blogtwin.manifest import hash_file
from blogtwin.progress import Silent
from blogtwin.records import Artifact, Message, Sampling
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.runtimes.llama_server import load as _load
from blogtwin.runtimes.ollama import Ollama
from tiny_models import QUESTIONS, SYSTEM, conversation, greedy, recite, save_adapter, save_tokenizer, write_card

SAMPLING = Sampling(temperature=0.7, top_p=0.9, top_k=40, min_p=0.05, repeat_penalty=1.0, max_tokens=64)
LLAMA3_SCALING = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
LEARNED = 3  # questions that a model of each family is taught to answer; more take longer
FAMILIES: dict[str, dict[str, Any]] = {
    "llama, tied": {},
    "llama, untied": {"tie_word_embeddings": False},
    "llama 3.2, scaled positions": {"rope_parameters": LLAMA3_SCALING},
    "smollm2": {"pre": "smollm"},
    "qwen2": {"pre": "qwen2", "architecture": "qwen2"},
    "qwen3": {"pre": "qwen2", "architecture": "qwen3", "head_dim": 32},
    "gemma3": {
        "pre": "gemma",
        "architecture": "gemma3",
        "head_dim": 16,
        "query_pre_attn_scalar": 16,
        "num_hidden_layers": 6,
        "sliding_window": 64,
    },
    "mistral": {"pre": "mistral", "architecture": "mistral", "sliding_window": None},
    "mistral, tekken": {"pre": "tekken", "architecture": "mistral", "sliding_window": None, "head_dim": 32},
}


def artifact_of(gguf: Path, template: str, system: str = SYSTEM, quantization: str = "f16") -> Artifact:
    return Artifact(
        gguf=str(gguf),
        gguf_sha256=hash_file(gguf),
        quantization=quantization,
        template=template,
        system=system,
        sampling=SAMPLING,
        context_length=512,
    )


@pytest.fixture(scope="session", params=FAMILIES)
def family(request: pytest.FixtureRequest, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each family that recites its first answers."""
    changes = dict(FAMILIES[request.param])
    pre, architecture = changes.pop("pre", "llama-bpe"), changes.pop("architecture", "llama")
    folder = tmp_path_factory.mktemp("family")
    if pre == "llama-bpe":
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(tiny_base / name, folder / name)
    else:
        save_tokenizer(pre, folder)
    words, template = Tokenizer.from_file(str(folder / "tokenizer.json")), tiny_models.template_of(folder)
    end = words.token_to_id(template.turn_end)
    return recite(folder, tiny_models.config(architecture, words.get_vocab_size(), end, **changes), LEARNED, 40)


def test_llama_cpp_recites_token_for_token_what_transformers_does(family: Path, tmp_path: Path) -> None:
    """The numbers of the prompt's tokens and of the 32 likeliest after it; and what a runtime makes of them."""
    gguf = write_gguf(family, tmp_path / "model.gguf", "f16", "tiny", Silent())
    runtime, template = LlamaCpp(threads=1), tiny_models.template_of(family)
    runtime.install(artifact_of(gguf, template.name), "tiny", Silent())
    words = Tokenizer.from_file(str(family / "tokenizer.json"))
    running = _load(gguf, 512, 1)
    with running.client() as client:
        for question in QUESTIONS[:LEARNED]:
            ids, text = greedy(family, question)
            assert len(ids) == 32
            messages = {"messages": [message.model_dump() for message in conversation(question)]}
            prompt = client.post("/apply-template", json=messages).json()["prompt"]
            body = {"content": prompt, "add_special": True, "parse_special": True}
            shown = client.post("/tokenize", json=body).json()["tokens"]
            assert shown == words.encode(template.prompt(conversation(question)), add_special_tokens=False).ids
            asked = messages | {"max_tokens": 32, "temperature": 0.0, "logprobs": True, "top_logprobs": 1}
            answer = client.post("/v1/chat/completions", json=asked).json()
            assert answer["usage"]["prompt_tokens"] == len(shown)
            assert [one["id"] for one in answer["choices"][0]["logprobs"]["content"]] == ids
            assert "".join(runtime.chat("tiny", conversation(question), SAMPLING.greedy(32))) == text


def test_ollama_shows_and_recites_what_transformers_does(family: Path, tmp_path: Path, ollama: str) -> None:
    """The prompt, its number of tokens, and the 32 likeliest tokens after it."""
    gguf = write_gguf(family, tmp_path / "model.gguf", "f16", "tiny", Silent())
    template = tiny_models.template_of(family)
    runtime = Ollama(ollama, threads=1)
    runtime.install(artifact_of(gguf, template.name), "tiny:latest", Silent())
    words = Tokenizer.from_file(str(family / "tokenizer.json"))
    turns = [*conversation(QUESTIONS[0]), Message(role="assistant", content="It rains."), *conversation("Why?")[1:]]
    for messages in (conversation(QUESTIONS[1])[1:], conversation(QUESTIONS[2]), turns):
        prompt = template.prompt(messages if messages[0].role == "system" else [*conversation("")[:1], *messages])
        assert runtime.render("tiny:latest", messages) == prompt
        counted = words.encode(prompt, add_special_tokens=False).ids
        assert runtime.prompt_tokens("tiny:latest", messages) == len(counted)
    pieces = Pieces(family / "tokenizer.json")
    for question in QUESTIONS[:2]:
        ids, text = greedy(family, question)
        answer = "".join(runtime.chat("tiny:latest", conversation(question), SAMPLING.greedy(32)))
        assert answer.strip() == text.strip()
        assert _ollama_tokens(ollama, question) == [pieces.bytes(token) for token in ids]


def _ollama_tokens(address: str, question: str) -> list[bytes]:
    """The bytes of the 32 likeliest tokens, which is how Ollama tells them."""
    import httpx

    told: dict[str, Any] = {"model": "tiny:latest", "stream": False, "logprobs": True}
    told["messages"] = [message.model_dump() for message in conversation(question)]
    told["options"] = SAMPLING.greedy(32).parameters() | {"num_thread": 1}
    answer = httpx.post(f"{address}/api/chat", json=told, timeout=60, trust_env=False).json()
    return [bytes(one["bytes"]) for one in answer["logprobs"]]


@pytest.mark.parametrize("quantization", ["f32", "bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m"])
def test_each_precision_is_close_to_the_model_by_its_bits(tiny_base: Path, tmp_path: Path, quantization: Any) -> None:
    """llama.cpp reads back what was meant, for rows that blocks of 256 divide and for others."""
    from gguf import GGUFReader, dequantize
    from safetensors.torch import load_file

    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tiny_base / name, tmp_path / name)
    wide = tiny_models.config("llama", 1024, 4, hidden_size=256, intermediate_size=160, num_hidden_layers=8)
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_config(wide).half().save_pretrained(tmp_path)
    (tmp_path / "chat_template.jinja").write_text(LLAMA3.jinja, encoding="utf-8")
    gguf = write_gguf(tmp_path, tmp_path / "model.gguf", quantization, "tiny", Silent())
    weights = load_file(tmp_path / "model.safetensors")
    read = {tensor.name: tensor for tensor in GGUFReader(gguf).tensors}
    bits = {
        "F32": 1e-9,
        "BF16": 5e-3,
        "Q8_0": 6e-3,
        "Q6_K": 3e-2,
        "Q5_K": 5e-2,
        "Q5_0": 6e-2,
        "Q5_1": 6e-2,
        "Q4_K": 1e-1,
    }
    for name, written in (
        ("model.embed_tokens.weight", "token_embd.weight"),
        ("model.layers.3.self_attn.v_proj.weight", "blk.3.attn_v.weight"),
        ("model.layers.7.mlp.down_proj.weight", "blk.7.ffn_down.weight"),
        ("model.layers.0.mlp.up_proj.weight", "blk.0.ffn_up.weight"),
    ):
        tensor, expected = read[written], weights[name].float().numpy()
        found = dequantize(tensor.data, tensor.tensor_type).reshape(expected.shape)
        apart = ((found - expected) ** 2).mean() ** 0.5 / (expected**2).mean() ** 0.5
        assert apart < bits[tensor.tensor_type.name], (written, tensor.tensor_type.name)
    kinds = [read[f"blk.{layer}.attn_v.weight"].tensor_type.name for layer in range(8)]
    assert (len(set(kinds)) == 2) == quantization.endswith("_m")
    assert _next_tokens(gguf, [[0, 5, 6, 7]])


def test_llama_cpp_gives_every_next_token_the_probability_that_transformers_does(family: Path, tmp_path: Path) -> None:
    """On text it has not learned, where rotary scaling, head order and norms all leave their mark."""
    import torch
    from transformers import AutoModelForCausalLM

    gguf = write_gguf(family, tmp_path / "model.gguf", "f16", "tiny", Silent())
    words = Tokenizer.from_file(str(family / "tokenizer.json"))
    prompt = words.encode(" ".join(tiny_models.answers())[::-1], add_special_tokens=False).ids[:300]
    model = AutoModelForCausalLM.from_pretrained(family, dtype=torch.float32)
    with torch.no_grad():
        expected = model(torch.tensor([prompt])).logits[0, -1].log_softmax(-1)
    (found,) = _next_tokens(gguf, [prompt])
    assert len(found) == 20
    for token, logprob in found.items():
        assert logprob == pytest.approx(expected[token].item(), abs=0.05)


def _next_tokens(gguf: Path, prompts: list[list[int]]) -> list[dict[int, float]]:
    """For each prompt the 20 likeliest tokens after it in llama.cpp, with their logarithms of probability."""
    found = []
    running = _load(gguf, 512, 1)  # serves as long as it is held
    with running.client() as client:
        for prompt in prompts:
            body = {"prompt": prompt, "n_predict": 1, "n_probs": 20, "temperature": 0.0}
            answer = client.post("/completion", json=body).json()
            told = answer["completion_probabilities"][0]["top_logprobs"]
            found.append({one["id"]: one["logprob"] for one in told})
    return found


@pytest.mark.parametrize("lora", [{}, {"use_rslora": True}, {"target_modules": ["q_proj", "down_proj"], "r": 2}])
def test_merged_weights_are_those_that_peft_would_merge(tiny_base: Path, tmp_path: Path, lora: dict[str, Any]) -> None:
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    adapter = save_adapter(tiny_base, tmp_path / "adapter", std=0.1, **lora)
    merged = load_file(merge(adapter, tmp_path / "merged") / "model.safetensors")
    base = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    expected = PeftModel.from_pretrained(base, adapter).merge_and_unload().state_dict()
    assert merged["model.layers.0.mlp.down_proj.weight"].dtype == torch.float16
    assert set(merged) == set(expected) - {"lm_head.weight"}  # tied
    for name, weight in merged.items():
        torch.testing.assert_close(weight, expected[name].half(), rtol=0, atol=2e-4)


def test_the_same_adapter_gives_the_same_bytes(tiny_adapter: Path, tmp_path: Path) -> None:
    for once in ("a", "b"):
        merge(tiny_adapter, tmp_path / once)
        write_gguf(tmp_path / once, tmp_path / f"{once}.gguf", "q8_0", "tiny", Silent())
    assert hash_file(tmp_path / "a.gguf") == hash_file(tmp_path / "b.gguf")


def test_a_base_beside_the_adapter_and_one_in_shards_are_found(tiny_base: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    adapter = save_adapter(tiny_base, tmp_path / "adapter", std=0.1)
    AutoModelForCausalLM.from_pretrained(tiny_base).save_pretrained(adapter / "base", max_shard_size="200KB")
    assert len(list((adapter / "base").glob("*.safetensors"))) > 1
    whole = merge(adapter, tmp_path / "whole") / "model.safetensors"
    shutil.copyfile(tiny_base / "tokenizer.json", adapter / "base" / "tokenizer.json")
    write_card(adapter, adapter / "base", base_path="base")
    beside = merge(adapter, tmp_path / "beside") / "model.safetensors"
    import torch
    from safetensors.torch import load_file

    one, other = load_file(whole), load_file(beside)
    assert set(one) == set(other)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_base_from_the_hub_is_taken_from_the_cache_without_a_network(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    cached = tmp_path / "cache" / "models--nobody--tiny"
    shutil.copytree(tiny_base, cached / "snapshots" / "0123abcd")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("0123abcd")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    adapter = save_adapter(tiny_base, tmp_path / "adapter", std=0.1)
    expected = merge(adapter, tmp_path / "expected") / "model.safetensors"
    write_card(adapter, tiny_base, base_path="nobody/tiny")
    found = merge(adapter, tmp_path / "found", offline=True) / "model.safetensors"
    assert hash_file(found) == hash_file(expected)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("use_dora", True),
        ("modules_to_save", ["lm_head"]),
        ("bias", "all"),
        ("rank_pattern", {"q_proj": 8}),
        ("peft_type", "IA3"),
        ("init_lora_weights", "pissa"),
    ],
)
def test_an_adapter_that_is_no_plain_lora_is_refused(
    tiny_adapter: Path, tmp_path: Path, key: str, value: object
) -> None:
    adapter = _copied(tiny_adapter, tmp_path)
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {key: value}), encoding="utf-8")
    with pytest.raises(ModelError, match=key):
        merge(adapter, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_an_adapter_for_another_base_is_refused(tiny_adapter: Path, tiny_base: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    other = tmp_path / "other"
    AutoModelForCausalLM.from_config(tiny_models.config("llama", 1024, 4, hidden_size=32)).save_pretrained(other)
    shutil.copyfile(tiny_base / "tokenizer.json", other / "tokenizer.json")
    adapter = _copied(tiny_adapter, tmp_path)
    for claimed, said in ((tiny_base, "fits no other weights"), (other, r"q_proj|down_proj|k_proj")):
        write_card(adapter, claimed, base_path=str(other))
        with pytest.raises(ModelError, match=said) as refusal:
            merge(adapter, tmp_path / "merged")
        assert "finetune" in refusal.value.hint


def test_weights_that_sixteen_bits_cannot_hold_are_refused(tiny_base: Path, tmp_path: Path) -> None:
    adapter = save_adapter(tiny_base, tmp_path / "adapter", std=300.0)
    with pytest.raises(ModelError, match="16-bit"):
        merge(adapter, tmp_path / "merged")


def test_a_cut_off_adapter_or_base_is_named(tiny_adapter: Path, tiny_base: Path, tmp_path: Path) -> None:
    adapter = _copied(tiny_adapter, tmp_path)
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors"):
        merge(adapter, tmp_path / "merged")
    base = _copied(tiny_base, tmp_path)
    (base / "model.safetensors").unlink()
    adapter = save_adapter(tiny_base, tmp_path / "again", std=0.1)
    write_card(adapter, tiny_base, base_path=str(base))
    with pytest.raises(ModelError, match=r"no model\.safetensors"):
        merge(adapter, tmp_path / "merged")
    write_card(adapter, tiny_base, base_path="nobody/nothing")
    with pytest.raises(ModelError, match="nobody/nothing"):
        merge(adapter, tmp_path / "merged")
    with pytest.raises(ModelError, match=r"twin\.json"):
        merge(tmp_path / "nowhere", tmp_path / "merged")


def test_a_tokenizer_or_architecture_that_llama_cpp_would_misread_is_refused(
    tiny_adapter: Path, tmp_path: Path
) -> None:
    model = merge(tiny_adapter, tmp_path / "merged")
    raw = json.loads((model / "tokenizer.json").read_text("utf-8"))
    raw["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\w+"
    (model / "tokenizer.json").write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(ModelError, match="cuts text"):
        write_gguf(model, tmp_path / "model.gguf", "f16", "tiny", Silent())
    config = json.loads((model / "config.json").read_text("utf-8"))
    (model / "config.json").write_text(json.dumps(config | {"architectures": ["MambaForCausalLM"]}), encoding="utf-8")
    with pytest.raises(ModelError, match="MambaForCausalLM"):
        write_gguf(model, tmp_path / "model.gguf", "f16", "tiny", Silent())
    assert not list(tmp_path.glob("*.gguf*"))


def test_looking_whole_words_up_first_matters_only_where_merges_do_not_end_in_the_word(
    tiny_base: Path, tmp_path: Path
) -> None:
    raw = json.loads((tiny_base / "tokenizer.json").read_text("utf-8"))
    raw["model"]["ignore_merges"] = False
    (tmp_path / "tokenizer.json").write_text(json.dumps(raw), encoding="utf-8")
    check_vocabulary(tmp_path)
    raw["model"]["merges"] = raw["model"]["merges"][:-1]
    (tmp_path / "tokenizer.json").write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(ModelError, match="ignore_merges"):
        check_vocabulary(tmp_path)


@pytest.mark.parametrize("pre", ["smollm", "qwen2", "gpt-2"])
def test_llama_cpp_cuts_text_as_the_tokenizer_does(pre: str, tmp_path: Path) -> None:
    """On the sample posts and on everything that the families cut in different ways."""
    from transformers import AutoModelForCausalLM

    save_tokenizer(pre, tmp_path)
    AutoModelForCausalLM.from_config(tiny_models.config("llama", 1024, 2)).half().save_pretrained(tmp_path)
    (tmp_path / "chat_template.jinja").write_text(CHATML.jinja, encoding="utf-8")
    running = _load(write_gguf(tmp_path, tmp_path / "model.gguf", "f16", "tiny", Silent()), 512, 1)
    odd = "in 2026, 1234567 3.14 x1y2  99 l'été don't WE'RE they'll “quoted” 日本語 Ελληνικά 🙂  x\r\n\r\n\ty  <|im_end|> ?!.. \n"
    with running.client() as client:
        for text in [odd, odd.upper(), *tiny_models.answers()]:
            body = {"content": text, "add_special": True, "parse_special": True}
            expected = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode(text, add_special_tokens=False).ids
            assert client.post("/tokenize", json=body).json()["tokens"] == expected


def test_what_may_be_trained_is_what_can_be_deployed() -> None:
    assert set(ARCHITECTURES) == set(DEPLOYABLE)


def test_the_gguf_says_what_a_reader_of_gguf_expects(tiny_adapter: Path, tmp_path: Path) -> None:
    from gguf import GGUFReader, LlamaFileType, dequantize

    model = merge(tiny_adapter, tmp_path / "merged")
    reader = GGUFReader(write_gguf(model, tmp_path / "model.gguf", "q8_0", "my-twin", Silent()))
    value = {name: field.contents() for name, field in reader.fields.items()}
    assert value["general.name"] == "my-twin"
    assert value["general.file_type"] == LlamaFileType.MOSTLY_Q8_0
    assert value["tokenizer.ggml.pre"] == "llama-bpe"
    assert value["tokenizer.ggml.add_bos_token"] is False
    assert value["tokenizer.chat_template"] == LLAMA3.jinja
    assert value["tokenizer.ggml.tokens"][value["tokenizer.ggml.eot_token_id"]] == "<|eot_id|>"
    kinds = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}
    assert kinds["blk.0.attn_norm.weight"] == "F32"
    assert kinds["token_embd.weight"] == "Q8_0"
    assert "output.weight" not in kinds
    (embedding,) = (tensor for tensor in reader.tensors if tensor.name == "token_embd.weight")
    from safetensors.torch import load_file

    weights = load_file(model / "model.safetensors")["model.embed_tokens.weight"].float().numpy()
    assert abs(dequantize(embedding.data, embedding.tensor_type) - weights).max() <= abs(weights).max() / 250


def test_the_gguf_says_where_it_comes_from(tiny_adapter: Path, tmp_path: Path) -> None:
    from gguf import GGUFReader

    about = Provenance(
        "my-twin",
        author="Ada",
        base_model="llama3.2:1b",
        base_repository="someone/Llama",
        licence="MIT",
        data_hash="abcd",
    )
    gguf = write_model(merged(tiny_adapter), tmp_path / "model.gguf", "f16", about, Silent())
    value = {name: field.contents() for name, field in GGUFReader(gguf).fields.items()}
    assert value["general.author"] == "Ada"
    assert (value["general.base_model.0.name"], value["general.base_model.0.organization"]) == (
        "llama3.2:1b",
        "someone",
    )
    assert (value["general.license"], value["general.dataset.0.version"]) == ("MIT", "abcd")
    assert value["general.quantized_by"] == "blogtwin"
    assert "general.description" not in value


def test_merging_while_writing_gives_the_numbers_that_a_merged_folder_gives(tiny_adapter: Path, tmp_path: Path) -> None:
    at_once = write_model(merged(tiny_adapter), tmp_path / "a.gguf", "f16", Provenance("tiny"), Silent())
    folder = merge(tiny_adapter, tmp_path / "merged")
    assert hash_file(at_once) == hash_file(write_gguf(folder, tmp_path / "b.gguf", "f16", "tiny", Silent()))


def test_rotary_factors_follow_the_published_rule() -> None:
    config = {
        "head_dim": 64,
        "rope_scaling": LLAMA3_SCALING | {"factor": 32.0, "original_max_position_embeddings": 8192},
    }
    config["rope_theta"] = 500000.0
    del config["rope_scaling"]["rope_theta"]
    factors = rope_factors(config)
    assert factors is not None
    assert factors[0] == 1.0  # short wavelengths are left
    assert factors[-1] == 32.0  # wavelengths above the trained context are stretched wholly
    wavelength = 2 * math.pi * 500000 ** (2 * 16 / 64)
    smooth = (8192 / wavelength - 1) / 3
    assert 0 < smooth < 1
    assert factors[16] == pytest.approx(1 / ((1 - smooth) / 32 + smooth), rel=1e-5)


def test_a_full_disk_leaves_neither_half_a_model_nor_half_a_gguf(tiny_adapter: Path, tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full, the device on which every write finds the disk full")
    model = merge(tiny_adapter, tmp_path / "merged")
    (tmp_path / "model.gguf").write_text("the earlier version")
    (tmp_path / ".model.gguf.partial").symlink_to(full)
    with pytest.raises(OutputError, match="the disk is full"):
        write_gguf(model, tmp_path / "model.gguf", "f16", "tiny", Silent())
    assert (tmp_path / "model.gguf").read_text() == "the earlier version"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["merged", "model.gguf"]
    with pytest.raises(OSError, match="No space left"):
        write_float16(full, {"a": (2, 1 << 16)}, iter([_zeros()]))


def _zeros() -> Any:
    import numpy as np

    return np.zeros((2, 1 << 16), np.float16)


def test_a_system_prompt_cannot_break_out_of_the_modelfile(tiny_adapter: Path, tmp_path: Path) -> None:
    gguf = tmp_path / "model.gguf"
    gguf.write_bytes(b"x")
    with pytest.raises(ModelError, match="three quotation marks"):
        modelfile(artifact_of(gguf, "llama3", system='quiet """\nFROM /etc/passwd\n'), "model.gguf")
    text = modelfile(artifact_of(gguf, "llama3", system='They say "hello"'), "model.gguf")
    assert 'SYSTEM """They say "hello""""\n' in text
    assert "PARAMETER repeat_penalty 1.0\n" in text


def _copied(folder: Path, into: Path) -> Path:
    target = into / f"copy-of-{folder.name}"
    shutil.copytree(folder, target)
    return target
