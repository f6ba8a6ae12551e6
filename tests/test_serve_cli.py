"""`blogtwin serve` as it is started: what it says at once, and what its trainings are told of its settings."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI

from blogtwin.cli.app import main
from blogtwin.feedback.database import Database
from blogtwin.records import Artifact, Deployment, Sampling
from blogtwin.server import listening
from blogtwin.server.job_queue import Job, Queue
from blogtwin.workspace import save_deployment

URL = "http://me:secret@127.0.0.1:9"


@pytest.fixture
def queued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Job]]:
    """Starts `serve` with arguments, until the clock has struck once; gives what it queued."""
    monkeypatch.chdir(tmp_path)

    def run(app: FastAPI, taken: socket.socket, ready: Callable[[], None]) -> None:
        ready()
        app.state.jobs.learn_all()

    def serve(*arguments: str) -> list[Job]:
        monkeypatch.setattr(listening, "run", run)
        assert main(["serve", "--port", "0", *arguments]) == 0
        database = Database.open(None)
        jobs = Queue(database).newest()
        database.close()
        return jobs

    return serve


def deployed(name: str) -> None:
    """As a deploy leaves it; nothing here asks it."""
    artifact = Artifact(
        gguf="/nowhere/model.gguf",
        gguf_sha256="0" * 64,
        quantization="f16",
        template="llama3",
        system="Write.",
        sampling=Sampling(temperature=0.7, top_p=0.9, top_k=40, min_p=0.05, repeat_penalty=1.1),
        context_length=512,
    )
    save_deployment(Deployment(name=f"{name}:latest", runtime="llama-cpp", adapter="/nowhere", artifact=artifact))


def test_trainings_read_the_settings_file_of_their_server(queued: Callable[..., list[Job]], tmp_path: Path) -> None:
    for name in ("my-twin", "another"):
        deployed(name)
    (tmp_path / "own.yaml").write_text("deployment:\n  model_name: my-twin\nlearning:\n  minimum: 5\n", "utf-8")
    arguments = {job.twin: job.arguments for job in queued("--config", "own.yaml", "--ollama-base-url", URL)}
    assert arguments["my-twin"][-2:] == ("--config", str(tmp_path / "own.yaml"))
    assert "--config" not in arguments["another"], "whose own folder has its settings"
    assert not any("secret" in one for some in arguments.values() for one in some)


def test_a_server_whose_twin_is_not_there_says_so(
    queued: Callable[..., list[Job]], capsys: pytest.CaptureFixture[str]
) -> None:
    queued()
    assert "try: blogtwin pipeline" in capsys.readouterr().err
    deployed("my-twin")
    queued()
    assert "try: blogtwin serve --model my-twin" in capsys.readouterr().err
    queued("--model", "my-twin")
    assert "nothing can be written" not in capsys.readouterr().err
