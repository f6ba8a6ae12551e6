"""An adapter folder → the files that a runtime serves it from, and the record that says how.

Reads the adapter folder and the base model it names; writes model.gguf and Modelfile into `folder`. Nothing here knows a
runtime: what comes out can be served by any of them, or carried to another machine.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from blogtwin import atomic
from blogtwin.config import DeploymentSettings, Settings
from blogtwin.export.checkpoint import read_json
from blogtwin.export.gguf import write_gguf
from blogtwin.export.merge import merge
from blogtwin.export.modelfile import modelfile
from blogtwin.manifest import hash_file
from blogtwin.progress import Progress
from blogtwin.records import AdapterCard, Artifact, Sampling

GGUF, MODELFILE = "model.gguf", "Modelfile"
_CONTEXT = 4096  # tokens: room for a long post and its answer, where the base can look back as far
# Bytes. Smaller models answer fastest on one thread: two that wait for each other on a busy machine were 200 times slower.
_SMALL = 100_000_000


def files(deployment: DeploymentSettings) -> tuple[str, ...]:
    """The names of what `export` leaves in its folder."""
    return GGUF, MODELFILE


def moved(artifact: Artifact, source: Path, target: Path) -> Artifact:
    """The same artifact when its folder has been moved; what lies elsewhere stays where it is."""
    paths = {key: Path(path) for key, path in (("gguf", artifact.gguf), ("lora", artifact.lora)) if path}
    found = {key: path for key, path in paths.items() if path.parent == source.absolute()}
    return artifact.model_copy(update={key: str(target.absolute() / path.name) for key, path in found.items()})


def export(adapter: Path, card: AdapterCard, settings: Settings, folder: Path, progress: Progress) -> Artifact:
    """Merge the adapter into its base, and write the model and its Modelfile into `folder`.

    Raises InputError and ModelError (an adapter or base that cannot be exported) and OutputError.
    """
    deployment = settings.deployment
    merged = merge(adapter, folder / "merged", progress, settings.machine.offline)
    positions = int(read_json(merged / "config.json", "the model's shape")["max_position_embeddings"])
    context = min(positions, max(_CONTEXT, card.max_length))
    gguf = write_gguf(merged, folder / GGUF, deployment.quantize, adapter.name, progress)
    shutil.rmtree(merged)  # its numbers are in the GGUF now; a gigabyte less on the disk
    artifact = Artifact(
        gguf=str(gguf.absolute()),
        gguf_sha256=hash_file(gguf),
        quantization=deployment.quantize,
        template=card.template,
        system=card.system,
        sampling=Sampling(
            temperature=deployment.temperature,
            top_p=deployment.top_p,
            top_k=deployment.top_k,
            min_p=deployment.min_p,
            repeat_penalty=deployment.repeat_penalty,
            max_tokens=context // 2,
        ),
        context_length=context,
        threads=1 if gguf.stat().st_size < _SMALL else None,
    )
    atomic.write_text(folder / MODELFILE, modelfile(artifact, GGUF))
    return artifact
