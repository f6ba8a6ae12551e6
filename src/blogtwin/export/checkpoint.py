"""Checkpoints in safetensors, a few rows at a time, so that memory does not grow with the model.

In: a Hugging Face folder (`model.safetensors`, or shards and their index). Out: blocks of rows, and one float16 file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blogtwin.errors import InputError, ModelError

if TYPE_CHECKING:
    import numpy as np

BLOCK = 1 << 23  # elements handled at once: 32 MiB in float32
Block = Any  # a torch tensor; torch ships no types that mypy can follow here


class Checkpoint:
    """The tensors of a folder, by name, with their shapes. Raises ModelError for what is no whole safetensors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = _open_all(folder)
        self._of = {name: file for file in self._files for name in file.keys()}  # noqa: SIM118  # no mapping
        self.shapes: dict[str, tuple[int, ...]] = {
            name: tuple(file.get_slice(name).get_shape()) for name, file in self._of.items()
        }
        for name, file in self._of.items():
            if file.get_slice(name).get_dtype() not in ("F32", "F16", "BF16"):
                raise ModelError(
                    f"{folder}: {name} is stored as {file.get_slice(name).get_dtype()}, not as 16- or 32-bit numbers",
                    "take the unquantized repository of the same model as the base",
                )

    def rows(self, name: str, multiple: int = 1) -> Iterator[tuple[int, Block]]:
        """(first row, float32 block) of one tensor, top to bottom; blocks hold a multiple of `multiple` rows."""
        shape, piece = self.shapes[name], self._of[name].get_slice(name)
        step = max(multiple, BLOCK // max(1, prod(shape[1:])) // multiple * multiple)
        for start in range(0, shape[0], step):
            yield start, piece[start : start + step].float()


def write_float16(path: Path, shapes: Mapping[str, tuple[int, ...]], blocks: Iterable[np.ndarray]) -> None:
    """Write one safetensors file: `blocks` are the float16 numbers of every tensor, in the order of `shapes`.

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
        for block in blocks:
            file.write(block.tobytes())


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


def open_safetensors(path: Path) -> Any:
    """A file of tensors, read where they are asked for. Raises ModelError when it is missing or cut off."""
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as fault:
        raise ModelError(
            f"{path} is no whole safetensors file: {fault}",
            "fetch or make that model again; if a run was cut off, start the same command again",
        ) from fault


def _open_all(folder: Path) -> list[Any]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = sorted(set(read_json(index, "the list of shards").get("weight_map", {}).values()))
        return [open_safetensors(folder / name) for name in names]
    if (folder / "model.safetensors").is_file():
        return [open_safetensors(folder / "model.safetensors")]
    raise ModelError(
        f"{folder} holds no model.safetensors",
        "choose a Hugging Face folder with safetensors weights; pickled ones (.bin) are not loaded, because they can run code",
    )
