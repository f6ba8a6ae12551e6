"""How large things are, before anything is loaded or downloaded: a training file, a base model, an adapter.

In: the path of a JSONL file, the name of a base. Out: counts, good to a few tenths. They come from names and bytes alone,
never from what happens to lie in a cache, so that the same command decides the same before and after a download.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from math import pow
from pathlib import Path

from blogtwin.config import Method
from blogtwin.errors import ModelError
from blogtwin.safetensors_file import check_safetensors
from blogtwin.training.models import STARTER
from blogtwin.training.table import KNOWN

_STARTER_PARAMETERS = 800_000  # starter.py's shape, with the vocabulary that a small blog fills
_UNKNOWN_PARAMETERS = 1_000_000_000  # a name that does not tell: as large as most that fit a home computer
_IN_NAME = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([BM])(?![A-Za-z0-9])", re.IGNORECASE)
_POST = re.compile(rb'"post_id": ?"([^"]*)"')
_PAIR = re.compile(rb'(?<!\\)"rejected":')
_BYTES_A_TOKEN = 4
_BYTES_A_WORD = 6
_OVERLAP = 2  # prepare-dataset shows each passage about twice: whole, by section, as a continuation


@dataclass(frozen=True)
class Corpus:
    """examples: lines. posts: how many they are made from. tokens: in all of them, about. words: in the posts, about.

    pairs: how many of the lines are a better and a worse answer.
    """

    examples: int
    posts: int
    tokens: int
    words: int
    pairs: int = 0

    def learned(self, method: Method, replay: float) -> Corpus:
        """What a method learns from: of a file of judgements dpo takes the pairs alone, and kto both answers of each.

        replay: examples that are mixed in for each of them.
        """
        own = {"sft": self.examples, "dpo": self.pairs, "kto": self.examples + self.pairs}[method]
        return replace(self, examples=round(own * (1 + replay)))


def corpus(training_data: Path) -> Corpus | None:
    """What a training file holds; None where there is no such file yet. Lines that name no post are posts of their own."""
    try:
        status = training_data.stat()
        return _counted(training_data, status.st_size, status.st_mtime_ns)
    except OSError:
        return None


@cache  # every plan asks, and hundreds of megabytes take a second or two
def _counted(path: Path, _size: int, _time: int) -> Corpus:
    """Read as bytes in one pass."""
    posts: set[bytes] = set()
    examples = size = pairs = 0
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                examples += 1
                size += len(line)
                pairs += _PAIR.search(line) is not None
                if found := _POST.search(line):
                    posts.add(found[1])
    overlap = _OVERLAP if posts else 1
    return Corpus(examples, len(posts) or examples, size // _BYTES_A_TOKEN, size // (_BYTES_A_WORD * overlap), pairs)


def tokens_in(text: str) -> int:
    """About how many tokens a text has."""
    return len(text.encode("utf-8", "replace")) // _BYTES_A_TOKEN


def parameters(base_model: str) -> int:
    """How many a base has: from the table, the weights in a folder, or the repository's name (…-1.5B-…).

    A folder that is no model counts as unknown; what is wrong with it is said when it is loaded.
    """
    if base_model == STARTER:
        return _STARTER_PARAMETERS
    if base_model in KNOWN:
        return round(KNOWN[base_model].parameters * 1e6)
    folder = Path(base_model).expanduser()
    if folder.is_dir():
        try:
            found = sum(check_safetensors(path) for path in folder.glob("model*.safetensors"))
        except (OSError, ModelError):
            found = 0
        return found or _UNKNOWN_PARAMETERS
    told = _IN_NAME.findall(base_model.rpartition("/")[2])
    return max((round(float(many) * {"b": 1e9, "m": 1e6}[unit.lower()]) for many, unit in told), default=0) or (
        _UNKNOWN_PARAMETERS
    )


def width(base_parameters: int) -> float:
    """The hidden size of a Llama of so many parameters.

    A power law through mini-llama (3.5 million, 192 wide) and Llama 3.2 1B (1,236 million, 2,048); SmolLM2 360M, Qwen3 0.6B
    and Llama 3.2 3B lie within a third of it.
    """
    return 2048 * pow(base_parameters / 1.236e9, 0.403)


def adapter_parameters(base_parameters: int, rank: int) -> int:
    """How many an adapter of this rank on every linear layer of such a base has.

    A power law through the same two bases (20 and 704 thousand a rank); others lie within two thirds of it.
    """
    return round(rank * 704_000 * pow(base_parameters / 1.236e9, 0.606))
