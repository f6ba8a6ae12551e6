"""What a running server does by itself: it carries out what readers decide, deletes old texts, and nobody feels it."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

import server_twins
from blogtwin import workspace
from blogtwin.config import Settings
from blogtwin.errors import RuntimeUnavailable
from blogtwin.feedback.versions import Versions
from blogtwin.progress import Silent
from blogtwin.records import Artifact, Deployment
from blogtwin.runtimes import served as kept
from blogtwin.runtimes import warm
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.runtimes.ollama import Ollama
from blogtwin.runtimes.warm import MODELS
from blogtwin.server import upkeep
from blogtwin.service_records import Draft, Generation, Judgement
from blogtwin.stages import rollout
from blogtwin.stages.turn import alone
from blogtwin.workspace import Workspace, find_deployment, save_deployment
from server_twins import Served
from test_rollout import _ratings, _say, register, settings
from test_server_faults import deployed

__all__ = ["register", "settings"]


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


@pytest.fixture
def serving(
    settings: Settings, register: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Served]:
    """A server that looks every fifth of a second; my-twin:a is champion, b challenges it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(upkeep, "_LOOK_EVERY", 0.2)
    monkeypatch.setattr(upkeep, "_EXPIRE_EVERY", 0.2)
    register.traffic("my-twin", {"my-twin:b": 10})
    with server_twins.serving(settings, Workspace.here(settings)) as there:
        yield there


def champion(register: Versions) -> str:
    found = register.champion("my-twin")
    assert found is not None
    return found.name


def test_what_readers_prefer_is_promoted_while_the_server_runs_and_what_they_like_less_is_taken_back(
    serving: Served, register: Versions
) -> None:
    _say(register, _ratings("my-twin:b", 0.95, "my-twin:a", 0.4, 40))
    until(lambda: champion(register) == "my-twin:b")
    until(lambda: "my-twin:latest" in kept.names())  # a moment after the register
    assert kept.find("my-twin:latest").gguf_sha256 == kept.find("my-twin:b").gguf_sha256
    register.traffic("my-twin", {"my-twin:c": 10})
    _say(register, _ratings("my-twin:c", 0.1, "my-twin:b", 0.8, 30), hours=48)
    until(lambda: register.known("my-twin:c").state == "retired")
    assert champion(register) == "my-twin:b"


