"""The base models that blogtwin knows by name, and the way from a name, a repository or a folder to a checked base.

In: what the user wrote after --base-model. Out: a Base, of which every file that training and deployment need is there.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blogtwin.architectures import DEPLOYABLE
from blogtwin.chat_template import ChatTemplate, template_for
from blogtwin.errors import ModelError
from blogtwin.manifest import hash_file
from blogtwin.training.safetensors_file import check_safetensors

STARTER = "starter"


@dataclass(frozen=True)
class KnownBase:
    """One row of the table. cpu, cuda, mlx: Hugging Face repositories of the same weights, unquantized, for each backend."""

    name: str
    parameters: float  # millions
    licence: str
    cpu: str
    cuda: str
    mlx: str
    ollama: str


TABLE = (
    KnownBase(
        "llama3.2:1b",
        1236,
        "Llama 3.2 Community License",
        "unsloth/Llama-3.2-1B-Instruct",
        "unsloth/Llama-3.2-1B-Instruct",
        "mlx-community/Llama-3.2-1B-Instruct-bf16",
        "llama3.2:1b",
    ),
    KnownBase(
        "llama3.2:3b",
        3213,
        "Llama 3.2 Community License",
        "unsloth/Llama-3.2-3B-Instruct",
        "unsloth/Llama-3.2-3B-Instruct",
        "mlx-community/Llama-3.2-3B-Instruct-bf16",
        "llama3.2:3b",
    ),
    KnownBase(
        "smollm2:135m",
        135,
        "Apache-2.0",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "unsloth/SmolLM2-135M-Instruct",
        "mlx-community/SmolLM2-135M-Instruct",
        "smollm2:135m",
    ),
    KnownBase(
        "smollm2:360m",
        362,
        "Apache-2.0",
        "HuggingFaceTB/SmolLM2-360M-Instruct",
        "unsloth/SmolLM2-360M-Instruct",
        "mlx-community/SmolLM2-360M-Instruct",
        "smollm2:360m",
    ),
    KnownBase(
        "qwen3:0.6b",
        596,
        "Apache-2.0",
        "Qwen/Qwen3-0.6B",
        "unsloth/Qwen3-0.6B",
        "mlx-community/Qwen3-0.6B-bf16",
        "qwen3:0.6b",
    ),
)
KNOWN = {known.name: known for known in TABLE}

# What the toy needs, where the user has left the default: the defaults are made for models a thousand times its size,
# which fewer and smaller steps move enough (measured in docs/experiments.md).
_FOR_STARTER: dict[str, Any] = {"learning_rate": 6e-3, "batch_size": 2}


@dataclass(frozen=True)
class Base:
    """name: as the user wrote it. folder: config, tokenizer and safetensors. source: where it came from (a path or repository).

    fingerprint: a hash of everything in it that training reads. template: the conversations it was made for.
    context_length: tokens. parameters: a count, from the size of the weights.
    """

    name: str
    folder: Path
    source: str
    fingerprint: str
    template: ChatTemplate
    context_length: int
    parameters: int


def recommended(base_model: str) -> dict[str, Any]:
    """Training settings that suit this base better than the defaults; used only where the default stands."""
    return dict(_FOR_STARTER) if base_model == STARTER else {}


def resolve(base_model: str, offline: bool = False) -> Base:
    """A name of the table, org/repository or a folder → a checked Base; downloads what is not in the local cache.

    Raises ModelError for an unknown name, no network, a gated repository, or a folder that is no usable model.
    """
    local = Path(base_model).expanduser()
    if local.is_dir():
        return check(base_model, local, str(local.resolve()))
    if base_model in KNOWN:
        repository = KNOWN[base_model].cpu
    elif re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", base_model):
        repository = base_model
    else:
        raise _unknown(base_model)
    return check(base_model, _download(base_model, repository, offline), repository)


def _unknown(base_model: str) -> ModelError:
    if base_model.startswith((".", "/", "~")):
        return ModelError(f"{base_model} is not there, or is no folder", "check the path given as --base-model")
    names = [*KNOWN, STARTER]
    near = difflib.get_close_matches(base_model, names, n=2, cutoff=0.4)
    return ModelError(
        f"no base model is named {base_model!r}",
        f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}, a folder, or org/repository",
    )


def _download(name: str, repository: str, offline: bool) -> Path:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import httpx
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    offline = offline or constants.HF_HUB_OFFLINE
    try:
        # Never pickle: those files can run code when they are loaded.
        wanted = ["*.safetensors", "*.json", "tokenizer*", "*.jinja"]
        return Path(snapshot_download(repository, allow_patterns=wanted, local_files_only=offline))
    except GatedRepoError as refusal:
        raise ModelError(
            f"{repository} asks you to accept its licence first",
            f"accept it at https://huggingface.co/{repository}, then: hf auth login; or take another --base-model",
        ) from refusal
    except RepositoryNotFoundError as refusal:
        raise ModelError(
            f"there is no public repository {repository}, or it needs you to log in",
            f"check the name; for a private one: hf auth login; by name there are {', '.join(KNOWN)}",
        ) from refusal
    except (LocalEntryNotFoundError, HfHubHTTPError, httpx.HTTPError, OSError) as refusal:
        if offline:
            why, mend = "is not in the local cache, and downloads are switched off (offline)", "go online once"
        else:
            why, mend = "cannot be downloaded: the model hub does not answer", "check the network"
        raise ModelError(
            f"the base model {name} {why}",
            f"{mend} and run the same command again, give a folder with --base-model, or try the machinery without "
            f"any download: --base-model {STARTER}",
        ) from refusal


def check(name: str, folder: Path, source: str) -> Base:
    """The Base in `folder`. Raises ModelError that says what is missing, cut off or of the wrong kind."""
    config = _config(folder)
    weights = _weights(folder)
    tokenizer = folder / "tokenizer.json"
    vocabulary = _vocabulary(tokenizer)
    digest = hashlib.sha256()
    for path in (folder / "config.json", tokenizer, *weights):
        digest.update(f"{path.name} {hash_file(path)}\n".encode())
    return Base(
        name=name,
        folder=folder,
        source=source,
        fingerprint=digest.hexdigest()[:16],
        template=template_for(vocabulary),
        context_length=int(config.get("max_position_embeddings", 2048)),
        parameters=sum(check_safetensors(path) for path in weights),
    )


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(f"{folder} is no model: it has no config.json", _WHOLE)
    try:
        config: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except ValueError as fault:
        raise ModelError(f"{path} is not JSON: {fault}", _WHOLE) from fault
    architectures = config.get("architectures") or ["none named"]
    if architectures[0] not in DEPLOYABLE:
        raise ModelError(
            f"{folder} is a {architectures[0]}, which blogtwin could train but not deploy",
            f"choose a model of the kind {' or '.join(DEPLOYABLE)}, for example: {', '.join(KNOWN)}",
        )
    if "quantization_config" in config or "quantization" in config:
        raise ModelError(f"{folder} is quantized", "take the unquantized repository of the same model as the base")
    return config


def _weights(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError) as fault:
            raise ModelError(f"{index} lists no shards", _WHOLE) from fault
    else:
        names = ["model.safetensors"]
    for name in names:
        if not (folder / name).is_file():
            pickled = (
                " (pickled weights are not loaded, because they can run code)" if any(folder.glob("*.bin")) else ""
            )
            raise ModelError(f"{folder} has no {name}{pickled}", _WHOLE)
    return [folder / name for name in names]


def _vocabulary(path: Path) -> set[str]:
    if not path.is_file():
        raise ModelError(f"{path.parent} has no tokenizer.json", _WHOLE)
    try:
        tokenizer = json.loads(path.read_text("utf-8"))
        return {*tokenizer["model"]["vocab"], *(token["content"] for token in tokenizer["added_tokens"])}
    except (ValueError, KeyError, TypeError) as fault:
        raise ModelError(f"{path} is no tokenizer with a vocabulary", _WHOLE) from fault


_WHOLE = "a base folder holds config.json, tokenizer.json and safetensors weights, as the model hub gives them"
