"""A tokenizer.json as llama.cpp wants it: tokens, their types, merges or scores, and how text is cut first.

In: a byte-level BPE tokenizer (Llama 3, SmolLM2, Qwen, Mistral's tekken), or BPE over characters with bytes to fall back on,
as SentencePiece makes it (Gemma, earlier Mistral). Out: a Vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blogtwin.errors import ModelError
from blogtwin.export.checkpoint import read_json
from blogtwin.export.gguf_architectures import CHOOSE
from blogtwin.export.sentencepiece import is_sentencepiece, scores_of, space_first, token_types

# How llama.cpp cuts text before merging, by its own names: the pre-tokenizers of tokenizer.json that do the same.
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_PRE = {
    ("split", _CONTRACTIONS + r"\p{N}{1,3}" + _REST): "llama-bpe",
    ("split", _CONTRACTIONS + r"\p{N}" + _REST): "qwen2",
    ("split", _TEKKEN): "tekken",
    ("digits", ""): "smollm",
    ("bytes", ""): "gpt-2",
}
_WHOLE_WORDS_FIRST = ("llama-bpe", "tekken")  # llama.cpp looks a whole word up before it merges (ignore_merges)


@dataclass(frozen=True)
class Vocabulary:
    """tokens: by id. types: llama.cpp's token type of each. model, pre: llama.cpp's names of the algorithm and of the cuts.

    merges: `left right`, best first; or scores: of each token, the higher the sooner it is put together, and space_first:
    whether a space is put before the text. ids: of the tokens that begin and end a text, under `bos`, `eos`, `pad` and
    `unk`, where the tokenizer names them.
    """

    model: str
    pre: str
    tokens: list[str]
    types: list[int]
    ids: dict[str, int]
    merges: list[str] | None = None
    scores: list[float] | None = None
    space_first: bool = False


def read_vocabulary(folder: Path, rows: int) -> Vocabulary:
    """The tokenizer of a Hugging Face folder whose embedding has `rows` rows; rows without a token are filled up.

    Raises ModelError when llama.cpp has no name for this tokenizer, or it does not fit the embedding.
    """
    import gguf

    raw = read_json(folder / "tokenizer.json", "the tokenizer")
    pre = _pre_tokenizer(folder, raw)
    model = raw["model"]
    tokens = {number: token for token, number in model["vocab"].items()}
    if max(tokens) >= rows:
        raise ModelError(
            f"{folder}: the tokenizer has {max(tokens) + 1:,} tokens, the model only {rows:,} rows for them",
            "the tokenizer belongs to another model: train again with blogtwin finetune",
        )
    # A marker beyond the last row (Gemma 3's for images) is nothing that this model can be shown.
    added = [token for token in raw.get("added_tokens", []) if token["id"] < rows]
    tokens |= {token["id"]: token["content"] for token in added}
    types = dict.fromkeys(tokens, int(gguf.TokenType.NORMAL))
    types |= {
        token["id"]: int(gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED) for token in added
    }
    ids = _special_ids(folder, {token: number for number, token in tokens.items()})
    if pre != _SENTENCEPIECE:
        return Vocabulary(
            model="gpt2",
            pre=pre,
            tokens=_filled(tokens, rows),
            types=[types.get(number, int(gguf.TokenType.UNUSED)) for number in range(rows)],
            ids=ids,
            merges=[merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]],
        )
    scores = scores_of(folder, raw)
    types |= token_types(raw, tokens, scores)
    if (unknown := model["vocab"].get(model.get("unk_token"))) is not None:
        ids["unk"] = unknown
    return Vocabulary(
        model="llama",
        pre="default",
        tokens=_filled(tokens, rows),
        types=[types.get(number, int(gguf.TokenType.UNUSED)) for number in range(rows)],
        ids=ids,
        scores=[scores.get(tokens.get(number, ""), 0.0) for number in range(rows)],
        space_first=space_first(raw),
    )


def check_vocabulary(folder: Path) -> None:
    """Raise ModelError when the tokenizer in `folder` could not be deployed: better before a night of training than after."""
    raw = read_json(folder / "tokenizer.json", "the tokenizer")
    if _pre_tokenizer(folder, raw) == _SENTENCEPIECE:
        scores_of(folder, raw)


def _filled(tokens: dict[int, str], rows: int) -> list[str]:
    return [tokens.get(number, f"[PAD{number}]") for number in range(rows)]


def _pre_tokenizer(folder: Path, raw: dict[str, Any]) -> str:
    model = raw.get("model", {})
    if is_sentencepiece(raw):
        return _SENTENCEPIECE
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise ModelError(f"{folder}: the tokenizer is neither byte-level BPE nor SentencePiece's", CHOOSE)
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
        raise ModelError(f"{folder}: llama.cpp has no name for the way this tokenizer cuts text ({kinds})", CHOOSE)
    whole_first = found in _WHOLE_WORDS_FIRST
    if bool(raw["model"].get("ignore_merges")) != whole_first and not _merges_make_every_token(raw):
        raise ModelError(f"{folder}: the tokenizer's ignore_merges is not what llama.cpp does for {found}", CHOOSE)
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


_SENTENCEPIECE = "sentencepiece"
