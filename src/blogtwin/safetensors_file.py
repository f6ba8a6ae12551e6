"""Whether a safetensors file is whole, told from its header: a cut-off download or run is found before it is loaded."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

from blogtwin.errors import ModelError

_MOST_HEADER = 100_000_000  # bytes; the format's own limit


def check_safetensors(path: Path, hint: str = "fetch or copy that file again") -> int:
    """How many numbers `path` holds. Raises ModelError that says where it ends and where it should.

    The format: eight bytes of header length, a JSON header with offsets, the numbers (safetensors documentation, "Format").
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if 2 <= length <= min(_MOST_HEADER, size) else b""
    if not header.lstrip().startswith(b"{"):
        raise ModelError(f"{path} is no safetensors file", hint)
    try:
        tensors = {name: entry for name, entry in json.loads(header).items() if name != "__metadata__"}
        end: int = 8 + length + max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
        numbers: int = sum(prod(entry["shape"]) for entry in tensors.values())
    except (ValueError, KeyError, TypeError) as fault:
        raise ModelError(f"{path} has a broken header", hint) from fault
    if size != end:
        raise ModelError(f"{path} ends after {size:,} of {end:,} bytes", hint)
    return numbers
