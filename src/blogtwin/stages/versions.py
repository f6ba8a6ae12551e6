"""Dated versions: every twin that was proved keeps a name of its own, family:YYYY-MM-DD-HASH6, that never means another.

In: an artifact that was proved, under any name in a runtime. Out: its dated name there, and the record of it; older versions
are removed when more are kept than the user wants. Only names that we recorded are ever removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime

from blogtwin.chat_template import TEMPLATES
from blogtwin.errors import RuntimeUnavailable, UsageError
from blogtwin.records import Artifact, Deployment
from blogtwin.runtimes.base import Runtime
from blogtwin.workspace import deployments, find_deployment, forget_deployment, save_deployment

_DATED = re.compile(r"\d{4}-\d\d-\d\d-([0-9a-f]{6})")
_CANDIDATE = re.compile(r"candidate-[0-9a-f]{8}")


def family(name: str) -> str:
    """A name without its tag: what a twin and all its versions have in common."""
    return name.partition(":")[0]


def check_free(runtime: Runtime, name: str) -> None:
    """Raises UsageError for a name that is ours to give, or that stands in the runtime for something we did not make."""
    tag = name.partition(":")[2]
    if _DATED.fullmatch(tag) or _CANDIDATE.fullmatch(tag):
        raise UsageError(
            f"names like {name} are given by blogtwin, to the versions of a twin",
            f"choose another: --model-name {family(name)}:latest",
        )
    record = find_deployment(name)
    if (record and record.runtime == runtime.name) or name not in runtime.names():
        return
    relatives = [one for one in deployments() if family(one.name) == family(name)]
    if not any(runtime.difference(name, one.artifact) is None for one in relatives):  # else: left by an earlier deploy
        raise UsageError(
            f"{name} is in use: {runtime.name} has a model of that name that blogtwin did not make",
            f"choose another name with --model-name, or remove that one first (ollama rm {name})",
        )


def content(artifact: Artifact) -> str:
    """A hash over everything that changes what the model says, in hexadecimal digits; threads and places do not."""
    template = TEMPLATES[artifact.template]
    told = {
        "weights": [artifact.gguf_sha256, artifact.lora_sha256],
        "template": [template.jinja, template.go, *template.stop],
        "system": artifact.system,
        "sampling": artifact.sampling.parameters(),
        "context": artifact.context_length,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


@contextlib.contextmanager
def candidate(runtime: Runtime, name: str, artifact: Artifact) -> Iterator[str]:
    """A name to prove the artifact under, removed at the end; those that a killed run left are removed before."""
    for stale in runtime.names():
        if family(stale) == family(name) and _CANDIDATE.fullmatch(stale.partition(":")[2]):
            runtime.remove(stale)
    staging = f"{family(name)}:candidate-{artifact.weights()[:8]}"
    try:
        yield staging
    finally:
        with contextlib.suppress(RuntimeUnavailable):  # what went wrong before is what the user has to hear
            runtime.remove(staging)


def dated(twin: Deployment, now: datetime) -> Deployment:
    """The twin under its dated name: the one it got the first time, if the same was deployed before."""
    digest = content(twin.artifact)
    name = f"{family(twin.name)}:{now.astimezone():%Y-%m-%d}-{digest[:6]}"
    for one in deployments():
        found = _DATED.fullmatch(one.name.partition(":")[2])
        if (
            found
            and family(one.name) == family(twin.name)
            and found[1] == digest[:6]
            and content(one.artifact) == digest
        ):
            name = one.name
    return twin.model_copy(update={"name": name, "version": name, "deployed_at": now.astimezone(UTC)})


@contextlib.contextmanager
def kept(runtime: Runtime, staging: str, version: Deployment) -> Iterator[None]:
    """What `staging` stands for, under the dated name of `version`, for good; when the block fails, as it was before.

    The record comes first: a dated name that is nowhere recorded could never be recognised as ours again.
    """
    before, there = find_deployment(version.name), version.name in runtime.names()
    try:
        save_deployment(version)
        runtime.copy(staging, version.name)
        yield
    except BaseException:
        if before:
            save_deployment(before)
        else:
            forget_deployment(version.name)
        if not there:
            with contextlib.suppress(RuntimeUnavailable):
                runtime.remove(version.name)
        raise


def retire(runtime: Runtime, name: str, keep: int, needed: Collection[str] = ()) -> list[str]:
    """Remove the oldest dated versions of a family, but never one that a name of ours stands for; returns what was removed.

    needed: versions that must stay as well: those that serve or may, and the one that a rollback would go back to.
    """
    there, records = set(runtime.names()), deployments()
    in_service = {one.version for one in records if one.name != one.version}
    versions = []
    for one in records:
        tag = one.name.partition(":")[2]
        if one.runtime == runtime.name and family(one.name) == family(name) and _DATED.fullmatch(tag):
            if one.name in there:
                versions.append(one)
            else:
                forget_deployment(one.name)  # removed by hand
    newest = sorted(versions, key=lambda one: (str(one.deployed_at), one.name), reverse=True)
    gone = [one.name for one in newest[keep:] if one.name not in in_service and one.name not in needed]
    for old in gone:
        runtime.remove(old)
        forget_deployment(old)
    return gone


def leave(earlier: Deployment, runtimes: list[Runtime]) -> str:
    """Remove a name from the runtime that served it before another did; returns what became of it, in words."""
    (runtime,) = [one for one in runtimes if one.name == earlier.runtime]
    try:
        if earlier.name not in runtime.names():
            return ""
        if runtime.difference(earlier.name, earlier.artifact) is None:
            runtime.remove(earlier.name)
            return f"{earlier.name} was served by {runtime.name} before, and was removed there"
    except RuntimeUnavailable:
        pass
    return f"{earlier.name} was served by {runtime.name} before; what answers there under that name was left as it is"
