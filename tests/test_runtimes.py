"""Runtimes: one contract for all of them, and what a user is told when one is not there, refuses or stops half-way."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import tiny_models
from blogtwin import workspace
from blogtwin.chat_template import LLAMA3
from blogtwin.errors import ProofFailed, RuntimeUnavailable
from blogtwin.export.gguf import write_gguf
from blogtwin.export.merge import merge
from blogtwin.export.modelfile import modelfile
from blogtwin.progress import Silent
from blogtwin.records import Artifact, Message
from blogtwin.runtimes.base import Runtime, with_system
from blogtwin.runtimes.choose import all_runtimes, choose
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.runtimes.ollama import Ollama
from blogtwin.stages.proof import prove
from test_export import SAMPLING, artifact_of
from tiny_models import QUESTIONS, SYSTEM, conversation, greedy, recite, save_adapter

USER = Message(role="user", content="  A ")
CONVERSATIONS = [
    [USER],
    [Message(role="system", content='{{ .System }} """ \'x\''), USER],
    [USER, Message(role="assistant", content="\nB\n"), Message(role="user", content="日本語 1234 🙂\r\n")],
]


@pytest.fixture(scope="session")
def reciting(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A merged Hugging Face folder (reciting base + small adapter), with the F16 GGUF beside it as model.gguf."""
    folder = tmp_path_factory.mktemp("reciting")
    base = folder / "base"
    base.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (base / name).write_bytes((tiny_base / name).read_bytes())
    recite(base, tiny_models.config("llama", 1024, 4))
    merged = merge(save_adapter(base, folder / "adapter", std=0.02), folder / "merged")
    write_gguf(merged, merged / "model.gguf", "f16", "tiny", Silent())
    return merged


@pytest.fixture
def artifact(reciting: Path) -> Artifact:
    return artifact_of(reciting / "model.gguf", "llama3")


@pytest.fixture(params=["ollama", "llama-cpp"])
def runtime(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """Every runtime, empty at the beginning."""
    if request.param == "llama-cpp":
        yield LlamaCpp(threads=1)
        return
    served = Ollama(request.getfixturevalue("ollama"), threads=1)
    yield served
    for name in served.names():
        served.remove(name)


def answer(runtime: Runtime, name: str, question: str, tokens: int = 32) -> str:
    return "".join(runtime.chat(name, conversation(question), SAMPLING.greedy(tokens)))


def test_an_installed_twin_has_a_name_until_it_is_removed(runtime: Runtime, artifact: Artifact) -> None:
    assert runtime.unavailable() is None
    assert runtime.names() == []
    runtime.install(artifact, "my-twin:latest", Silent())
    runtime.install(artifact, "my-twin:v2", Silent())
    assert sorted(runtime.names()) == ["my-twin:latest", "my-twin:v2"]
    runtime.remove("my-twin:v2")
    runtime.remove("my-twin:v2")  # gone already: nothing happens
    assert runtime.names() == ["my-twin:latest"]
    assert answer(runtime, "my-twin:latest", QUESTIONS[0])


@pytest.mark.parametrize("messages", CONVERSATIONS)
def test_the_prompt_is_that_of_training_to_the_character(
    runtime: Runtime, artifact: Artifact, messages: list[Message]
) -> None:
    runtime.install(artifact, "my-twin:latest", Silent())
    assert runtime.render("my-twin:latest", messages) == LLAMA3.prompt(with_system(messages, SYSTEM))


def test_the_prompt_has_one_bos_and_a_repeated_one_is_counted_whole(
    runtime: Runtime, artifact: Artifact, reciting: Path
) -> None:
    from tokenizers import Tokenizer

    runtime.install(artifact, "my-twin:latest", Silent())
    words = Tokenizer.from_file(str(reciting / "tokenizer.json"))
    for messages in [*CONVERSATIONS, CONVERSATIONS[0], CONVERSATIONS[0]]:
        prompt = LLAMA3.prompt(with_system(messages, SYSTEM))
        expected = words.encode(prompt, add_special_tokens=False).ids
        assert expected.count(0) == 1
        assert runtime.prompt_tokens("my-twin:latest", messages) == len(expected)


def test_thirty_two_greedy_tokens_are_those_of_transformers(
    runtime: Runtime, artifact: Artifact, reciting: Path
) -> None:
    runtime.install(artifact, "my-twin:latest", Silent())
    for question in QUESTIONS:
        ids, text = greedy(reciting, question)
        assert len(ids) == 32
        assert answer(runtime, "my-twin:latest", question) == text


def test_a_seed_gives_the_same_answer_again_and_another_seed_another(runtime: Runtime, artifact: Artifact) -> None:
    runtime.install(artifact, "my-twin:latest", Silent())

    def told(seed: int) -> str:
        options = SAMPLING.model_copy(update={"temperature": 1.9, "min_p": 0.0, "top_p": 1.0, "seed": seed})
        return "".join(runtime.chat("my-twin:latest", [USER], options))

    told(1)  # warm: the first answer after loading reads the prompt in other pieces
    assert told(1) == told(1)
    assert told(1) != told(2)


def test_an_answer_comes_piece_by_piece_and_stopping_frees_the_model(runtime: Runtime, artifact: Artifact) -> None:
    runtime.install(artifact, "my-twin:latest", Silent())
    endless = SAMPLING.model_copy(update={"temperature": 2.0, "top_p": 1.0, "min_p": 0.0, "max_tokens": 400, "seed": 3})
    pieces = runtime.chat("my-twin:latest", [USER], endless)
    assert next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    began = time.monotonic()
    assert answer(runtime, "my-twin:latest", QUESTIONS[1])
    assert time.monotonic() - began < 10


def test_a_copy_replaces_what_the_name_stood_for_and_its_source_stays(runtime: Runtime, artifact: Artifact) -> None:
    runtime.install(artifact, "my-twin:latest", Silent())
    other = artifact.model_copy(update={"system": "Another system prompt."})
    runtime.install(other, "my-twin:candidate-00000000", Silent())
    runtime.copy("my-twin:candidate-00000000", "my-twin:latest")
    assert sorted(runtime.names()) == ["my-twin:candidate-00000000", "my-twin:latest"]
    runtime.remove("my-twin:candidate-00000000")
    assert runtime.names() == ["my-twin:latest"]
    assert "Another system prompt." in runtime.render("my-twin:latest", [USER])


def test_a_failing_install_leaves_the_name_as_it_was(runtime: Runtime, artifact: Artifact, tmp_path: Path) -> None:
    runtime.install(artifact, "my-twin:latest", Silent())
    broken = tmp_path / "model.gguf"
    broken.write_bytes(b"no model at all" * 100)
    with pytest.raises(RuntimeUnavailable) as refusal:
        runtime.install(artifact_of(broken, "llama3"), "my-twin:latest", Silent())
    assert refusal.value.hint
    assert runtime.names() == ["my-twin:latest"]
    assert SYSTEM in runtime.render("my-twin:latest", [USER])
    assert answer(runtime, "my-twin:latest", QUESTIONS[0])


def test_a_name_that_is_not_there_is_named(runtime: Runtime) -> None:
    for ask in (
        lambda: list(runtime.chat("nobody:latest", [USER], SAMPLING)),
        lambda: runtime.render("nobody:latest", [USER]),
        lambda: runtime.copy("nobody:latest", "my-twin:latest"),
    ):
        with pytest.raises(RuntimeUnavailable, match="nobody"):
            ask()


# Ollama alone


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


# The embedded llama.cpp alone


def test_a_served_twin_outlives_its_project_and_leaves_nothing_behind(artifact: Artifact, tmp_path: Path) -> None:
    project = tmp_path / "model.gguf"
    project.write_bytes(Path(artifact.gguf).read_bytes())
    runtime = LlamaCpp(threads=1)
    runtime.install(artifact.model_copy(update={"gguf": str(project)}), "my-twin", Silent())
    (blob,) = (workspace.home() / "served" / "blobs").iterdir()
    assert blob.samefile(project)  # no byte is stored twice
    project.unlink()
    assert answer(runtime, "my-twin", QUESTIONS[0])
    runtime.remove("my-twin")
    assert list((workspace.home() / "served" / "blobs").iterdir()) == []


def test_a_model_is_loaded_once_and_stays_warm(artifact: Artifact, capfd: pytest.CaptureFixture[str]) -> None:
    runtime = LlamaCpp(threads=1)
    runtime.install(artifact, "my-twin", Silent())
    with runtime._asking("my-twin") as first:
        pass
    answer(LlamaCpp(threads=1), "my-twin", QUESTIONS[0])
    with LlamaCpp(threads=1)._asking("my-twin") as second:
        assert second is first
    told = capfd.readouterr()
    assert told.out == told.err == ""  # llama.cpp's own log stays off the terminal


def test_others_on_this_machine_cannot_use_the_embedded_server(artifact: Artifact) -> None:
    import httpx

    runtime = LlamaCpp(threads=1)
    runtime.install(artifact, "my-twin", Silent())
    with runtime._asking("my-twin") as server:
        assert httpx.post(f"{server.address}/apply-template", json={"messages": []}).status_code == 401


def test_a_prompt_longer_than_the_context_is_refused_in_words(artifact: Artifact) -> None:
    runtime = LlamaCpp(threads=1)
    runtime.install(artifact, "my-twin", Silent())
    with pytest.raises(RuntimeUnavailable, match="context"):
        list(runtime.chat("my-twin", [Message(role="user", content="word " * 2000)], SAMPLING))
