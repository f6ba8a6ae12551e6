"""Q8_0 keeps nineteen of twenty next-token choices: over posts that the models have not seen, ties and all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer

import tiny_models
from blogtwin.export.gguf import write_gguf
from blogtwin.progress import Silent
from blogtwin.runtimes.llama_server import load
from conftest import EXAMPLES
from test_export import FAMILIES

KINDS = ("llama 3.2, scaled positions", "llama, untied", "qwen2", "qwen3", "gemma3", "mistral")
POSTS = [path.read_text("utf-8").partition("\n\n")[2] for path in sorted(EXAMPLES.glob("*.md"))]
HELD_OUT, PLACES, STEPS = 3, 200, 120
NEAR = 0.05  # nats between the two likeliest


def taught(folder: Path, kind: str, tiny_base: Path) -> Path:
    """A model of this kind that has read the sample posts but the last ones, for a few seconds."""
    import torch
    from transformers import AutoModelForCausalLM

    changes = dict(FAMILIES[kind])
    pre, architecture = changes.pop("pre", "llama-bpe"), changes.pop("architecture", "llama")
    if pre == "llama-bpe":
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(tiny_base / name, folder / name)
    else:
        tiny_models.save_tokenizer(pre, folder)
    words, template = Tokenizer.from_file(str(folder / "tokenizer.json")), tiny_models.template_of(folder)
    end = words.token_to_id(template.turn_end)
    text = torch.tensor(words.encode("\n\n".join(POSTS[:-HELD_OUT]), add_special_tokens=False).ids)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(tiny_models.config(architecture, words.get_vocab_size(), end, **changes))
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for _ in range(STEPS):
        rows = torch.stack([text[start : start + 96] for start in torch.randint(0, len(text) - 96, (4,)).tolist()])
        loss = model(input_ids=rows, labels=rows).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 6.0  # it has learned something: by chance it is 6.9
    model.half().save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(template.jinja, encoding="utf-8")
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_q8_0_chooses_the_next_token_that_transformers_chooses_19_times_of_20(
    kind: str, tiny_base: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    folder = taught(tmp_path, kind, tiny_base)
    words = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokens = words.encode("\n\n".join(POSTS[-HELD_OUT:]), add_special_tokens=False).ids[: PLACES + 10]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        likeliest = model(torch.tensor([tokens])).logits[0].log_softmax(-1).topk(2)
    running = load(write_gguf(folder, tmp_path / "model.gguf", "q8_0", "tiny", Silent()), 512, 1)
    agreed = []
    with running.client() as client:
        for place in range(10, len(tokens)):
            body = {"prompt": tokens[:place], "n_predict": 1, "n_probs": 1, "temperature": 0.0}
            (told,) = client.post("/completion", json=body).json()["completion_probabilities"]
            agreed.append(told["top_logprobs"][0]["id"] == likeliest.indices[place - 1, 0])
    gaps = (likeliest.values[:, 0] - likeliest.values[:, 1])[9 : len(tokens) - 1].tolist()
    near = [gap < NEAR for gap in gaps]
    clear = [one for one, tie in zip(agreed, near, strict=True) if not tie]
    print(
        f"{kind}: {sum(agreed) / len(agreed):.1%} of {len(agreed)} choices; {sum(near)} near ties; "
        f"without them {sum(clear) / len(clear):.1%}; {len(set(likeliest.indices[:, 0].tolist()))} different choices"
    )
    assert len(agreed) == PLACES
    assert sum(agreed) / len(agreed) >= 0.95
    assert sum(clear) / len(clear) >= 0.99
