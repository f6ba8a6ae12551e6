"""What a model needs in memory, told from the first kilobytes of its GGUF: before it is loaded, not when it is too late.

In: a GGUF file, a context and a number of conversations at once. Out: bytes, and what fits into this machine.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from blogtwin.errors import RuntimeUnavailable

_SIZES = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9  # the other types of the GGUF specification
_NUMBER = 2  # bytes of a number in the cache of keys and values: F16
_UBATCH = 512  # tokens that llama.cpp computes at once, and holds all scores of
_SHORTEST = 1024  # tokens: a context below this cannot hold a post and its answer


@dataclass(frozen=True)
class Footprint:
    """weights: bytes of the files. per_token: bytes of keys and values that a token of context takes, from above:
    layers with a sliding window need less. scratch: bytes for the numbers of one step."""

    weights: int
    per_token: int
    scratch: int

    def total(self, context: int, slots: int) -> int:
        """Bytes for `slots` conversations of `context` tokens each."""
        return self.weights + self.per_token * context * slots + self.scratch


def footprint(gguf: Path, lora: Path | None = None) -> Footprint:
    """Read it from a file's head. Raises RuntimeUnavailable for a file that is no GGUF of a language model."""
    try:
        with gguf.open("rb") as file:
            head = _head(file)
        family = head["general.architecture"]
        layers, heads = _whole(head[f"{family}.block_count"]), _whole(head[f"{family}.attention.head_count"])
        width = _whole(head[f"{family}.embedding_length"])
        keys = _whole(head.get(f"{family}.attention.key_length", width // heads))
        values = _whole(head.get(f"{family}.attention.value_length", width // heads))
        shared = _whole(head.get(f"{family}.attention.head_count_kv", heads))
        words = _whole(head.get("tokenizer.ggml.tokens", 0))
    except (OSError, struct.error, UnicodeDecodeError, KeyError, ValueError, ZeroDivisionError) as fault:
        raise RuntimeUnavailable(
            f"{gguf} is not a model file that can be loaded: {fault or 'it ends too early'}",
            "make it again with: blogtwin deploy",
        ) from fault
    return Footprint(
        weights=gguf.stat().st_size + (lora.stat().st_size if lora else 0),
        per_token=layers * shared * (keys + values) * _NUMBER,
        scratch=_UBATCH * (words + 8 * width) * 4,
    )


def fitting(needs: Footprint, context: int, slots: int, budget: int | None, what: str) -> tuple[int, int]:
    """The context (tokens) and the number of conversations at once that fit into `budget` bytes (None: unknown).

    First fewer at once, then, by halves, a shorter context. what: the model, for the message.
    Raises RuntimeUnavailable when not even the shortest fits.
    """
    if budget is None:
        return context, slots
    while slots > 1 and needs.total(context, slots) > budget:
        slots -= 1
    while context > _SHORTEST and needs.total(context, slots) > budget:
        context = max(_SHORTEST, context // 2)
    if needs.total(context, slots) > budget:
        raise RuntimeUnavailable(
            f"{what} needs {_gib(needs.total(context, slots))} of memory, and this machine lets it have {_gib(budget)}",
            "deploy it smaller: blogtwin deploy --quantize q8_0; or train a smaller base: blogtwin finetune --help",
        )
    return context, slots


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"


def _head(file: BinaryIO) -> dict[str, object]:
    """Key → value of a GGUF's metadata; of a list its length, or of a list of numbers the largest (one a layer)."""
    if file.read(4) != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    _, _, entries = struct.unpack("<IQQ", _exactly(file, 20))
    head: dict[str, object] = {}
    for _ in range(entries):
        key = _exactly(file, _number(file, "<Q")).decode()
        kind = _number(file, "<I")
        if kind == _ARRAY:
            head[key] = _array(file)
        elif kind == _STRING:
            head[key] = _exactly(file, _number(file, "<Q")).decode("utf-8", "replace")
        else:
            head[key] = struct.unpack(_SIZES[kind], _exactly(file, struct.calcsize(_SIZES[kind])))[0]
    return head


def _array(file: BinaryIO) -> int:
    kind, count = _number(file, "<I"), _number(file, "<Q")
    if kind == _STRING:
        for _ in range(count):
            _exactly(file, _number(file, "<Q"))
        return count
    values = struct.unpack(f"<{count}{_SIZES[kind][1]}", _exactly(file, count * struct.calcsize(_SIZES[kind])))
    return int(max(values, default=0)) if count <= 1024 else count


def _number(file: BinaryIO, form: str) -> int:
    return int(struct.unpack(form, _exactly(file, struct.calcsize(form)))[0])


def _exactly(file: BinaryIO, count: int) -> bytes:
    if count > 2**28:
        raise ValueError("its metadata is broken")
    data = file.read(count)
    if len(data) < count:
        raise ValueError("it ends too early")
    return data


def _whole(value: object) -> int:
    if not isinstance(value, int | float):
        raise ValueError(f"a number was expected, not {value!r}")
    return int(value)
