"""A tokenizer.json as llama.cpp wants it: tokens, their types, merges, and the name of the way text is cut first.

In: a byte-level BPE tokenizer of the Llama 3, SmolLM2 or Qwen family. Out: a Vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blogtwin.errors import ModelError
from blogtwin.export.checkpoint import read_json

# How llama.cpp cuts text before merging, by its own names: the pre-tokenizers of tokenizer.json that do the same.
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PRE = {
    ("split", _CONTRACTIONS + r"\p{N}{1,3}" + _REST): "llama-bpe",
    ("split", _CONTRACTIONS + r"\p{N}" + _REST): "qwen2",
    ("digits", ""): "smollm",
    ("bytes", ""): "gpt-2",
}


@dataclass(frozen=True)
class Vocabulary:
    """tokens: by id. types: llama.cpp's token type of each. merges: `left right`, best first. pre: llama.cpp's name.

    ids: the ids of the tokens that begin and end a text, under `bos`, `eos` and `pad`, where the tokenizer names them.
    """

    tokens: list[str]
    types: list[int]
    merges: list[str]
    pre: str
    ids: dict[str, int]


def read_vocabulary(folder: Path, rows: int) -> Vocabulary:
    """The tokenizer of a Hugging Face folder whose embedding has `rows` rows; rows without a token are filled up.

    Raises ModelError when llama.cpp has no name for this tokenizer, or it does not fit the embedding.
    """
    import gguf

    raw = read_json(folder / "tokenizer.json", "the tokenizer")
    pre = _pre_tokenizer(folder, raw)
    model = raw["model"]
    tokens = {number: token for token, number in model["vocab"].items()}
    types = dict.fromkeys(tokens, int(gguf.TokenType.NORMAL))
    for added in raw.get("added_tokens", []):
        tokens[added["id"]] = added["content"]
        types[added["id"]] = int(gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED)
    if max(tokens) >= rows:
        raise ModelError(
            f"{folder}: the tokenizer has {max(tokens) + 1:,} tokens, the model only {rows:,} rows for them",
            "the tokenizer belongs to another model: train again with blogtwin finetune",
        )
    return Vocabulary(
        tokens=[tokens.get(number, f"[PAD{number}]") for number in range(rows)],
        types=[types.get(number, int(gguf.TokenType.UNUSED)) for number in range(rows)],
        merges=[merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]],
        pre=pre,
        ids=_special_ids(folder, {token: number for number, token in tokens.items()}),
    )


def check_vocabulary(folder: Path) -> None:
    """Raise ModelError when the tokenizer in `folder` could not be deployed: better before a night of training than after."""
    _pre_tokenizer(folder, read_json(folder / "tokenizer.json", "the tokenizer"))


def _pre_tokenizer(folder: Path, raw: dict[str, Any]) -> str:
    model = raw.get("model", {})
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise ModelError(f"{folder}: the tokenizer is not byte-level BPE", _CHOOSE)
    normalizer = (raw.get("normalizer") or {}).get("type")
    steps = raw.get("pre_tokenizer") or {}
    steps = steps.get("pretokenizers", [steps])
    kinds = [step.get("type") for step in steps]
    found = None
    if kinds == ["Split", "ByteLevel"] and steps[0]["behavior"] == "Isolated" and not steps[1]["use_regex"]:
        found = _PRE.get(("split", steps[0]["pattern"].get("Regex", "")))
    elif kinds == ["Digits", "ByteLevel"] and steps[0]["individual_digits"] and steps[1]["use_regex"]:
        found = _PRE["digits", ""]
    elif kinds == ["ByteLevel"] and steps[0]["use_regex"]:
        found = _PRE["bytes", ""]
    # Qwen composes accents (NFC) first, which llama.cpp leaves out; posts as people type them are composed already.
    if (
        found is None
        or steps[-1]["add_prefix_space"]
        or normalizer not in ((None, "NFC") if found == "qwen2" else (None,))
    ):
        raise ModelError(f"{folder}: llama.cpp has no name for the way this tokenizer cuts text ({kinds})", _CHOOSE)
    if bool(raw["model"].get("ignore_merges")) != (found == "llama-bpe") and not _merges_make_every_token(raw):
        raise ModelError(f"{folder}: the tokenizer's ignore_merges is not what llama.cpp does for {found}", _CHOOSE)
    return found


def _merges_make_every_token(raw: dict[str, Any]) -> bool:
    """Whether merging the letters of each token ends in that token: then it does not matter who looks a whole word up first."""
    from tokenizers import models

    added = {token["content"] for token in raw.get("added_tokens", [])}
    vocabulary = raw["model"]["vocab"]
    parts = (merge.split(" ") if isinstance(merge, str) else merge for merge in raw["model"]["merges"])
    merges = [(left, right) for left, right in parts]
    merged = models.BPE(vocabulary, merges)
    return all(
        [piece.id for piece in merged.tokenize(token)] == [number]
        for token, number in vocabulary.items()
        if token not in added
    )


def _special_ids(folder: Path, number: dict[str, int]) -> dict[str, int]:
    path = folder / "tokenizer_config.json"
    settings = read_json(path, "names of tokens") if path.is_file() else {}
    ids = {}
    for kind in ("bos", "eos", "pad"):
        token = settings.get(f"{kind}_token")
        content = token.get("content") if isinstance(token, dict) else token
        if content in number:
            ids[kind] = number[content]
    return ids


_CHOOSE = "choose a base of the Llama 3, SmolLM2 or Qwen3 family: blogtwin finetune --help lists them"
