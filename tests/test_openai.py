"""Endpoints that speak OpenAI's API: llama.cpp's own server and Ollama for real, vLLM's two requests by their published form."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict
from tokenizers import Tokenizer

from blogtwin import drafting
from blogtwin.chat_template import LLAMA3
from blogtwin.cli.app import main
from blogtwin.config import load_settings
from blogtwin.errors import ProofFailed, RuntimeUnavailable
from blogtwin.progress import Silent
from blogtwin.records import Artifact, Deployment, Message, Sampling
from blogtwin.runtimes.choose import choose, endpoint
from blogtwin.runtimes.llama_server import LlamaServer, load
from blogtwin.runtimes.ollama import Ollama
from blogtwin.runtimes.openai import KEY, OpenAI
from blogtwin.stages.proof import prove
from blogtwin.workspace import save_deployment
from test_export import SAMPLING
from test_ollama import Quiet, serving
from tiny_models import QUESTIONS, SYSTEM, conversation

USER = Message(role="user", content="A")


@pytest.fixture
def server(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> Iterator[LlamaServer]:
    """llama.cpp's own server, whose key is in the environment."""
    running = load(Path(artifact.gguf), artifact.context_length, 1, slots=2)
    monkeypatch.setenv(KEY, running._secret)
    yield running
    running.stop()


def test_nothing_can_be_put_onto_an_endpoint(server: LlamaServer, artifact: Artifact) -> None:
    there = OpenAI(server.address)
    for ask in (
        lambda: there.install(artifact, "my-twin", Silent()),
        lambda: there.copy("a", "b"),
        lambda: there.remove("a"),
    ):
        with pytest.raises(RuntimeUnavailable, match="by its own means") as refusal:
            ask()
        assert "--runtime ollama" in refusal.value.hint
    with pytest.raises(RuntimeUnavailable, match="cannot be compared"):
        there.difference("a", artifact)
    with pytest.raises(RuntimeUnavailable, match="can only be written with"):
        choose("openai", "http://127.0.0.1:1")


def test_without_its_key_the_endpoint_refuses_and_the_key_is_never_shown(
    server: LlamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert OpenAI(server.address).unavailable() is None
    monkeypatch.setenv(KEY, "not-the-key-1234")
    with pytest.raises(RuntimeUnavailable, match="refused") as refusal:
        OpenAI(server.address).names()
    assert "not-the-key" not in refusal.value.message + refusal.value.hint
    assert KEY in refusal.value.hint


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (None, "no endpoint is set"),
        ("http://me:secret@127.0.0.1:9/v1", "would be written down"),
        ("ftp://127.0.0.1/v1", "does not answer"),
        ("http://[::1", "http://[::1"),
    ],
)
def test_an_address_that_cannot_be_is_said(url: str | None, said: str) -> None:
    reason = OpenAI(url).unavailable() or ""
    assert said in reason
    assert "secret" not in reason
    with pytest.raises(RuntimeUnavailable):
        endpoint(url, "")


def test_an_endpoint_that_does_not_answer_is_said_with_its_address() -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        assert url in (OpenAI(url).unavailable() or "")


def test_ollama_writes_as_an_endpoint_and_says_that_it_cannot_be_proved(ollama: str, artifact: Artifact) -> None:
    own = Ollama(ollama, threads=1)
    own.install(artifact, "my-twin:latest", Silent())
    there = OpenAI(ollama, SYSTEM, LLAMA3.stop)
    assert there.names() == ["my-twin:latest"]
    greedy = SAMPLING.greedy(32)
    told = "".join(there.chat("my-twin:latest", [Message(role="user", content=QUESTIONS[0])], greedy))
    assert told == "".join(own.chat("my-twin:latest", conversation(QUESTIONS[0]), greedy))
    asked = conversation(QUESTIONS[0])
    assert there.prompt_tokens("my-twin:latest", asked) == own.prompt_tokens("my-twin:latest", asked)
    assert there.left_out("my-twin:latest", SAMPLING) == ["top_k", "min_p"]
    with pytest.raises(RuntimeUnavailable, match="cannot be proved"):
        there.render("my-twin:latest", [USER])


def write_settings(url: str, name: str) -> Any:
    deployment = {"runtime": "openai", "openai_base_url": url, "model_name": name}
    return load_settings(overrides={"deployment": deployment})


