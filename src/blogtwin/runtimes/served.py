"""Which twins the embedded llama.cpp serves: names, and the files they stand for, under the user's own folder.

`served/blobs/sha256-…` holds the model files (hard links where the disk allows, so that a deleted project breaks nothing),
`served/names/NAME@TAG.json` says which files a name stands for and how they are served.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

from pydantic import ValidationError

from blogtwin import atomic, workspace
from blogtwin.config import model_name
from blogtwin.errors import RuntimeUnavailable
from blogtwin.records import Artifact


def names() -> list[str]:
    """The names that stand for something, with their tags."""
    return [path.stem.replace("@", ":") for path in sorted((_store() / "names").glob("*.json"))]


def find(name: str) -> Artifact:
    """What `name` stands for. Raises RuntimeUnavailable, naming the twins that are there."""
    path = _name_file(name)
    try:
        return Artifact.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as fault:
        there = ", ".join(names()) or "none"
        raise RuntimeUnavailable(
            f"the embedded llama.cpp serves no twin named {name} (served: {there})", "make it: blogtwin deploy"
        ) from fault
    except (ValidationError, UnicodeDecodeError) as fault:
        raise RuntimeUnavailable(f"{path} does not say how {name} is served", "deploy it again") from fault


def keep(artifact: Artifact) -> Artifact:
    """The same artifact, its files in the store; they stay there only if a name is given to it before the next sweep."""
    lora = artifact.lora and artifact.lora_sha256 and _kept(Path(artifact.lora), artifact.lora_sha256)
    return artifact.model_copy(
        update={"gguf": _kept(Path(artifact.gguf), artifact.gguf_sha256), "lora": lora or artifact.lora}
    )


def give(name: str, artifact: Artifact) -> None:
    """Let `name` stand for an artifact of the store from now on."""
    atomic.write_text(_name_file(name), artifact.model_dump_json(indent=2) + "\n")


def forget(name: str) -> None:
    """Nothing happens when it is not there."""
    _name_file(name).unlink(missing_ok=True)


def sweep() -> None:
    """Remove model files that no name stands for."""
    used = set()
    for path in (_store() / "names").glob("*.json"):
        with contextlib.suppress(ValueError, OSError, KeyError):
            said = json.loads(path.read_text(encoding="utf-8"))
            used |= {Path(file).name for file in (said["gguf"], said.get("lora")) if file}
    for blob in (_store() / "blobs").glob("*"):
        if blob.name not in used:
            with contextlib.suppress(OSError):  # Windows keeps a file that is still loaded; the next sweep takes it
                blob.unlink()


def _store() -> Path:
    return workspace.home() / "served"


def _name_file(name: str) -> Path:
    return _store() / "names" / f"{model_name(name).replace(':', '@')}.json"


def _kept(file: Path, sha256: str) -> str:
    """Where the store holds what `file` holds: a second name for the same bytes, or a copy where that cannot be."""
    blob = (_store() / "blobs" / f"sha256-{sha256}").absolute()
    if blob.is_file():
        return str(blob)
    partial = blob.with_name(f".{blob.name}.partial")
    with atomic.writing_to(blob):
        blob.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        try:
            try:
                os.link(file, partial)
            except OSError:  # another file system, or one without links
                shutil.copyfile(file, partial)
            partial.replace(blob)
        finally:
            partial.unlink(missing_ok=True)
    return str(blob)
