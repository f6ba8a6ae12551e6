"""Adapter → a twin in service: export, install as a candidate, prove, keep as a version, and only then take the name.

Reads the adapter folder (and the base model it names); writes deploy/ in it, a dated version and the name in the runtime, the
records of both, a manifest for the name, and the version's row in the register. Everything is built and proved beside what is
in service: until the proofs have passed, the earlier version of that name answers as before. A challenger takes no name but its
own dated one, and serves nobody until it has a share of the requests.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from blogtwin import __version__, atomic
from blogtwin.adapter_folder import WEIGHTS, read_card
from blogtwin.config import DeploymentSettings, Settings
from blogtwin.errors import RuntimeUnavailable, StoreError
from blogtwin.manifest import Plan, hash_file
from blogtwin.progress import Progress
from blogtwin.records import AdapterCard, Artifact, Deployment
from blogtwin.runtimes.base import Runtime
from blogtwin.runtimes.choose import all_runtimes, choose
from blogtwin.runtimes.ollama import Ollama
from blogtwin.stages import lineage, versions
from blogtwin.stages.exporting import check, export, files, moved
from blogtwin.stages.proof import template_of
from blogtwin.stages.result import StageResult
from blogtwin.stages.verify import examine
from blogtwin.workspace import Workspace, deployment_manifest, find_deployment, manifest_beside, save_deployment

_INPUTS = (
    WEIGHTS,
    "adapter_config.json",
    "twin.json",
    "chat_template.jinja",
    "tokenizer.json",
    "tokenizer_config.json",
)
_ARTIFACT = "artifact.json"
# Settings that do not change what is exported.
_NOT_IN_THE_FILES = ("model_name", "runtime", "ollama_base_url", "openai_base_url", "keep")


def plan(settings: Settings, workspace: Workspace) -> Plan:
    """What a deploy would read and write. It is stale also when another runtime would serve now, or the name is gone."""
    runtime = _runtime(settings)
    return _plan(settings.deployment, workspace, runtime, _in_service(settings.deployment, workspace, runtime))


def run(settings: Settings, workspace: Workspace, progress: Progress, challenger: bool = False) -> StageResult:
    """Put the adapter of `workspace.model` into service as `settings.deployment.model_name`; a challenger beside it.

    Raises UsageError (a name that is somebody else's), InputError and ModelError (an adapter that cannot be exported),
    RuntimeUnavailable, OutputError, and ProofFailed when what would be in service is not what was trained; each leaves the
    earlier version as it was.
    """
    name, adapter = settings.deployment.model_name, workspace.model
    card = read_card(adapter)
    template_of(adapter, card)  # what cannot be served is said before minutes of work
    runtime = _runtime(settings)
    versions.check_free(runtime, name)
    todo = _plan(settings.deployment, workspace, runtime, in_service=True)
    with _exported(adapter, card, settings, progress) as (artifact, lasting):
        twin = Deployment(
            name=name,
            runtime=runtime.name,
            adapter=str(adapter.absolute()),
            artifact=lasting,
            adapter_sha256=hash_file(adapter / WEIGHTS),
        )
        version = versions.dated(twin, datetime.now(UTC))
        before = [find_deployment(version.name), find_deployment(name)]
        check(artifact, adapter, card, settings, progress)
        with versions.candidate(runtime, name, artifact) as candidate:
            runtime.install(artifact, candidate, progress)
            proofs = examine(runtime, candidate, artifact, adapter, card, settings, workspace, progress)
            proved = {"version": version.name, "parity": proofs.parity}
            with versions.kept(runtime, candidate, version.model_copy(update=proved)):
                if not challenger:
                    runtime.copy(version.name, name)
    counts = {"megabytes": _megabytes(lasting), "context_tokens": artifact.context_length, **proofs.figures()}
    if not challenger:
        save_deployment(twin.model_copy(update=proved))
        todo.finish(counts)
    recorded = _recorded(version.model_copy(update=proved), settings, workspace, challenger)
    outputs = tuple(adapter / "deploy" / file for file in files(settings.deployment))
    notes = (
        *([f"kept as {version.name}"] if challenger else _notes(runtime, settings.deployment, version)),
        *filter(None, [recorded]),
        *proofs.parity.remarks,
        *_tidied(runtime, before[:1] if challenger else before, settings),
    )
    return StageResult("deploy", counts, outputs, notes)


def _recorded(version: Deployment, settings: Settings, workspace: Workspace, challenger: bool) -> str:
    """Take the version into the register; returns what to tell of it. A name that has moved is not taken back for it."""
    try:
        with lineage.register(settings) as register:
            return lineage.take_in(register, version, workspace, settings.deployment.model_name, challenger)
    except StoreError as fault:
        if challenger:
            raise
        return f"not recorded yet, as {fault.message}; mend it with: blogtwin models list"


def _runtime(settings: Settings) -> Runtime:
    deployment = settings.deployment
    return choose(deployment.runtime, deployment.ollama_base_url, settings.machine.threads)


def _plan(deployment: DeploymentSettings, workspace: Workspace, runtime: Runtime, in_service: bool) -> Plan:
    return Plan(
        stage="deploy",
        settings={
            **_shaping(deployment),
            "runtime": runtime.name,
            "ollama_base_url": deployment.ollama_base_url if runtime.name == "ollama" else None,
            "in_service": in_service,
        },
        inputs=tuple(workspace.model / name for name in _INPUTS),
        outputs=(),  # what it makes is a name that answers; deploy/ belongs to all names of the adapter
        manifest=deployment_manifest(deployment.model_name),
    )


def _shaping(deployment: DeploymentSettings) -> dict[str, object]:
    return {key: value for key, value in asdict(deployment).items() if key not in _NOT_IN_THE_FILES}


def _in_service(deployment: DeploymentSettings, workspace: Workspace, runtime: Runtime) -> bool:
    """Whether the name stands, in this runtime, for this adapter: another project or `ollama rm` may have taken it."""
    record = find_deployment(deployment.model_name)
    return (
        record is not None
        and (record.runtime, record.adapter) == (runtime.name, str(workspace.model.absolute()))
        and deployment.model_name in runtime.names()
    )


@contextlib.contextmanager
def _exported(
    adapter: Path, card: AdapterCard, settings: Settings, progress: Progress
) -> Iterator[tuple[Artifact, Artifact]]:
    """The artifact where it is now, and as it will be once the block has ended well and deploy/ holds it.

    Files that an earlier deploy left, under this or another name, are taken again when they would come out the same.
    """
    final = adapter / "deploy"
    todo = Plan(
        stage="export",
        settings={**_shaping(settings.deployment), "author": settings.data.author, "version": __version__},
        inputs=tuple(adapter / name for name in _INPUTS),
        outputs=(*(final / name for name in files(settings.deployment)), final / _ARTIFACT),
        manifest=manifest_beside(final),
    )
    if todo.stale() is None:
        made = Artifact.model_validate_json((final / _ARTIFACT).read_text(encoding="utf-8"))
        made = moved(made, Path(made.lora or made.gguf).parent, final)  # the project may have been moved since
        if Path(made.gguf).is_file():  # that of a base which twins share lies elsewhere
            yield made, made
            return
    with atomic.open_folder(final) as folder:
        artifact = export(adapter, card, settings, folder, progress)
        lasting = moved(artifact, folder, final)
        atomic.write_text(folder / _ARTIFACT, lasting.model_dump_json(indent=2) + "\n")
        yield artifact, lasting
    todo.finish({})


def _tidied(runtime: Runtime, before: list[Deployment | None], settings: Settings) -> Iterator[str]:
    """Remove what this deploy has replaced: the same names in another runtime, and versions older than the user keeps."""
    runtimes = all_runtimes(settings.deployment.ollama_base_url, settings.machine.threads)
    elsewhere = [one for one in before if one is not None and one.runtime != runtime.name]
    yield from filter(None, (versions.leave(one, runtimes) for one in elsewhere))
    try:
        with lineage.register(settings) as register:
            needed = register.needed(versions.family(settings.deployment.model_name))
        gone = versions.retire(runtime, settings.deployment.model_name, settings.deployment.keep, needed)
    except (RuntimeUnavailable, StoreError) as fault:
        yield f"older versions were not removed: {fault.message}"
    else:
        if gone:
            yield f"removed, as deployment.keep is {settings.deployment.keep}: {', '.join(gone)}"


def _megabytes(artifact: Artifact) -> float:
    paths = [Path(path) for path in (artifact.gguf, artifact.lora) if path]
    return round(sum(path.stat().st_size for path in paths) / 1e6, 1)


def _notes(runtime: Runtime, deployment: DeploymentSettings, version: Deployment) -> tuple[str, ...]:
    name = deployment.model_name
    kept = f"this version is kept as {version.name}"
    if runtime.name == "ollama":
        place = Ollama(deployment.ollama_base_url).base_url  # without the password that may stand in the setting
        return (f"{name} is served by Ollama at {place}; talk to it with: ollama run {name}", kept)
    return (
        f'{name} is served by the embedded llama.cpp; talk to it with: blogtwin write "a topic" --model {name}',
        kept,
    )
