"""An Ollama that refuses, dawdles, talks nonsense or stands behind something else, and what a user is told of each."""

# ruff: noqa: N802  # http.server wants its methods named so

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from blogtwin.config import Settings, load_settings
from blogtwin.errors import ProofFailed, RuntimeUnavailable
from blogtwin.progress import Silent, Task
from blogtwin.records import Artifact, Message, Sampling
from blogtwin.runtimes import ollama as room
from blogtwin.runtimes.ollama import Ollama
from blogtwin.stages import deploy
from blogtwin.workspace import Workspace, find_deployment
from test_ollama import Quiet, Refusing, serving

HELLO = [Message(role="user", content="Hello")]
GREEDY = Sampling(temperature=0, top_p=1, top_k=1, min_p=0, repeat_penalty=1, seed=0, max_tokens=16)


@pytest.fixture
def project(tiny_adapter: Path, tmp_path: Path) -> Workspace:
    model = tmp_path / "models" / "my-twin"
    shutil.copytree(tiny_adapter, model)
    return replace(Workspace.here(Settings()), model=model)


def _settings(url: str) -> Settings:
    deployment = {"model_name": "my-twin", "runtime": "ollama", "ollama_base_url": url}
    return load_settings(None, {"deployment": deployment, "machine": {"threads": 1}})


# An Ollama behind a server of another kind


def _before(target: str, change: Callable[[str, bytes], bytes] = lambda path, body: body, who: str = "") -> type[Quiet]:
    """A reverse proxy at /models: it wants a name and password (`who`), and may change what comes back."""

    class Proxy(Quiet):
        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            wanted = f"Basic {base64.b64encode(who.encode()).decode()}"
            if who and self.headers.get("Authorization") != wanted:
                return self.say(401, b"<html>who are you?</html>")
            if not self.path.startswith("/models/"):
                return self.say(404, b"nothing here")
            path = self.path.removeprefix("/models")
            with httpx.Client(trust_env=False, timeout=60) as client:
                answer = client.request(self.command, target + path, content=body)
            return self.say(answer.status_code, change(path, answer.content))

        do_GET = do_POST = do_HEAD = do_DELETE = _pass  # noqa: N815  # the server calls them so

    return Proxy


def test_an_ollama_behind_a_password_and_a_path_serves_and_the_password_is_not_shown(
    ollama: str, project: Workspace
) -> None:
    with serving(_before(ollama, who="me:s3cret/@")) as url:
        right = url.replace("http://", "http://me:s3cret%2F%40@") + "/models/"
        result = deploy.run(_settings(right), project, Silent())
        assert "my-twin:latest" in Ollama(ollama).names()
        assert deploy.plan(_settings(right), project).stale() is None
        for wrong in (url + "/models", url.replace("http://", "http://me:s3cret@") + "/models"):
            with pytest.raises(RuntimeUnavailable, match="401") as refusal:
                Ollama(wrong).names()
            assert "NAME:PASSWORD" in refusal.value.hint
            assert "s3cret" not in refusal.value.message + (Ollama(wrong).unavailable() or "")
            assert "401" in (Ollama(wrong).unavailable() or "")
        assert "is not Ollama" in (Ollama(right.replace("/models", "/elsewhere")).unavailable() or "")
        with pytest.raises(RuntimeUnavailable, match="SSL"):
            Ollama(url.replace("http:", "https:")).names()
    assert "s3cret" not in " ".join(result.notes)


def _without(field: str) -> Callable[[str, bytes], bytes]:
    def change(path: str, body: bytes) -> bytes:
        if path == "/api/chat" and b"_debug_info" in body:
            return json.dumps({key: value for key, value in json.loads(body).items() if key != field}).encode()
        return body

    return change


def _showing(field: str, value: object) -> Callable[[str, bytes], bytes]:
    def change(path: str, body: bytes) -> bytes:
        return json.dumps(json.loads(body) | {field: value}).encode() if path == "/api/show" else body

    return change


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (_without("_debug_info"), RuntimeUnavailable, "cannot show the prompts"),
        (_showing("template", "{{ .Prompt }}"), ProofFailed, "in template: "),
        (_showing("system", "Be evil."), ProofFailed, r"in system: .* 'Be evil\.' is served"),
        (_showing("parameters", 'stop "x"\ntemperature 0.7'), ProofFailed, r"in (top_p|num_ctx|stop): "),
        (_showing("modelfile", "FROM /blobs/sha256-" + "0" * 64), ProofFailed, "in weights: "),
        (_showing("modelfile", 7), RuntimeUnavailable, "is not Ollama"),
    ],
)
def test_what_is_shown_is_compared_with_what_was_sent(
    ollama: str,
    project: Workspace,
    change: Callable[[str, bytes], bytes],
    kind: type[Exception],
    said: str,
) -> None:
    with serving(_before(ollama, change)) as url, pytest.raises(kind, match=said):
        deploy.run(_settings(url + "/models"), project, Silent())
    assert Ollama(ollama).names() == []
    assert find_deployment("my-twin") is None
    assert not (project.model / "deploy").exists()


