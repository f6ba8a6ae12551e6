"""The real Ollama, and what a user is told when it is not there, refuses or stops half-way."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from blogtwin.chat_template import LLAMA3
from blogtwin.errors import ProofFailed, RuntimeUnavailable
from blogtwin.export.modelfile import modelfile
from blogtwin.progress import Silent
from blogtwin.records import Artifact, Message
from blogtwin.runtimes.choose import all_runtimes, choose
from blogtwin.runtimes.ollama import Ollama
from blogtwin.stages.proof import prove
from test_export import SAMPLING
from tiny_models import QUESTIONS, SYSTEM, conversation

USER = Message(role="user", content="  A ")


def test_a_model_sent_without_a_template_gets_another_one_and_the_proof_catches_it(
    ollama: str, artifact: Artifact, reciting: Path
) -> None:
    """Why the explicit template is sent, and what the proof is for."""
    import ollama as client

    served = Ollama(ollama)
    served.install(artifact, "sent:latest", Silent())  # also brings the file there
    with client.Client(host=ollama) as ask:
        ask.create(model="bare", files={"model.gguf": f"sha256:{artifact.gguf_sha256}"})
    try:
        assert "<|im_start|>" in served.render("bare:latest", [USER])
        with pytest.raises(ProofFailed, match="another prompt"):
            prove(served, "bare:latest", LLAMA3, "", reciting / "tokenizer.json", Silent())
    finally:
        served.remove("sent:latest")
        served.remove("bare:latest")


@pytest.mark.parametrize(
    "system", [SYSTEM, 'They say "hello"', ' two\n\nlines, """', "PARAMETER stop x\r\n{{ .Role }}", ""]
)
def test_the_modelfile_makes_what_the_api_made(ollama: str, artifact: Artifact, tmp_path: Path, system: str) -> None:
    served = Ollama(ollama)
    one = artifact.model_copy(update={"system": system})
    (tmp_path / "model.gguf").write_bytes(Path(artifact.gguf).read_bytes())
    (tmp_path / "Modelfile").write_text(modelfile(one, "model.gguf"), encoding="utf-8", newline="")
    served.install(one, "by-api:latest", Silent())
    try:
        subprocess.run(
            ["ollama", "create", "by-hand", "-f", str(tmp_path / "Modelfile")],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OLLAMA_HOST": ollama},
            check=True,
            capture_output=True,
        )
        assert served.render("by-hand:latest", [USER]) == served.render("by-api:latest", [USER])
        assert _shown(ollama, "by-hand") == _shown(ollama, "by-api")
    finally:
        served.remove("by-api:latest")
        served.remove("by-hand:latest")


def _shown(url: str, name: str) -> tuple[object, ...]:
    import ollama as client

    with client.Client(host=url) as ask:
        shown = ask.show(name)
    return shown.template, sorted((shown.parameters or "").splitlines()), shown.modelinfo


def test_an_answer_that_loops_ends_where_ollama_gives_up_and_is_no_failure(ollama: str, artifact: Artifact) -> None:
    served = Ollama(ollama, threads=1)
    served.install(artifact, "my-twin:latest", Silent())
    for question in QUESTIONS:  # the tiny model has learned how its answers begin; some it goes on repeating one word
        body = "".join(served.chat("my-twin:latest", conversation(question), SAMPLING.greedy(400)))
        if len(set(body.split()[-30:])) == 1:
            break
    else:
        pytest.fail("no answer looped")


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server on loopback that stands for an Ollama in trouble."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return None

    def say(self, status: int, body: bytes, promised: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if promised is None else promised))
        self.end_headers()
        self.wfile.write(body)


class Refusing(Quiet):
    def do_GET(self) -> None:
        self.say(200, b'{"version": "0.20.0"}')

    def do_HEAD(self) -> None:
        self.say(404, b"")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.say(500, b'{"error": "no space left on device"}')


class StoppingInTheUpload(Refusing):
    def do_POST(self) -> None:
        self.rfile.read(1000)
        self.connection.shutdown(socket.SHUT_RDWR)


class StoppingInTheAnswer(Refusing):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        line = json.dumps({"model": "m", "message": {"role": "assistant", "content": "Once"}, "done": False})
        self.say(200, line.encode() + b"\n", promised=5000)


class EndingEarly(StoppingInTheAnswer):
    def do_HEAD(self) -> None:
        self.say(200, b"")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        lines = {
            "/api/create": {"status": "parsing GGUF"},
            "/api/chat": {"model": "m", "message": {"role": "assistant", "content": "Once"}, "done": False},
        }
        self.say(200, json.dumps(lines[self.path]).encode() + b"\n")


class NotOllama(Quiet):
    def do_GET(self) -> None:
        self.say(200, b"<html>a router</html>")

    do_POST = do_DELETE = do_GET  # noqa: N815  # the server calls them so


def test_ollama_not_running_is_said_with_its_address(artifact: Artifact) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert url in (Ollama(url).unavailable() or "")
        with pytest.raises(RuntimeUnavailable, match=url) as refusal:
            Ollama(url).install(artifact, "my-twin", Silent())
        assert "ollama serve" in refusal.value.hint
        with pytest.raises(RuntimeUnavailable, match=r"ollama serve|ollama\.com"):
            choose("ollama", url)
        assert choose("auto", url).name == "llama-cpp"


def test_auto_takes_ollama_where_it_answers(ollama: str) -> None:
    assert choose("auto", ollama).name == "ollama"
    assert choose("auto", ollama.removeprefix("http://")).name == "ollama"
    assert choose("llama-cpp", ollama).name == "llama-cpp"
    assert [one.name for one in all_runtimes(ollama)] == ["ollama", "llama-cpp"]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (Refusing, "no space left on device"),
        (StoppingInTheUpload, "half-way"),
        (StoppingInTheAnswer, "half-way"),
        (EndingEarly, "half-way"),
    ],
)
def test_an_ollama_that_fails_while_installing_is_named(
    artifact: Artifact, trouble: type[BaseHTTPRequestHandler], said: str
) -> None:
    with serving(trouble) as url, pytest.raises(RuntimeUnavailable, match=said) as refusal:
        Ollama(url).install(artifact, "my-twin", Silent())
    assert url in refusal.value.message
    assert refusal.value.hint


@pytest.mark.parametrize("trouble", [StoppingInTheAnswer, EndingEarly])
def test_an_answer_that_breaks_off_is_no_answer(trouble: type[BaseHTTPRequestHandler]) -> None:
    pieces: list[str] = []
    with serving(trouble) as url, pytest.raises(RuntimeUnavailable, match=r"half-way|in the middle"):
        pieces.extend(Ollama(url).chat("my-twin", [USER], SAMPLING))


def test_something_else_on_the_port_is_not_taken_for_ollama(artifact: Artifact) -> None:
    with serving(NotOllama) as url:
        assert "is not Ollama" in (Ollama(url).unavailable() or "")
        assert choose("auto", url).name == "llama-cpp"
        for ask in (lambda: Ollama(url).names(), lambda: Ollama(url).render("a", [USER])):
            with pytest.raises(RuntimeUnavailable, match="is not Ollama"):
                ask()
    for wrong in ("http://[::1", "ftp://example", "http://127.0.0.1:99999"):
        assert Ollama(wrong).unavailable()
