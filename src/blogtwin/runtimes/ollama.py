"""Twins served by Ollama, through its own client.

In: an artifact and a name. Out: the same name in `ollama list`, whose prompts are rendered by our Go template.
Every way in which Ollama can fail becomes a RuntimeUnavailable that says where it was asked, and what to do.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from blogtwin.chat_template import TEMPLATES
from blogtwin.errors import RuntimeUnavailable
from blogtwin.progress import Progress, Task
from blogtwin.records import Artifact, Message, Sampling

if TYPE_CHECKING:
    import httpx
    import ollama

_CONNECT = 2.0  # seconds: Ollama is on this machine or next to it
_ANSWER = 600.0  # seconds without a byte: loading a large model and reading a long prompt on a slow processor
_CHUNK = 1 << 20  # bytes


class Ollama:
    """An Ollama server at `base_url`. threads: processor threads of an answer; None leaves the number to Ollama."""

    name = "ollama"

    def __init__(self, base_url: str, threads: int | None = None) -> None:
        self.threads = threads
        self.base_url = (base_url if "://" in base_url else f"http://{base_url}").rstrip("/")

    def unavailable(self) -> str | None:
        import httpx

        try:
            answer = httpx.get(
                f"{self.base_url}/api/version", timeout=httpx.Timeout(3.0, connect=_CONNECT), trust_env=False
            )
            if answer.is_success and isinstance(answer.json()["version"], str):
                return None
        except (httpx.ConnectError, httpx.ConnectTimeout):
            start = "start it with `ollama serve`" if shutil.which("ollama") else "install it from https://ollama.com"
            return f"Ollama does not answer at {self.base_url}: {start}"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
            pass
        return f"what answers at {self.base_url} is not Ollama: set deployment.ollama_base_url to where Ollama is"

    def install(self, artifact: Artifact, name: str, progress: Progress) -> None:
        size = Path(artifact.gguf).stat().st_size
        template = TEMPLATES[artifact.template]
        with (
            progress.task("Sending to Ollama", size, "bytes") as task,
            self._asking(f"take {name}"),
            self._client() as client,
        ):
            self._send(Path(artifact.gguf), artifact.gguf_sha256, task)
            last = None
            for step in client.create(
                model=name,
                files={"model.gguf": f"sha256:{artifact.gguf_sha256}"},
                template=template.go,
                system=artifact.system or None,
                parameters=artifact.parameters() | {"stop": list(template.stop)},
                stream=True,
            ):
                last = step.status
            if last != "success":
                raise RuntimeUnavailable(
                    f"Ollama at {self.base_url} stopped half-way while making {name} (last word: {last})", _LOG
                )

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
            _check(answer)
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

    def chat(self, name: str, messages: Sequence[Message], options: Sampling) -> Iterator[str]:
        with self._asking(f"answer as {name}"), self._client() as client:
            done = False
            for part in client.chat(
                model=name,
                messages=[message.model_dump() for message in messages],
                options=self._threads() | options.parameters(),
                stream=True,
            ):
                done = bool(part.done)
                if part.message.content:
                    yield part.message.content
            if not done:
                raise RuntimeUnavailable(f"Ollama at {self.base_url} stopped in the middle of an answer", _LOG)

    def _send(self, path: Path, sha256: str, task: Task) -> None:
        with self._http() as client:
            blob = f"/api/blobs/sha256:{sha256}"
            if client.head(blob).is_success:  # sent before: Ollama keeps files by their content
                return
            _check(client.post(blob, content=_chunks(path, task), headers={"Content-Length": str(path.stat().st_size)}))

    def _threads(self) -> dict[str, int]:
        return {} if self.threads is None else {"num_thread": self.threads}

    def _http(self) -> httpx.Client:
        import httpx

        # trust_env: a proxy for the web must not be asked for a server on this machine
        return httpx.Client(base_url=self.base_url, timeout=httpx.Timeout(_ANSWER, connect=_CONNECT), trust_env=False)

    def _client(self) -> ollama.Client:
        import httpx
        import ollama

        return ollama.Client(host=self.base_url, timeout=httpx.Timeout(_ANSWER, connect=_CONNECT), trust_env=False)

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Whatever goes wrong while asking Ollama to do `what` is said in one way."""
        import httpx
        import ollama

        try:
            yield
        except (ConnectionError, httpx.ConnectError, httpx.ConnectTimeout) as fault:
            raise RuntimeUnavailable(
                f"Ollama does not answer at {self.base_url}, so it cannot {what}",
                "start it with: ollama serve; or use the embedded llama.cpp: --runtime llama-cpp",
            ) from fault
        except ollama.ResponseError as refusal:
            code = f" (HTTP {refusal.status_code})" if refusal.status_code > 0 else ""
            raise RuntimeUnavailable(
                f"Ollama at {self.base_url} refused to {what}: {_first_line(refusal.error)}{code}", _LOG
            ) from refusal
        except httpx.TimeoutException as fault:
            raise RuntimeUnavailable(
                f"Ollama at {self.base_url} was asked to {what} and said nothing for {_ANSWER:.0f} seconds", _LOG
            ) from fault
        except httpx.HTTPError as fault:
            raise RuntimeUnavailable(
                f"Ollama at {self.base_url} stopped half-way when asked to {what}: {fault}", _LOG
            ) from fault
        except (ValueError, TypeError, httpx.InvalidURL) as fault:
            raise RuntimeUnavailable(
                f"what answers at {self.base_url} is not Ollama: it was asked to {what} and sent something else",
                "set deployment.ollama_base_url to where Ollama is, or use --runtime llama-cpp",
            ) from fault


def _chunks(path: Path, task: Task) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
            task.advance(len(chunk))


def _check(answer: httpx.Response) -> None:
    import ollama

    if not answer.is_success:
        raise ollama.ResponseError(answer.text, answer.status_code)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:300]


_LOG = "see what Ollama itself reports (the terminal of `ollama serve`, or its server.log), then run the command again"
