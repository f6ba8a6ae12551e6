"""`starter`: a toy base model made from the author's own training posts, for trying the machinery without a download.

In: texts. Out: a Hugging Face folder with a byte-level BPE tokenizer and a small Llama that has read those texts a few
times. It spells the author's words and knows nothing else; it is too small to write well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from blogtwin import atomic
from blogtwin.manifest import hash_settings
from blogtwin.progress import Progress
from blogtwin.records import Example
from blogtwin.training.threads import limited

NOTE = (
    "starter is a toy base, made from your own posts in this run: it shows that everything works, and is too small to "
    "write well. For a real twin give --base-model llama3.2:1b"
)

# Llama 3's own splitting of text, so that llama.cpp's `llama-bpe` reads it the same way.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
MARKERS = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")

# The recipe: fixed numbers, never a clock, so that the same posts make the same weights.
VOCABULARY = 1536
SHAPE = {
    "hidden_size": 128,
    "intermediate_size": 352,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
}
CONTEXT = 1024  # tokens
STEPS = 100  # a few readings of a small blog; with more it knows the posts by heart, and the adapter has nothing to add
BATCH = 4
WINDOW = 256  # tokens
RATE = 3e-3
_MADE = "starter.json"


def texts_of(examples: Iterable[Example]) -> list[str]:
    """The plain texts behind examples: each answer that is not part of a longer one of the same post, in order."""
    by_post: dict[str, list[str]] = {}
    for example in examples:
        by_post.setdefault(example.post_id, []).append(example.output)
    texts = []
    for answers in by_post.values():
        whole: list[str] = []
        for answer in sorted(dict.fromkeys(answers), key=len, reverse=True):
            if not any(answer in longer for longer in whole):
                whole.append(answer)
        texts += whole
    return texts


def make(
    texts: Sequence[str], folder: Path, seed: int, threads: int | None, progress: Progress, steps: int | None = None
) -> Path:
    """Make the starter in `folder`, or leave the one that is there when it was made from the same texts.

    steps: fewer, for a rehearsal. It appears whole or not at all. Raises OutputError.
    """
    steps = steps or STEPS
    recipe = [VOCABULARY, SHAPE, CONTEXT, steps, BATCH, WINDOW, RATE, seed]
    made = {"fingerprint": hash_settings({"texts": list(texts), "recipe": recipe})}
    if not _is_made(folder, made):
        with atomic.open_folder(folder) as partial:
            tokenizer = _train_tokenizer(texts, partial)
            with limited(threads or 1):
                _train_model(tokenizer, texts, partial, seed, steps, progress)
            (partial / _MADE).write_text(json.dumps(made) + "\n", "utf-8")
    return folder


def _is_made(folder: Path, made: dict[str, str]) -> bool:
    try:
        return bool(json.loads((folder / _MADE).read_text("utf-8")) == made)
    except (OSError, ValueError):
        return False


def _train_tokenizer(texts: Sequence[str], folder: Path) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    split = pre_tokenizers.Split(Regex(SPLIT), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_only])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(MARKERS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=MARKERS[0],
        eos_token=MARKERS[4],
        pad_token=MARKERS[1],
        model_max_length=CONTEXT,
    ).save_pretrained(folder)
    return tokenizer


def _train_model(tokenizer: Any, texts: Sequence[str], folder: Path, seed: int, steps: int, progress: Progress) -> None:
    """Next-token training on random windows of the plain texts, end to end."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # the command line draws its own
    bos, end = tokenizer.token_to_id(MARKERS[0]), tokenizer.token_to_id(MARKERS[4])
    stream = torch.tensor([number for text in texts for number in (bos, *tokenizer.encode(text).ids, end)])
    stream = stream.repeat(-(-(WINDOW + 2) // len(stream)))  # a blog of a few lines is read over and over
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokenizer.get_vocab_size(),
            max_position_embeddings=CONTEXT,
            bos_token_id=bos,
            eos_token_id=end,
            pad_token_id=tokenizer.token_to_id(MARKERS[1]),
            tie_word_embeddings=True,
            **SHAPE,
        )
    ).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    order = torch.Generator().manual_seed(seed)
    with progress.task("Making the starter model", steps, "steps") as task:
        for _ in range(steps):
            starts = torch.randint(len(stream) - WINDOW - 1, (BATCH, 1), generator=order)
            windows = stream[starts + torch.arange(WINDOW)]
            loss = model(input_ids=windows, labels=windows).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            task.advance(loss=f"{loss.item():.2f}")
    model.eval().save_pretrained(folder)