def test_a_post_is_written_with_an_endpoint_by_the_name_it_has_there(
    server: LlamaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (name,) = OpenAI(server.address).names()
    assert "/" in name  # which no twin's name could have
    assert drafting.remark(write_settings(server.address, name)) is None
    line = ["write", "rain", "--model", name, "--url", server.address, "--length", "20", "--seed", "1"]
    assert main(line) == 0
    first = capsys.readouterr().out
    assert len(first.split()) > 3
    assert main(line) == 0
    assert capsys.readouterr().out == first
    assert main(["write", "rain", "--model", "nobody", "--url", server.address]) == 1
    assert "no model named nobody" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_twin_deployed_here_and_served_there_is_asked_as_it_was_deployed(
    server: LlamaServer, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}

    class Recording(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.say(200, b'{"data": [{"id": "my-twin", "owned_by": "somebody"}]}')

        def do_POST(self) -> None:
            told.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.say(200, b'data: {"choices": [{"delta": {"content": "Once"}, "finish_reason": "stop"}]}\n\n')

    cold = artifact.model_copy(update={"system": "As Ada.", "sampling": SAMPLING.model_copy(update={"top_p": 0.5})})
    save_deployment(Deployment(name="my-twin:latest", runtime="ollama", adapter="/a", artifact=cold))
    with serving(Recording) as url:
        settings = write_settings(url, "my-twin")
        assert ["".join(draft) for draft in drafting.drafts(settings, "rain", 20, 1, seed=5)] == ["Once"]
        assert "top_k, min_p" in (drafting.remark(settings) or "")
    assert told["messages"][0] == {"role": "system", "content": "As Ada."}
    assert (told["top_p"], told["seed"], tuple(told["stop"])) == (0.5, 5, LLAMA3.stop)
    assert not {"top_k", "min_p", "repeat_penalty", "cache_prompt"} & set(told)  # it might refuse what it does not know


# vLLM's requests, field by field as it publishes them; it refuses none that it does not know, this one does.


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TokenizeChat(Strict):
    model: str
    messages: list[dict[str, str]]
    add_generation_prompt: bool = True
    return_token_strs: bool | None = False
    continue_final_message: bool = False
    add_special_tokens: bool = False


class Detokenize(Strict):
    model: str
    tokens: list[int]


def vllm(words: Tokenizer, template: Any) -> type[BaseHTTPRequestHandler]:
    class VLLM(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            card = {"id": "org/Twin", "object": "model", "owned_by": "vllm", "max_model_len": 512}
            self.say(200, json.dumps({"object": "list", "data": [card]}).encode())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/tokenize":
                ids = self._ids(TokenizeChat(**body).messages)
                self.tell({"count": len(ids), "max_model_len": 512, "tokens": ids, "token_strs": None})
            elif self.path == "/detokenize":
                self.tell({"prompt": words.decode(Detokenize(**body).tokens, skip_special_tokens=False)})
            elif self.path == "/v1/chat/completions":
                usage = {"prompt_tokens": len(self._ids(body["messages"]))}
                self.tell({"choices": [{"finish_reason": "stop"}], "usage": usage})
            else:
                self.say(404, b'{"detail": "Not Found"}')

        def _ids(self, messages: list[dict[str, str]]) -> list[int]:
            said = [Message.model_validate(message) for message in messages]
            return list(words.encode(template(said), add_special_tokens=False).ids)

        def tell(self, told: dict[str, Any]) -> None:
            self.say(200, json.dumps(told).encode())

    return VLLM


def test_a_twin_served_by_vllm_is_proved_by_its_tokens_and_another_template_is_caught(reciting: Path) -> None:
    tokenizer = reciting / "tokenizer.json"
    words = Tokenizer.from_file(str(tokenizer))
    with serving(vllm(words, LLAMA3.prompt)) as url:
        there = OpenAI(f"{url}/v1", SYSTEM, LLAMA3.stop)
        assert prove(there, "org/Twin", LLAMA3, SYSTEM, tokenizer, Silent()) > 0
    trimming = lambda said: LLAMA3.prompt([one.model_copy(update={"content": one.content.strip()}) for one in said])  # noqa: E731
    with serving(vllm(words, trimming)) as url, pytest.raises(ProofFailed, match="openai would show"):
        prove(OpenAI(url, SYSTEM, LLAMA3.stop), "org/Twin", LLAMA3, SYSTEM, tokenizer, Silent())


class Refusing(Quiet, BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.say(200, b'{"data": [{"id": "m", "owned_by": "openai"}]}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.say(400, b'{"error": {"message": "Unrecognized request argument supplied: seed", "code": null}}')


class BreakingOff(Refusing, BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.say(200, b': ping\n\ndata: {"choices": [{"delta": {"content": "Once"}, "finish_reason": null}]}\n\n')


class Failing(BreakingOff, BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.say(200, b'data: {"error": {"message": "out of memory"}}\n\n')


class Elsewhere(Quiet, BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.say(200, b"<html>a router</html>")


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (Refusing, "Unrecognized request argument supplied: seed"),
        (BreakingOff, "in the middle of the answer"),
        (Failing, "out of memory"),
        (Elsewhere, "no OpenAI-compatible server"),
    ],
)
def test_what_goes_wrong_is_said_in_the_servers_words(trouble: type[BaseHTTPRequestHandler], said: str) -> None:
    options: Sampling = SAMPLING.model_copy(update={"seed": 1})
    with serving(trouble) as url, pytest.raises(RuntimeUnavailable, match=said) as refusal:
        list(OpenAI(url).chat("m", [USER], options))
    assert url in refusal.value.message
    assert refusal.value.hint
