"""An adapter folder → the files that a runtime serves it from, and the record that says how.

Reads the adapter folder and the base model it names; writes into `folder` model.gguf (mode merged) or adapter.gguf (mode
adapter, where the base's own GGUF lies in the user's home, shared_base.py), and Modelfile. Nothing here knows a runtime: what
comes out can be served by any of them, or carried to another machine.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from blogtwin import atomic, hub
from blogtwin.adapter_folder import find_base
from blogtwin.chat_template import TEMPLATES
from blogtwin.config import DeploymentSettings, Settings
from blogtwin.export.adapter import read_changes
from blogtwin.export.check_gguf import Origin, check_gguf, check_lora
from blogtwin.export.gguf import write_model
from blogtwin.export.lora_gguf import write_lora
from blogtwin.export.merge import base_alone, merged
from blogtwin.export.model import Provenance
from blogtwin.export.modelfile import modelfile
from blogtwin.manifest import hash_file
from blogtwin.progress import Progress
from blogtwin.records import AdapterCard, Artifact, Sampling
from blogtwin.stages.shared_base import shared_base
from blogtwin.training.table import known_base

GGUF, LORA, MODELFILE = "model.gguf", "adapter.gguf", "Modelfile"
_CONTEXT = 4096  # tokens: room for a long post and its answer, where the base can look back as far
# Bytes. Smaller models answer fastest on one thread: two that wait for each other on a busy machine were 200 times slower.
_SMALL = 100_000_000


def files(deployment: DeploymentSettings) -> tuple[str, ...]:
    """The names of what `export` leaves in its folder."""
    return (GGUF if deployment.mode == "merged" else LORA), MODELFILE


def moved(artifact: Artifact, source: Path, target: Path) -> Artifact:
    """The same artifact when its folder has been moved; what lies elsewhere stays where it is."""
    paths = {key: Path(path) for key, path in (("gguf", artifact.gguf), ("lora", artifact.lora)) if path}
    found = {key: path for key, path in paths.items() if path.parent == source.absolute()}
    return artifact.model_copy(update={key: str(target.absolute() / path.name) for key, path in found.items()})


def export(adapter: Path, card: AdapterCard, settings: Settings, folder: Path, progress: Progress) -> Artifact:
    """Write the adapter's twin and its Modelfile into `folder`, in the mode that the settings ask for.

    Raises InputError and ModelError (an adapter or base that cannot be exported, or do not belong together) and OutputError.
    """
    deployment = settings.deployment
    write = _merged if deployment.mode == "merged" else _beside_its_base
    weights, positions = write(adapter, card, settings, folder, progress)
    context = min(positions, max(_CONTEXT, card.max_length))
    artifact = Artifact(
        **weights,
        quantization=deployment.quantize,
        template=card.template,
        system=card.system,
        sampling=Sampling.chosen(deployment, max_tokens=context // 2),
        context_length=context,
        threads=1 if Path(weights["gguf"]).stat().st_size < _SMALL else None,
    )
    gguf, lora = (GGUF, None) if artifact.lora is None else (artifact.gguf, LORA)
    atomic.write_text(folder / MODELFILE, modelfile(artifact, gguf, lora))
    return artifact


def check(artifact: Artifact, adapter: Path, card: AdapterCard, settings: Settings, progress: Progress) -> None:
    """Raise ProofFailed when the files of `artifact` do not hold what was trained, before anybody is served from them."""
    base = find_base(adapter, card, settings.machine.offline, progress)
    origin = Origin(base, adapter, TEMPLATES[card.template], merged=artifact.lora is None)
    with progress.task("Checking what was written"):
        check_gguf(Path(artifact.gguf), origin)
        if artifact.lora is not None:
            check_lora(Path(artifact.lora), origin)


Weights = dict[str, str]  # by the names that Artifact has for paths and hashes


def _merged(
    adapter: Path, card: AdapterCard, settings: Settings, folder: Path, progress: Progress
) -> tuple[Weights, int]:
    """One file that holds base and adapter in one, and how many tokens the model can look back."""
    model = merged(adapter, progress, settings.machine.offline)
    about = replace(_provenance(card, adapter.name, card.data_hash), author=settings.data.author)
    gguf = write_model(model, folder / GGUF, settings.deployment.quantize, about, progress)
    return {"gguf": str(gguf.absolute()), "gguf_sha256": hash_file(gguf)}, model.config["max_position_embeddings"]


def _beside_its_base(
    adapter: Path, card: AdapterCard, settings: Settings, folder: Path, progress: Progress
) -> tuple[Weights, int]:
    """The adapter in a file of its own, and its base in another that all adapters share."""
    changes = read_changes(adapter, settings.machine.offline, progress)
    base = base_alone(adapter, changes)
    about = _provenance(card, base_name(card), None)
    gguf, digest = shared_base(base, card.base_hash, settings.deployment.quantize, about, progress)
    lora = write_lora(changes, folder / LORA, adapter.name)
    weights = {"gguf": str(gguf.absolute()), "gguf_sha256": digest}
    weights |= {"lora": str(lora.absolute()), "lora_sha256": hash_file(lora)}
    return weights, base.config["max_position_embeddings"]


def _provenance(card: AdapterCard, name: str, data_hash: str | None) -> Provenance:
    known = known_base(card.base_model, card.base_path)
    return Provenance(
        name=name,
        base_model=base_name(card),
        base_repository=card.base_path if card.base_revision and hub.is_repository(card.base_path) else None,
        licence=known.licence if known else None,
        data_hash=data_hash,
    )


def base_name(card: AdapterCard) -> str:
    """Without the folder it came from: a file that is given away says nothing about this machine."""
    return Path(card.base_model).name if card.base_revision is None else card.base_model
