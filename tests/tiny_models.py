"""Tiny models that know five answers by heart, so that the likeliest next token is never a close call.

Two engines round differently; with random weights the first two candidates are often nearer than that. These models were
trained for a few seconds until they recite, and then every correct engine must recite the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from blogtwin.chat_template import ChatTemplate, template_for
from blogtwin.records import AdapterCard, Message
from blogtwin.training import models

SYSTEM = "You write as the author of this blog."
QUESTIONS = ("Write about rain.", "Write about bread.", "A title, please.", "What did you do today?", "How do I begin?")
_FIRST_POST = (Path(__file__).parent.parent / "examples" / "blog").glob("*.md")

QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN_SPLIT = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def answers() -> list[str]:
    """Five passages from the sample posts, each longer than 40 tokens of the tiny tokenizers."""
    texts = [path.read_text("utf-8").partition("\n\n")[2] for path in sorted(_FIRST_POST_FILES)]
    return [" ".join(text.split()[20:90]) for text in texts[: len(QUESTIONS)]]


_FIRST_POST_FILES = sorted(_FIRST_POST)


def tokenizer(pre: str) -> Any:
    """A byte-level BPE tokenizer of 1,024 tokens that cuts text as the `pre` family of llama.cpp does."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    made = Tokenizer(models.BPE(ignore_merges=pre == "tekken"))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pre not in ("qwen2", "tekken"))
    first = {
        "smollm": [pre_tokenizers.Digits(individual_digits=True)],
        "qwen2": [pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated")],
        "tekken": [pre_tokenizers.Split(Regex(TEKKEN_SPLIT), behavior="isolated")],
        "gpt-2": [],
    }[pre]
    if pre == "qwen2":
        made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence([*first, byte_level])
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=["<pad>", "<s>", "</s>", "[INST]", "[/INST]"]
        if pre == "tekken"
        else ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator((path.read_text("utf-8") for path in _FIRST_POST_FILES), trainer)
    return made


def sentencepiece(markers: list[str], space_first: bool) -> Any:
    """BPE over characters with bytes to fall back on, and every way to make each token, as SentencePiece's are converted."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, trainers

    made = Tokenizer(models.BPE(byte_fallback=True))
    replaced = normalizers.Replace(" ", "▁")
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replaced]) if space_first else replaced
    special = ["<pad>", "<unk>", *markers, *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=1024, special_tokens=special, show_progress=False, max_token_length=12)
    lines = (line for path in _FIRST_POST_FILES for word in path.read_text("utf-8").split() for line in [f" {word}"])
    made.train_from_iterator(lines, trainer)
    vocabulary = json.loads(made.to_str())["model"]["vocab"]
    merges = [
        (token[:at], token[at:])
        for token in sorted(vocabulary, key=vocabulary.__getitem__)
        for at in range(1, len(token))
        if token not in special and token[:at] in vocabulary and token[at:] in vocabulary
    ]
    whole = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    whole.normalizer = made.normalizer
    spaces = decoders.Replace("▁", " ")
    whole.decoder = decoders.Sequence([spaces, decoders.ByteFallback(), decoders.Fuse()])
    whole.add_special_tokens([AddedToken(marker, normalized=False) for marker in ["<pad>", "<unk>", *markers]])
    return whole


def save_tokenizer(pre: str, folder: Path) -> None:
    """A tokenizer of the `pre` family in a folder, with the names of its markers."""
    from transformers import PreTrainedTokenizerFast

    if pre in ("gemma", "mistral"):
        markers = (
            ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"]
            if pre == "gemma"
            else ["<s>", "</s>", "[INST]", "[/INST]"]
        )
        made = sentencepiece(markers, space_first=False)
        names = {"bos_token": markers[0], "eos_token": markers[1], "pad_token": "<pad>", "unk_token": "<unk>"}
    else:
        made = tokenizer(pre)
        names = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
        if pre == "tekken":
            names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    PreTrainedTokenizerFast(tokenizer_object=made, **names).save_pretrained(folder)


def template_of(folder: Path) -> ChatTemplate:
    """The family of the tokenizer in a folder."""
    raw = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    return template_for({*raw["model"]["vocab"], *(token["content"] for token in raw["added_tokens"])})


def config(architecture: str, vocabulary: int, end: int, **changes: Any) -> Any:
    from transformers import Gemma3TextConfig, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

    kinds = {
        "llama": LlamaConfig,
        "mistral": MistralConfig,
        "qwen2": Qwen2Config,
        "qwen3": Qwen3Config,
        "gemma3": Gemma3TextConfig,
    }
    shape = {
        "vocab_size": vocabulary,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "bos_token_id": 0,
        "eos_token_id": end,
        "pad_token_id": 1,
        "tie_word_embeddings": True,
    }
    return kinds[architecture](**(shape | changes))


def recite(folder: Path, model_config: Any, many: int = len(QUESTIONS), length: int = 60, steps: int = 200) -> Path:
    """Train a model in `folder` (which holds its tokenizer already) until it recites; saved in float16.

    It learns the answers to the first `many` questions, `length` tokens of each.
    """
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    words, template = Tokenizer.from_file(str(folder / "tokenizer.json")), template_of(folder)
    rows = []
    for question, answer in list(zip(QUESTIONS, answers(), strict=True))[:many]:
        prompt = words.encode(template.prompt(conversation(question)), add_special_tokens=False).ids
        rows.append(
            (len(prompt), prompt + words.encode(template.answer(answer), add_special_tokens=False).ids[:length])
        )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(model_config)
    learn(model, rows, steps)
    model.half().save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(template.jinja, encoding="utf-8")
    return folder


def learn(model: Any, rows: Sequence[tuple[int, list[int]]], steps: int = 200) -> None:
    """Train what of the model learns until it knows the rows by heart: (tokens of the prompt, prompt and answer) each."""
    import torch

    longest = max(len(ids) for _, ids in rows)
    inputs = torch.tensor([ids + [0] * (longest - len(ids)) for _, ids in rows])
    places = torch.arange(longest)
    asked = torch.stack([(places < start) | (places >= len(ids)) for start, ids in rows])
    labels = inputs.masked_fill(asked, -100)
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=5e-3, weight_decay=0.0)
    for _ in range(steps):
        loss = model(input_ids=inputs, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.02:
            break
    assert loss.item() < 0.05, f"the answers have not been learned: {loss.item()}"


def conversation(question: str) -> list[Message]:
    return [Message(role="system", content=SYSTEM), Message(role="user", content=question)]


def greedy(folder: Path, question: str, tokens: int = 32) -> tuple[list[int], str]:
    """What transformers answers, choosing the likeliest token each time, computed in float32: token numbers and text."""
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    words = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    prompt = words.encode(template_of(folder).prompt(conversation(question)), add_special_tokens=False).ids
    found = model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=tokens,
        do_sample=False,
    )
    ids = found[0, len(prompt) :].tolist()
    return ids, words.decode(ids)


def save_adapter(base: Path, folder: Path, std: float, **lora: Any) -> Path:
    """An adapter folder as `finetune` leaves it, with LoRA weights of this spread."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(1)
    settings: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"} | lora
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), LoraConfig(**settings))
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=std)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(template_of(base).jinja, encoding="utf-8")
    write_card(folder, base)
    return folder


def write_card(folder: Path, base: Path, **changes: Any) -> None:
    card = AdapterCard(
        base_model=base.name,
        base_path=str(base),
        base_hash=models.check(base.name, base, str(base)).fingerprint,
        method="sft",
        template=template_of(base).name,
        system=SYSTEM,
        max_length=512,
        data_hash="0" * 16,
        settings_hash="0" * 16,
        examples=5,
        best_step=1,
        best_loss=1.0,
        versions={},
    )
    text = json.dumps(card.model_copy(update=changes).model_dump(), indent=2)
    (folder / "twin.json").write_text(text, encoding="utf-8")
