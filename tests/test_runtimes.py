"""Runtimes: one contract for all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from blogtwin.chat_template import LLAMA3
from blogtwin.errors import ProofFailed, RuntimeUnavailable
from blogtwin.progress import Silent
from blogtwin.records import Artifact, Message
from blogtwin.runtimes.base import Runtime, with_system
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.runtimes.llama_server import load
from blogtwin.runtimes.ollama import Ollama
from blogtwin.runtimes.openai import KEY, OpenAI
from blogtwin.stages.proof import CONVERSATIONS as PROVED
from blogtwin.stages.proof import prove
from test_export import SAMPLING, artifact_of
from tiny_models import QUESTIONS, SYSTEM, conversation, greedy

USER = Message(role="user", content="  A ")
CONVERSATIONS = [
    [USER],
    [Message(role="system", content='{{ .System }} """ \'x\''), USER],
    [USER, Message(role="assistant", content="\nB\n"), Message(role="user", content="日本語 1234 🙂\r\n")],
]
ENDLESS = SAMPLING.model_copy(update={"temperature": 2.0, "top_p": 1.0, "min_p": 0.0, "max_tokens": 400, "seed": 3})
TWIN = "my-twin:latest"

Served = tuple[Runtime, str]  # and the name of the twin there


@pytest.fixture(params=["ollama", "llama-cpp"])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """Every runtime that models can be installed into, empty at the beginning."""
    if request.param == "llama-cpp":
        return LlamaCpp(threads=1)
    return Ollama(request.getfixturevalue("ollama"), threads=1)


