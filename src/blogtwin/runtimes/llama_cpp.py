"""Twins served by llama.cpp inside this process: nothing to install, nothing to start, nothing that others can reach.

Names and files are kept by served.py; warm.py keeps models loaded. One conversation at a time, the same seed gives the same
words, however many places there are. Of several at once the engine multiplies the numbers together and rounds them in another
way: log-probabilities moved by up to 0.003 in F16, and one answer in eight of 60 tokens took another word.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blogtwin.chat_template import TEMPLATES
from blogtwin.errors import RuntimeUnavailable
from blogtwin.manifest import hash_file
from blogtwin.progress import Progress
from blogtwin.records import Artifact, Message, Sampling
from blogtwin.runtimes import machine, served
from blogtwin.runtimes.answer import Answer, Connection, Refused, pieces, reason
from blogtwin.runtimes.base import with_system
from blogtwin.runtimes.warm import MODELS, Wanted

if TYPE_CHECKING:
    from blogtwin.runtimes.llama_server import LlamaServer

_CHAT = "/v1/chat/completions"
_SLOTS = 4  # conversations at once: on a processor more would only share the same time


class LlamaCpp:
    """The embedded llama.cpp. threads: of the processor; None takes what the artifact says, else the machine's cores.

    slots: conversations at once, where memory allows. Whoever wants the same words from the same seed asks one at a time.
    """

    name = "llama-cpp"

    def __init__(self, threads: int | None = None, slots: int = _SLOTS) -> None:
        self.threads, self.slots = threads, slots

    def unavailable(self) -> str | None:
        from importlib.util import find_spec

        if find_spec("xllamacpp") is None:
            return "the embedded llama.cpp is not installed: uv sync (it ships wheels for Linux, macOS and Windows)"
        return None

    def install(self, artifact: Artifact, name: str, progress: Progress) -> None:
        with progress.task("Storing the model", 1, "files"):
            try:
                kept = served.keep(artifact)
                with MODELS.lent(self._wanted(kept)):  # a file that llama.cpp cannot load must not get a name
                    served.give(name, kept)
            finally:
                served.sweep()

    def copy(self, source: str, target: str) -> None:
        served.give(target, served.find(source))
        self._sweep()

    def difference(self, name: str, artifact: Artifact) -> str | None:
        there = served.find(name)
        sent, found = artifact.model_dump(exclude={"gguf", "lora"}), there.model_dump(exclude={"gguf", "lora"})
        for field, value in sent.items():
            if found[field] != value:
                return f"{field}: {value!r} was sent, {found[field]!r} is served"
        for file, digest in ((there.gguf, artifact.gguf_sha256), (there.lora, artifact.lora_sha256)):
            if file and (not Path(file).is_file() or hash_file(Path(file)) != digest):
                return f"weights: {file} is gone, or has been changed since"
        return None

    def ends_at(self, name: str, marker: str, token: int) -> bool:
        nothing_else = [[token, 100.0]]
        said = [Message(role="user", content="Hello")]
        body = {"messages": self._messages(name, said), "max_tokens": 3, "logit_bias": nothing_else, "temperature": 0}
        answer = self._ask(name, _CHAT, body)
        return bool(answer["choices"][0]["finish_reason"] == "stop")

    def remove(self, name: str) -> None:
        served.forget(name)
        self._sweep()

    def names(self) -> list[str]:
        return served.names()

    def concurrency(self, name: str) -> int:
        return MODELS.slots(self._wanted(served.find(name)))

    def render(self, name: str, messages: Sequence[Message]) -> str:
        return str(self._ask(name, "/apply-template", {"messages": self._messages(name, messages)})["prompt"])

    def prompt_tokens(self, name: str, messages: Sequence[Message]) -> int:
        body = {"messages": self._messages(name, messages), "max_tokens": 1, "cache_prompt": False}
        return int(self._ask(name, _CHAT, body)["usage"]["prompt_tokens"])

    def chat(self, name: str, messages: Sequence[Message], options: Sampling, voice: float = 1.0) -> Answer:
        """voice: the scale of the adapter, 0 to 1; only of one that stands beside its base, and is not merged into it."""
        return Answer(lambda connection: self._pieces(name, messages, options, connection, voice))

    def load(self, name: str, free: int) -> bool:
        """Load the model before it is asked for, where it fits into `free` bytes; whether it does."""
        if MODELS.needs(self._wanted(served.find(name))) > free:
            return False
        with self._asking(name):
            return True

    def release(self, idle: float = 0.0) -> None:
        """Give back the memory of models that nobody has asked for `idle` seconds; the next question loads them again."""
        MODELS.release(idle)

    def _pieces(
        self, name: str, messages: Sequence[Message], options: Sampling, connection: Connection, voice: float
    ) -> Generator[str, None, bool]:
        body: dict[str, Any] = {
            "messages": self._messages(name, messages),
            "stream": True,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "top_k": options.top_k,
            "min_p": options.min_p,
            "repeat_penalty": options.repeat_penalty,
            "seed": -1 if options.seed is None else options.seed,
            "max_tokens": options.max_tokens,
            "stop": list(TEMPLATES[served.find(name).template].stop),
            "cache_prompt": False,  # a prompt read in other pieces rounds differently: the same seed, the same answer
        }
        if voice != 1.0:
            body["lora"] = [{"id": 0, "scale": voice}]
        with self._asking(name) as server, server.stream(_CHAT, body, connection) as response:
            return (yield from pieces(response))

    def _wanted(self, artifact: Artifact) -> Wanted:
        return Wanted(
            gguf=Path(artifact.gguf),
            lora=Path(artifact.lora) if artifact.lora else None,
            context=artifact.context_length,
            threads=self.threads or artifact.threads or machine.cores(),
            slots=self.slots,
        )

    def _messages(self, name: str, messages: Sequence[Message]) -> list[dict[str, str]]:
        return [message.model_dump() for message in with_system(messages, served.find(name).system)]

    def _ask(self, name: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._asking(name) as server, server.client() as client:
            response = client.post(path, json=body)
            if not response.is_success:
                raise Refused(reason(response))
            return dict(response.json())

    @contextlib.contextmanager
    def _asking(self, name: str) -> Iterator[LlamaServer]:
        """The model, and what goes wrong with it said in one way."""
        import httpx

        try:
            with MODELS.lent(self._wanted(served.find(name))) as server:
                yield server
        except Refused as refusal:
            raise RuntimeUnavailable(
                f"llama.cpp refused to answer as {name}: {refusal}", "shorten the request, or deploy again"
            ) from refusal
        except httpx.HTTPError as fault:
            raise RuntimeUnavailable(
                f"llama.cpp stopped while it was asked for {name}: {fault}",
                "run the command again; if it happens once more, deploy the twin again",
            ) from fault

    @staticmethod
    def _sweep() -> None:
        served.sweep()
        MODELS.discard()
