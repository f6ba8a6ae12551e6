"""Dated versions: each proved twin keeps a name that never means another, as many as the user wants, in both runtimes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from blogtwin.errors import UsageError
from blogtwin.progress import Silent
from blogtwin.records import Artifact, Deployment
from blogtwin.runtimes.base import Runtime
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.runtimes.ollama import Ollama
from blogtwin.stages import versions
from blogtwin.workspace import find_deployment, save_deployment
from test_export import SAMPLING

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(params=["ollama", "llama-cpp"])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """Every runtime, empty at the beginning and at the end."""
    return LlamaCpp(threads=1) if request.param == "llama-cpp" else Ollama(request.getfixturevalue("ollama"), threads=1)


@pytest.fixture
def twin(runtime: Runtime, artifact: Artifact) -> Deployment:
    """A twin whose words depend on its system prompt."""
    return Deployment(name="my-twin:latest", runtime=runtime.name, adapter="/nowhere", artifact=artifact)


def _saying(twin: Deployment, system: str) -> Deployment:
    return twin.model_copy(update={"artifact": twin.artifact.model_copy(update={"system": system})})


def _deploy(runtime: Runtime, twin: Deployment, now: datetime) -> Deployment:
    """What the stage does once a twin is proved."""
    version = versions.dated(twin, now)
    with versions.candidate(runtime, twin.name, twin.artifact) as candidate:
        runtime.install(twin.artifact, candidate, Silent())
        with versions.kept(runtime, candidate, version):
            runtime.copy(version.name, twin.name)
    save_deployment(twin.model_copy(update={"version": version.name}))
    return version


def test_a_version_has_the_date_and_a_hash_of_what_it_says(runtime: Runtime, twin: Deployment) -> None:
    first = _deploy(runtime, twin, NOON)
    assert re.fullmatch(rf"my-twin:{NOON.astimezone():%Y-%m-%d}-[0-9a-f]{{6}}", first.name)
    assert sorted(runtime.names()) == sorted([first.name, "my-twin:latest"])
    again = _deploy(runtime, twin, NOON + timedelta(days=3))
    assert again.name == first.name, "the same content keeps the name it got"
    other = _deploy(runtime, _saying(twin, "Another."), NOON)
    assert other.name != first.name
    assert runtime.difference(first.name, twin.artifact) is None, "a version is never changed"
    assert runtime.difference("my-twin:latest", other.artifact) is None


@pytest.mark.parametrize("runtime", ["llama-cpp"], indirect=True)
def test_only_what_changes_the_words_makes_a_version(twin: Deployment) -> None:
    def name(**changes: object) -> str:
        return versions.dated(twin.model_copy(update={"artifact": twin.artifact.model_copy(update=changes)}), NOON).name

    same = name()
    assert name(threads=7) == name(gguf="/elsewhere/model.gguf") == same
    changed = {
        name(gguf_sha256="0" * 64),
        name(lora_sha256="0" * 64),
        name(system="x"),
        name(template="chatml"),
        name(context_length=1024),
        name(sampling=SAMPLING.greedy(5)),
    }
    assert len(changed) == 6
    assert same not in changed


def test_the_newest_versions_stay_and_older_ones_go(runtime: Runtime, twin: Deployment) -> None:
    made = [_deploy(runtime, _saying(twin, f"{day}"), NOON + timedelta(days=day)) for day in range(4)]
    runtime.copy(made[0].name, "my-twin:old")  # another name of ours stands for the oldest
    save_deployment(made[0].model_copy(update={"name": "my-twin:old"}))
    stranger, elsewhere = "my-twin:2020-01-01-abcdef", "my-twin-2:2020-01-01-abcdef"
    for name in (stranger, elsewhere):
        runtime.copy(made[0].name, name)  # of the same shape, and not recorded
    assert versions.retire(runtime, "my-twin:latest", keep=2) == [made[1].name]
    names = {made[0].name, made[2].name, made[3].name, "my-twin:latest", "my-twin:old", stranger, elsewhere}
    assert set(runtime.names()) == names
    assert find_deployment(made[1].name) is None
    assert versions.retire(runtime, "my-twin:latest", keep=2) == []
    runtime.remove(made[2].name)  # as `ollama rm` does
    assert versions.retire(runtime, "my-twin:latest", keep=2) == []
    assert find_deployment(made[2].name) is None


def test_a_version_that_is_deployed_again_is_new_again(runtime: Runtime, twin: Deployment) -> None:
    first = _deploy(runtime, twin, NOON)
    second = _deploy(runtime, _saying(twin, "2"), NOON + timedelta(days=1))
    _deploy(runtime, twin, NOON + timedelta(days=2))
    assert versions.retire(runtime, "my-twin:latest", keep=1) == [second.name]
    assert first.name in runtime.names()


def test_a_name_that_cannot_be_taken_leaves_no_version(
    runtime: Runtime, twin: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    _deploy(runtime, twin, NOON)
    before, record = sorted(runtime.names()), find_deployment("my-twin:latest")
    honest = type(runtime).copy

    def copy(self: Runtime, source: str, target: str) -> None:
        if target == "my-twin:latest":
            raise KeyboardInterrupt
        honest(self, source, target)

    monkeypatch.setattr(type(runtime), "copy", copy)
    other = _saying(twin, "Another.")
    with pytest.raises(KeyboardInterrupt):
        _deploy(runtime, other, NOON)
    assert sorted(runtime.names()) == before
    assert find_deployment(versions.dated(other, NOON).name) is None
    assert find_deployment("my-twin:latest") == record


def test_somebody_elses_model_is_not_replaced(runtime: Runtime, twin: Deployment) -> None:
    runtime.install(twin.artifact, "my-twin:latest", Silent())  # by another program, or another user
    with pytest.raises(UsageError, match="in use") as refusal:
        versions.check_free(runtime, "my-twin:latest")
    assert "--model-name" in refusal.value.hint
    save_deployment(versions.dated(twin, NOON))  # a deploy that was killed between the name and its record
    versions.check_free(runtime, "my-twin:latest")
    for reserved in ("my-twin:2026-11-21-abcdef", "my-twin:candidate-01234567"):
        with pytest.raises(UsageError, match="given by blogtwin"):
            versions.check_free(runtime, reserved)
