"""Killed in the middle: nothing is half-deployed, the earlier version answers, and the same command again succeeds."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from blogtwin.config import Settings, load_settings
from blogtwin.errors import RuntimeUnavailable, UsageError
from blogtwin.progress import Silent, Task
from blogtwin.records import Artifact, Message, Sampling
from blogtwin.runtimes import ollama as room
from blogtwin.runtimes.ollama import Ollama
from blogtwin.stages import deploy
from blogtwin.workspace import Workspace, find_deployment

HELLO = [Message(role="user", content="Hello")]
GREEDY = Sampling(temperature=0, top_p=1, top_k=1, min_p=0, repeat_penalty=1, seed=0, max_tokens=16)


class Server:
    """A real Ollama that can be killed and started again with the models it had."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url, self.home = f"http://{self.address}", home
        self.start()

    def start(self) -> None:
        own = {"HOME": str(self.home), "OLLAMA_MODELS": str(self.home / "models"), "OLLAMA_HOST": self.address}
        with (self.home / "server.log").open("ab") as log:
            environment = {"PATH": os.environ["PATH"]} | own
            self.process = subprocess.Popen(
                ["ollama", "serve"], env=environment, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + 60
        while Ollama(self.url).unavailable():
            assert time.monotonic() < until, (self.home / "server.log").read_text(errors="replace")
            time.sleep(0.1)

    def kill(self) -> None:
        """The server and the runners that it started, which would outlive it."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    if shutil.which("ollama") is None:
        pytest.skip("Ollama is not installed here (no `ollama` on the PATH)")
    home = tmp_path / "ollama"
    home.mkdir()
    one = Server(home)
    yield one
    one.kill()


@pytest.fixture
def project(tiny_adapter: Path, tmp_path: Path) -> Workspace:
    model = tmp_path / "models" / "my-twin"
    shutil.copytree(tiny_adapter, model)
    return replace(Workspace.here(Settings()), model=model)


def _settings(url: str, quantize: str = "q8_0") -> Settings:
    deployment = {"model_name": "my-twin", "runtime": "ollama", "ollama_base_url": url, "quantize": quantize}
    return load_settings(None, {"deployment": deployment, "machine": {"threads": 1}})


def _seen(url: str, project: Workspace) -> tuple[object, ...]:
    """All that a user could notice of a deploy."""
    served = Ollama(url, threads=1)
    answer = "".join(served.chat("my-twin:latest", HELLO, GREEDY))
    files = {path: path.read_bytes() for path in sorted(project.model.rglob("*")) if path.is_file()}
    files = {path: content for path, content in files.items() if ".deploy.partial" not in path.parts}
    return sorted(served.names()), answer, find_deployment("my-twin"), files


class Acting(Silent):
    """Does something the first time that a task of this label tells how far it is."""

    def __init__(self, label: str, act: Callable[[], None]) -> None:
        super().__init__()
        self.label, self.act, self.done = label, act, False

    @contextmanager
    def task(self, label: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        yield _Acting(self, label)


class _Acting:
    def __init__(self, progress: Acting, label: str) -> None:
        self.progress, self.label = progress, label

    def advance(self, amount: float = 1, **figures: str) -> None:
        if self.label == self.progress.label and not self.progress.done:
            self.progress.done = True
            self.progress.act()


MOMENTS = ["Sending to Ollama", "Ollama makes the model"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_ollama_killed_while_deploying_has_the_earlier_version_when_it_is_back(
    server: Server, project: Workspace, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_CHUNK", 10_000)  # the upload takes more than one
    deploy.run(_settings(server.url), project, Silent())
    before = _seen(server.url, project)
    dying = Acting(moment, server.kill)
    with pytest.raises(RuntimeUnavailable, match=re.escape(server.url)) as failure:
        deploy.run(_settings(server.url, "f16"), project, dying)
    assert dying.done
    assert failure.value.hint
    server.start()
    names, *rest = _seen(server.url, project)
    left = [name for name in names if "candidate" not in name]  # a dead server could not be told to forget it
    assert (left, *rest) == before
    deploy.run(_settings(server.url, "f16"), project, Silent())
    assert len(Ollama(server.url).names()) == 3  # the name, and two versions


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_deploy_killed_at_any_moment_changes_nothing_and_runs_again(
    ollama: str, project: Workspace, moment: str
) -> None:
    deploy.run(_settings(ollama), project, Silent())
    names, *before = _seen(ollama, project)
    script = (
        "import os, signal, sys\nfrom dataclasses import replace\nfrom pathlib import Path\n"
        "from blogtwin.stages import deploy\nfrom blogtwin.workspace import Workspace\nimport test_deploy_faults as t\n"
        "settings = t._settings(sys.argv[1], 'f16')\n"
        "progress = t.Acting(sys.argv[3], lambda: os.kill(os.getpid(), signal.SIGKILL))\n"
        "deploy.run(settings, replace(Workspace.here(settings), model=Path(sys.argv[2])), progress)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, ollama, str(project.model), moment],
        env=dict(os.environ) | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    after, *rest = _seen(ollama, project)
    assert [name for name in after if "candidate" not in name] == names
    assert rest == before
    deploy.run(_settings(ollama, "f16"), project, Silent())
    assert len(Ollama(ollama).names()) == 3


def test_a_name_in_use_is_left_alone(ollama: str, project: Workspace, artifact: Artifact) -> None:
    served = Ollama(ollama)
    served.install(artifact, "my-twin:latest", Silent())  # the user's own
    with pytest.raises(UsageError, match="in use"):
        deploy.run(_settings(ollama), project, Silent())
    assert served.names() == ["my-twin:latest"]
    assert served.difference("my-twin:latest", artifact) is None
    assert not (project.model / "deploy").exists()
