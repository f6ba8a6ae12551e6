"""Where a twin answers, and where its base can answer beside it.

In: settings. Out: a Served. A twin at an OpenAI-compatible endpoint is asked there; its base, which nobody can put there, by the
embedded llama.cpp.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from blogtwin import __version__, atomic
from blogtwin.adapter_folder import find_base, read_card
from blogtwin.chat_template import TEMPLATES
from blogtwin.config import EvaluationSettings, Settings
from blogtwin.errors import InputError, RuntimeUnavailable
from blogtwin.export.gguf import write_gguf
from blogtwin.manifest import hash_file
from blogtwin.progress import Progress
from blogtwin.records import AdapterCard, Artifact, Deployment, Sampling, content_id
from blogtwin.runtimes.base import Runtime
from blogtwin.runtimes.choose import choose, endpoint
from blogtwin.workspace import deployment, home


@dataclass(frozen=True)
class Served:
    """A twin in service. name: what `runtime` calls it. beside: the runtime in which its base can answer."""

    twin: Deployment
    card: AdapterCard
    runtime: Runtime
    name: str
    beside: Runtime

    def sampling(self, evaluation: EvaluationSettings) -> Sampling:
        """How the twin was deployed to choose its words; the same for every side."""
        told = {"seed": evaluation.seed, "max_tokens": evaluation.max_tokens}
        return self.twin.artifact.sampling.model_copy(update=told)

    @property
    def twin_key(self) -> str:
        """What the twin's answers depend on, beside prompt and sampling."""
        return f"{self.twin.artifact.weights()} {self._told(self.runtime)}"

    @property
    def base_key(self) -> str:
        """What its base's answers depend on."""
        return f"{self.card.base_hash} {self.twin.artifact.quantization} {self._told(self.beside)}"

    @property
    def tokenizer(self) -> Path:
        """The tokenizer.json of twin and base."""
        return Path(self.twin.adapter) / "tokenizer.json"

    def _told(self, runtime: Runtime) -> str:
        artifact = self.twin.artifact
        return content_id(runtime.name, artifact.system, artifact.template, str(artifact.context_length), __version__)

    def at_once(self, runtime: Runtime, name: str, evaluation: EvaluationSettings) -> int:
        """How many prompts to ask at the same time."""
        return evaluation.concurrency or runtime.concurrency(name)


def find(settings: Settings, name: str | None = None) -> Served:
    """The twin called `name`, or else `settings.deployment.model_name`.

    Raises InputError (no such twin, or it is not served any more), ModelError (no adapter folder) and RuntimeUnavailable.
    """
    chosen = settings.deployment
    if chosen.runtime == "openai":
        return _at_endpoint(settings, name or chosen.model_name)
    twin = deployment(name or chosen.model_name)
    runtime = choose(twin.runtime, chosen.ollama_base_url, settings.machine.threads)
    if twin.name not in runtime.names():
        raise InputError(
            f"{twin.name} was deployed, but {runtime.name} does not have it any more",
            f"deploy it again: blogtwin deploy --model-path {twin.adapter} --model-name {twin.name}",
        )
    return Served(twin, read_card(Path(twin.adapter)), runtime, twin.name, runtime)


def _at_endpoint(settings: Settings, name: str) -> Served:
    """The twin must have been deployed here too: an endpoint does not say what a model was made from."""
    twin = deployment(name)
    artifact = twin.artifact
    runtime = endpoint(settings.deployment.openai_base_url, artifact.system, TEMPLATES[artifact.template].stop)
    there = runtime.names()
    called = [one for one in (twin.name, twin.name.partition(":")[0]) if one in there] or there
    if not called or (len(called) > 1 and called is there):
        raise InputError(
            f"{runtime.base_url} has no model named {twin.name} (it has: {', '.join(there) or 'none'})",
            f"serve {artifact.gguf} there under that name",
        )
    beside = choose("llama-cpp", settings.deployment.ollama_base_url, settings.machine.threads)
    return Served(twin, read_card(Path(twin.adapter)), runtime, called[0], beside)


@contextlib.contextmanager
def base_in_service(served: Served, settings: Settings, progress: Progress) -> Iterator[str]:
    """The base model under a name of its own, exported as the twin was; what a killed run left is removed first.

    Raises ModelError when the base cannot be had, RuntimeUnavailable and OutputError.
    """
    family = served.twin.name.partition(":")[0]
    runtime, folder = served.beside, home() / f".base-of-{family}"
    for stale in runtime.names():
        if re.fullmatch(rf"{re.escape(family)}:base-[0-9a-f]{{8}}", stale):
            runtime.remove(stale)
    name = None
    try:
        artifact = _base_artifact(served, settings, folder, progress)
        name = f"{family}:base-{artifact.gguf_sha256[:8]}"
        runtime.install(artifact, name, progress)
        yield name
    finally:
        if name:
            with contextlib.suppress(RuntimeUnavailable):  # what went wrong before is what the user has to hear
                runtime.remove(name)
        shutil.rmtree(folder, ignore_errors=True)


def _base_artifact(served: Served, settings: Settings, folder: Path, progress: Progress) -> Artifact:
    """The twin's, with the base's weights: those that stand beside its adapter, else exported into `folder`."""
    artifact = served.twin.artifact
    alone: dict[str, str | None] = {"lora": None, "lora_sha256": None}
    if artifact.lora is None:
        adapter = Path(served.twin.adapter)
        base = find_base(adapter, served.card, settings.machine.offline, progress)
        source = _with_our_template(base, adapter, served.card, folder)
        gguf = write_gguf(source, folder / "base.gguf", artifact.quantization, "base", progress)
        alone |= {"gguf": str(gguf.absolute()), "gguf_sha256": hash_file(gguf)}
    return artifact.model_copy(update=alone)


def _with_our_template(base: Path, adapter: Path, card: AdapterCard, into: Path) -> Path:
    """The base's weights with the tokenizer and the chat template that the twin was trained with."""
    wanted = {path.name: path for ending in ("json", "safetensors") for path in base.glob(f"*.{ending}")}
    wanted |= {path.name: path for path in adapter.glob("tokenizer*.json")}
    shutil.rmtree(into, ignore_errors=True)
    with atomic.writing_to(into):
        into.mkdir(parents=True)
        for name, path in wanted.items():
            try:
                (into / name).symlink_to(path.resolve())
            except OSError:  # Windows asks for a privilege
                shutil.copyfile(path, into / name)
        (into / "chat_template.jinja").write_text(TEMPLATES[card.template].jinja, encoding="utf-8", newline="\n")
    return into
