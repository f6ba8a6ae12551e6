"""Twins served by Ollama, on this machine or another, through its own client.

In: an artifact and a name. Out: the same name in `ollama list`, whose prompts are rendered by our Go template.
An address may hold a name and password (https://NAME:PASSWORD@HOST/PATH); a key in OLLAMA_API_KEY is sent as Ollama's own
tools send it. What can go wrong is put into words in ollama_troubles.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from blogtwin.chat_template import TEMPLATES
from blogtwin.errors import RuntimeUnavailable
from blogtwin.progress import Progress, Task
from blogtwin.records import Artifact, Message, Sampling
from blogtwin.runtimes.address import on_this_machine
from blogtwin.runtimes.answer import Answer, Connection
from blogtwin.runtimes.ollama_troubles import SEE_LOG, asking, check

if TYPE_CHECKING:
    import httpx
    import ollama

_CONNECT = 2.0  # seconds: Ollama is on this machine or next to it
_CONNECT_FAR = 10.0
_ANSWER = 600.0  # seconds without a byte: loading a large model and reading a long prompt on a slow processor
_CHUNK = 1 << 20  # bytes
_REPEATS = 30  # Ollama breaks an answer off, without a word, at a token that it has said so many times in a row


class Ollama:
    """An Ollama server at `base_url`. threads: processor threads of an answer; None leaves the number to Ollama."""

    name = "ollama"

    def __init__(self, base_url: str, threads: int | None = None) -> None:
        self.threads = threads
        scheme, _, rest = base_url.rpartition("://")
        who, _, place = rest.rstrip("/").rpartition("@")
        self.base_url = f"{scheme or 'http'}://{place}"  # what messages show: without the password
        self._who = tuple(unquote(part) for part in who.partition(":")[::2]) if who else None
        self._local = on_this_machine(self.base_url)

    def unavailable(self) -> str | None:
        import httpx

        try:
            with self._http(patience=3.0) as client:
                answer = client.get("/api/version")
            if answer.is_success and isinstance(answer.json()["version"], str):
                return None
            if answer.status_code in (401, 403):
                return (
                    f"the server at {self.base_url} refuses (HTTP {answer.status_code}): see deployment.ollama_base_url"
                )
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if not self._local:
                return f"Ollama does not answer at {self.base_url}: see that it runs there and can be reached"
            start = "start it with `ollama serve`" if shutil.which("ollama") else "install it from https://ollama.com"
            return f"Ollama does not answer at {self.base_url}: {start}"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
            pass
        return f"what answers at {self.base_url} is not Ollama: set deployment.ollama_base_url to where Ollama is"

    def install(self, artifact: Artifact, name: str, progress: Progress) -> None:
        files = {artifact.gguf_sha256: Path(artifact.gguf)}
        if artifact.lora and artifact.lora_sha256:
            files[artifact.lora_sha256] = Path(artifact.lora)
        size = sum(path.stat().st_size for path in files.values())
        with progress.task("Sending to Ollama", size, "bytes") as task, self._asking(f"take the weights of {name}"):
            for digest, path in files.items():
                self._send(path, digest, task)
        with progress.task("Ollama makes the model") as task, self._asking(f"make {name}"), self._client() as client:
            last = None
            for step in client.create(model=name, stream=True, **_recipe(artifact)):
                last = step.status
                task.advance(0, step=last or "")
            if last != "success":
                raise RuntimeUnavailable(
                    f"Ollama at {self.base_url} stopped half-way while making {name} (last word: {last})", SEE_LOG
                )

    def difference(self, name: str, artifact: Artifact) -> str | None:
        shown = self._shown(name)
        sources, _, _ = str(shown["modelfile"]).partition("\nTEMPLATE ")  # below, a system prompt may say anything
        weights = dict(re.findall(r"^(FROM|ADAPTER) .*sha256[-:]([0-9a-f]{64})$", sources, re.MULTILINE))
        recipe = _recipe(artifact)
        sent = {"template": recipe["template"], "system": artifact.system, **recipe["parameters"]}
        found = {"template": shown["template"], "system": shown.get("system", ""), **_parameters(shown)}
        sent["weights"], found["weights"] = artifact.gguf_sha256, weights.get("FROM")
        sent["adapter"], found["adapter"] = artifact.lora_sha256, weights.get("ADAPTER")
        for field in [*sent, *(set(found) - set(sent))]:
            if sent.get(field) != found.get(field):
                return f"{field}: {sent.get(field)!r} was sent, {found.get(field)!r} is served"
        return None

    def ends_at(self, name: str, marker: str, token: int) -> bool:
        shown = self._shown(name)
        end = shown.get("model_info", {}).get("tokenizer.ggml.eos_token_id")
        return marker in _parameters(shown).get("stop", []) or end == token

    def copy(self, source: str, target: str) -> None:
        with self._asking(f"let {target} stand for {source}"), self._client() as client:
            client.copy(source, target)

    def remove(self, name: str) -> None:
        import ollama

        with self._asking(f"remove {name}"), self._client() as client:
            try:
                client.delete(name)
            except ollama.ResponseError as refusal:
                if refusal.status_code != 404:
                    raise

    def names(self) -> list[str]:
        with self._asking("list its models"), self._client() as client:
            return [model.model for model in client.list().models if model.model]

    def concurrency(self, name: str) -> int:
        told = (
            os.environ.get("OLLAMA_NUM_PARALLEL", "") if self._local else ""
        )  # what a server elsewhere was started with?
        return max(1, int(told)) if told.isdecimal() else 1

    def render(self, name: str, messages: Sequence[Message]) -> str:
        with self._asking(f"render a prompt for {name}"), self._http() as client:
            answer = client.post(
                "/api/chat",
                json={
                    "model": name,
                    "messages": [message.model_dump() for message in messages],
                    "stream": False,
                    "_debug_render_only": True,
                    "options": self._threads()
                    | {"num_predict": 1},  # an Ollama that does not know the field above would write an essay
                },
            )
            check(answer)
            rendered = answer.json().get("_debug_info", {}).get("rendered_template")
        if not isinstance(rendered, str):
            raise RuntimeUnavailable(
                f"the Ollama at {self.base_url} cannot show the prompts it renders, so the twin cannot be proved",
                "update Ollama (https://ollama.com), or deploy with: --runtime llama-cpp",
            )
        return rendered

    def prompt_tokens(self, name: str, messages: Sequence[Message]) -> int:
        with self._asking(f"count tokens with {name}"), self._client() as client:
            answer = client.chat(
                model=name,
                messages=[message.model_dump() for message in messages],
                options=self._threads() | {"num_predict": 1, "temperature": 0.0},
            )
        return int(answer.prompt_eval_count or 0)

    def load(self, name: str) -> None:
        """Load the model before it is asked for; Ollama itself sees to its memory, and for how long it stays."""
        with self._asking(f"load {name}"), self._http() as client:
            check(client.post("/api/generate", json={"model": name, "stream": False, "options": self._threads()}))

    def chat(self, name: str, messages: Sequence[Message], options: Sampling) -> Answer:
        return Answer(lambda connection: self._pieces(name, messages, options, connection))

    def _pieces(
        self, name: str, messages: Sequence[Message], options: Sampling, connection: Connection
    ) -> Generator[str, None, bool]:
        body = {
            "model": name,
            "messages": [message.model_dump() for message in messages],
            "options": self._threads() | options.parameters(),
            "stream": True,
        }
        with (
            self._asking(f"answer as {name}"),
            self._http() as client,
            client.stream("POST", "/api/chat", json=body, extensions={"trace": connection.trace}) as response,
        ):
            if not response.is_success:
                response.read()
            check(response)
            done, whole, last, again = False, False, "", 0
            for part in map(json.loads, response.iter_lines()):
                if "error" in part:
                    raise RuntimeUnavailable(f"Ollama at {self.base_url} stopped answering: {part['error']}", SEE_LOG)
                done, whole = bool(part["done"]), part.get("done_reason") == "stop"
                piece = part["message"]["content"]
                last, again = piece.strip(), again + 1 if piece.strip() == last else 0
                if piece:
                    yield piece
            if not done and again < _REPEATS:
                raise RuntimeUnavailable(f"Ollama at {self.base_url} stopped in the middle of an answer", SEE_LOG)
            return whole

    def _shown(self, name: str) -> dict[str, Any]:
        with self._asking(f"show {name}"), self._http() as client:
            answer = client.post("/api/show", json={"model": name})
            check(answer)
            shown = dict(answer.json())
            if not isinstance(shown["template"], str) or not isinstance(shown["modelfile"], str):
                raise TypeError("no text")
            return shown

    def _send(self, path: Path, sha256: str, task: Task) -> None:
        with self._http() as client:
            blob = f"/api/blobs/sha256:{sha256}"
            there = client.head(blob)
            if there.status_code == 404:
                check(
                    client.post(blob, content=_chunks(path, task), headers={"Content-Length": str(path.stat().st_size)})
                )
            else:  # sent before, as Ollama keeps files by their content; or refused, before gigabytes were sent
                check(there)

    def _threads(self) -> dict[str, int]:
        return {} if self.threads is None else {"num_thread": self.threads}

    def _connection(self, patience: float) -> dict[str, Any]:
        import httpx

        return {
            "timeout": httpx.Timeout(patience, connect=_CONNECT if self._local else _CONNECT_FAR),
            "trust_env": not self._local,  # a proxy for the web must not be asked for a server on this machine
            "auth": self._who,
            "follow_redirects": False,  # a POST that is sent elsewhere arrives there as a GET
        }

    def _http(self, patience: float | None = None) -> httpx.Client:
        import httpx

        key = os.environ.get("OLLAMA_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else None
        return httpx.Client(base_url=self.base_url, headers=headers, **self._connection(patience or _ANSWER))

    def _client(self) -> ollama.Client:
        import ollama

        return ollama.Client(host=self.base_url, **self._connection(_ANSWER))

    def _asking(self, what: str) -> AbstractContextManager[None]:
        return asking(what, self.base_url, self._local, _ANSWER)


def _recipe(artifact: Artifact) -> dict[str, Any]:
    """What Ollama makes a model from, as /api/create has it."""
    template = TEMPLATES[artifact.template]
    recipe: dict[str, Any] = {
        "files": {"model.gguf": f"sha256:{artifact.gguf_sha256}"},
        "template": template.go,
        "system": artifact.system or None,
        "parameters": {**artifact.parameters(), "stop": list(template.stop)},
    }
    if artifact.lora_sha256:
        recipe["adapters"] = {"adapter.gguf": f"sha256:{artifact.lora_sha256}"}
    return recipe


def _parameters(shown: dict[str, Any]) -> dict[str, Any]:
    """The lines of /api/show, `stop    "<|eot_id|>"` and `top_p    0.9`, as what was sent: numbers, and stops in a list."""
    found: dict[str, Any] = {}
    for line in (shown.get("parameters") or "").splitlines():
        key, _, text = line.partition(" ")
        try:
            value = json.loads(text)
        except ValueError:
            value = text.strip()
        if key == "stop":
            found.setdefault(key, []).append(value)
        else:
            found[key] = value
    return found


def _chunks(path: Path, task: Task) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
            task.advance(len(chunk))