@pytest.fixture(params=["ollama", "llama-cpp", "openai"])
def served(request: pytest.FixtureRequest, artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Every runtime with a twin in it. openai: llama.cpp's own server, as somebody else would have started it."""
    if request.param == "openai":
        server = load(Path(artifact.gguf), artifact.context_length, 1, slots=2)
        monkeypatch.setenv(KEY, server._secret)
        endpoint = OpenAI(server.address, artifact.system, LLAMA3.stop)
        yield endpoint, endpoint.names()[0]
        server.stop()
        return
    made = LlamaCpp(threads=1) if request.param == "llama-cpp" else Ollama(request.getfixturevalue("ollama"), threads=1)
    made.install(artifact, TWIN, Silent())
    yield made, TWIN


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
def test_the_prompt_is_that_of_training_to_the_character(served: Served, messages: list[Message]) -> None:
    runtime, name = served
    assert runtime.unavailable() is None
    assert runtime.render(name, messages) == LLAMA3.prompt(with_system(messages, SYSTEM))


def test_the_prompt_has_one_bos_and_a_repeated_one_is_counted_whole(served: Served, reciting: Path) -> None:
    from tokenizers import Tokenizer

    runtime, name = served
    words = Tokenizer.from_file(str(reciting / "tokenizer.json"))
    for messages in [*CONVERSATIONS, CONVERSATIONS[0], CONVERSATIONS[0]]:
        prompt = LLAMA3.prompt(with_system(messages, SYSTEM))
        expected = words.encode(prompt, add_special_tokens=False).ids
        assert expected.count(0) == 1
        assert runtime.prompt_tokens(name, messages) == len(expected)


def test_thirty_two_greedy_tokens_are_those_of_transformers(served: Served, reciting: Path) -> None:
    runtime, name = served
    for question in QUESTIONS:
        ids, text = greedy(reciting, question)
        assert len(ids) == 32
        assert answer(runtime, name, question) == text


def test_the_proof_runs_over_it_and_another_system_prompt_fails(served: Served, reciting: Path) -> None:
    runtime, name = served
    tokenizer = reciting / "tokenizer.json"
    assert prove(runtime, name, LLAMA3, SYSTEM, tokenizer, Silent()) == len(PROVED)
    with pytest.raises(ProofFailed, match="another prompt"):
        prove(runtime, name, LLAMA3, "Something else.", tokenizer, Silent())


def test_a_seed_gives_the_same_answer_again_and_another_seed_another(served: Served) -> None:
    runtime, name = served

    def told(seed: int) -> str:
        options = SAMPLING.model_copy(update={"temperature": 1.9, "min_p": 0.0, "top_p": 1.0, "seed": seed})
        return "".join(runtime.chat(name, [USER], options))

    told(1)  # warm: the first answer after loading reads the prompt in other pieces
    assert told(1) == told(1)
    assert told(1) != told(2)


def test_no_marker_stands_in_an_answer(served: Served) -> None:
    runtime, name = served
    told = ["".join(runtime.chat(name, [USER], ENDLESS.model_copy(update={"seed": seed}))) for seed in range(8)]
    assert len({len(text) for text in told}) > 1  # some came upon one, and ended there
    assert not any(marker in text for text in told for marker in LLAMA3.stop)


def test_an_answer_is_whole_when_the_model_has_ended_it(served: Served) -> None:
    runtime, name = served
    short = runtime.chat(name, [USER], SAMPLING.greedy(3))
    assert len(list(short)) <= 3
    stopped = runtime.chat(name, [USER], ENDLESS)
    next(stopped)
    stopped.close()
    assert (short.whole, stopped.whole) == (False, False)
    anything = ENDLESS.model_copy(update={"top_k": 2000})
    for seed in range(40):  # until one comes upon its end by chance
        told = runtime.chat(name, [USER], anything.model_copy(update={"seed": seed}))
        text = "".join(told)
        if told.whole:
            break
    assert told.whole
    again = runtime.chat(name, [USER], anything.model_copy(update={"seed": seed, "max_tokens": 600}))
    assert "".join(again) == text  # more room changes nothing


def test_an_answer_comes_piece_by_piece_and_stopping_frees_the_model(served: Served) -> None:
    runtime, name = served
    for _ in range(6):  # more than are answered at once
        pieces = runtime.chat(name, [USER], ENDLESS)
        assert next(pieces)
        pieces.close()
        assert list(pieces) == []
    began = time.monotonic()
    assert answer(runtime, name, QUESTIONS[1])
    assert time.monotonic() - began < 10


def test_an_answer_is_stopped_from_another_thread(served: Served) -> None:
    runtime, name = served
    pieces = runtime.chat(name, [USER], ENDLESS.model_copy(update={"max_tokens": 100_000}))
    said: list[str] = []
    first = threading.Event()

    def read() -> None:
        for piece in pieces:
            said.append(piece)
            first.set()

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        assert first.wait(30)
        pieces.close()
        reading.result(timeout=10)  # it ends, and nothing is raised
    assert answer(runtime, name, QUESTIONS[1])


def test_an_answer_that_was_stopped_before_it_began_asks_nothing(served: Served) -> None:
    runtime, _ = served
    pieces = runtime.chat("nobody:latest", [USER], ENDLESS)
    pieces.close()
    assert list(pieces) == []


def test_several_threads_may_ask_at_once(served: Served) -> None:
    runtime, name = served
    assert runtime.concurrency(name) >= 1
    alone = [answer(runtime, name, question) for question in QUESTIONS]
    with ThreadPoolExecutor(len(QUESTIONS)) as pool:
        together = list(pool.map(lambda question: answer(runtime, name, question), QUESTIONS))
    assert together == alone


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


def test_a_name_that_is_not_there_is_named(served: Served) -> None:
    runtime, _ = served
    for ask in (
        lambda: list(runtime.chat("nobody:latest", [USER], SAMPLING)),
        lambda: runtime.render("nobody:latest", [USER]),
        lambda: runtime.prompt_tokens("nobody:latest", [USER]),
        lambda: runtime.copy("nobody:latest", "my-twin:v2"),
    ):
        with pytest.raises(RuntimeUnavailable, match="nobody"):
            ask()
