"""Who answers. In: a twin, and what of it is asked for. Out: a Speaker: a model in a runtime, with its sampling.

The register of versions is asked for each request, so that a promotion or a rollback counts at once.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from blogtwin.adapter_folder import read_card
from blogtwin.chat_template import TEMPLATES
from blogtwin.config import Settings
from blogtwin.errors import BlogtwinError, InputError
from blogtwin.feedback.routing import route
from blogtwin.feedback.versions import Versions
from blogtwin.records import Deployment, Message, Sampling
from blogtwin.runtimes.answer import Answer
from blogtwin.runtimes.base import Runtime
from blogtwin.runtimes.choose import choose, endpoint
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.runtimes.ollama import Ollama
from blogtwin.server.bases import Bases
from blogtwin.server.twins import Twins
from blogtwin.workspace import find_deployment

BASE, FINETUNED = "base", "finetuned"
_OF_FREE = 0.75  # of the memory that is free, what a model may take that nobody has asked for yet
_CONTEXT = 4096  # tokens: what a model at an endpoint is taken to see at once, when nothing is known of it


@dataclass(frozen=True)
class Speaker:
    """version: a dated name, or `base`. name: what the runtime calls it. fixed: why its voice cannot be weakened; "": it can.

    context: tokens it sees at once. adapter: the folder with its tokenizer; None: not known. rewriting: the instruction that it
    was trained to rewrite with; None: it was not.
    """

    version: str
    runtime: Runtime
    name: str
    sampling: Sampling
    context: int
    fixed: str
    system: str
    template: str | None = None
    adapter: Path | None = None
    rewriting: str | None = None

    def chat(self, messages: Sequence[Message], sampling: Sampling, voice: float) -> Answer:
        """The answer. voice below 1 is for those alone whose `fixed` is empty."""
        if voice < 1 and isinstance(self.runtime, LlamaCpp):
            return self.runtime.chat(self.name, messages, sampling, voice)
        return self.runtime.chat(self.name, messages, sampling)


class Speakers:
    """Finds them; every method may block, and is called in a thread."""

    def __init__(self, settings: Settings, twins: Twins, versions: Versions) -> None:
        self._settings, self._twins, self._versions = settings, twins, versions
        self._bases = Bases(settings)
        self._runtimes: dict[str, Runtime] = {}
        self._lock = threading.Lock()

    def find(self, twin: str, model: str, session: str | None) -> Speaker:
        """The one that `model` names: base, finetuned, the twin's own name or a version's.

        session: the same text always gets the same version of those that have a share; None: by chance.
        Raises InputError (no such version, retired, nothing deployed), ModelError (no base) and RuntimeUnavailable.
        """
        if model == BASE:
            return self.base(twin)
        if self._settings.deployment.runtime == "openai":
            return self._at_endpoint(model)
        if model in (FINETUNED, twin):
            serving = self._versions.serving(twin)
            if not serving:
                return self._own(twin)
            model = route(serving, session or secrets.token_hex(8)).name
        elif model == f"{twin}:latest":
            champion = self._versions.champion(twin)
            if champion is None:
                return self._own(twin)
            model = champion.name
        else:
            self._check(twin, model)
        found = find_deployment(model)
        if found is None:
            raise InputError(f"{model} is on record, but is not served here", self._instead(twin, model))
        return self._speaker(found, model)

    def base(self, twin: str) -> Speaker:
        """The base of the twin in service, which is put into service the first time it is asked for."""
        champion = self._versions.champion(twin)
        deployed = (find_deployment(champion.name) if champion else None) or self._twins.deployed(twin)
        if deployed is None:
            raise InputError(f"no twin named {twin} has been deployed", "make one with: blogtwin pipeline")
        runtime, name = self._bases.take(deployed)
        speaker = self._speaker(deployed, BASE)
        return replace(speaker, version=BASE, runtime=runtime, name=name, fixed="the base has no voice to weaken")

    def known(self, name: str) -> Speaker | None:
        """The speaker of a deployed name; None: there is none, or its runtime is not here."""
        try:
            if self._settings.deployment.runtime == "openai":
                return self._at_endpoint(name)
            found = find_deployment(name)
            return self._speaker(found, name) if found else None
        except BlogtwinError:
            return None

    def trouble(self) -> str | None:
        """Why the twin of the settings cannot be asked; None: it can. Raises RuntimeUnavailable."""
        if self._settings.deployment.runtime == "openai":
            return self._at_endpoint(FINETUNED).runtime.unavailable()
        found = self._twins.deployed(self._twins.default)
        if found is None:
            return f"no twin named {self._twins.default} has been deployed"
        return self._runtime(found.runtime).unavailable()

    def load(self) -> None:
        """Load the champion's model of the settings' twin, so that the first question need not wait for it.

        Not where little memory is free, nor at an endpoint, which may cost money. Raises RuntimeUnavailable.
        """
        if self._settings.deployment.runtime == "openai":
            return
        try:
            champion = self.find(self._twins.default, f"{self._twins.default}:latest", None)
        except InputError:  # nothing is deployed yet
            return
        if isinstance(champion.runtime, LlamaCpp):
            champion.runtime.load(champion.name, int(psutil.virtual_memory().available * _OF_FREE))
        elif isinstance(champion.runtime, Ollama):
            champion.runtime.load(champion.name)

    def reload(self, idle: float = 0.0) -> None:
        """Forget the bases; give back the memory of models that nobody has asked for `idle` seconds."""
        self._bases.close()
        self.release(idle)

    def release(self, idle: float) -> None:
        """Give back the memory of models of the embedded llama.cpp that nobody has asked for `idle` seconds."""
        for runtime in list(self._runtimes.values()):
            if isinstance(runtime, LlamaCpp):
                runtime.release(idle)

    def close(self) -> None:
        """Take the bases out of service."""
        self._bases.close()

    def _own(self, twin: str) -> Speaker:
        """What the twin's own name stands for, where its versions were never recorded."""
        found = self._twins.deployed(twin)
        if found is None:
            raise InputError(
                f"no twin named {twin} has been deployed", "make one with: blogtwin pipeline --blog-dir ./blogs"
            )
        return self._speaker(found, found.version or found.name)

    def _check(self, twin: str, model: str) -> None:
        """Raises InputError for a version that is not this twin's, was never recorded, or is retired."""
        if self._versions.find(model) is None:
            own = self._twins.deployed(twin)
            if own is not None and not self._versions.serving(twin) and model in (own.name, own.version):
                return
            raise InputError(f"{twin} has no version named {model[:140]!r}", self._instead(twin, model))
        self._versions.wanted(twin, model)

    def _instead(self, twin: str, model: str) -> str:
        champion = self._versions.champion(twin)
        own = self._twins.deployed(twin)
        name = champion.name if champion else (own.version or own.name) if own else None
        return f"the champion is {name}" if name and name != model else "see those there are: GET /api/models"

    def _speaker(self, deployed: Deployment, version: str) -> Speaker:
        artifact = deployed.artifact
        runtime = self._runtime(deployed.runtime)
        fixed = ""
        if not isinstance(runtime, LlamaCpp):
            fixed = f"{runtime.name} cannot weaken an adapter; the embedded llama.cpp can"
        elif artifact.lora is None:
            fixed = "it was deployed merged; deploy it with: --mode adapter"
        return Speaker(
            version=version,
            runtime=runtime,
            name=deployed.name,
            sampling=artifact.sampling,
            context=artifact.context_length,
            fixed=fixed,
            system=artifact.system,
            template=artifact.template,
            adapter=Path(deployed.adapter),
            rewriting=_rewriting(deployed.adapter, deployed.adapter_sha256),
        )

    def _runtime(self, name: str) -> Runtime:
        with self._lock:
            if name not in self._runtimes:
                chosen = self._settings.deployment
                self._runtimes[name] = choose(name, chosen.ollama_base_url, self._settings.machine.threads)
            return self._runtimes[name]

    def _at_endpoint(self, model: str) -> Speaker:
        chosen = self._settings.deployment
        twin = self._twins.deployed(self._twins.default)
        system = twin.artifact.system if twin else self._settings.training.system_prompt
        stop = TEMPLATES[twin.artifact.template].stop if twin else ()
        with self._lock:
            if "openai" not in self._runtimes:
                self._runtimes["openai"] = endpoint(chosen.openai_base_url, system, stop)
        name = chosen.model_name if model in (FINETUNED, self._twins.default) else model
        return Speaker(
            version=name,
            runtime=self._runtimes["openai"],
            name=name,
            sampling=twin.artifact.sampling if twin else Sampling.chosen(chosen),
            context=twin.artifact.context_length if twin else _CONTEXT,
            fixed="an endpoint cannot be told to weaken an adapter",
            system=system,
            template=twin.artifact.template if twin else None,
            adapter=Path(twin.adapter) if twin else None,
            rewriting=_rewriting(twin.adapter, twin.adapter_sha256) if twin else None,
        )


@lru_cache(maxsize=64)
def _rewriting(adapter: str, weights: str | None) -> str | None:
    """weights: of the adapter, so that one that was trained again is read again."""
    try:
        return read_card(Path(adapter)).rewriting
    except BlogtwinError:  # its folder is gone: it can still write
        return None
