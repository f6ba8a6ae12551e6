"""Promotions, rollbacks and shares where they count: in a real Ollama under the twin's own name, and in a server that runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from blogtwin.cli.app import main
from blogtwin.config import load_settings
from blogtwin.progress import Silent
from blogtwin.records import Message, Sampling
from blogtwin.runtimes.ollama import Ollama
from blogtwin.stages import deploy, lineage
from blogtwin.workspace import Workspace, deployment, find_deployment
from server_twins import NOBODY, TWIN, free_port, process, wait_for
from test_models_cli import _project


@pytest.fixture(scope="module")
def project(tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Workspace]:
    """A folder of work with a trained twin."""
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, _project(tiny_adapter)


@pytest.fixture(autouse=True)
def _there(project: tuple[Path, Workspace], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project[0])
    monkeypatch.setenv("BLOGTWIN_DEPLOYMENT_MODEL_NAME", f"{TWIN}:latest")
    monkeypatch.setenv("BLOGTWIN_DEPLOYMENT_OLLAMA_BASE_URL", NOBODY)
    monkeypatch.setenv("BLOGTWIN_MACHINE_THREADS", "1")


def deployed(project: Workspace, quantize: str, challenger: bool = False) -> str:
    """The dated name of what was deployed."""
    deploy.run(load_settings(None, {"deployment": {"quantize": quantize}}), project, Silent(), challenger)
    made = lineage.deployed_from(project.model, TWIN)
    assert made is not None
    return made.name


def test_ollama_answers_under_the_twin_s_name_as_each_version_in_turn(
    ollama: str, project: tuple[Path, Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLOGTWIN_DEPLOYMENT_OLLAMA_BASE_URL", ollama)
    monkeypatch.setenv("BLOGTWIN_DEPLOYMENT_RUNTIME", "ollama")
    runtime, name = Ollama(ollama, 1), f"{TWIN}:latest"
    first, second = deployed(project[1], "f16"), deployed(project[1], "q8_0", challenger=True)

    def answers_as(version: str, other: str) -> None:
        assert runtime.difference(name, deployment(version).artifact) is None
        assert "weights" in str(runtime.difference(name, deployment(other).artifact))
        named = find_deployment(name)
        assert named is not None
        assert named.version == version
        said = [Message(role="user", content="Write about tides.")]
        by_name, by_version = ("".join(runtime.chat(one, said, Sampling.greedy(12))) for one in (name, version))
        assert by_name == by_version != ""

    answers_as(first, second)
    assert main(["models", "promote", second]) == 0
    answers_as(second, first)
    assert main(["models", "rollback", TWIN]) == 0
    answers_as(first, second)
    assert set(runtime.names()) == {name, first, second}


@dataclass
class Asking:
    """Asks a server again and again. answers: when each came, and which version gave it."""

    url: str
    answers: list[tuple[datetime, str]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with httpx.Client(base_url=self.url, trust_env=False, timeout=60) as client:
            while not self.over.is_set():
                told = client.post("/api/generate", json={"prompt": "tides", "max_tokens": 2}).json()
                self.answers.append((datetime.now(UTC), told["version"]))

    def first(self, version: str, since: datetime, seconds: float = 20) -> float:
        """Seconds from `since` to the first answer by that version."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for at, by in list(self.answers):
                if at >= since and by == version:
                    return (at - since).total_seconds()
            time.sleep(0.02)
        raise AssertionError(f"{version} never answered")


@pytest.fixture
def server(project: tuple[Path, Workspace], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str, str]]:
    """`blogtwin serve` in a process of its own: its address, the champion, a candidate."""
    monkeypatch.setenv("BLOGTWIN_DEPLOYMENT_RUNTIME", "llama-cpp")
    champion, candidate = deployed(project[1], "f16"), deployed(project[1], "q8_0", challenger=True)
    port = free_port()
    with process(project[0], port) as running:
        url = f"http://127.0.0.1:{port}"
        wait_for(url, running)
        yield url, champion, candidate


def test_a_running_server_follows_each_decision_within_a_second(server: tuple[str, str, str]) -> None:
    url, champion, candidate = server
    asking = Asking(url)
    thread = threading.Thread(target=asking.run)
    thread.start()
    try:
        asking.first(champion, datetime.min.replace(tzinfo=UTC))
        for command, then in ((["promote", candidate], candidate), (["rollback", TWIN], champion)):
            assert main(["models", *command]) == 0
            with lineage.register(load_settings()) as register:
                decided = register.events(TWIN)[-1].at
            assert asking.first(then, decided) < 1
            began = len(asking.answers) + 1  # the one that was under way may have begun before
            time.sleep(0.5)
            assert {by for _, by in asking.answers[began:]} == {then}
    finally:
        asking.over.set()
        thread.join(60)


def test_a_running_server_follows_shares_at_the_next_request(server: tuple[str, str, str]) -> None:
    url, champion, candidate = server

    def answering() -> set[str]:
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            asked = ({"prompt": "tides", "max_tokens": 2, "session": f"s{number}"} for number in range(24))
            return {client.post("/api/generate", json=one).json()["version"] for one in asked}

    assert answering() == {champion}
    assert main(["models", "traffic", f"{candidate}=50"]) == 0
    assert answering() == {champion, candidate}
    assert main(["models", "traffic", f"{candidate}=100"]) == 0
    assert answering() == {candidate}
    assert main(["models", "retire", candidate]) == 0
    assert answering() == {champion}
