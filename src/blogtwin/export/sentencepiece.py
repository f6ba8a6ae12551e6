"""SentencePiece's BPE as Hugging Face stores it (tokenizer.json) → what llama.cpp's tokenizer `llama` needs of it.

There, pairs are put together in the order of the token they make; in tokenizer.json, in the order of a list of pairs. The two
agree when the list has every way to make each token, one token after the other: that is checked, not taken on trust.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blogtwin.errors import ModelError
from blogtwin.export.gguf_architectures import CHOOSE

_SPACE = "▁"
_REPLACED = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE}
_PREPENDED = {"type": "Prepend", "prepend": _SPACE}
_WORDS = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
_FIRST = {"type": "Metaspace", "replacement": _SPACE, "prepend_scheme": "first", "split": False}


def is_sentencepiece(raw: dict[str, Any]) -> bool:
    """Whether the tokenizer is BPE over characters that falls back on bytes, and treats spaces in a way llama.cpp can."""
    model = raw.get("model", {})
    if model.get("type") != "BPE" or not model.get("byte_fallback") or model.get("ignore_merges"):
        return False
    return _spaces(raw) is not None


def space_first(raw: dict[str, Any]) -> bool:
    """Whether a space is put before every text between markers."""
    return bool(_spaces(raw))


def _spaces(raw: dict[str, Any]) -> bool | None:
    """Whether a space is put first; None for what llama.cpp does not do.

    Metaspace's "first" puts one before a text that begins with no marker; a prompt always begins with one.
    """
    normalizer, steps = raw.get("normalizer"), raw.get("pre_tokenizer")
    if normalizer == _REPLACED and steps in (None, _WORDS):  # the split finds no space any more
        return False
    if normalizer is None and steps == _FIRST:
        return False
    if normalizer == {"type": "Sequence", "normalizers": [_PREPENDED, _REPLACED]} and steps is None:
        return True
    return None


def scores_of(folder: Path, raw: dict[str, Any]) -> dict[str, float]:
    """The score of every token that merging makes: minus its place among them.

    Raises ModelError when an order of tokens cannot say what the list of pairs says.
    """
    vocabulary = raw["model"]["vocab"]
    added = {token["content"] for token in raw.get("added_tokens", [])}
    ways: dict[str, int] = {}
    scores: dict[str, float] = {}
    last = ""
    for merge in raw["model"]["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        made = left + right
        # Runs of one character (line breaks, spaces) share one score in SentencePiece; whichever comes first, the run is made.
        if made != last and made in scores and len(set(made)) > 1:
            raise ModelError(f"{folder}: the tokenizer does not make its tokens one after the other ({made!r})", CHOOSE)
        scores.setdefault(made, -float(len(scores)))
        ways[made] = ways.get(made, 0) + 1
        last = made
    for token in vocabulary:
        if token in added:
            continue
        splits = ((token[:at], token[at:]) for at in range(1, len(token)))
        possible = sum(1 for parts in splits if all(part in vocabulary and part not in added for part in parts))
        if possible > ways.get(token, 0):
            raise ModelError(f"{folder}: the tokenizer makes {token!r} in fewer ways than SentencePiece does", CHOOSE)
    return scores


def token_types(raw: dict[str, Any], tokens: dict[int, str], scores: dict[str, float]) -> dict[int, int]:
    """llama.cpp's types of the tokens that are neither plain nor markers: bytes, the unknown one, and added ones.

    Runs of spaces and line breaks are added tokens that merging makes, too: for llama.cpp they are plain ones.
    """
    import gguf

    kind = gguf.TokenType
    types = {number: int(kind.BYTE) for number, token in tokens.items() if _is_byte(token)}
    for token in raw.get("added_tokens", []):
        if not token["special"] and token["content"] in scores and token["id"] in tokens:
            types[token["id"]] = int(kind.NORMAL)
    unknown = raw["model"]["vocab"].get(raw["model"].get("unk_token"))
    return types if unknown is None else types | {unknown: int(kind.UNKNOWN)}


def _is_byte(token: str) -> bool:
    return len(token) == 6 and token.startswith("<0x") and token.endswith(">")
