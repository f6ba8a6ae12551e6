"""What the sides of bench/train.py are trained on: rows in each side's shape, copies of the base, and a large random one.

python train_material.py rows BASE BLOG ROOM | shape BASE FOLDER | check BASE ROWS
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from blogtwin.config import TrainingSettings
from blogtwin.records import Example
from blogtwin.training import examples, models
from blogtwin.training.rows import tokenized
from blogtwin.training.tokenizer import load

_LONG = 9_000  # characters: more than 1,024 tokens, so that every side cuts there
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def rows(base: Path, blog: Path, room: Path) -> None:
    """BLOG, prepared by blogtwin, into room/short and, in rows of 1,024 tokens, room/long; BASE in float32 into room/small."""
    program = Path(sys.executable).with_name("blogtwin")
    posts, made = room / "posts.jsonl", room / "training_data.jsonl"
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": room}
    subprocess.run([program, "ingest", "--input-dir", blog, "--output", posts], **quiet)
    subprocess.run([program, "prepare-dataset", "--input", posts, "--output", made], **quiet)
    _float32(base, room / "small")
    found = examples.read(made)
    _write(found, base, room / "short")
    text = " ".join(example.output for example in found)
    places = range(0, max(1, len(text) - _LONG), _LONG)
    joined = [
        example.model_copy(update={"input": "", "output": text[place : place + _LONG]})
        for example, place in zip(found, places, strict=False)
    ]
    _write(joined, base, room / "long")


def _write(found: list[Example], base: Path, folder: Path) -> None:
    """The same rows for ours (examples), trl (conversations), LLaMA-Factory (Alpaca) and the loop (tokens)."""
    folder.mkdir()
    settings, checked = TrainingSettings(), models.resolve(str(base), offline=True)
    cut = tokenized(found, load(base), checked.template, settings.system_prompt, 1024).rows
    turns = [[turn.model_dump() for turn in example.conversation(settings.system_prompt)] for example in found]
    shapes = {
        "examples": [example.model_dump(mode="json") for example in found],
        "tokens": [{"tokens": row.tokens, "prompt": row.prompt} for row in cut],
        "rows": [
            {"prompt": asked, "completion": [{"role": "assistant", "content": example.output}]}
            for asked, example in zip(turns, found, strict=True)
        ],
    }
    for name, lines in shapes.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    alpaca = [
        {"system": asked[0]["content"], "instruction": asked[1]["content"], "input": "", "output": example.output}
        for asked, example in zip(turns, found, strict=True)
    ]
    (folder / "alpaca.json").write_text(json.dumps(alpaca), "utf-8")


def _float32(base: Path, folder: Path) -> None:
    """LLaMA-Factory computes in the numbers of the file, and float16 takes a processor a minute a step."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(base, folder)
    weights = {name: weight.float() for name, weight in load_file(base / "model.safetensors").items()}
    (folder / "model.safetensors").unlink()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((base / "config.json").read_text("utf-8"))
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "float32"}), "utf-8")


def shape(base: Path, folder: Path) -> None:
    """Llama-3.2-1B's numbers with random weights in bfloat16 and BASE's tokenizer, whose tokens are a part of the vocabulary."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    small = json.loads((base / "config.json").read_text("utf-8"))
    torch.manual_seed(7)
    torch.set_default_dtype(torch.bfloat16)
    rope = {
        "rope_type": "llama3",
        "rope_theta": 500_000.0,
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
    }
    config = LlamaConfig(
        vocab_size=128_256,
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=64,
        max_position_embeddings=131_072,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        rope_parameters={**rope, "original_max_position_embeddings": 8192},
        **{name: small[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")},
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in _TOKENIZER:
        shutil.copy(base / name, folder)


def check(base: Path, given: Path) -> None:
    """The loop's model computes what transformers computes, adapters included. Ends with an error when it does not."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from train_llama import Llama

    row = json.loads((given / "tokens.jsonl").read_text("utf-8").splitlines()[0])
    numbers = torch.tensor(row["tokens"])
    ours = Llama(base, torch.float32, rank=16, alpha=32)
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    theirs = get_peft_model(plain, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    places = {"q": "self_attn", "k": "self_attn", "v": "self_attn", "o": "self_attn"}
    for layer, other in zip(ours.layers, plain.model.layers, strict=True):
        for name in ("q", "k", "v", "o", "gate", "up", "down"):
            mine, its = getattr(layer, name), getattr(getattr(other, places.get(name, "mlp")), f"{name}_proj")
            torch.nn.init.normal_(mine.b, std=0.02)
            its.lora_A["default"].weight.data.copy_(mine.a.data)
            its.lora_B["default"].weight.data.copy_(mine.b.data)
    with torch.no_grad():
        apart = float((ours(numbers) @ ours.head.T - theirs(numbers[None]).logits[0]).abs().max())
    print(f"the loop's logits are within {apart:.1e} of transformers'")
    if apart > 1e-3:
        raise SystemExit("the loop computes something else")


if __name__ == "__main__":
    {"rows": rows, "shape": shape, "check": check}[sys.argv[1]](*map(Path, sys.argv[2:]))