def test_nothing_is_read_again_until_somebody_judges(
    serving: Served, register: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    monkeypatch.setattr(rollout, "run", lambda settings, register, twin, wait: looks.append(twin) or [])
    _say(register, [("my-twin:a", 1)])
    until(lambda: looks)
    time.sleep(0.7)
    assert looks == ["my-twin"]
    _say(register, [("my-twin:a", 1)], twin="other", hours=2)
    _say(register, [("my-twin:b", 1)], hours=2)
    until(lambda: len(looks) > 1)
    time.sleep(0.5)
    assert looks == ["my-twin"] * 2


def test_a_turn_of_learning_does_not_keep_readers_from_being_heard_and_another_look_does(
    serving: Served, register: Versions
) -> None:
    with alone("my-twin", wait=False):  # it trains, for an hour
        with alone("my-twin@look", wait=False):
            _say(register, _ratings("my-twin:b", 0.95, "my-twin:a", 0.4, 40))
            time.sleep(0.8)
            assert champion(register) == "my-twin:a"
        until(lambda: champion(register) == "my-twin:b")


def test_what_goes_wrong_is_logged_once_tried_again_and_felt_by_nobody(
    serving: Served, register: Versions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: LlamaCpp) -> list[str]:
        raise RuntimeUnavailable("llama.cpp is out", "wait")

    def bug(settings: Settings, register: Versions, twin: str, wait: bool) -> list[rollout.Step]:
        raise ZeroDivisionError

    with monkeypatch.context() as now:
        now.setattr(rollout, "run", bug)
        _say(register, [("my-twin:a", 1)])
        until(lambda: "ZeroDivisionError" in caplog.text)
        time.sleep(0.5)
        assert serving.client.get("/api/models").status_code == 200
        assert caplog.text.count("Traceback") == 1
    with monkeypatch.context() as now:
        now.setattr(LlamaCpp, "names", broken)
        _say(register, _ratings("my-twin:b", 0.95, "my-twin:a", 0.4, 40), hours=2)
        time.sleep(0.8)
        assert champion(register) == "my-twin:a"
    until(lambda: champion(register) == "my-twin:b")  # though nobody has judged since
    until(lambda: (named := find_deployment("my-twin")) and named.version == "my-twin:b")  # a moment after the register


def test_texts_that_nobody_judged_in_time_go_though_nobody_writes(serving: Served) -> None:
    old = Generation(
        id="old",
        twin="my-twin",
        kind="write",
        subject="",
        prompt="Write.",
        drafts=(Draft(version="my-twin:a", text="A."),),
        created_at=datetime.now(UTC) - timedelta(minutes=16),
    )
    store = serving.app.state.store
    store._tidied = time.monotonic()  # `remember` has just tidied up
    store.remember(old)
    store.remember(old.model_copy(update={"id": "new", "created_at": datetime.now(UTC)}))
    until(lambda: store.stats().contexts == 1)
    assert store.judge("new", Judgement(rating=1)).rating == 1


def test_a_database_that_another_locks_holds_up_no_page(serving: Served, register: Versions) -> None:
    with closing(sqlite3.connect(workspace.home() / "feedback.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(0.6)  # the upkeep waits for the lock by now
        began = time.monotonic()
        assert serving.client.get("/api/models").status_code == 200
        assert time.monotonic() - began < 4
        other.execute("COMMIT")


def test_the_model_is_loaded_while_the_first_page_is_answered(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    deployed(artifact)
    MODELS.close()
    chosen = server_twins.settings()
    load, may = warm.load, threading.Event()

    def slow(*given: Any) -> Any:
        may.wait(20)
        return load(*given)

    monkeypatch.setattr(warm, "load", slow)
    with server_twins.serving(chosen, Workspace.here(chosen)) as there:
        assert there.client.get("/").status_code == 200
        assert there.client.get("/health").status_code == 200
        assert not MODELS._loaded
        may.set()
        until(lambda: MODELS._loaded)
        assert there.client.post("/api/generate", json={"prompt": "tides", "max_tokens": 3}).status_code == 200
        assert len(MODELS._loaded) == 1
    MODELS.close()


def test_a_model_that_nobody_asked_for_takes_no_memory_that_is_short(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    deployed(artifact)
    MODELS.close()
    asked = threading.Event()

    def little() -> Any:
        asked.set()
        return SimpleNamespace(available=100_000)

    monkeypatch.setattr("psutil.virtual_memory", little)
    chosen = server_twins.settings()
    with server_twins.serving(chosen, Workspace.here(chosen)) as there:
        assert asked.wait(10)
        time.sleep(0.5)
        assert not MODELS._loaded
        assert there.client.post("/api/generate", json={"prompt": "tides", "max_tokens": 3}).status_code == 200
    MODELS.close()


def test_ollama_loads_the_model_that_a_server_will_ask_for(
    ollama: str, artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"{server_twins.TWIN}:latest"
    Ollama(ollama).install(artifact, name, Silent())
    save_deployment(Deployment(name=name, runtime="ollama", adapter="/nowhere", artifact=artifact))
    chosen = server_twins.settings(deployment={"runtime": "ollama", "ollama_base_url": ollama})

    def in_memory() -> list[tuple[str, str]]:
        """Name and end of each; the same weights under a second name stay there as the first, for a longer time."""
        return [(one["name"], one["expires_at"]) for one in httpx.get(f"{ollama}/api/ps").json()["models"]]

    before = in_memory()
    with server_twins.serving(chosen, Workspace.here(chosen)):
        until(lambda: in_memory() != before, 60)
