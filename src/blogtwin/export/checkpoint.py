"""Checkpoints in safetensors, a few rows at a time, so that memory does not grow with the model.

In: a Hugging Face folder (`model.safetensors`, or shards and their index). Out: rows as float32, and one float16 file.
Files are read, not mapped: pages of a mapped file count as this process's memory. Several threads may read at once.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from blogtwin.errors import InputError, ModelError
from blogtwin.safetensors_file import check_safetensors

if TYPE_CHECKING:
    import numpy as np

BLOCK = 1 << 19  # numbers handled at once: 2 MiB in float32, which stays in the cache from reading to writing
_BYTES = {"F32": 4, "F16": 2, "BF16": 2}


class Weights(Protocol):
    """Tensors by name. shapes: of each; read: rows `start` to `stop` of one, float32, shape (stop - start, …)."""

    shapes: dict[str, tuple[int, ...]]

    def read(self, name: str, start: int, stop: int) -> np.ndarray: ...


@dataclass(frozen=True)
class _Tensor:
    path: Path
    offset: int  # bytes from the beginning of the file
    kind: str
    shape: tuple[int, ...]


class Checkpoint:
    """The tensors of a folder. Raises ModelError for what is no whole safetensors, or holds no plain numbers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tensors = {name: tensor for path in _files(folder) for name, tensor in _tensors(path).items()}
        self.shapes = {name: tensor.shape for name, tensor in self._tensors.items()}

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """As Weights says."""
        return _read(self._tensors[name], start, stop)


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of a small file, float32. Raises ModelError when it is missing or cut off."""
    return {name: _read(tensor, 0, tensor.shape[0]) for name, tensor in _tensors(path).items()}


def blocks(shape: tuple[int, ...], multiple: int = 1) -> Iterator[tuple[int, int]]:
    """(first row, row after the last) of pieces of a tensor, top to bottom; each a multiple of `multiple` rows."""
    step = max(multiple, BLOCK // max(1, prod(shape[1:])) // multiple * multiple)
    return ((start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def in_order(tasks: Iterable[Callable[[], np.ndarray]]) -> Generator[np.ndarray, None, None]:
    """What the tasks return, in their order, computed on every processor; a few are under way at any time."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[np.ndarray]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(task))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for left in waiting:
                left.cancel()


def write_float16(path: Path, shapes: Mapping[str, tuple[int, ...]], numbers: Iterable[np.ndarray]) -> None:
    """Write one safetensors file: `numbers` are the float16 numbers of every tensor, as bytes, in the order of `shapes`.

    The format: eight bytes of header length, a JSON header with offsets, the numbers (safetensors documentation, "Format").
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * prod(shape)
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [start, end]}
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    with path.open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        for block in numbers:
            file.write(block.data)


def read_json(path: Path, what: str) -> dict[str, Any]:
    """A JSON object that has to be there. Raises InputError that names `path` and says what it is for."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as fault:
        raise InputError(
            f"{path} is not there: it holds {what}", "check the path, or make it with: blogtwin finetune"
        ) from fault
    except (ValueError, UnicodeDecodeError) as fault:
        raise InputError(f"{path} is not JSON: it holds {what}", "make it again with: blogtwin finetune") from fault
    if not isinstance(value, dict):
        raise InputError(f"{path} holds no JSON object: it holds {what}", "make it again with: blogtwin finetune")
    return value


def _read(tensor: _Tensor, start: int, stop: int) -> np.ndarray:
    import numpy as np

    from blogtwin.export.ggml import decode

    row = prod(tensor.shape[1:])
    raw = np.empty((stop - start) * row * _BYTES[tensor.kind], np.uint8)
    with tensor.path.open("rb", buffering=0) as file:
        file.seek(tensor.offset + start * row * _BYTES[tensor.kind])
        view = memoryview(raw.data)
        while view:  # one call returns at most 2 GiB, and may return less
            count = file.readinto(view)
            if not count:
                raise ModelError(f"{tensor.path} became shorter while it was read", _AGAIN)
            view = view[count:]
    return decode(raw, tensor.kind).reshape(stop - start, *tensor.shape[1:])


def _tensors(path: Path) -> dict[str, _Tensor]:
    if not path.is_file():
        raise ModelError(f"{path} is not there", _AGAIN)
    check_safetensors(path, _AGAIN)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    found = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in _BYTES:
            raise ModelError(
                f"{path.parent}: {name} is stored as {entry['dtype']}, not as 16- or 32-bit numbers",
                "take the unquantized repository of the same model as the base",
            )
        shape = tuple(entry["shape"])
        if entry["data_offsets"][1] - entry["data_offsets"][0] != prod(shape) * _BYTES[entry["dtype"]] or not shape:
            raise ModelError(f"{path}: {name} has another size than its shape says", _AGAIN)
        found[name] = _Tensor(path, 8 + length + entry["data_offsets"][0], entry["dtype"], shape)
    return found


def _files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = sorted(set(read_json(index, "the list of shards").get("weight_map", {}).values()))
        return [folder / name for name in names]
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    raise ModelError(
        f"{folder} holds no model.safetensors",
        "choose a Hugging Face folder with safetensors weights; pickled ones (.bin) are not loaded, because they can run code",
    )


_AGAIN = "fetch or make that model again; if a run was cut off, start the same command again"
