"""What tells a base model from every other: an adapter fits the weights it was trained on, and no others.

In: a Hugging Face folder. Out: its weight files, and a hash of all that training reads of it, as an AdapterCard keeps it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from blogtwin.errors import ModelError
from blogtwin.manifest import hash_file
from blogtwin.safetensors_file import check_safetensors

WHOLE = "a base folder holds config.json, tokenizer.json and safetensors weights, as the model hub gives them"


def base_hash(folder: Path) -> str:
    """Sixteen hexadecimal digits, from the bytes of config.json, tokenizer.json and the weights. Raises ModelError."""
    digest = hashlib.sha256()
    for path in (folder / "config.json", folder / "tokenizer.json", *weight_files(folder)):
        if not path.is_file():
            raise ModelError(f"{folder} has no {path.name}", WHOLE)
        digest.update(f"{path.name} {hash_file(path)}\n".encode())
    return digest.hexdigest()[:16]


def parameters(folder: Path) -> int:
    """How many numbers the weights hold; every file is looked at. Raises ModelError for one that is missing or cut off."""
    return sum(check_safetensors(path) for path in weight_files(folder))


def weight_files(folder: Path) -> list[Path]:
    """model.safetensors, or the shards that its index lists. Raises ModelError for one that is missing."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError) as fault:
            raise ModelError(f"{index} lists no shards", WHOLE) from fault
    else:
        names = ["model.safetensors"]
    for name in names:
        if not (folder / name).is_file():
            pickled = (
                " (pickled weights are not loaded, because they can run code)" if any(folder.glob("*.bin")) else ""
            )
            raise ModelError(f"{folder} has no {name}{pickled}", WHOLE)
    return [folder / name for name in names]
