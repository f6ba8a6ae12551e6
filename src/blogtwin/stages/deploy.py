"""Adapter → a twin in service: merge, GGUF, Modelfile, install, prove, and only then take the name.

Reads the adapter folder (and the base model it names); writes deploy/model.gguf, deploy/Modelfile and the manifest in it,
a model in the runtime, and the record of the deployment. Everything is built and proved beside what is in service: until
the proof has passed, the earlier version of that name answers as before.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from blogtwin import atomic
from blogtwin.adapter_folder import read_card
from blogtwin.chat_template import TEMPLATES, ChatTemplate
from blogtwin.config import DeploymentSettings, Settings
from blogtwin.errors import ModelError, ProofFailed, RuntimeUnavailable
from blogtwin.manifest import Plan
from blogtwin.progress import Progress
from blogtwin.records import AdapterCard, Artifact, Deployment, Message, Sampling
from blogtwin.runtimes.base import Runtime
from blogtwin.runtimes.choose import choose
from blogtwin.stages.exporting import export, files, moved
from blogtwin.stages.proof import prove
from blogtwin.stages.result import StageResult
from blogtwin.workspace import Workspace, find_deployment, manifest_beside, save_deployment

_INPUTS = (
    "adapter_model.safetensors",
    "adapter_config.json",
    "twin.json",
    "chat_template.jinja",
    "tokenizer.json",
    "tokenizer_config.json",
)
_ANSWER_TOKENS = 48


def plan(settings: Settings, workspace: Workspace) -> Plan:
    """What a deploy would read and write. It is stale also when another runtime would serve now, or the name is gone."""
    deployment = settings.deployment
    runtime = choose(deployment.runtime, deployment.ollama_base_url, settings.machine.threads)
    return _plan(deployment, workspace, runtime, _in_service(deployment, workspace, runtime))


def run(settings: Settings, workspace: Workspace, progress: Progress) -> StageResult:
    """Put the adapter of `workspace.model` into service as `settings.deployment.model_name`.

    Raises InputError and ModelError (an adapter that cannot be exported), RuntimeUnavailable, OutputError, and ProofFailed
    when the runtime would show the model another prompt than training did; each leaves the earlier version as it was.
    """
    deployment, adapter = settings.deployment, workspace.model
    card = read_card(adapter)
    template = _template(adapter, card)
    runtime = choose(deployment.runtime, deployment.ollama_base_url, settings.machine.threads)
    todo = _plan(deployment, workspace, runtime, in_service=True)
    with atomic.open_folder(adapter / "deploy") as folder:
        artifact = export(adapter, card, settings, folder, progress)
        with _staged(runtime, artifact, deployment.model_name, progress) as staging:
            proved = prove(runtime, staging, template, card.system, adapter / "tokenizer.json", progress)
            _check_answer(runtime, staging, artifact.sampling, template)
            runtime.copy(staging, deployment.model_name)
    artifact = moved(artifact, folder, adapter / "deploy")
    save_deployment(
        Deployment(name=deployment.model_name, runtime=runtime.name, adapter=str(adapter.absolute()), artifact=artifact)
    )
    counts = {
        "megabytes": round(Path(artifact.gguf).stat().st_size / 1e6, 1),
        "prompts_proved": proved,
        "context_tokens": artifact.context_length,
    }
    todo.finish(counts)
    return StageResult("deploy", counts, todo.outputs, _notes(runtime, deployment))


def _plan(deployment: DeploymentSettings, workspace: Workspace, runtime: Runtime, in_service: bool) -> Plan:
    folder = workspace.model / "deploy"
    return Plan(
        stage="deploy",
        settings={
            **asdict(deployment),
            "runtime": runtime.name,
            "ollama_base_url": deployment.ollama_base_url if runtime.name == "ollama" else None,
            "in_service": in_service,
        },
        inputs=tuple(workspace.model / name for name in _INPUTS),
        outputs=tuple(folder / name for name in files(deployment)),
        manifest=manifest_beside(folder),
    )


def _in_service(deployment: DeploymentSettings, workspace: Workspace, runtime: Runtime) -> bool:
    """Whether the name stands, in this runtime, for this adapter: another project or `ollama rm` may have taken it."""
    record = find_deployment(deployment.model_name)
    return (
        record is not None
        and (record.runtime, record.adapter) == (runtime.name, str(workspace.model.absolute()))
        and deployment.model_name in runtime.names()
    )


def _template(adapter: Path, card: AdapterCard) -> ChatTemplate:
    kept = adapter / "chat_template.jinja"
    template = TEMPLATES.get(card.template)
    if template is None or not kept.is_file() or kept.read_text(encoding="utf-8") != template.jinja:
        raise ModelError(
            f"{kept} is not the chat template {card.template!r} that this version of blogtwin can serve",
            "train again with: blogtwin finetune",
        )
    return template


@contextlib.contextmanager
def _staged(runtime: Runtime, artifact: Artifact, name: str, progress: Progress) -> Iterator[str]:
    """The artifact under a name of its own while it is being proved; names that a killed run left are removed."""
    family = name.partition(":")[0]
    for stale in runtime.names():
        if re.fullmatch(rf"{re.escape(family)}:candidate-[0-9a-f]{{8}}", stale):
            runtime.remove(stale)
    staging = f"{family}:candidate-{artifact.weights()[:8]}"
    try:
        runtime.install(artifact, staging, progress)
        yield staging
    finally:
        with contextlib.suppress(RuntimeUnavailable):  # what went wrong before is what the user has to hear
            runtime.remove(staging)


def _check_answer(runtime: Runtime, name: str, sampling: Sampling, template: ChatTemplate) -> None:
    """The last check: the twin says something, and no marker of the conversation stands in it."""
    question = [Message(role="user", content="Write the first paragraph of a post about an ordinary day.")]
    for seed in range(3):  # a small model may end at once by chance, but not three times
        options = sampling.model_copy(update={"seed": seed, "max_tokens": _ANSWER_TOKENS})
        answer = "".join(runtime.chat(name, question, options))
        marker = next((stop for stop in template.stop if stop in answer), None)
        if marker:
            raise ProofFailed(f"the twin's answer has the marker {marker} in it: {answer[:80]!r}", _REPORT)
        if answer.strip():
            return
    raise ProofFailed("the deployed twin answers nothing at all", "look at the loss curve, and train again")


def _notes(runtime: Runtime, deployment: DeploymentSettings) -> tuple[str, ...]:
    name = deployment.model_name
    if runtime.name == "ollama":
        return (f"{name} is served by Ollama at {deployment.ollama_base_url}; talk to it with: ollama run {name}",)
    return (f'{name} is served by the embedded llama.cpp; talk to it with: blogtwin write "a topic" --model {name}',)


_REPORT = "nothing was replaced; run the command with --debug and report what it says: this is a fault in blogtwin"
