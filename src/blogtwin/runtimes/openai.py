"""Models behind an OpenAI-compatible endpoint: vLLM, llama-server, LM Studio, or a service elsewhere.

In: its address, which only the user gives, and a key in BLOGTWIN_OPENAI_API_KEY, which is never written or shown. Out: a
runtime to write with and to measure; nothing can be installed into it. llama-server and vLLM show the prompts they render, so
that a twin served there can be proved; other servers cannot be proved.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from blogtwin.errors import RuntimeUnavailable
from blogtwin.progress import Progress
from blogtwin.records import Artifact, Message, Sampling
from blogtwin.runtimes.address import on_this_machine
from blogtwin.runtimes.answer import Answer, Connection, Refused, pieces, reason
from blogtwin.runtimes.base import with_system

if TYPE_CHECKING:
    import httpx

KEY = "BLOGTWIN_OPENAI_API_KEY"
_CONNECT, _ANSWER = 10.0, 600.0  # seconds; without a byte, while a large model reads a long prompt
_AT_ONCE = 4  # conversations: served together by vLLM, and not a burden for a server of one person

# What a server calls the sampling that OpenAI's own API does not have, by what it says of itself in its list of models.
# A server that is not here is sent OpenAI's fields alone: some ignore others, some refuse the request.
_EXTENSIONS = {
    "llamacpp": {"top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repeat_penalty"},
    "vllm": {"top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repetition_penalty"},
    "organization_owner": {"top_k": "top_k", "repeat_penalty": "repeat_penalty"},  # LM Studio
}
_NEUTRAL = {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0}


class OpenAI:
    """An endpoint. base_url: with its path (`http://HOST:8000/v1`); without one, /v1 is meant. None: there is none.

    system, stop: what goes before every conversation, and what ends an answer: the server knows neither.
    """

    name = "openai"

    def __init__(self, base_url: str | None, system: str = "", stop: Sequence[str] = ()) -> None:
        url = (base_url or "").rstrip("/")
        url = url if "://" in url or not url else f"http://{url}"
        self.base_url = url if not url or "/" in url.partition("://")[2] else f"{url}/v1"
        self.system, self.stop = system, tuple(stop)
        self._owners: dict[str, str] = {}  # model → what the server says it is owned by

    def unavailable(self) -> str | None:
        if not self.base_url:
            return "no endpoint is set: give its address with --url, or as deployment.openai_base_url"
        if "@" in self.base_url:
            return f"the endpoint's address holds a password, which would be written down: put it into {KEY}"
        try:
            self._models()
        except RuntimeUnavailable as fault:
            return fault.message
        return None

    def install(self, artifact: Artifact, name: str, progress: Progress) -> NoReturn:
        self._no_place(f"take {name}")

    def copy(self, source: str, target: str) -> NoReturn:
        self._no_place(f"let {target} stand for {source}")

    def remove(self, name: str) -> NoReturn:
        self._no_place(f"remove {name}")

    def difference(self, name: str, artifact: Artifact) -> NoReturn:
        raise RuntimeUnavailable(
            f"{self.base_url} does not say which weights {name} has, so they cannot be compared with what was trained",
            "deploy it here, where they can: blogtwin deploy --runtime llama-cpp",
        )

    def names(self) -> list[str]:
        return list(self._models())

    def concurrency(self, name: str) -> int:
        return _AT_ONCE

    def ends_at(self, name: str, marker: str, token: int) -> bool:
        said = [Message(role="user", content="Hello")]
        body = self._body(name, said) | {"max_tokens": 3, "temperature": 0, "logit_bias": {str(token): 100}}
        with self._asking(f"answer as {name}"):
            return bool(self._ask(body)["choices"][0]["finish_reason"] == "stop")

    def render(self, name: str, messages: Sequence[Message]) -> str:
        """As the server's own: llama-server renders, vLLM says the tokens and their text."""
        said = self._body(name, messages)["messages"]
        shown = self._try(name, "apply-template", {"messages": said})
        if shown is None and (told := self._try(name, "tokenize", {"model": name, "messages": said})):
            shown = self._try(name, "detokenize", {"model": name, "tokens": told.get("tokens")})
        if shown is None or not isinstance(shown.get("prompt"), str):
            raise RuntimeUnavailable(
                f"the server at {self.base_url} cannot show the prompts it renders, so the twin cannot be proved there",
                "serve it by llama-server or vLLM, which can; or deploy it here: blogtwin deploy",
            )
        return str(shown["prompt"])

    def prompt_tokens(self, name: str, messages: Sequence[Message]) -> int:
        body = self._body(name, messages) | {"max_tokens": 1} | self._uncached(name)
        with self._asking(f"answer as {name}"):
            return int(self._ask(body)["usage"]["prompt_tokens"])

    def chat(self, name: str, messages: Sequence[Message], options: Sampling) -> Answer:
        return Answer(lambda connection: self._pieces(name, messages, options, connection))

    def left_out(self, name: str, options: Sampling) -> list[str]:
        """The sampling settings that this server is not told, as it would not know them; its own hold instead."""
        known = _EXTENSIONS.get(self._owner(name), {})
        return [
            field for field, neutral in _NEUTRAL.items() if field not in known and getattr(options, field) != neutral
        ]

    def _pieces(
        self, name: str, messages: Sequence[Message], options: Sampling, connection: Connection
    ) -> Generator[str, None, bool]:
        body = self._body(name, messages) | self._sampling(name, options) | {"stream": True} | self._uncached(name)
        with (
            self._asking(f"answer as {name}"),
            self._client() as client,
            client.stream("POST", "chat/completions", json=body, extensions={"trace": connection.trace}) as response,
        ):
            return (yield from pieces(response))

    def _body(self, name: str, messages: Sequence[Message]) -> dict[str, Any]:
        self._owner(name)  # llama-server answers as whatever it is asked for
        said = [message.model_dump() for message in with_system(messages, self.system)]
        return {"model": name, "messages": said} | ({"stop": list(self.stop)} if self.stop else {})

    def _sampling(self, name: str, options: Sampling) -> dict[str, Any]:
        body: dict[str, Any] = {key: getattr(options, key) for key in ("temperature", "top_p", "max_tokens")}
        body |= {} if options.seed is None else {"seed": options.seed}
        known = _EXTENSIONS.get(self._owner(name), {})
        return body | {theirs: getattr(options, ours) for ours, theirs in known.items()}

    def _uncached(self, name: str) -> dict[str, Any]:
        """A prompt that is read in other pieces rounds differently; llama-server can read it whole each time."""
        return {"cache_prompt": False} if self._owner(name) == "llamacpp" else {}

    def _owner(self, name: str) -> str:
        owners = self._owners if name in self._owners else self._models()
        if name not in owners:
            there = ", ".join(owners) or "none"
            raise RuntimeUnavailable(
                f"{self.base_url} has no model named {name} (it has: {there})",
                "name it with --model as the server does",
            )
        return owners[name]

    def _models(self) -> dict[str, str]:
        with self._asking("list its models"), self._client() as client:
            response = client.get("models")
            if not response.is_success:
                raise Refused(reason(response))
            self._owners = {str(one["id"]): str(one.get("owned_by")) for one in response.json()["data"]}
        return self._owners

    def _ask(self, body: dict[str, Any]) -> dict[str, Any]:
        with self._client() as client:
            response = client.post("chat/completions", json=body)
            if not response.is_success:
                raise Refused(reason(response))
            return dict(response.json())

    def _try(self, name: str, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """What the server says beside the path of the OpenAI API, or None where it has no such thing."""
        with self._asking(f"render a prompt for {name}"), self._client() as client:
            response = client.post(f"{self.base_url.removesuffix('/v1')}/{path}", json=body)
            if response.status_code in (404, 405, 501):
                return None
            if not response.is_success:
                raise Refused(reason(response))
            told = response.json()
            return told if isinstance(told, dict) and "error" not in told else None  # LM Studio refuses with a 200

    def _client(self) -> httpx.Client:
        import httpx

        key = os.environ.get(KEY)
        return httpx.Client(
            base_url=f"{self.base_url}/",
            headers={"Authorization": f"Bearer {key}"} if key else None,
            timeout=httpx.Timeout(_ANSWER, connect=_CONNECT),
            trust_env=not on_this_machine(self.base_url),
            follow_redirects=False,  # the key is for this server alone
        )

    @contextlib.contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Whatever goes wrong while asking the server to do `what` is said in one way."""
        import httpx

        try:
            yield
        except Refused as refusal:
            raise RuntimeUnavailable(
                f"{self.base_url} refused to {what}: {refusal}",
                f"see the server's own log; a key, where it wants one, belongs into the variable {KEY}",
            ) from refusal
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL, httpx.UnsupportedProtocol) as fault:
            raise RuntimeUnavailable(
                f"{self.base_url} does not answer, so it cannot {what}: {fault}",
                "start the server, or see its address: --url, deployment.openai_base_url",
            ) from fault
        except httpx.HTTPError as fault:
            raise RuntimeUnavailable(
                f"{self.base_url} stopped half-way when asked to {what}: {fault or type(fault).__name__}",
                "see the server's own log, then run the command again",
            ) from fault
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as fault:
            raise RuntimeUnavailable(
                f"what answers at {self.base_url} is no OpenAI-compatible server: asked to {what}, it sent something else",
                "see its address: it often ends in /v1 (--url, deployment.openai_base_url)",
            ) from fault

    def _no_place(self, what: str) -> NoReturn:
        raise RuntimeUnavailable(
            f"{self.base_url} cannot {what}: a model is put onto such a server by its own means",
            "deploy with --runtime ollama or llama-cpp; or serve deploy/model.gguf there and write with --runtime openai",
        )
