"""The GGUF of a base model, written once and shared by the adapters of every twin on it.

In: a base, and a precision. Out: ~/.blogtwin/bases/KEY-SHA256.gguf, whole or not at all, and checked by its name each time it
is taken. Nothing is lost with such a file: the next deploy writes it again.
"""

from __future__ import annotations

import time
from pathlib import Path

from blogtwin import __version__, atomic
from blogtwin.export.gguf import write_model
from blogtwin.export.model import Model, Provenance
from blogtwin.manifest import hash_file, hash_settings
from blogtwin.progress import Progress
from blogtwin.records import Quantization
from blogtwin.workspace import deployments, home

_FORGOTTEN = 24 * 3600.0  # seconds after which a file that no deployment names is not one that is just being deployed


def shared_base(
    model: Model, base_hash: str, quantization: Quantization, about: Provenance, progress: Progress
) -> tuple[Path, str]:
    """The file and its SHA-256; written now if it is not there, or no longer what it was.

    Raises what `write_model` raises.
    """
    decides = {
        "base": base_hash,
        "tokenizer": hash_file(model.tokenizer / "tokenizer.json"),
        "template": model.jinja,
        "quantization": quantization,
        "version": __version__,  # another version may write it in another way
    }
    folder, key = home() / "bases", hash_settings(decides)
    for there in folder.glob(f"{key}-*.gguf"):
        digest = there.stem.partition("-")[2]
        with progress.task("Checking the base's GGUF"):
            if hash_file(there) == digest:
                return there, digest
        there.unlink()
    made = write_model(model, folder / f".{key}.gguf", quantization, about, progress)
    digest = hash_file(made)
    with atomic.writing_to(folder):
        _sweep(folder)
        return made.replace(folder / f"{key}-{digest}.gguf"), digest


def _sweep(folder: Path) -> None:
    """Remove what no twin stands on any more."""
    used = {Path(one.artifact.gguf).name for one in deployments()}
    for path in folder.glob("*.gguf"):
        if path.name not in used and time.time() - path.stat().st_mtime > _FORGOTTEN:
            path.unlink()
