"""Twins served by llama.cpp inside this process: nothing to install, nothing to start, nothing that others can reach.

Under the user's own folder: `served/blobs/sha256-…` holds the model files (hard links where the disk allows, so that a
deleted project breaks nothing), `served/names/NAME@TAG.json` says which file a name stands for and how it is served.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from blogtwin import atomic, workspace
from blogtwin.chat_template import TEMPLATES
from blogtwin.config import model_name
from blogtwin.errors import RuntimeUnavailable
from blogtwin.manifest import hash_file
from blogtwin.progress import Progress
from blogtwin.records import Artifact, Message, Sampling
from blogtwin.runtimes.base import with_system

if TYPE_CHECKING:
    import httpx

_ANSWER = 3600.0  # seconds without a byte: a long prompt on a slow processor; the server is our own


class LlamaCpp:
    """The embedded llama.cpp. threads: processor threads; None takes what the artifact says, else as many as there are cores."""

    name = "llama-cpp"

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads

    def unavailable(self) -> str | None:
        from importlib.util import find_spec

        if find_spec("xllamacpp") is None:
            return "the embedded llama.cpp is not installed: uv sync (it ships wheels for Linux, macOS and Windows)"
        return None

    def install(self, artifact: Artifact, name: str, progress: Progress) -> None:
        blob = _store() / "blobs" / f"sha256-{artifact.gguf_sha256}"
        with progress.task("Storing the model", 1, "files"):
            _keep(Path(artifact.gguf), blob)
            try:
                _start(blob, artifact, self.threads)  # a file that llama.cpp cannot load must not get a name
                served = artifact.model_copy(update={"gguf": str(blob.absolute())})
                atomic.write_text(_name_file(name), served.model_dump_json(indent=2) + "\n")
            finally:
                _sweep()

    def copy(self, source: str, target: str) -> None:
        atomic.write_text(_name_file(target), self._served(source).model_dump_json(indent=2) + "\n")
        _sweep()

    def difference(self, name: str, artifact: Artifact) -> str | None:
        served = self._served(name)
        sent, found = artifact.model_dump(exclude={"gguf", "lora"}), served.model_dump(exclude={"gguf", "lora"})
        for field, value in sent.items():
            if found[field] != value:
                return f"{field}: {value!r} was sent, {found[field]!r} is served"
        for file, digest in ((served.gguf, artifact.gguf_sha256), (served.lora, artifact.lora_sha256)):
            if file and (not Path(file).is_file() or hash_file(Path(file)) != digest):
                return f"weights: {file} is gone, or has been changed since"
        return None

    def ends_at(self, name: str, marker: str, token: int) -> bool:
        nothing_else = [[token, 100.0]]
        said = [Message(role="user", content="Hello")]
        body = {"messages": self._messages(name, said), "max_tokens": 3, "logit_bias": nothing_else, "temperature": 0}
        answer = self._ask(name, "/v1/chat/completions", body)
        return bool(answer["choices"][0]["finish_reason"] == "stop")

    def remove(self, name: str) -> None:
        _name_file(name).unlink(missing_ok=True)
        _sweep()

    def names(self) -> list[str]:
        return [path.stem.replace("@", ":") for path in sorted((_store() / "names").glob("*.json"))]

    def render(self, name: str, messages: Sequence[Message]) -> str:
        return str(self._ask(name, "/apply-template", {"messages": self._messages(name, messages)})["prompt"])

    def prompt_tokens(self, name: str, messages: Sequence[Message]) -> int:
        body = {"messages": self._messages(name, messages), "max_tokens": 1, "cache_prompt": False}
        return int(self._ask(name, "/v1/chat/completions", body)["usage"]["prompt_tokens"])

    def chat(self, name: str, messages: Sequence[Message], options: Sampling) -> Iterator[str]:
        running, served = self._running(name)
        body = {
            "messages": self._messages(name, messages),
            "stream": True,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "top_k": options.top_k,
            "min_p": options.min_p,
            "repeat_penalty": options.repeat_penalty,
            "seed": -1 if options.seed is None else options.seed,
            "max_tokens": options.max_tokens,
            "stop": list(TEMPLATES[served.template].stop),
            "cache_prompt": False,  # a prompt read in other pieces rounds differently: the same seed, the same answer
        }
        with (
            _asking(name),
            running.client() as client,
            client.stream("POST", "/v1/chat/completions", json=body) as answer,
        ):
            if not answer.is_success:
                answer.read()
                raise _refused(name, answer)
            for event in _events(answer):
                if "error" in event:
                    raise RuntimeUnavailable(f"llama.cpp stopped while answering as {name}: {event['error']}", _AGAIN)
                piece = event["choices"][0]["delta"].get("content") if event["choices"] else None
                if piece:
                    yield piece

    def _served(self, name: str) -> Artifact:
        path = _name_file(name)
        try:
            return Artifact.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError as fault:
            there = ", ".join(self.names()) or "none"
            raise RuntimeUnavailable(
                f"the embedded llama.cpp serves no twin named {name} (served: {there})", "make it: blogtwin deploy"
            ) from fault
        except (ValidationError, UnicodeDecodeError) as fault:
            raise RuntimeUnavailable(f"{path} does not say how {name} is served", "deploy it again") from fault

    def _running(self, name: str) -> tuple[_Running, Artifact]:
        served = self._served(name)
        return _start(Path(served.gguf), served, self.threads), served

    def _messages(self, name: str, messages: Sequence[Message]) -> list[dict[str, str]]:
        return [message.model_dump() for message in with_system(messages, self._served(name).system)]

    def _ask(self, name: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        running, _ = self._running(name)
        with _asking(name), running.client() as client:
            answer = client.post(path, json=body)
            if not answer.is_success:
                raise _refused(name, answer)
            return dict(answer.json())


@dataclass(frozen=True)
class _Running:
    """A loaded model: the server lives as long as this is referred to."""

    server: Any
    secret: str  # what its requests must carry

    def client(self) -> httpx.Client:
        import httpx

        return httpx.Client(
            base_url=self.server.listening_address,
            headers={"Authorization": f"Bearer {self.secret}"},
            timeout=httpx.Timeout(_ANSWER, connect=5.0),
            trust_env=False,  # a proxy for the web must not be asked for a server inside this process
        )


_lock = threading.Lock()
_warm: dict[tuple[str, int, int], _Running] = {}  # the one model that stays loaded: the last one asked


def _start(blob: Path, artifact: Artifact, wanted: int | None) -> _Running:
    """The server for a model file, loaded once and kept warm until another one is asked. Raises RuntimeUnavailable."""
    threads = wanted or artifact.threads or os.cpu_count() or 1
    key = (str(blob), artifact.context_length, threads)
    with _lock:
        if key not in _warm:
            _warm.clear()
            _warm[key] = _load(blob, artifact.context_length, threads)
        return _warm[key]


def _load(blob: Path, context: int, threads: int) -> _Running:
    import xllamacpp

    if not blob.is_file():
        raise RuntimeUnavailable(f"the model file {blob} is gone", "make it again with: blogtwin deploy")
    secret = secrets.token_urlsafe(16)  # other users of this machine can reach the loopback device too
    params = xllamacpp.CommonParams()
    params.model.path = str(blob)
    params.port = 0  # the system chooses a free one
    params.api_keys = [secret]
    params.verbosity = -1
    params.ui = params.endpoint_slots = params.endpoint_props = False
    params.n_ctx = context
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = 0
    params.fit_params = params.warmup = False
    params.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE  # the text as it is
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as fault:
        raise RuntimeUnavailable(
            f"llama.cpp cannot load {blob}: {fault}",
            "free some memory if there is little, or make the file again with: blogtwin deploy",
        ) from fault
    return _Running(server, secret)


@contextlib.contextmanager
def _asking(name: str) -> Iterator[None]:
    import httpx

    try:
        yield
    except httpx.HTTPError as fault:
        raise RuntimeUnavailable(f"llama.cpp stopped while it was asked for {name}: {fault}", _AGAIN) from fault


def _refused(name: str, answer: httpx.Response) -> RuntimeUnavailable:
    try:
        reason = answer.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        reason = answer.text[:300]
    return RuntimeUnavailable(
        f"llama.cpp refused to answer as {name}: {reason}", "shorten the request, or deploy again"
    )


def _events(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream of server-sent events, up to its end mark."""
    for line in answer.iter_lines():
        kind, _, value = line.partition(": ")
        if kind == "error":
            yield {"error": value}
        elif kind == "data" and value != "[DONE]":
            yield json.loads(value)


def _store() -> Path:
    return workspace.home() / "served"


def _name_file(name: str) -> Path:
    return _store() / "names" / f"{model_name(name).replace(':', '@')}.json"


def _keep(gguf: Path, blob: Path) -> None:
    """Let `blob` hold what `gguf` holds: a second name for the same bytes, or a copy where that cannot be."""
    if blob.is_file():
        return
    partial = blob.with_name(f".{blob.name}.partial")
    with atomic.writing_to(blob):
        blob.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        try:
            try:
                os.link(gguf, partial)
            except OSError:  # another file system, or one without links
                shutil.copyfile(gguf, partial)
            partial.replace(blob)
        finally:
            partial.unlink(missing_ok=True)


def _sweep() -> None:
    """Remove model files that no name stands for."""
    used = set()
    for path in (_store() / "names").glob("*.json"):
        with contextlib.suppress(ValueError, OSError):
            used.add(Path(json.loads(path.read_text(encoding="utf-8"))["gguf"]).name)
    for blob in (_store() / "blobs").glob("*"):
        if blob.name not in used:
            with contextlib.suppress(OSError):  # Windows keeps a file that is still loaded; the next sweep takes it
                blob.unlink()


_AGAIN = "run the command again; if it happens once more, deploy the twin again"
