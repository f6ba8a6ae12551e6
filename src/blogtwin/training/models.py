"""What stands after --base-model, a name, a repository or a folder, becomes a checked base.

In: what the user wrote. Out: a Base, of which every file that training and deployment need is there.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blogtwin import hub
from blogtwin.architectures import DEPLOYABLE
from blogtwin.base_hash import WHOLE, base_hash, weight_files
from blogtwin.chat_template import ChatTemplate, template_for
from blogtwin.errors import ModelError
from blogtwin.progress import Progress, Silent
from blogtwin.safetensors_file import check_safetensors
from blogtwin.training.hardware import Platform, get_platform_model_name
from blogtwin.training.table import KNOWN

STARTER = "starter"


@dataclass(frozen=True)
class Base:
    """name: as the user wrote it. folder: config, tokenizer and safetensors. source: where it came from (a path or repository).

    fingerprint: a hash of everything in it that training reads. template: the conversations it was made for.
    context_length: tokens. parameters: a count, from the size of the weights. revision: the commit of the repository it
    came from; None for a folder.
    """

    name: str
    folder: Path
    source: str
    fingerprint: str
    template: ChatTemplate
    context_length: int
    parameters: int
    revision: str | None = None


def resolve(
    base_model: str, offline: bool = False, progress: Progress | None = None, platform: Platform = "cpu"
) -> Base:
    """A name of the table, org/repository (with @revision, if need be) or a folder → a checked Base.

    What is not in the local cache is downloaded; for a name, the repository that suits `platform`.
    Raises ModelError for an unknown name, no network, a gated repository, or a folder that is no usable model.
    """
    local = Path(base_model).expanduser()
    if local.is_dir():
        return _checked(base_model, local, str(local.resolve()), progress)
    repository, _, revision = get_platform_model_name(platform, base_model).partition("@")
    if not hub.is_repository(repository):
        raise _unknown(base_model)
    try:
        found = hub.fetch(repository, revision or None, offline, progress)
    except ModelError as failure:
        raise ModelError(
            f"the base model {base_model}: {failure.message}", f"{failure.hint}; {_OTHERWISE}"
        ) from failure
    return replace(_checked(base_model, found.folder, repository, progress), revision=found.commit)


def _checked(name: str, folder: Path, source: str, progress: Progress | None) -> Base:
    with (progress or Silent()).task(f"Checking {name}"):  # gigabytes are read for the fingerprint
        return check(name, folder, source)


def _unknown(base_model: str) -> ModelError:
    if base_model.startswith((".", "/", "~")):
        return ModelError(f"{base_model} is not there, or is no folder", "check the path given as --base-model")
    names = [*KNOWN, STARTER]
    near = difflib.get_close_matches(base_model, names, n=2, cutoff=0.4)
    return ModelError(
        f"no base model is named {base_model!r}",
        f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}, a folder, or org/repository",
    )


def check(name: str, folder: Path, source: str) -> Base:
    """The Base in `folder`. Raises ModelError that says what is missing, cut off or of the wrong kind."""
    config = _config(folder)
    weights = weight_files(folder)
    vocabulary = _vocabulary(folder / "tokenizer.json")
    return Base(
        name=name,
        folder=folder,
        source=source,
        fingerprint=base_hash(folder),
        template=template_for(vocabulary),
        context_length=int(config.get("max_position_embeddings", 2048)),
        parameters=sum(check_safetensors(path) for path in weights),
    )


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(f"{folder} is no model: it has no config.json", WHOLE)
    try:
        config: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except ValueError as fault:
        raise ModelError(f"{path} is not JSON: {fault}", WHOLE) from fault
    architectures = config.get("architectures") or ["none named"]
    if architectures[0] not in DEPLOYABLE:
        raise ModelError(
            f"{folder} is a {architectures[0]}, which blogtwin could train but not deploy",
            f"choose a model of the kind {' or '.join(DEPLOYABLE)}, for example: {', '.join(KNOWN)}",
        )
    if "quantization_config" in config or "quantization" in config:
        raise ModelError(f"{folder} is quantized", "take the unquantized repository of the same model as the base")
    return config


def _vocabulary(path: Path) -> set[str]:
    if not path.is_file():
        raise ModelError(f"{path.parent} has no tokenizer.json", WHOLE)
    try:
        tokenizer = json.loads(path.read_text("utf-8"))
        return {*tokenizer["model"]["vocab"], *(token["content"] for token in tokenizer["added_tokens"])}
    except (ValueError, KeyError, TypeError) as fault:
        raise ModelError(f"{path} is no tokenizer with a vocabulary", WHOLE) from fault


_OTHERWISE = (
    "or give another model or a folder with --base-model, or try the machinery without any download: "
    f"--base-model {STARTER}"
)