# A server that only pretends


def _answering(said: Mapping[str, tuple[int, bytes]]) -> type[Refusing]:
    class Answering(Refusing):
        def do_HEAD(self) -> None:
            self.say(said.get("HEAD", (200, b""))[0], b"")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.say(*said["POST"])

    return Answering


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ({"HEAD": (401, b"")}, "HTTP 401", "NAME:PASSWORD"),
        ({"HEAD": (403, b"")}, "HTTP 403", "NAME:PASSWORD"),
        ({"HEAD": (301, b"")}, "HTTP 301", "moved"),
        ({"HEAD": (404, b""), "POST": (413, b"<html>too large</html>")}, "does not say why", "client_max_body_size"),
        (
            {"HEAD": (404, b""), "POST": (500, b'{"error": "no space left on device"}')},
            "no space left",
            "free some space",
        ),
        ({"POST": (200, b'{"error": "write /m: no space left on device"}\n')}, "no space left", "free some space"),
        ({"POST": (400, b'{"error": "path or Modelfile are required"}')}, "path or Modelfile", "Ollama itself"),
        ({"POST": (404, b"page not there")}, "is not Ollama", "ollama_base_url"),
        ({"POST": (200, b"\x00\xff garbage\n")}, "is not Ollama", "ollama_base_url"),
        ({"POST": (200, b"[1, 2]\n")}, "is not Ollama", "ollama_base_url"),
        ({"POST": (200, b'{"status": {"no": "text"}}\n')}, "is not Ollama", "ollama_base_url"),
        ({"POST": (200, b"")}, "half-way", "Ollama itself"),
    ],
)
def test_each_refusal_and_each_nonsense_is_told_apart(
    artifact: Artifact, said: Mapping[str, tuple[int, bytes]], message: str, hint: str
) -> None:
    with serving(_answering(said)) as url, pytest.raises(RuntimeUnavailable, match=message) as refusal:
        Ollama(url).install(artifact, "my-twin", Silent())
    assert url in refusal.value.message
    assert hint in refusal.value.hint


@pytest.mark.parametrize("nonsense", [b"[]", b"null", b'"x"', b"{", b'{"models": 3}', b'{"models": [{"model": 3}]}'])
def test_nonsense_is_not_taken_for_an_answer(nonsense: bytes) -> None:
    class Nonsense(Refusing):
        def do_GET(self) -> None:
            self.say(200, nonsense)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.say(200, nonsense + b"\n")

    with serving(Nonsense) as url:
        served = Ollama(url)
        asked = [served.names, lambda: served.render("a", HELLO), lambda: list(served.chat("a", HELLO, GREEDY))]
        for ask in asked:
            with pytest.raises(RuntimeUnavailable):
                ask()


def _creating(pauses: list[float]) -> type[Refusing]:
    class Creating(Refusing):
        def do_HEAD(self) -> None:
            self.say(200, b"")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):  # nobody waits any more
                for number, pause in enumerate(pauses):
                    time.sleep(pause)
                    self.wfile.write(json.dumps({"status": f"step {number}"}).encode() + b"\n")
                self.wfile.write(b'{"status": "success"}\n')

    return Creating


def test_a_slow_create_is_waited_for_and_seen_but_a_silent_one_is_not(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_ANSWER", 0.6)
    steps = list[str]()

    class Watching(Silent):
        @contextmanager
        def task(self, label: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
            yield _Watched()

    class _Watched:
        def advance(self, amount: float = 1, **figures: str) -> None:
            steps.extend(figures.values())

    with serving(_creating([0.25] * 6)) as url:  # longer than the patience, but never silent for so long
        Ollama(url).install(artifact, "my-twin", Watching())
    assert steps == [*(f"step {number}" for number in range(6)), "success"]
    with serving(_creating([0.1, 1.5])) as url, pytest.raises(RuntimeUnavailable, match="said nothing for"):
        Ollama(url).install(artifact, "my-twin", Silent())


def test_a_proxy_for_the_web_is_asked_for_other_machines_alone(ollama: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()

    class Web(Quiet):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.say(200, b'{"models": [], "version": "0.20.0"}')

    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    with serving(Web) as url:
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, url)
        assert Ollama(ollama).unavailable() is None
        Ollama(ollama).names()
        assert asked == []
        assert Ollama("http://ollama.example:11434").names() == []
    assert asked == ["http://ollama.example:11434/api/tags"]
